//! SmolLM2-135M-Instruct from its GGUF file agrees with the reference: logits, greedy text, tokens, chat.
//!
//! `REFTC_SMOLLM2_GGUF` names the file; without it these tests say that they skipped.

use crate::support::{oracle, read, step};
use candle_core::{Device, Tensor};
use reftc::model::config::Precision;
use reftc::model::{Decoder, ModelFacts, ModelFiles, facts};
use serde_json::Value;
use std::path::Path;

fn files() -> Option<ModelFiles> {
    let path = std::env::var_os("REFTC_SMOLLM2_GGUF");
    if path.is_none() {
        println!("skipped: REFTC_SMOLLM2_GGUF is not set");
    }
    path.map(|path| ModelFiles::gguf(Path::new(&path)).unwrap())
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(oracle("smollm2.json")).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn largest(logits: &Tensor) -> u32 {
    logits.argmax(0).unwrap().to_vec0().unwrap()
}

#[test]
fn logits_and_greedy_text_agree() {
    let Some(files) = files() else { return };
    let ModelFacts { config, tokenizer, .. } = facts(&files).unwrap();
    let decoder = Decoder::load(&files, &config, Precision::F32, &Device::Cpu).unwrap();
    let expected = expected();
    let prompts = expected["prompts"].as_array().unwrap();
    let rows: Vec<Vec<u32>> = prompts.iter().map(|prompt| ids(&prompt["input_ids"])).collect();
    for (prompt, row) in prompts.iter().zip(&rows) {
        let text = prompt["text"].as_str().unwrap();
        assert_eq!(tokenizer.encode(text, true).unwrap().get_ids(), row, "{text}");
    }

    let (hidden, mut cache) = read(&decoder, &rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut logits = decoder.logits(&hidden).unwrap();
    for (row, prompt) in prompts.iter().enumerate() {
        let logits = logits.get(row).unwrap().to_vec1::<f32>().unwrap();
        let scale = prompt["top20_logits"][0].as_f64().unwrap();
        for (id, expected) in ids(&prompt["top20_ids"]).into_iter().zip(prompt["top20_logits"].as_array().unwrap()) {
            let difference = (f64::from(logits[id as usize]) - expected.as_f64().unwrap()).abs();
            assert!(difference < 1e-4 * scale, "token {id} of row {row} differs by {difference}");
        }
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
        assert_eq!(order[..20], ids(&prompt["top20_ids"])[..]);
    }

    let mut alive: Vec<usize> = (0..rows.len()).collect();
    let mut texts: Vec<Vec<u32>> = vec![Vec::new(); rows.len()];
    for _ in 0..20 {
        let next: Vec<u32> = (0..alive.len()).map(|line| largest(&logits.get(line).unwrap())).collect();
        alive.iter().zip(&next).for_each(|(&row, &token)| texts[row].push(token));
        let kept: Vec<usize> = (0..alive.len()).filter(|&line| !config.eos_tokens.contains(&next[line])).collect();
        if kept.is_empty() {
            break;
        }
        cache.keep(&kept);
        alive = kept.iter().map(|&line| alive[line]).collect();
        let tokens: Vec<u32> = kept.iter().map(|&line| next[line]).collect();
        logits = decoder.logits(&step(&decoder, &tokens, &mut cache)).unwrap();
    }
    for (prompt, text) in prompts.iter().zip(&texts) {
        assert_eq!(*text, ids(&prompt["greedy_20_ids"]));
        let decoded = tokenizer.decode(text, false).unwrap();
        assert_eq!(decoded, prompt["greedy_20_text"].as_str().unwrap());
    }
}

#[test]
fn tokens_and_texts_agree() {
    let Some(files) = files() else { return };
    let facts = facts(&files).unwrap();
    let expected = expected();
    for case in expected["tokenizations"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let encoding = facts.tokenizer.encode(text, true).unwrap();
        assert_eq!(encoding.get_ids(), ids(&case["ids"]), "{text:?}");
        assert_eq!(facts.tokenizer.decode(encoding.get_ids(), false).unwrap(), text);
    }
    assert_eq!(facts.config.bos_token, Some(1));
    assert_eq!(facts.config.eos_tokens, [2]);
    assert_eq!(facts.bos_text.as_deref(), Some("<|im_start|>"));
    assert_eq!(facts.eos_text.as_deref(), Some("<|im_end|>"));
    let mut engine = minijinja::Environment::new();
    engine.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    let chat = &expected["chat_template_example"];
    let template = facts.chat_template.unwrap();
    let message = |message: &Value| {
        let fields = message.as_object().unwrap().iter();
        minijinja::Value::from_pairs(fields.map(|(key, value)| (key.as_str(), value.as_str().unwrap())))
    };
    let messages: Vec<minijinja::Value> = chat["messages"].as_array().unwrap().iter().map(message).collect();
    let context = minijinja::context! { messages => messages, add_generation_prompt => true };
    assert_eq!(engine.render_str(&template, context).unwrap(), chat["text"].as_str().unwrap());
}
