//! reftc: a compiler for representation finetuning.
//!
//! ```text
//! spec.reft ─ syntax::parse ─▶ File ─ check ─▶ Spec ─ plan::lower ─▶ Plan ─ execute ─▶ events ─▶ store ─▶ report
//! ```

pub mod check;
pub mod cli;
pub mod compile;
pub mod data;
pub mod diag;
pub mod difference;
pub mod digest;
pub mod execute;
pub mod guard;
pub mod highlight;
pub mod intervention;
pub mod lock;
pub mod lsp;
pub mod model;
pub mod plan;
pub mod report;
pub mod revision;
pub mod runs;
pub mod source;
pub mod statistics;
pub mod store;
pub mod syntax;
pub mod watch;
pub mod world;
