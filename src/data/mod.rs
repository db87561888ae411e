//! Task data: from files of rows to tokens, positions, answers and metrics.

pub mod answer;
pub mod metric;
pub mod positions;
pub mod source;
pub mod split;
pub mod template;
