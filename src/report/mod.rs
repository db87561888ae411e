//! Results as text, as a page and as event files. Nothing here prints.

pub mod difference;
pub mod grid;
pub mod html;
pub mod metrics;
pub mod plan;
pub mod shell;
pub mod stages;
pub mod sweep;
pub mod table;
pub mod tensorboard;
pub mod units;
