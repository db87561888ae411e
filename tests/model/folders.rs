//! Model folders: whole, sharded, damaged and missing.

use crate::support::{assert_close, forward, oracle, rows, tiny};
use candle_core::{Device, Tensor};
use reftc::diag::Code;
use reftc::model::config::Precision;
use reftc::model::files::{Content, facts};
use reftc::model::{Decoder, ModelFiles, NoEdits};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const NAME: &str = "model.safetensors";

/// A copy of the tiny Llama, without its weights.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(oracle("tiny-llama/config.json"), folder.path().join("config.json")).unwrap();
    folder
}

fn weights() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(oracle("tiny-llama").join(NAME), &Device::Cpu).unwrap()
}

fn load(folder: &Path) -> reftc::diag::Result<Decoder> {
    let files = ModelFiles::folder(folder)?;
    Decoder::load(&files, &files.config()?, Precision::F32, &Device::Cpu)
}

#[track_caller]
fn code_of<T>(result: reftc::diag::Result<T>) -> Code {
    match result {
        Ok(_) => panic!("this should have failed"),
        Err(error) => {
            assert!(!error.message.ends_with('.') && !error.message.is_empty());
            error.code
        }
    }
}

#[test]
fn shards_are_one_model() {
    let folder = folder();
    let (mut shards, mut map) = (vec![HashMap::new(), HashMap::new()], serde_json::Map::new());
    let mut names: Vec<String> = weights().into_keys().collect();
    names.sort();
    for (i, name) in names.iter().enumerate() {
        map.insert(name.clone(), format!("model-0000{}-of-00002.safetensors", i % 2 + 1).into());
        shards[i % 2].insert(name.clone(), weights()[name].clone());
    }
    for (i, shard) in shards.iter().enumerate() {
        let path = folder.path().join(format!("model-0000{}-of-00002.safetensors", i + 1));
        candle_core::safetensors::save(shard, path).unwrap();
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map});
    std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let packed = rows(&[9], 128);
    let expected = forward(&tiny().0, &packed, &NoEdits);
    let hidden = forward(&load(folder.path()).unwrap(), &packed, &NoEdits);
    assert_close(&hidden, &expected, 0.0);
    let files = ModelFiles::folder(folder.path()).unwrap();
    let parts: Vec<String> = files.parts().into_iter().map(|part| part.name).collect();
    assert_eq!(
        parts,
        [
            "config.json",
            "model.safetensors.index.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors"
        ]
    );

    std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let error = load(folder.path()).err().unwrap();
    assert!(error.code == Code::ModelNotFound && error.message.contains("model-00002-of-00002"), "{error}");
    for bad in ["{}", "[", r#"{"weight_map": {"a": "../secret.safetensors"}}"#] {
        std::fs::write(folder.path().join("model.safetensors.index.json"), bad).unwrap();
        assert_eq!(code_of(load(folder.path())), Code::ModelUnreadable);
    }
}

#[test]
fn what_is_missing_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let none = empty.path().join("none");
    assert_eq!(code_of(ModelFiles::folder(&none)), Code::ModelNotFound);
    assert_eq!(code_of(ModelFiles::gguf(&none)), Code::ModelNotFound);
    assert_eq!(code_of(ModelFiles::gguf(empty.path())), Code::ModelNotFound);
    let error = ModelFiles::folder(empty.path()).unwrap_err();
    assert!(error.code == Code::ModelNotFound && error.message.contains("config.json"));
    let file = empty.path().join("model.gguf");
    std::fs::write(&file, "x").unwrap();
    assert!(ModelFiles::folder(&file).unwrap_err().help[0].contains("gguf(\""));

    let folder = folder();
    let files = ModelFiles::folder(folder.path()).unwrap();
    let error = files.tokenizer().unwrap_err();
    assert!(error.code == Code::ModelNotFound && error.message.contains("tokenizer.json"));
    assert_eq!(code_of(files.weights()), Code::ModelNotFound);
    std::fs::write(folder.path().join("pytorch_model.bin"), "x").unwrap();
    assert!(files.weights().err().unwrap().help[0].contains("convert"));
    assert_eq!(code_of(ModelFiles::embedded("no-such-model")), Code::ModelNotFound);
}

/// A damaged weight file is an error at every length that it could have been cut to, never a panic.
#[test]
fn damaged_weights_are_errors() {
    let folder = folder();
    let path = folder.path().join(NAME);
    let whole = std::fs::read(oracle("tiny-llama").join(NAME)).unwrap();
    for length in [0, 1, 7, 8, 9, 500, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(code_of(load(folder.path())), Code::ModelUnreadable, "{length} bytes");
    }
    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    std::fs::write(&path, huge).unwrap();
    assert_eq!(code_of(load(folder.path())), Code::ModelUnreadable);
}

#[test]
fn tensors_must_be_there_and_fit() {
    let folder = folder();
    let mut tensors = weights();
    tensors.remove("model.layers.2.mlp.up_proj.weight");
    candle_core::safetensors::save(&tensors, folder.path().join(NAME)).unwrap();
    let error = load(folder.path()).err().unwrap();
    assert_eq!(error.code, Code::TensorMismatch);
    assert!(
        error.message.contains("model.layers.2.mlp.up_proj.weight") && error.message.contains("[88, 32]"),
        "{error}"
    );
    let wrong = Tensor::zeros((31, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
    tensors.insert("model.layers.2.mlp.up_proj.weight".to_string(), wrong);
    candle_core::safetensors::save(&tensors, folder.path().join(NAME)).unwrap();
    let error = load(folder.path()).err().unwrap();
    assert!(error.code == Code::TensorMismatch && error.message.contains("[31, 32]"), "{error}");
}

/// Files that are not about weights: texts in either spelling, a tokenizer that does not fit.
#[test]
fn facts_come_without_weights() {
    let folder = folder();
    let vocabulary: HashMap<String, u32> = (0..128).map(|id| (format!("t{id}"), id)).collect();
    let tokenizer = |added: &serde_json::Value| {
        serde_json::json!({
            "version": "1.0", "truncation": {"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
            "padding": null, "added_tokens": added, "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "t0"},
        })
        .to_string()
    };
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("tokenizer.json", &tokenizer(&serde_json::json!([])));
    let files = ModelFiles::folder(folder.path()).unwrap();
    let known = facts(&files).unwrap();
    assert_eq!(known.tokenizer.encode("t5 t6 t7 t8 t9", true).unwrap().get_ids(), [5, 6, 7, 8, 9]);
    assert_eq!((known.bos_text.as_deref(), known.eos_text.as_deref()), (Some("t1"), Some("t2")));
    assert_eq!(known.chat_template, None);

    write(
        "tokenizer_config.json",
        r#"{"bos_token": null, "eos_token": {"content": "t9"},
            "chat_template": [{"name": "tool", "template": "x"}, {"name": "default", "template": "y"}]}"#,
    );
    write("generation_config.json", r#"{"eos_token_id": 9}"#);
    let known = facts(&files).unwrap();
    assert_eq!((known.eos_text.as_deref(), known.chat_template.as_deref()), (Some("t9"), Some("y")));
    assert_eq!(known.config.eos_tokens, [2, 9]);
    write("chat_template.jinja", "z");
    assert_eq!(facts(&files).unwrap().chat_template.as_deref(), Some("z"));
    let names: Vec<String> = files.parts().into_iter().map(|part| part.name).collect();
    assert_eq!(names.len(), 5);
    assert!(matches!(&files.parts()[0].content, Content::File(path) if path.ends_with("config.json")));

    let added = serde_json::json!([{
        "id": 128, "content": "<extra>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    }]);
    write("tokenizer.json", &tokenizer(&added));
    let error = facts(&files).err().unwrap();
    assert!(error.code == Code::TokenizerMismatch && error.message.contains("128"), "{error}");
    write("tokenizer.json", "{");
    assert_eq!(code_of(facts(&files)), Code::ModelUnreadable);
}

/// A real folder with f16 weights and tied embeddings, where the shared models are at hand.
#[test]
fn stories_15m_tells_a_story() {
    let Some(shared) = std::env::var_os("REFTC_SHARED") else {
        println!("skipped: REFTC_SHARED is not set");
        return;
    };
    let files = ModelFiles::folder(&PathBuf::from(shared).join("models/stories-15m")).unwrap();
    let known = facts(&files).unwrap();
    let decoder = Decoder::load(&files, &known.config, Precision::F32, &Device::Cpu).unwrap();
    let mut ids = known.tokenizer.encode("Once upon a time", true).unwrap().get_ids().to_vec();
    for _ in 0..12 {
        let hidden = forward(&decoder, &[&ids], &NoEdits);
        let logits = decoder.logits(&hidden.narrow(0, ids.len() - 1, 1).unwrap()).unwrap();
        ids.push(logits.get(0).unwrap().argmax(0).unwrap().to_vec0().unwrap());
    }
    let text = known.tokenizer.decode(&ids, true).unwrap();
    assert!(text.starts_with("Once upon a time, there was a little girl named"), "{text}");
}
