//! What a model is: the facts of `config.json` or of GGUF metadata, as plain data.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a model comes from, as the spec says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// `hf("org/name", rev: "main")`
    Hub { repo: String, revision: String },
    /// `path("dir")`: a folder with config.json, tokenizer.json and safetensors.
    Folder(PathBuf),
    /// `gguf("file.gguf")`
    Gguf(PathBuf),
    /// `embedded("tiny")`
    Embedded(String),
}

/// The precision that frozen weights and activations are held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    F32,
    F16,
    Bf16,
}

/// The shape of a decoder of the Llama family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// `llama`, `mistral`, `qwen2`
    pub architecture: String,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub layers: usize,
    pub heads: usize,
    pub key_value_heads: usize,
    pub head_dim: usize,
    pub vocabulary: usize,
    pub context_length: usize,
    pub norm_epsilon: f64,
    pub rope: Rope,
    /// Query, key and value projections have a bias (Qwen2); in Llama models also the attention's output.
    pub attention_bias: bool,
    /// The output head is the embedding matrix.
    pub tied_embeddings: bool,
    /// Attention sees at most this many tokens back (Mistral).
    pub sliding_window: Option<usize>,
    pub bos_token: Option<u32>,
    /// Every id that ends a text.
    pub eos_tokens: Vec<u32>,
    /// The share of attention probabilities that the config asks to drop in training.
    #[serde(default, skip_serializing_if = "is_none_dropped")]
    pub attention_dropout: f64,
}

fn is_none_dropped(share: &f64) -> bool {
    *share == 0.0
}

impl ModelConfig {
    /// Whether the attention's output projection has a bias.
    pub fn output_bias(&self) -> bool {
        self.attention_bias && self.architecture == "llama"
    }

    /// The number of weights of the frozen model, tied embeddings counted once.
    pub fn parameters(&self) -> u64 {
        let (hidden, inner, head) = (self.hidden_size as u64, self.intermediate_size as u64, self.head_dim as u64);
        let (query, key_value) = (self.heads as u64 * head, self.key_value_heads as u64 * head);
        let bias = if self.attention_bias { query + 2 * key_value } else { 0 };
        let bias = bias + if self.output_bias() { hidden } else { 0 };
        let block = 2 * hidden * query + 2 * hidden * key_value + bias + 3 * hidden * inner + 2 * hidden;
        let embeddings = self.vocabulary as u64 * hidden * if self.tied_embeddings { 1 } else { 2 };
        embeddings + self.layers as u64 * block + hidden
    }
}

/// Rotary position embedding: the base and how long contexts are reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rope {
    pub theta: f64,
    pub scaling: RopeScaling,
}

/// The scalings of rotary frequencies that the Llama family uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RopeScaling {
    None,
    Linear {
        factor: f64,
    },
    /// Llama 3.1 and later.
    Llama3 {
        factor: f64,
        low_frequency_factor: f64,
        high_frequency_factor: f64,
        original_context: usize,
    },
}
