//! From text to [`tree::File`]; parsing never fails.

mod literal;
mod parse;
pub mod tree;

pub use parse::parse;
