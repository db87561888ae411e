//! A tokenizer small enough to read, and the way to files outside the repository.

use reftc::data::read::read;
use reftc::data::rows::Rows;
use reftc::data::source::{Format, Source};
use reftc::data::template::{Part, Template, parse};
use reftc::data::tokenizer::Tokenizer;
use reftc::plan::{Overlong, Split};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// `<s>` is 0, `</s>` 1, `<end>` 2, `ab` 3, a new line 4; printable ASCII characters follow from the space (5) on. Other characters make no token.
pub fn tiny_tokenizer(adds: &[&str]) -> Tokenizer {
    let mut vocabulary = Map::new();
    let names = ["<s>", "</s>", "<end>", "ab", "\n"].map(String::from).into_iter().chain((' '..='~').map(String::from));
    for (id, name) in names.enumerate() {
        vocabulary.insert(name, json!(id));
    }
    let special = |id: usize, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let around = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let mut single = vec![json!({"Sequence": {"id": "A", "type_id": 0}})];
    if adds.contains(&"<s>") {
        single.insert(0, around("<s>"));
    }
    if adds.contains(&"</s>") {
        single.push(around("</s>"));
    }
    let specials: Map<String, Value> = [("<s>", 0), ("</s>", 1)]
        .into_iter()
        .map(|(name, id)| (name.to_string(), json!({"id": name, "ids": [id], "tokens": [name]})))
        .collect();
    let file = json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 50}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "<s>"},
        "added_tokens": [special(0, "<s>"), special(1, "</s>"), special(2, "<end>")],
        "normalizer": null,
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": specials},
        "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": [["a", "b"]]},
    });
    let inner = tokenizers::Tokenizer::from_bytes(file.to_string()).unwrap();
    Tokenizer::new(inner, Some(0), Some(1)).unwrap()
}

/// The id of a character in [`tiny_tokenizer`].
pub fn id(character: char) -> u32 {
    if character == '\n' { 4 } else { character as u32 - ' ' as u32 + 5 }
}

/// The ids of characters, one each.
pub fn ids(text: &str) -> Vec<u32> {
    text.chars().map(id).collect()
}

/// The parts of a template that is known to be right.
pub fn parts(text: &str) -> Vec<Part> {
    parse(text).unwrap()
}

/// Rows of JSON lines.
pub fn jsonl(text: &str) -> Rows {
    read(text.as_bytes(), Path::new("rows.jsonl"), &Format::Jsonl).unwrap()
}

/// A split with text templates, `eos` on and no limit in reach.
pub fn split(prompt: &str, target: &str) -> Split {
    Split {
        source: Source::file("rows.jsonl", Format::Jsonl),
        prompt: Template::Text(parts(prompt)),
        target: Template::Text(parts(target)),
        eos: true,
        overlong: Overlong::CutRight,
        max_length: 512,
    }
}

/// The folder of reference data that `REFTC_SHARED` names; tests that need it say that they were skipped.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("REFTC_SHARED").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: REFTC_SHARED does not name the folder of reference data");
    }
    folder
}

/// A file under the folder that `REFTC_SHARED` names.
pub fn shared_rows(folder: &Path, path: &str, format: &Format) -> Rows {
    let path = folder.join("data").join(path);
    read(&std::fs::read(&path).unwrap(), &path, format).unwrap()
}
