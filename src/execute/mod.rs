//! The engine: runs what a plan says and tells of it in typed events; it prints nothing and knows no folders of runs.

pub mod optimizer;
pub mod schedule;
