//! Interventions: the registry of kinds and the trainable code between blocks.
//!
//! An `intervene` block expands to [`units::Unit`]s, one for each layer and set of parameters; [`formula`] computes an edit,
//! [`edits`] puts it between the blocks of the frozen model, [`save`] keeps what was trained.

pub mod edits;
pub mod formula;
pub mod orthogonal;
pub mod random;
pub mod reflections;
pub mod registry;
pub mod units;

pub use registry::Kind;
