//! What is legal and likely wrong: one file for each warning that looks at the whole of a spec.

mod trailing_space;

use super::Checker;

impl Checker<'_> {
    /// Looks at what the experiments reached. Comes after them, so that a lint can keep silent about what was told already.
    pub(super) fn lints(&mut self) {
        self.trailing_spaces();
    }
}
