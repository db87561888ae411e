//! The frozen model against the reference tensors, against itself and against candle-transformers.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]
mod batches;
mod configs;
mod folders;
mod frozen;
mod gguf;
mod interrupts;
mod reference;
mod second_opinion;
mod smollm2;
mod support;
mod traps;
