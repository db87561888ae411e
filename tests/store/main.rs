//! What stays on disk: run folders, and the frozen cache in one process and in several.

// Helpers outside of `#[test]` functions fail like tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod frozen_cache;
mod frozen_processes;
mod run_folders;
