//! A wish to stop, heeded between the blocks of a pass.

use candle_core::{Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};

static NEVER: AtomicBool = AtomicBool::new(false);

/// Looks at a flag that someone else sets, such as the handler of Ctrl-C. Without one nothing interrupts.
#[derive(Clone, Copy, Debug)]
pub struct Interrupt(&'static AtomicBool);

impl Interrupt {
    /// Heeds this flag. It lives as long as the process, for backward passes hold on to it.
    pub fn new(flag: &'static AtomicBool) -> Self {
        Self(flag)
    }

    /// Whether to stop.
    pub fn is_set(self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error where the pass under way is to be abandoned; whoever set the flag knows what it means.
    ///
    /// # Errors
    /// Once the flag is set.
    pub fn check(self) -> Result<()> {
        if self.is_set() { bail!("the pass was interrupted") } else { Ok(()) }
    }
}

impl Default for Interrupt {
    fn default() -> Self {
        Self(&NEVER)
    }
}
