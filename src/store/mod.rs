//! What stays on disk: run folders, their lock, the user's cache, and the cache of constant states. Every file is written beside and renamed.

pub mod atomic;
pub mod cache;
pub mod clock;
pub mod environment;
pub mod eval_rows;
pub mod find;
pub mod frozen;
pub mod metrics;
pub mod result;
pub mod run_folder;
pub mod stages;
