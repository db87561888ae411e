//! Task data from files to tokens, answers and metrics: golden tables, properties, and real files where `REFTC_SHARED` names them.

// Helpers outside of `#[test]` functions fail like tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod answers;
mod chats;
mod choices;
mod encoding;
mod files;
mod metrics;
mod oracle;
mod parquet;
mod positions;
mod sources;
mod spans;
mod support;
mod templates;
