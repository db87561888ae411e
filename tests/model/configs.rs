//! `config.json` in all its spellings, and what is refused.

use reftc::diag::Code;
use reftc::model::config::{ModelConfig, Rope, RopeScaling};
use reftc::model::config_json::{merge_generation, parse};
use serde_json::{Value, json};
use std::path::Path;

fn read(value: &Value) -> reftc::diag::Result<ModelConfig> {
    parse(&value.to_string(), Path::new("models/some/config.json"))
}

/// The config with one more field.
fn with(mut config: Value, name: &str, value: Value) -> Value {
    config[name] = value;
    config
}

#[test]
fn defaults_are_those_of_the_family() {
    let llama = read(&json!({"model_type": "llama"})).unwrap();
    assert_eq!((llama.hidden_size, llama.layers, llama.heads, llama.key_value_heads), (4096, 32, 32, 32));
    assert_eq!((llama.head_dim, llama.intermediate_size, llama.context_length), (128, 11008, 2048));
    assert_eq!((llama.bos_token, llama.eos_tokens.as_slice(), llama.norm_epsilon), (Some(1), &[2][..], 1e-6));
    assert!(!llama.attention_bias && !llama.tied_embeddings);
    let mistral = read(&json!({"model_type": "mistral"})).unwrap();
    assert_eq!((mistral.key_value_heads, mistral.sliding_window, mistral.context_length), (8, Some(4096), 131_072));
    let qwen2 = read(&json!({"model_type": "qwen2"})).unwrap();
    assert_eq!((qwen2.vocabulary, qwen2.sliding_window, qwen2.attention_bias), (151_936, None, true));
    assert_eq!((qwen2.bos_token, qwen2.eos_tokens.len()), (None, 0));
}

#[test]
fn windows() {
    let window = |config: Value| read(&config).map(|config| config.sliding_window);
    let mistral = json!({"model_type": "mistral"});
    assert_eq!(window(with(mistral.clone(), "sliding_window", Value::Null)).unwrap(), None);
    assert_eq!(window(with(mistral, "sliding_window", json!(7))).unwrap(), Some(7));
    let qwen2 =
        json!({"model_type": "qwen2", "use_sliding_window": true, "sliding_window": 9, "num_hidden_layers": 24});
    assert_eq!(window(with(qwen2.clone(), "max_window_layers", json!(24))).unwrap(), None);
    assert_eq!(window(with(qwen2.clone(), "max_window_layers", json!(0))).unwrap(), Some(9));
    let error = window(with(qwen2, "max_window_layers", json!(12))).unwrap_err();
    assert!(error.code == Code::UnsupportedModel && error.message.contains("max_window_layers"));
}

#[test]
fn rope_in_old_and_new_spelling() {
    let rope = |fields: Value| {
        let mut config = json!({"model_type": "llama"});
        fields.as_object().unwrap().iter().for_each(|(name, value)| config[name] = value.clone());
        read(&config).map(|config| config.rope)
    };
    let linear = Rope { theta: 5e5, scaling: RopeScaling::Linear { factor: 4.0 } };
    let old = json!({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 4.0}});
    let new = json!({"rope_parameters": {"rope_type": "linear", "factor": 4, "rope_theta": 500_000}});
    assert_eq!(rope(old).unwrap(), linear);
    assert_eq!(rope(new).unwrap(), linear);
    assert_eq!(rope(json!({"rope_scaling": {"rope_type": "default"}})).unwrap().scaling, RopeScaling::None);
    let llama3 = json!({"rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }});
    let expected = RopeScaling::Llama3 {
        factor: 8.0,
        low_frequency_factor: 1.0,
        high_frequency_factor: 4.0,
        original_context: 8192,
    };
    assert_eq!(rope(llama3).unwrap().scaling, expected);
    let error = rope(json!({"rope_scaling": {"type": "yarn", "factor": 4.0}})).unwrap_err();
    assert!(error.code == Code::UnsupportedModel && error.message.contains("`yarn`"), "{error}");
    let error = rope(json!({"rope_scaling": {"type": "linear"}})).unwrap_err();
    assert!(error.code == Code::ModelUnreadable && error.message.contains("`factor`"), "{error}");
}

#[test]
fn end_tokens_are_a_number_or_a_list_and_are_merged() {
    let mut config = read(&json!({"model_type": "llama", "eos_token_id": [128_001, 128_008]})).unwrap();
    assert_eq!(config.eos_tokens, [128_001, 128_008]);
    merge_generation(&mut config, r#"{"eos_token_id": [128001, 128009]}"#, Path::new("generation_config.json"))
        .unwrap();
    assert_eq!(config.eos_tokens, [128_001, 128_008, 128_009]);
    let none = read(&json!({"model_type": "llama", "eos_token_id": null, "bos_token_id": null})).unwrap();
    assert_eq!((none.bos_token, none.eos_tokens.len()), (None, 0));
}

#[test]
fn other_models_and_variants_are_refused_by_name() {
    let llama = json!({"model_type": "llama"});
    for (config, word) in [
        (json!({"model_type": "roberta"}), "`roberta`"),
        (json!({"hidden_size": 8}), "`model_type`"),
        (with(llama.clone(), "mlp_bias", json!(true)), "`mlp_bias = true`"),
        (with(llama.clone(), "hidden_act", json!("gelu")), "`hidden_act = gelu`"),
        (with(llama.clone(), "quantization_config", json!({"quant_method": "gptq"})), "`quantization_config`"),
        (with(llama, "partial_rotary_factor", json!(0.5)), "`partial_rotary_factor`"),
    ] {
        let error = read(&config).unwrap_err();
        assert_eq!(error.code, Code::UnsupportedModel);
        assert!(error.message.contains(word) && !error.help.is_empty(), "{error}");
        assert!(error.place.is_some());
    }
}

#[test]
fn nonsense_is_an_error_with_a_place() {
    let llama = json!({"model_type": "llama"});
    for (name, value) in [
        ("hidden_size", json!(0)),
        ("hidden_size", json!(-4)),
        ("hidden_size", json!("64")),
        ("num_hidden_layers", json!(1.5)),
        ("num_attention_heads", json!(0)),
        ("num_key_value_heads", json!(5)),
        ("head_dim", json!(7)),
        ("rms_norm_eps", json!(0.0)),
        ("eos_token_id", json!("</s>")),
        ("vocab_size", json!(1e300)),
        ("tie_word_embeddings", json!("yes")),
    ] {
        let error = read(&with(llama.clone(), name, value.clone())).unwrap_err();
        assert_eq!(error.code, Code::ModelUnreadable, "{name} = {value}");
    }
    let error = parse("{\n  \"model_type\": \"llama\",\n}", Path::new("config.json")).unwrap_err();
    assert_eq!(error.place.as_ref().and_then(|place| place.line), Some(3), "{error}");
    assert!(parse("[1]", Path::new("config.json")).is_err());
}
