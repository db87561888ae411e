//! The frozen model: where it is, what it is, and its forward pass.
//!
//! [`files`] finds a model and tells its [`config`] and tokenizer; [`weights`] gives its tensors; [`decoder`] runs it, with
//! a hook between blocks, on the tokens that a [`pass`] lays out. [`ops`] holds the frozen operations and their backward.

mod block;
pub mod branch;
pub mod cache;
pub mod config;
pub mod config_json;
pub mod decoder;
pub mod device;
pub mod embedded;
pub mod files;
pub mod gguf;
mod gguf_tokenizer;
mod head;
pub mod hub;
pub mod interrupt;
pub mod kernels;
pub mod known;
pub mod located;
mod mapped;
pub mod ops;
pub mod pass;
pub mod place;
mod safetensors_file;
mod stored;
pub mod tokenizer;
pub mod weights;

pub use cache::Cache;
pub use decoder::{BlockHook, Decoder, NoEdits};
pub use files::{ModelFacts, ModelFiles, facts};
pub use pass::Pass;
pub use place::At;
