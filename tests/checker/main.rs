//! The checker and the plan: pages and documents say what is true, nothing panics, and hashes are over what decides a stage.

#![allow(clippy::expect_used, clippy::panic)]

#[path = "../support/compile.rs"]
mod compile;
mod costs;
mod documents;
mod identity;
mod many_rows;
mod pages;
mod properties;
mod support;
mod texts;
