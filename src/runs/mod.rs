//! Earlier runs: read, listed, chosen by conditions, compared, cleared away. Nothing here prints.

pub mod comparison;
pub mod comparison_text;
pub mod fact;
pub mod filter;
pub mod garbage;
pub mod listing;
pub mod paths;
pub mod record;
pub mod rows;
pub mod show;
pub mod sides;

pub mod value;
