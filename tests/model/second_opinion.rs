//! candle-transformers, whose models cannot be trained through, as a second opinion on logits.

use crate::support::{assert_close, forward, oracle, random_model, rows};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{llama, mistral, qwen2};
use reftc::model::config::Precision;
use reftc::model::{Decoder, ModelFiles, NoEdits};
use serde_json::{Value, json};
use std::path::Path;

/// Logits of the last token of one row, by us.
fn ours(folder: &Path, row: &[u32]) -> Tensor {
    let files = ModelFiles::folder(folder).unwrap();
    let decoder = Decoder::load(&files, &files.config().unwrap(), Precision::F32, &Device::Cpu).unwrap();
    let hidden = forward(&decoder, &[row], &NoEdits);
    decoder.logits(&hidden.narrow(0, row.len() - 1, 1).unwrap()).unwrap()
}

fn builder(folder: &Path) -> VarBuilder<'static> {
    let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
    VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
}

fn config<T: serde::de::DeserializeOwned>(folder: &Path) -> T {
    serde_json::from_str(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap()
}

fn llama_logits(folder: &Path, row: &Tensor) -> Tensor {
    let config = config::<llama::LlamaConfig>(folder).into_config(false);
    let mut cache = llama::Cache::new(false, DType::F32, &config, &Device::Cpu).unwrap();
    llama::Llama::load(builder(folder), &config).unwrap().forward(row, 0, &mut cache).unwrap()
}

fn row(vocabulary: u32) -> (Vec<u32>, Tensor) {
    let row = rows(&[40], vocabulary).remove(0);
    let tensor = Tensor::new(&row[..], &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    (row, tensor)
}

#[test]
fn llama() {
    let (row, tensor) = row(128);
    let folder = oracle("tiny-llama");
    assert_close(&ours(&folder, &row), &llama_logits(&folder, &tensor), 1e-5);
}

/// Scaled frequencies matter: with the same weights and plain ones the logits differ.
#[test]
fn llama_3_scaling() {
    let (row, tensor) = row(50);
    let shape = json!({
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 50, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 50.0, "tie_word_embeddings": true,
        "rope_scaling": {
            "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32, "rope_type": "llama3"
        },
    });
    let folder = random_model(&shape);
    let scaled = ours(folder.path(), &row);
    assert_close(&scaled, &llama_logits(folder.path(), &tensor), 1e-5);
    let mut plain = shape.clone();
    plain["rope_scaling"] = Value::Null;
    let plain = ours(random_model(&plain).path(), &row);
    assert!(crate::support::difference(&scaled, &plain) > 1e-3);
}

/// The window is longer than the row: candle-transformers would apply it although the config turns it off.
#[test]
fn qwen2_with_biases() {
    let (row, tensor) = row(50);
    let folder = random_model(&json!({
        "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": false, "hidden_act": "silu",
        "sliding_window": 64, "use_sliding_window": false, "max_window_layers": 3,
    }));
    let mut model = qwen2::ModelForCausalLM::new(&config(folder.path()), builder(folder.path())).unwrap();
    let expected = model.forward(&tensor, 0).unwrap().squeeze(1).unwrap();
    assert_close(&ours(folder.path(), &row), &expected, 1e-5);
}

/// Heads need not share out the hidden size.
#[test]
fn mistral_with_wide_heads() {
    let (row, tensor) = row(50);
    let folder = random_model(&json!({
        "model_type": "mistral", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 16,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "sliding_window": 64, "hidden_act": "silu",
    }));
    let mut model = mistral::Model::new(&config(folder.path()), builder(folder.path())).unwrap();
    let expected = model.forward(&tensor, 0).unwrap().squeeze(1).unwrap();
    assert_close(&ours(folder.path(), &row), &expected, 1e-5);
}
