//! The tree of a condition on runs: `intervene.edit.rank > 4 and not state == damaged`.

use super::tree::{Expr, Ident, Path};
use crate::source::Span;

/// What a run must fulfil.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// One of them; never empty.
    Any(Vec<Condition>),
    /// Each of them; never empty.
    All(Vec<Condition>),
    Not(Box<Condition>),
    /// `train.lr < 1e-3`
    Compared(Compared),
    /// `eval.test.choices`: holds where it is `true`.
    True(Path),
}

/// A path and what it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    pub path: Path,
    /// `==`, `<`, `contains`, `in`.
    pub relation: Ident,
    pub value: Expr,
    pub span: Span,
}

impl Condition {
    /// Every path in it, in written order.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().flat_map(Self::paths).collect(),
            Self::Not(inner) => inner.paths(),
            Self::Compared(compared) => vec![&compared.path],
            Self::True(path) => vec![path],
        }
    }
}
