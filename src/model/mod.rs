//! The frozen model: where it is, what it is, and its forward pass.

pub mod config;
pub mod hub;
