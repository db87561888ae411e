//! Results as text: tables, pictures and numbers. Nothing here prints.

pub mod difference;
pub mod grid;
pub mod plan;
pub mod stages;
pub mod sweep;
pub mod table;
pub mod units;
