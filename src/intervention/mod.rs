//! Interventions: the registry of kinds and the trainable code between blocks.
//!
//! An `intervene` block expands to [`units::Unit`]s, one for each layer and set of parameters; [`formula`] computes an edit,
//! [`edits`] puts it between the blocks of the frozen model, [`save`] keeps what was trained.

pub mod block;
pub mod dropout;
pub mod edits;
pub mod formula;
pub mod orthogonal;
pub mod random;
pub mod reflections;
pub mod registry;
pub mod rotations;
pub mod save;
pub mod saved;
pub mod tensor_file;
pub mod units;

pub use crate::model::place::At;
pub use block::{Activation, Intervention};
pub use registry::Kind;

use crate::diag::{Code, Diagnostic};
use crate::model::weights::first_line;

/// E0507: candle could not do what a sound plan asked for, most often for want of memory.
pub fn engine_failed(error: candle_core::Error) -> Box<Diagnostic> {
    let reason = first_line(&error);
    let help = "if memory ran out, run with `--memory-budget SIZE`, or set a smaller `batch`";
    Box::new(Diagnostic::new(Code::EngineFailed, format!("the engine failed: {reason}")).help(help))
}
