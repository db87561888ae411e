//! The language server, as editors use it: transcripts, golden cases, and a real editor.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::print_stderr)]

mod cases;
mod checks;
mod client;
mod files;
mod neovim;
mod transcripts;
