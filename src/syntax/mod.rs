//! From text to [`tree::File`]; parsing never fails.

pub mod tree;
