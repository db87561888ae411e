//! From text to [`tree::File`]; parsing never fails.

pub mod condition;
mod format;
mod literal;
mod parse;
pub mod tree;

pub use format::format;
pub use literal::{in_unit, parse_size};
pub use parse::{parse, parse_condition, parse_setting, parse_value};
