//! Gradients pass through the frozen model to what is trainable, and to nothing else.

use crate::support::{assert_close, forward, rows, tiny};
use candle_core::{DType, Device, Result, Tensor, TensorId, Var};
use reftc::model::{At, BlockHook, Decoder, NoEdits};
use std::cell::RefCell;

/// Adds a trainable vector to every token at one place.
struct Shift {
    layer: usize,
    at: At,
    vector: Var,
}

impl BlockHook for Shift {
    fn edit(&self, layer: usize, at: At, values: Tensor) -> Result<Tensor> {
        if (layer, at) == (self.layer, self.at) { values.broadcast_add(&self.vector) } else { Ok(values) }
    }

    fn edits_inside(&self, layer: usize) -> bool {
        layer == self.layer && matches!(self.at, At::AttentionOutput | At::MlpOutput)
    }
}

fn loss(decoder: &Decoder, rows: &[Vec<u32>], hook: &dyn BlockHook) -> Tensor {
    let hidden = forward(decoder, rows, hook);
    let ends = rows.iter().scan(0, |end, row| {
        *end += row.len() as u32;
        Some(*end - 1)
    });
    let last = Tensor::from_iter(ends, &Device::Cpu).unwrap();
    let targets: Vec<u32> = (0..rows.len() as u32).map(|row| 7 + row).collect();
    decoder.losses(&hidden.index_select(&last, 0).unwrap(), &targets).unwrap().sum_all().unwrap()
}

/// Finite differences along random directions, for an edit at each place.
#[test]
fn the_gradient_of_an_edit_is_right() {
    let (decoder, config) = tiny();
    let packed = rows(&[9, 1, 14], 128);
    let places = [At::BlockInput, At::AttentionOutput, At::MlpOutput, At::BlockOutput];
    for (layer, at) in (0..config.layers).flat_map(|layer| places.map(|at| (layer, at))) {
        let start =
            Tensor::from_vec((0..32).map(|i| (i as f32 * 0.7).sin() * 0.1).collect::<Vec<_>>(), 32, &Device::Cpu)
                .unwrap();
        let vector = Var::from_tensor(&start).unwrap();
        let gradient = loss(&decoder, &packed, &Shift { layer, at, vector: vector.clone() }).backward().unwrap();
        let gradient = gradient.get(&vector).unwrap().to_vec1::<f32>().unwrap();
        for phase in 0..4 {
            let direction: Vec<f32> = (0..32).map(|i| ((i * (phase + 2)) as f32 * 1.3 + 0.4).cos()).collect();
            let direction_tensor = Tensor::from_slice(&direction, 32, &Device::Cpu).unwrap();
            let moved_by = |step: f64| {
                let moved = (&start + (&direction_tensor * step).unwrap()).unwrap();
                let hook = Shift { layer, at, vector: Var::from_tensor(&moved).unwrap() };
                f64::from(loss(&decoder, &packed, &hook).to_vec0::<f32>().unwrap())
            };
            // To the fourth order: in f32 steps must be large, and a norm of small states bends within them.
            let step = 4e-3;
            let measured = (8.0 * (moved_by(step) - moved_by(-step)) - (moved_by(2.0 * step) - moved_by(-2.0 * step)))
                / (12.0 * step);
            let computed: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
            assert!(
                (measured - computed).abs() < 3e-3 * measured.abs().max(1.0),
                "layer {layer}, {at:?}: {measured} for {computed}"
            );
        }
    }
}

/// After backward the store holds the gradient of the Var, and that of the state which the edit was added to by candle's
/// own addition: no weight got one, nor a buffer for one.
#[test]
fn no_frozen_weight_gets_a_gradient() {
    struct Watch(Shift, RefCell<Option<TensorId>>);
    impl BlockHook for Watch {
        fn edit(&self, layer: usize, at: At, values: Tensor) -> Result<Tensor> {
            if at == At::BlockOutput {
                self.1.borrow_mut().get_or_insert(values.id());
            }
            self.0.edit(layer, at, values)
        }

        fn edits_inside(&self, _: usize) -> bool {
            false
        }
    }
    let (decoder, _) = tiny();
    let packed = rows(&[9, 14], 128);
    let vector = Var::zeros(32, DType::F32, &Device::Cpu).unwrap();
    let hook = Watch(Shift { layer: 0, at: At::BlockOutput, vector: vector.clone() }, RefCell::new(None));
    let gradients = loss(&decoder, &packed, &hook).backward().unwrap();
    let edited = hook.1.into_inner().unwrap();
    assert!(gradients.get_ids().all(|&id| id == vector.id() || id == edited));
    assert_eq!(gradients.get_ids().count(), 2);
}

/// Below the first edit, and without edits, nothing is recorded.
#[test]
fn nothing_is_recorded_where_nothing_is_trained() {
    let (decoder, _) = tiny();
    let packed = rows(&[9, 14], 128);
    let hidden = forward(&decoder, &packed, &NoEdits);
    assert!(!hidden.track_op());
    assert!(!decoder.losses(&hidden, &[1; 23]).unwrap().track_op());
}

/// The loss in chunks is the loss at once, and weights of rows reach the gradient.
#[test]
fn losses_agree_with_logits() {
    let (decoder, _) = tiny();
    let packed = rows(&[9, 14], 128);
    let hidden = Var::from_tensor(&forward(&decoder, &packed, &NoEdits)).unwrap();
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
