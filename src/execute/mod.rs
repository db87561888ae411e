//! The engine: runs what a plan says and tells of it in typed events; it prints nothing.
//!
//! [`experiment`] joins the stages of one experiment to its run folder; everything else here knows no folders of runs.

pub mod along;
pub mod batch;
pub mod checkpoint;
pub mod evaluate;
pub mod event;
pub mod experiment;
pub mod generate;
pub mod loaded;
pub mod optimizer;
pub mod record;
pub mod rows;
pub mod schedule;
pub mod train;

use crate::diag::{Code, Diagnostic, Result};

/// candle walks a graph recursively, for the backward pass and to drop it; a deep model would overflow an ordinary stack.
const STACK_BYTES: usize = 256 << 20;

/// Runs work that builds graphs on a thread with a large stack, and waits for it.
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let failed = |reason: &str| Box::new(Diagnostic::new(Code::EngineFailed, format!("the engine failed: {reason}")));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("engine".to_owned()).stack_size(STACK_BYTES);
        let handle = thread.spawn_scoped(scope, work).map_err(|error| failed(&error.to_string()))?;
        handle.join().unwrap_or_else(|_| Err(failed("a computation panicked")))
    })
}
