//! The first training batch that pyreft builds of BoolQ for SmolLM2: the same ids, the same labels, the same positions.

use super::support::{jsonl, shared, shared_rows, split};
use candle_core::quantized::gguf_file::{Content, Value};
use reftc::data::chat::{ChatMessage, ChatTemplate};
use reftc::data::encode::encode_split;
use reftc::data::positions::{RowTokens, Segment, resolve_all};
use reftc::data::source::Format;
use reftc::data::tokenizer::Tokenizer;
use safetensors::SafeTensors;
use serde_json::json;
use tokenizers::AddedToken;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

/// The metadata of the file that `REFTC_SMOLLM2_GGUF` names.
fn smollm2() -> Option<Content> {
    let Some(path) = std::env::var_os("REFTC_SMOLLM2_GGUF") else {
        eprintln!("skipped: REFTC_SMOLLM2_GGUF does not name SmolLM2-135M-Instruct");
        return None;
    };
    Some(Content::read(&mut std::fs::File::open(path).unwrap()).unwrap())
}

fn strings(content: &Content, key: &str) -> Vec<String> {
    content.metadata[key].to_vec().unwrap().iter().map(|value: &Value| value.to_string().unwrap().clone()).collect()
}

fn tokenizer(content: &Content) -> Tokenizer {
    let tokens = strings(content, "tokenizer.ggml.tokens");
    let merges = strings(content, "tokenizer.ggml.merges");
    let merges = merges
        .iter()
        .map(|pair| pair.split_once(' ').unwrap())
        .map(|(left, right)| (left.to_string(), right.to_string()));
    let vocabulary = tokens.iter().cloned().zip(0..).collect::<std::collections::HashMap<String, u32>>();
    let model = BPE::builder()
        .vocab_and_merges(vocabulary.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges.collect())
        .build()
        .unwrap();
    let mut inner = tokenizers::Tokenizer::new(model);
    let bytes = ByteLevel::new(false, true, true);
    inner.with_pre_tokenizer(Some(Sequence::new(vec![Digits::new(true).into(), bytes.into()])));
    inner.with_decoder(Some(bytes));
    let kinds = content.metadata["tokenizer.ggml.token_type"].to_vec().unwrap();
    let special = tokens.iter().zip(kinds).filter(|(_, kind)| kind.to_i32().unwrap() == 3);
    inner.add_special_tokens(special.map(|(token, _)| AddedToken::from(token.clone(), true))).unwrap();
    let id = |key: &str| content.metadata[key].to_u32().ok();
    Tokenizer::new(inner, id("tokenizer.ggml.bos_token_id"), id("tokenizer.ggml.eos_token_id")).unwrap()
}

/// The rows of a two-dimensional tensor of 32-bit integers.
fn matrix(file: &SafeTensors<'_>, name: &str) -> Vec<Vec<i64>> {
    let tensor = file.tensor(name).unwrap();
    let values: Vec<i64> =
        tensor.data().chunks_exact(4).map(|bytes| i32::from_le_bytes(bytes.try_into().unwrap()).into()).collect();
    values.chunks(tensor.shape()[1]).map(<[i64]>::to_vec).collect()
}

#[test]
fn the_first_batch_is_that_of_the_reference() {
    let (Some(folder), Some(content)) = (shared(), smollm2()) else { return };
    let tokenizer = tokenizer(&content);
    let bytes = std::fs::read(folder.join("oracle/smol_step.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (batch, labels, mask) = (matrix(&file, "input_ids"), matrix(&file, "labels"), matrix(&file, "attention_mask"));
    let locations = matrix(&file, "locations");
    assert_eq!(batch.len(), 16);
    for (row, fed) in batch.iter().enumerate() {
        // The reference puts one padding token before each row: all places are one further.
        let length = mask[row].iter().filter(|&&seen| seen == 1).count();
        let expected: Vec<u32> = fed[1..=length].iter().map(|&id| u32::try_from(id).unwrap()).collect();
        let text = tokenizer.decode(&expected, true).unwrap();
        let (instruction, answer) = text.split_once("\nthe correct answer is ").unwrap();
        let rows = jsonl(&json!({"instruction": instruction, "answer": answer}).to_string());
        let split = split("{instruction}\n", "the correct answer is {answer}");
        let ours = encode_split(&rows, &split, &tokenizer, None).unwrap();
        assert_eq!((ours.report.split_tokens.rows, &ours.rows[0].ids), (0, &expected), "{text}");

        let prompt = 1 + ours.rows[0].prompt_tokens;
        let masked: Vec<i64> =
            fed.iter().enumerate().map(|(at, &id)| if (prompt..=length).contains(&at) { id } else { -100 }).collect();
        assert_eq!(labels[row], masked);
        let tokens = RowTokens::new(prompt - 1, prompt);
        let places = resolve_all(&[Segment::First(7), Segment::Last(7)], true, &tokens).remove(0);
        assert_eq!(places.iter().map(|place| place as i64 + 1).collect::<Vec<_>>(), locations[row]);
    }
}

/// No row of the tasks with which the reference was measured has a token that goes over the end of its prompt.
#[test]
fn prompts_of_the_tasks_end_between_tokens() {
    let (Some(folder), Some(content)) = (shared(), smollm2()) else { return };
    let tokenizer = tokenizer(&content);
    for (path, tokens) in [
        ("commonsense/boolq/train.json", 39.0 - 1.0),
        ("sentiment/train.json", 54.0 - 1.0),
        ("commonsense/ARC-Easy/train.json", 87.0 - 1.0),
    ] {
        let rows = shared_rows(&folder, path, &Format::Json);
        let report = encode_split(&rows, &split("{instruction}\n", "the correct answer is {answer}"), &tokenizer, None)
            .unwrap()
            .report;
        assert_eq!((report.kept(), report.split_tokens.rows, report.empty_targets.rows), (rows.len(), 0, 0), "{path}");
        assert!((report.mean() - tokens).abs() < 3.0, "{path}: {} tokens a row", report.mean());
    }
}

#[test]
fn tokens_and_chats_are_those_of_the_reference() {
    let (Some(folder), Some(content)) = (shared(), smollm2()) else { return };
    let tokenizer = tokenizer(&content);
    let text = std::fs::read_to_string(folder.join("oracle/smollm2.json")).unwrap();
    let oracle: serde_json::Value = serde_json::from_str(&text).unwrap();
    for case in oracle["tokenizations"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(tokenizer.encode(text, true).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
    let example = &oracle["chat_template_example"];
    let field = |message: &serde_json::Value, name: &str| message[name].as_str().unwrap().to_string();
    let messages = example["messages"].as_array().unwrap();
    let messages: Vec<ChatMessage> = messages
        .iter()
        .map(|message| ChatMessage { role: field(message, "role"), content: field(message, "content") })
        .collect();
    let template = content.metadata["tokenizer.chat_template"].to_string().unwrap();
    let template = ChatTemplate::new(template, Some("<|im_start|>"), Some("<|im_end|>")).unwrap();
    assert_eq!(template.render(&messages, true).unwrap(), example["text"].as_str().unwrap());
    assert_eq!(template.turn(&messages, "Hello", true).unwrap().continuation, "Hello<|im_end|>");
}

#[test]
fn a_tokenizer_file_with_spaces_before_words() {
    let Some(folder) = shared() else { return };
    let inner = tokenizers::Tokenizer::from_file(folder.join("models/stories-15m/tokenizer.json")).unwrap();
    let tokenizer = Tokenizer::new(inner, Some(1), Some(2)).unwrap();
    assert_eq!(tokenizer.start(), [] as [u32; 0]);
    let rows = shared_rows(&folder, "arithmetic/gsm8k/train.jsonl", &Format::Jsonl);
    let encoded = encode_split(&rows, &split("{question}\n", "{answer}"), &tokenizer, None).unwrap();
    assert_eq!((encoded.report.kept(), encoded.report.empty_targets.rows), (7473, 0));
    assert!(encoded.rows.iter().filter(|row| row.ids.len() < 512).all(|row| row.ids.ends_with(&[2])));
}
