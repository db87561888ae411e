//! The language server: what editors ask, answered from the same tables, parser and checker as the command line.
//!
//! `server.rs` reads messages and answers at once from the newest text; `worker.rs` checks on a thread of its own and reports
//! back. Each capability is a file that takes a `workspace::Workspace` and a place, and gives plain protocol types.

mod actions;
mod capabilities;
mod completion;
mod cursor;
mod definition;
mod diagnostics;
mod documents;
mod facts;
mod folding;
mod formatting;
mod hints;
mod hover;
mod library;
mod markdown;
mod modules;
mod names;
mod overlay;
mod position;
mod references;
mod rename;
mod requests;
mod resolved;
mod server;
mod sources;
mod symbols;
mod tokens;
mod uri;
mod walk;
mod worker;
mod workspace;

pub use server::{Ending, serve};
