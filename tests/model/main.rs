//! The frozen model against the reference tensors, against itself and against candle-transformers.

mod batches;
mod frozen;
mod reference;
mod smollm2;
mod support;
