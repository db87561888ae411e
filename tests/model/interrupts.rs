//! A pass is given up between two blocks once its flag is set, forward and backward.

use crate::support::rows;
use candle_core::{DType, Device, Result, Tensor, Var};
use reftc::model::config::Precision;
use reftc::model::files::ModelFiles;
use reftc::model::interrupt::Interrupt;
use reftc::model::weights::Weights;
use reftc::model::{At, BlockHook, Decoder};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static FLAG: AtomicBool = AtomicBool::new(false);

/// Adds a trainable vector to what leaves the first block, counts the blocks, and sets the flag after so many.
struct Stop {
    vector: Var,
    after: usize,
    seen: AtomicUsize,
}

impl BlockHook for Stop {
    fn edit(&self, layer: usize, at: At, values: Tensor) -> Result<Tensor> {
        if at != At::BlockOutput {
            return Ok(values);
        }
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.after {
            FLAG.store(true, Ordering::SeqCst);
        }
        if layer == 0 { values.broadcast_add(&self.vector) } else { Ok(values) }
    }

    fn edits_inside(&self, _: usize) -> bool {
        false
    }
}

#[test]
fn a_pass_is_given_up_between_blocks_in_both_directions() {
    let files = ModelFiles::embedded("tiny").unwrap();
    let config = files.config().unwrap();
    let mut weights = Weights::open(&files, &config, Precision::F32, &Device::Cpu).unwrap();
    weights.interrupt = Interrupt::new(&FLAG);
    let decoder = Decoder::from_weights(&weights, &config).unwrap();
    let pass = decoder.whole_pass(&rows(&[9, 4], 128)).unwrap();
    let stop = |after| {
        let vector = Var::zeros(config.hidden_size, DType::F32, &Device::Cpu).unwrap();
        Stop { vector, after, seen: AtomicUsize::new(0) }
    };
    let message = |error: candle_core::Error| error.to_string();

    let forward = stop(2);
    let given_up = decoder.run(&pass, &forward, None).map_err(message).unwrap_err();
    assert!(given_up.contains("the pass was interrupted"), "{given_up}");
    assert_eq!(forward.seen.load(Ordering::SeqCst), 2, "no block more");

    FLAG.store(false, Ordering::SeqCst);
    let hidden = decoder.run(&pass, &stop(usize::MAX), None).unwrap();
    let loss = hidden.sqr().unwrap().sum_all().unwrap();
    FLAG.store(true, Ordering::SeqCst);
    let given_up = loss.backward().map_err(message).unwrap_err();
    assert!(given_up.contains("the pass was interrupted"), "{given_up}");

    // While the flag is set no model is loaded, and afterwards all is as before.
    assert!(Decoder::from_weights(&weights, &config).is_err_and(|error| error.message.contains("was interrupted")));
    FLAG.store(false, Ordering::SeqCst);
    let again = decoder.run(&pass, &stop(usize::MAX), None).unwrap();
    let bits = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(bits(&hidden), bits(&again));
}
