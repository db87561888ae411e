//! Gradients pass through the frozen model to what is trainable, and to nothing else.

use crate::support::{assert_close, rows, tiny};
use candle_core::{DType, Device, Result, Tensor, TensorId, Var};
use reftc::model::{BlockHook, Decoder, NoEdits, PackedRows};
use std::cell::RefCell;

/// Adds a trainable vector to every token after one block.
struct Shift {
    layer: usize,
    vector: Var,
}

impl BlockHook for Shift {
    fn after_block(&self, layer: usize, hidden: Tensor) -> Result<Tensor> {
        if layer == self.layer { hidden.broadcast_add(&self.vector) } else { Ok(hidden) }
    }
}

fn loss(decoder: &Decoder, rows: &PackedRows, hook: &dyn BlockHook) -> Tensor {
    let hidden = decoder.forward(rows, hook, None).unwrap();
    let last = Tensor::new(rows.last_tokens(), &Device::Cpu).unwrap();
    let targets: Vec<u32> = (0..rows.rows() as u32).map(|row| 7 + row).collect();
    decoder.losses(&hidden.index_select(&last, 0).unwrap(), &targets).unwrap().sum_all().unwrap()
}

/// Finite differences along random directions, for an edit in each layer.
#[test]
fn the_gradient_of_an_edit_is_right() {
    let (decoder, config) = tiny();
    let packed = PackedRows::new(&rows(&[9, 1, 14], 128));
    for layer in 0..config.layers {
        let start =
            Tensor::from_vec((0..32).map(|i| (i as f32 * 0.7).sin() * 0.1).collect::<Vec<_>>(), 32, &Device::Cpu)
                .unwrap();
        let vector = Var::from_tensor(&start).unwrap();
        let gradient = loss(&decoder, &packed, &Shift { layer, vector: vector.clone() }).backward().unwrap();
        let gradient = gradient.get(&vector).unwrap().to_vec1::<f32>().unwrap();
        for phase in 0..4 {
            let direction: Vec<f32> = (0..32).map(|i| ((i * (phase + 2)) as f32 * 1.3 + 0.4).cos()).collect();
            let direction_tensor = Tensor::from_slice(&direction, 32, &Device::Cpu).unwrap();
            let at = |step: f64| {
                let moved = (&start + (&direction_tensor * step).unwrap()).unwrap();
                let hook = Shift { layer, vector: Var::from_tensor(&moved).unwrap() };
                f64::from(loss(&decoder, &packed, &hook).to_vec0::<f32>().unwrap())
            };
            let measured = (at(1e-2) - at(-1e-2)) / 2e-2;
            let computed: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
            assert!((measured - computed).abs() < 2e-3 * measured.abs().max(1.0), "{measured} for {computed}");
        }
    }
}

/// The last block may work for some tokens alone: their numbers and all gradients stay.
#[test]
fn tokens_that_nobody_reads_change_nothing() {
    let (decoder, config) = tiny();
    let packed = PackedRows::new(&rows(&[9, 1, 14], 128));
    let tokens = [3, 8, 9, 20, 23];
    let indices = Tensor::new(&tokens, &Device::Cpu).unwrap();
    for layer in 0..config.layers {
        let vector = Var::ones(32, DType::F32, &Device::Cpu).unwrap();
        let hook = Shift { layer, vector: vector.clone() };
        let all = decoder.forward(&packed, &hook, None).unwrap().index_select(&indices, 0).unwrap();
        let some = decoder.forward_at(&packed, &tokens, &hook, None).unwrap();
        assert_close(&some, &all, 1e-5);
        let gradient = |hidden: &Tensor| {
            let losses = decoder.losses(hidden, &[7, 8, 9, 10, 11]).unwrap();
            losses.sum_all().unwrap().backward().unwrap().get(&vector).unwrap().clone()
        };
        assert_close(&gradient(&some), &gradient(&all), 1e-5);
    }
}

/// After backward the store holds the gradient of the Var, and that of the state which the edit was added to by candle's
/// own addition: no weight got one, nor a buffer for one.
#[test]
fn no_frozen_weight_gets_a_gradient() {
    struct Watch(Shift, RefCell<Option<TensorId>>);
    impl BlockHook for Watch {
        fn after_block(&self, layer: usize, hidden: Tensor) -> Result<Tensor> {
            self.1.borrow_mut().get_or_insert(hidden.id());
            self.0.after_block(layer, hidden)
        }
    }
    let (decoder, _) = tiny();
    let packed = PackedRows::new(&rows(&[9, 14], 128));
    let vector = Var::zeros(32, DType::F32, &Device::Cpu).unwrap();
    let hook = Watch(Shift { layer: 0, vector: vector.clone() }, RefCell::new(None));
    let gradients = loss(&decoder, &packed, &hook).backward().unwrap();
    let edited = hook.1.into_inner().unwrap();
    assert!(gradients.get_ids().all(|&id| id == vector.id() || id == edited));
    assert_eq!(gradients.get_ids().count(), 2);
}

/// Below the first edit, and without edits, nothing is recorded.
#[test]
fn nothing_is_recorded_where_nothing_is_trained() {
    let (decoder, _) = tiny();
    let packed = PackedRows::new(&rows(&[9, 14], 128));
    let hidden = decoder.forward(&packed, &NoEdits, None).unwrap();
    assert!(!hidden.track_op());
    assert!(!decoder.losses(&hidden, &[1; 23]).unwrap().track_op());
}

/// The loss in chunks is the loss at once, and weights of rows reach the gradient.
#[test]
fn losses_agree_with_logits() {
    let (decoder, _) = tiny();
    let packed = PackedRows::new(&rows(&[9, 14], 128));
    let hidden = Var::from_tensor(&decoder.forward(&packed, &NoEdits, None).unwrap()).unwrap();
    let targets: Vec<u32> = (0..23).map(|i| i * 5 % 128).collect();
    let losses = decoder.losses(&hidden, &targets).unwrap();
    let logits = decoder.logits(&hidden).unwrap();
    let log = candle_nn::ops::log_softmax(&logits, 1).unwrap();
    let picked = log.gather(&Tensor::new(targets, &Device::Cpu).unwrap().unsqueeze(1).unwrap(), 1).unwrap();
    assert_close(&losses, &picked.squeeze(1).unwrap().neg().unwrap(), 1e-5);
    let weights =
        Tensor::from_vec((0..23).map(|i| if i == 4 { 2f32 } else { 0.0 }).collect(), 23, &Device::Cpu).unwrap();
    let gradient = (losses * weights).unwrap().sum_all().unwrap().backward().unwrap();
    let gradient = gradient.get(&hidden).unwrap();
    let sizes = gradient.sqr().unwrap().sum(1).unwrap().to_vec1::<f32>().unwrap();
    assert!(sizes.iter().enumerate().all(|(row, &size)| (size > 0.0) == (row == 4)));
}
