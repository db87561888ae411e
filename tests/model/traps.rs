//! The traps of candle that this crate stays out of (each silently cuts or corrupts a gradient), and the one that we rely
//! on staying shut: how deep a graph may be.

use crate::support::{forward, random_model, rows};
use candle_core::{DType, Device, Result, Tensor, Var};
use reftc::model::config::Precision;
use reftc::model::{At, BlockHook, Decoder, ModelFiles};
use std::path::Path;

/// Names that must not appear in the crate's sources, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("softmax_last_dim", "drops the gradient without an error"),
    ("ops::rms_norm(", "drops the gradient without an error"),
    ("ops::layer_norm(", "drops the gradient without an error"),
    ("rotary_emb", "drops the gradient without an error"),
    ("ops::sdpa", "drops the gradient without an error"),
    ("QMatMul", "drops the gradient without an error"),
    ("KvCache", "drops the gradient without an error"),
    (".scatter(", "its backward is wrong"),
    ("Tensor::rand", "draws from an unseeded generator"),
];

fn visit(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for (name, why) in FORBIDDEN.iter().filter(|(name, _)| text.contains(name)) {
                found.push(format!("{}: {name} {why}", path.display()));
            }
        }
    }
}

#[test]
fn no_source_steps_into_a_trap() {
    let mut found = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Edits every place of every layer with several recorded operations, as an intervention does.
struct Busy(Var);

impl BlockHook for Busy {
    fn edit(&self, _: usize, _: At, values: Tensor) -> Result<Tensor> {
        let mut edited = values;
        for _ in 0..2 {
            edited = edited.broadcast_add(&(self.0.as_tensor() * 0.5)?)?;
        }
        Ok(edited)
    }

    fn edits_inside(&self, _: usize) -> bool {
        true
    }
}

/// Backward and drop recurse over the graph; 80 layers with busy edits must fit a thread of 2 MiB.
#[test]
fn a_deep_model_fits_a_small_stack() {
    let work = || {
        let folder = random_model(&serde_json::json!({
            "model_type": "llama", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 80,
            "num_attention_heads": 2, "vocab_size": 20, "max_position_embeddings": 16,
        }));
        let files = ModelFiles::folder(folder.path()).unwrap();
        let decoder = Decoder::load(&files, &files.config().unwrap(), Precision::F32, &Device::Cpu).unwrap();
        let vector = Var::zeros(16, DType::F32, &Device::Cpu).unwrap();
        let hidden = forward(&decoder, &rows(&[5], 20), &Busy(vector.clone()));
        let loss = decoder.losses(&hidden, &[1; 5]).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&vector).unwrap().to_vec1::<f32>().unwrap();
        assert!(gradient.iter().all(|value| value.is_finite()) && gradient.iter().any(|&value| value != 0.0));
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}
