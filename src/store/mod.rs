//! What stays on disk: run folders, their lock, and the user's cache. Every file is written beside and renamed.

pub mod atomic;
pub mod cache;
mod clock;
pub mod environment;
pub mod find;
pub mod metrics;
pub mod result;
pub mod run_folder;
