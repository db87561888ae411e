//! GGUF files, written here by candle: permuted rows, tied heads, tokenizers, and damage.

use crate::support::{assert_close, forward, oracle, random_weights, rows};
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use reftc::diag::Code;
use reftc::model::config::{ModelConfig, Precision, RopeScaling};
use reftc::model::{Decoder, ModelFiles, NoEdits, facts};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Interleaves the halves of each head, as llama.cpp's converter does for Llama models.
fn interleave(tensor: &Tensor, heads: usize) -> Tensor {
    let (rows, columns) = tensor.dims2().unwrap();
    let halves = tensor.reshape((heads, 2, rows / heads / 2, columns)).unwrap();
    halves.transpose(1, 2).unwrap().contiguous().unwrap().reshape((rows, columns)).unwrap()
}

fn metadata(config: &ModelConfig) -> Vec<(String, Value)> {
    let architecture = &config.architecture;
    let own = |key: &str, value: Value| (format!("{architecture}.{key}"), value);
    let tokens: Vec<Value> = (0..config.vocabulary).map(|id| Value::String(format!("t{id}"))).collect();
    vec![
        ("general.architecture".into(), Value::String(architecture.clone())),
        own("block_count", Value::U32(config.layers as u32)),
        own("context_length", Value::U32(config.context_length as u32)),
        own("embedding_length", Value::U32(config.hidden_size as u32)),
        own("feed_forward_length", Value::U32(config.intermediate_size as u32)),
        own("attention.head_count", Value::U32(config.heads as u32)),
        own("attention.head_count_kv", Value::U32(config.key_value_heads as u32)),
        own("attention.layer_norm_rms_epsilon", Value::F32(config.norm_epsilon as f32)),
        own("rope.freq_base", Value::F32(config.rope.theta as f32)),
        ("tokenizer.ggml.model".into(), Value::String("gpt2".into())),
        ("tokenizer.ggml.pre".into(), Value::String("gpt-2".into())),
        ("tokenizer.ggml.tokens".into(), Value::Array(tokens)),
        ("tokenizer.ggml.merges".into(), Value::Array(vec![])),
        ("tokenizer.ggml.bos_token_id".into(), Value::U32(1)),
        ("tokenizer.ggml.eos_token_id".into(), Value::U32(2)),
        ("tokenizer.ggml.eot_token_id".into(), Value::U32(3)),
        ("tokenizer.chat_template".into(), Value::String("{{ messages }}".into())),
    ]
}

fn stored(name: &str) -> String {
    let mut name = name.to_string();
    for (from, to) in [
        ("model.embed_tokens", "token_embd"),
        ("lm_head", "output"),
        ("model.norm", "output_norm"),
        ("model.layers", "blk"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
    ] {
        name = name.replace(from, to);
    }
    name
}

fn write(path: &Path, metadata: &[(String, Value)], tensors: &[(String, Tensor)]) {
    let quantized: Vec<(&str, QTensor)> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), QTensor::quantize(tensor, GgmlDType::F32).unwrap()))
        .collect();
    let tensors: Vec<(&str, &QTensor)> = quantized.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    gguf_file::write(&mut std::fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

/// Weights by their Hugging Face names as a GGUF file has them.
fn converted(config: &ModelConfig, weights: &HashMap<String, Tensor>) -> Vec<(String, Tensor)> {
    let mut tensors: Vec<(String, Tensor)> = weights
        .iter()
        .map(|(name, tensor)| match (config.architecture == "llama", name) {
            (true, name) if name.contains("q_proj") => (stored(name), interleave(tensor, config.heads)),
            (true, name) if name.contains("k_proj") => (stored(name), interleave(tensor, config.key_value_heads)),
            (_, name) => (stored(name), tensor.clone()),
        })
        .collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

fn tiny_gguf(folder: &Path) -> (PathBuf, ModelConfig) {
    let config = ModelFiles::folder(&oracle("tiny-llama")).unwrap().config().unwrap();
    let weights = candle_core::safetensors::load(oracle("tiny-llama/model.safetensors"), &Device::Cpu).unwrap();
    let path = folder.join("tiny.gguf");
    write(&path, &metadata(&config), &converted(&config, &weights));
    (path, config)
}

/// The logits of one row, with weights from a file or from memory.
fn logits(files: &ModelFiles) -> Tensor {
    let config = files.config().unwrap();
    let decoder = Decoder::load(files, &config, Precision::F32, &Device::Cpu).unwrap();
    decoder.logits(&forward(&decoder, &rows(&[12], 50), &NoEdits)).unwrap()
}

#[test]
fn a_llama_file_is_the_folder_it_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = tiny_gguf(folder.path());
    let files = ModelFiles::gguf(&path).unwrap();
    let known = facts(&files).unwrap();
    let expected = ModelConfig { eos_tokens: vec![2, 3], norm_epsilon: known.config.norm_epsilon, ..config };
    assert_eq!(known.config, expected);
    assert!((known.config.norm_epsilon - 1e-5).abs() < 1e-9);
    assert_eq!((known.bos_text.as_deref(), known.eos_text.as_deref()), (Some("t1"), Some("t2")));
    assert_eq!(known.chat_template.as_deref(), Some("{{ messages }}"));
    assert_close(&logits(&files), &logits(&ModelFiles::folder(&oracle("tiny-llama")).unwrap()), 1e-5);
}

/// Qwen2 files are not interleaved, have biases, and here no output tensor: the head is the embeddings.
#[test]
fn a_qwen2_file_with_biases_and_a_tied_head() {
    let folder = crate::support::random_model(&serde_json::json!({
        "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 64,
        "tie_word_embeddings": true,
    }));
    let source = ModelFiles::folder(folder.path()).unwrap();
    let config = source.config().unwrap();
    let path = folder.path().join("qwen2.gguf");
    write(&path, &metadata(&config), &converted(&config, &random_weights(&config)));
    let files = ModelFiles::gguf(&path).unwrap();
    let found = files.config().unwrap();
    assert!(found.attention_bias && found.tied_embeddings);
    assert_close(&logits(&files), &logits(&source), 1e-5);
}

/// Scaling of Llama 3.1 stands in the file only as divisors of the frequencies.
#[test]
fn scaling_by_divisors() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = tiny_gguf(folder.path());
    let weights = candle_core::safetensors::load(oracle("tiny-llama/model.safetensors"), &Device::Cpu).unwrap();
    let mut tensors = converted(&config, &weights);
    tensors.push(("rope_freqs.weight".to_string(), Tensor::new(&[1f32, 1.0, 1.0, 8.0], &Device::Cpu).unwrap()));
    write(&path, &metadata(&config), &tensors);
    let error = ModelFiles::gguf(&path).unwrap().config().unwrap_err();
    assert!(error.code == Code::UnsupportedModel && error.message.contains("rope_freqs"), "{error}");

    let mut scaled = metadata(&config);
    scaled.push(("llama.rope.scaling.type".into(), Value::String("linear".into())));
    scaled.push(("llama.rope.scaling.factor".into(), Value::F32(2.0)));
    write(&path, &scaled, &converted(&config, &weights));
    let rope = ModelFiles::gguf(&path).unwrap().config().unwrap().rope;
    assert_eq!(rope.scaling, RopeScaling::Linear { factor: 2.0 });
}

#[test]
fn what_we_cannot_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = tiny_gguf(folder.path());
    let weights = candle_core::safetensors::load(oracle("tiny-llama/model.safetensors"), &Device::Cpu).unwrap();
    let tensors = converted(&config, &weights);
    for (key, value, word) in [
        ("general.architecture", Value::String("phi3".into()), "`phi3`"),
        ("llama.expert_count", Value::U32(8), "experts"),
        ("llama.rope.dimension_count", Value::U32(4), "part"),
        ("llama.rope.scaling.type", Value::String("yarn".into()), "`yarn`"),
    ] {
        let mut metadata: Vec<_> = metadata(&config).into_iter().filter(|(name, _)| name != key).collect();
        metadata.push((key.to_string(), value));
        write(&path, &metadata, &tensors);
        let error = ModelFiles::gguf(&path).unwrap().config().unwrap_err();
        assert!(error.code == Code::UnsupportedModel && error.message.contains(word), "{error}");
    }
    for (key, value) in [("tokenizer.ggml.pre", "tekken"), ("tokenizer.ggml.model", "bert")] {
        let mut metadata: Vec<_> = metadata(&config).into_iter().filter(|(name, _)| name != key).collect();
        metadata.push((key.to_string(), Value::String(value.into())));
        write(&path, &metadata, &tensors);
        let error = ModelFiles::gguf(&path).unwrap().tokenizer().unwrap_err();
        assert!(error.code == Code::UnsupportedModel && error.message.contains(value), "{error}");
        assert!(error.help.iter().any(|help| help.contains("path(\"")));
    }
}

/// Cut at any length, or with any byte of its header turned, a file is read or refused, but never a panic.
#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = tiny_gguf(folder.path());
    let whole = std::fs::read(&path).unwrap();
    let attempt = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let files = ModelFiles::gguf(&path).unwrap();
        let known = facts(&files).and_then(|known| {
            let small = known.config.parameters() < 1 << 24;
            if small { Decoder::load(&files, &known.config, Precision::F32, &Device::Cpu).map(|_| ()) } else { Ok(()) }
        });
        known.err().map(|error| error.code)
    };
    for length in (0..2000).step_by(37).chain([whole.len() / 2, whole.len() - 200]) {
        assert_eq!(attempt(&whole[..length]), Some(Code::ModelUnreadable), "{length} bytes");
    }
    for place in 0..1200 {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xA5;
        attempt(&bytes);
    }
    let mut aligned = metadata(&config);
    aligned.insert(0, ("general.alignment".into(), Value::U32(0)));
    let weights = candle_core::safetensors::load(oracle("tiny-llama/model.safetensors"), &Device::Cpu).unwrap();
    write(&path, &aligned, &converted(&config, &weights));
    assert_eq!(attempt(&std::fs::read(&path).unwrap()), Some(Code::ModelUnreadable));
}

/// Scores that rank pieces as the merges of a tokenizer.json do: a piece as high as the first merge that makes it.
fn scores_by_rank(model: &Path, count: u32) -> Vec<f32> {
    let text = std::fs::read_to_string(model.join("tokenizer.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut scores = vec![0f32; count as usize];
    for (rank, merge) in json["model"]["merges"].as_array().unwrap().iter().enumerate() {
        let piece = match merge.as_str() {
            Some(merge) => merge.replacen(' ', "", 1),
            None => merge[0].as_str().unwrap().to_string() + merge[1].as_str().unwrap(),
        };
        let id = json["model"]["vocab"][&piece].as_u64().unwrap() as usize;
        if scores[id] == 0.0 {
            scores[id] = -1.0 - rank as f32;
        }
    }
    scores
}

/// SentencePiece pieces of a real Llama tokenizer, read back from GGUF metadata, cut text as tokenizer.json does.
#[test]
fn sentence_piece_cuts_as_the_folder_does() {
    let Some(shared) = std::env::var_os("REFTC_SHARED") else {
        println!("skipped: REFTC_SHARED is not set");
        return;
    };
    let model = PathBuf::from(shared).join("models/stories-15m");
    let source = ModelFiles::folder(&model).unwrap().tokenizer().unwrap();
    let count = source.get_vocab_size(true) as u32;
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = tiny_gguf(folder.path());
    let mut metadata: Vec<_> = metadata(&config).into_iter().filter(|(key, _)| !key.starts_with("tokenizer")).collect();
    let scores = scores_by_rank(&model, count);
    let kinds = (0..count).map(|id| {
        Value::I32(if id == 0 {
            2
        } else if id < 3 {
            3
        } else if id < 259 {
            6
        } else {
            1
        })
    });
    let tokens = (0..count).map(|id| Value::String(source.id_to_token(id).unwrap()));
    metadata.extend([
        ("tokenizer.ggml.model".to_string(), Value::String("llama".into())),
        ("tokenizer.ggml.tokens".to_string(), Value::Array(tokens.collect())),
        ("tokenizer.ggml.scores".to_string(), Value::Array(scores.into_iter().map(Value::F32).collect())),
        ("tokenizer.ggml.token_type".to_string(), Value::Array(kinds.collect())),
        ("tokenizer.ggml.bos_token_id".to_string(), Value::U32(1)),
        ("tokenizer.ggml.unknown_token_id".to_string(), Value::U32(0)),
        ("tokenizer.ggml.add_bos_token".to_string(), Value::Bool(false)),
    ]);
    let weights = candle_core::safetensors::load(oracle("tiny-llama/model.safetensors"), &Device::Cpu).unwrap();
    write(&path, &metadata, &converted(&config, &weights));
    let tokenizer = ModelFiles::gguf(&path).unwrap().tokenizer().unwrap();
    for text in [
        "Once upon a time, there was a little girl named Lily.",
        "  two  spaces, 3.14159 and a\ttab\n\nthen 日本語 🙂 naïve",
        "don't  STOP believing-in (brackets) [x] {y} == !=",
        "internationalization antidisestablishmentarianism",
        "",
    ] {
        let expected = source.encode(text, false).unwrap();
        let encoding = tokenizer.encode(text, false).unwrap();
        assert_eq!(encoding.get_ids(), expected.get_ids(), "{text:?}");
        assert_eq!(tokenizer.decode(encoding.get_ids(), true).unwrap(), text);
    }
}
