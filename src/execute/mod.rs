//! The engine: runs what a plan says and tells of it in typed events; it prints nothing.
//!
//! [`experiment`] joins the stages of one experiment to its run folder; everything else here knows no folders of runs.

pub mod along;
pub mod arena;
pub mod batch;
pub mod best;
pub mod checkpoint;
mod choices;
mod constant_pass;
pub mod constants;
mod continuing;
pub mod engine;
pub mod evaluate;
pub mod event;
pub mod experiment;
pub mod generate;
pub mod gradients;
mod interruption;
pub mod lines;
pub mod loaded;
mod many;
pub mod optimizer;
pub mod pack;
pub mod record;
mod records;
mod reuse;
pub mod rows;
mod stages;
pub mod strands;
pub mod train;
pub mod works;
