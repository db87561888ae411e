//! Work that stopped because it was asked to.

use crate::diag::{Code, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// `None` where the engine gave up while `interrupt` was set: the pass under way was abandoned. Other errors stay, and a failure that came
/// at the same time comes again when the work goes on.
///
/// # Errors
/// Those of `result` that no interruption explains.
pub fn or_interrupted<T>(result: Result<T>, interrupt: &AtomicBool) -> Result<Option<T>> {
    match result {
        Err(diagnostic) if diagnostic.code == Code::EngineFailed && interrupt.load(Ordering::Relaxed) => Ok(None),
        result => result.map(Some),
    }
}
