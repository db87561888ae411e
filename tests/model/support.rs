//! What the tests of the model share.

use candle_core::{Device, Tensor};
use reftc::model::branch::{Branch, Run, Source};
use reftc::model::config::{ModelConfig, Precision};
use reftc::model::decoder::Watch;
use reftc::model::{BlockHook, Cache, Decoder, ModelFiles, NoEdits};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A file of `tests/oracle`.
pub fn oracle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(name)
}

/// The tiny Llama of the reference.
pub fn tiny() -> (Decoder, ModelConfig) {
    let files = ModelFiles::folder(&oracle("tiny-llama")).unwrap();
    let config = files.config().unwrap();
    (Decoder::load(&files, &config, Precision::F32, &Device::Cpu).unwrap(), config)
}

/// What leaves the last block, for every token of the rows, packed.
pub fn forward<R: AsRef<[u32]>>(decoder: &Decoder, rows: &[R], hook: &dyn BlockHook) -> Tensor {
    decoder.run(&decoder.whole_pass(rows).unwrap(), hook, None).unwrap()
}

/// Puts the keys of whole rows, or of one new token of each, into a cache.
struct Fill<'a> {
    cache: &'a mut Cache,
    /// Absent where each row has one new token.
    lengths: Option<Vec<usize>>,
}

impl Watch for Fill<'_> {
    fn keys(&mut self, layer: usize, fresh: &Tensor, _: Option<&Tensor>) -> candle_core::Result<()> {
        let Some(lengths) = &self.lengths else { return self.cache.append(layer, fresh) };
        let mut start = 0;
        let branch = |&length: &usize| {
            let run = Run { source: Source::Fresh, start, length, position: 0 };
            start += length;
            Branch { queries: Vec::new(), keys: vec![run] }
        };
        let branches: Vec<Branch> = lengths.iter().map(branch).collect();
        self.cache.fill(layer, &branches.iter().map(Some).collect::<Vec<_>>(), Some(fresh), None)
    }
}

/// Reads the beginnings of rows: the last state of each, and the cache.
pub fn read(decoder: &Decoder, rows: &[&[u32]]) -> (Tensor, Cache) {
    let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
    let (layers, width) = (decoder.config().layers, decoder.key_width());
    let mut cache = Cache::new(&lengths, 2, layers, width, decoder.dtype(), &Device::Cpu).unwrap();
    let pass = decoder.whole_pass(rows).unwrap();
    let mut fill = Fill { cache: &mut cache, lengths: Some(lengths.clone()) };
    let hidden = decoder.run(&pass, &NoEdits, Some(&mut fill)).unwrap();
    let ends = lengths.iter().scan(0, |end, length| {
        *end += *length as u32;
        Some(*end - 1)
    });
    (hidden.index_select(&Tensor::from_iter(ends, &Device::Cpu).unwrap(), 0).unwrap(), cache)
}

/// Reads one more token of each row.
pub fn step(decoder: &Decoder, tokens: &[u32], cache: &mut Cache) -> Tensor {
    let pass = decoder.decoding_pass(tokens, cache).unwrap();
    let hidden = decoder.run(&pass, &NoEdits, Some(&mut Fill { cache, lengths: None })).unwrap();
    cache.advance().unwrap();
    hidden
}

/// The reference's tensors by name.
pub fn reference() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(oracle("tiny_loreft.safetensors"), &Device::Cpu).unwrap()
}

/// The largest difference, relative to the largest expected value.
pub fn difference(actual: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(actual.dims(), expected.dims());
    let wide = |tensor: &Tensor| {
        tensor.to_dtype(candle_core::DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
    };
    let (actual, expected) = (wide(actual), wide(expected));
    let largest = expected.iter().fold(0f64, |largest, value| largest.max(value.abs()));
    assert!(actual.iter().all(|value| value.is_finite()));
    actual.iter().zip(&expected).fold(0f64, |worst, (a, e)| worst.max((a - e).abs())) / largest
}

#[track_caller]
pub fn assert_close(actual: &Tensor, expected: &Tensor, tolerance: f64) {
    let difference = difference(actual, expected);
    assert!(difference <= tolerance, "differs by {difference:e}, allowed are {tolerance:e}");
}

/// Rows of tokens that look random but are always the same.
pub fn rows(lengths: &[usize], vocabulary: u32) -> Vec<Vec<u32>> {
    let mut state = 1u32;
    let mut token = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        3 + (state >> 8) % (vocabulary - 3)
    };
    lengths.iter().map(|&length| (0..length).map(|_| token()).collect()).collect()
}

/// A folder with this config and random weights in the order and shapes of Hugging Face.
pub fn random_model(config: &serde_json::Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let shape = ModelFiles::folder(folder.path()).unwrap().config().unwrap();
    candle_core::safetensors::save(&random_weights(&shape), folder.path().join("model.safetensors")).unwrap();
    folder
}

/// Random weights for a config, by their Hugging Face names.
pub fn random_weights(config: &ModelConfig) -> HashMap<String, Tensor> {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let (query, key) = (config.heads * config.head_dim, config.key_value_heads * config.head_dim);
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("model.embed_tokens.weight".into(), vec![config.vocabulary, hidden]),
        ("model.norm.weight".into(), vec![hidden]),
    ];
    if !config.tied_embeddings {
        shapes.push(("lm_head.weight".into(), vec![config.vocabulary, hidden]));
    }
    for layer in 0..config.layers {
        for (part, shape) in [
            ("self_attn.q_proj.weight", vec![query, hidden]),
            ("self_attn.k_proj.weight", vec![key, hidden]),
            ("self_attn.v_proj.weight", vec![key, hidden]),
            ("self_attn.o_proj.weight", vec![hidden, query]),
            ("mlp.gate_proj.weight", vec![inner, hidden]),
            ("mlp.up_proj.weight", vec![inner, hidden]),
            ("mlp.down_proj.weight", vec![hidden, inner]),
            ("input_layernorm.weight", vec![hidden]),
            ("post_attention_layernorm.weight", vec![hidden]),
        ] {
            shapes.push((format!("model.layers.{layer}.{part}"), shape));
        }
        if config.attention_bias {
            for (part, size) in [("q", query), ("k", key), ("v", key)] {
                shapes.push((format!("model.layers.{layer}.self_attn.{part}_proj.bias"), vec![size]));
            }
        }
    }
    let mut state = 7u64;
    let mut number = |scale: f64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * scale) as f32
    };
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let scale = if shape.len() == 2 { 2.0 / (shape[1] as f64).sqrt() } else { 0.5 };
        let offset = if name.contains("norm") { 1.0 } else { 0.0 };
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| offset + number(scale)).collect();
        (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
    };
    shapes.into_iter().map(tensor).collect()
}
