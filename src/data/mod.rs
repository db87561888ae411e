//! Task data: from files of rows to tokens, positions, answers and metrics.
//!
//! ```text
//! bytes ─ read ─▶ Rows ─ source::select ─▶ Rows of a split ─ template, chat ─▶ text ─ encode ─▶ Encoded ─ positions
//! ```
//!
//! Nothing here opens a file: callers hand in bytes and the path to name in messages.

pub mod answer;
pub mod chat;
mod chat_places;
pub mod choices;
pub mod encode;
pub mod files;
pub mod form;
mod json;
pub mod metric;
mod parquet;
pub mod positions;
pub mod read;
pub mod report;
pub mod row_bytes;
pub mod rows;
pub mod source;
pub mod spans;
pub mod split;
pub mod template;
pub mod text_report;
mod texts;
pub mod token_set;
pub mod tokenizer;
