//! Hidden states and logits of the tiny Llama agree with transformers'.

use crate::support::{assert_close, forward, oracle, reference, tiny};
use candle_core::{DType, Device, Result, Tensor};
use reftc::diag::Code;
use reftc::model::config::Precision;
use reftc::model::weights::Weights;
use reftc::model::{At, BlockHook, Decoder, NoEdits};
use std::cell::RefCell;

/// Remembers what leaves each block.
#[derive(Default)]
struct Recorder(RefCell<Vec<Tensor>>);

impl BlockHook for Recorder {
    fn edit(&self, layer: usize, at: At, values: Tensor) -> Result<Tensor> {
        if at == At::BlockOutput {
            assert_eq!(layer, self.0.borrow().len());
            self.0.borrow_mut().push(values.clone());
        }
        Ok(values)
    }

    fn edits_inside(&self, _: usize) -> bool {
        false
    }
}

/// The reference puts a masked token in front of each row and pads behind; the real tokens alone must give the same.
#[test]
fn states_and_logits_agree() {
    let (decoder, _) = tiny();
    let tensors = reference();
    for tie in ["tied", "untied"] {
        let ids = tensors[&format!("{tie}.input_ids")].to_vec2::<i64>().unwrap();
        let mask = tensors[&format!("{tie}.attention_mask")].to_vec2::<i64>().unwrap();
        let mut rows: Vec<Vec<u32>> = Vec::new();
        let mut real: Vec<u32> = Vec::new();
        for (row, (ids, mask)) in ids.iter().zip(&mask).enumerate() {
            let columns = (0..ids.len()).filter(|&column| mask[column] == 1);
            rows.push(columns.clone().map(|column| ids[column] as u32).collect());
            real.extend(columns.map(|column| (row * ids.len() + column) as u32));
        }
        let real = Tensor::new(real, &candle_core::Device::Cpu).unwrap();
        let expected = |name: &str, layer: Option<usize>| {
            let tensor = &tensors[&format!("{tie}.{name}")];
            let tensor = layer.map_or(tensor.clone(), |layer| tensor.get(layer).unwrap());
            tensor.flatten_to(1).unwrap().index_select(&real, 0).unwrap()
        };
        let recorder = Recorder::default();
        let last = forward(&decoder, &rows, &recorder);
        let states = recorder.0.into_inner();
        assert_eq!(states.len(), 4);
        for (layer, state) in states.iter().take(3).enumerate() {
            assert_close(state, &expected("hidden_base", Some(layer + 1)), 1e-5);
        }
        assert_close(&decoder.logits(&last).unwrap(), &expected("logits_base", None), 1e-5);
        let loss = mean_loss(&decoder, &last, &tensors[&format!("{tie}.labels")], &real);
        let expected_loss = tensors[&format!("{tie}.loss_base")].to_vec0::<f32>().unwrap();
        assert!((loss - expected_loss).abs() < 1e-5 * expected_loss, "{loss} for {expected_loss}");
    }
}

/// The mean loss of the supervised tokens, each predicted by the token before it.
fn mean_loss(decoder: &reftc::model::Decoder, last: &Tensor, labels: &Tensor, real: &Tensor) -> f32 {
    let labels = labels.flatten_all().unwrap().index_select(real, 0).unwrap().to_vec1::<i64>().unwrap();
    let supervised: Vec<usize> = (1..labels.len()).filter(|&token| labels[token] >= 0).collect();
    let before: Vec<u32> = supervised.iter().map(|&token| token as u32 - 1).collect();
    let targets: Vec<u32> = supervised.iter().map(|&token| labels[token] as u32).collect();
    let rows = last.index_select(&Tensor::new(before, last.device()).unwrap(), 0).unwrap();
    decoder.losses(&rows, &targets).unwrap().mean_all().unwrap().to_vec0().unwrap()
}

/// Weights may come from memory, tensor by tensor; those of other shapes are refused as in a file.
#[test]
fn weights_that_are_made_are_those_of_the_file() {
    let (decoder, config) = tiny();
    let stored = candle_core::safetensors::load(oracle("tiny-llama/model.safetensors"), &Device::Cpu).unwrap();
    let make = move |name: &str, _: &[usize]| Ok(stored[name].clone());
    let made = Decoder::from_weights(&Weights::made(make, Precision::F32, &Device::Cpu), &config).unwrap();
    let bits = |decoder| forward(decoder, &[[1u32, 7, 3], [9, 9, 2]], &NoEdits).to_vec2::<f32>().unwrap();
    assert_eq!(bits(&made), bits(&decoder));

    let short = |_: &str, shape: &[usize]| Tensor::zeros(shape[0] - 1, DType::F32, &Device::Cpu);
    let weights = Weights::made(short, Precision::F32, &Device::Cpu);
    assert_eq!(Decoder::from_weights(&weights, &config).err().unwrap().code, Code::TensorMismatch);
}
