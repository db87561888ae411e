//! Results as text: tables, pictures and numbers. Nothing here prints.

pub mod grid;
pub mod plan;
pub mod table;
pub mod units;
