//! A spec in memory, its rows beside it.

use crate::compile::compile;
use reftc::check::Spec;
use reftc::diag::{Code, Diagnostic};
use reftc::plan::Means;
use reftc::plan::{self, Plan};
use reftc::source::{FileId, Sources};
use reftc::world::MemoryWorld;
use std::path::Path;

/// Rows with the columns of the examples in pages and documents: `review`, `text`, `question`, `instruction`, `label`, `answer`.
pub fn rows(count: usize) -> String {
    let row = |number: usize| {
        let label = if number.is_multiple_of(2) { "yes" } else { "no" };
        let text = format!("The tea room number {number} had a fine cup and a long table by the window.");
        format!(
            "{{\"review\": \"{text}\", \"text\": \"{text}\", \"question\": \"{text}\", \"instruction\": \"{text}\", \
             \"label\": \"{label}\", \"answer\": \"{label}\"}}\n"
        )
    };
    (0..count).map(row).collect()
}

/// The files that pages, documents and tests name.
pub fn world() -> MemoryWorld {
    let test = rows(24).lines().skip(20).map(|line| line.to_owned() + "\n").collect::<String>();
    let long = rows(8) + &rows(8).replace("a fine cup", &"a fine cup and ".repeat(15));
    let gaps = rows(3) + "{\"text\": \"bad\"}\n";
    let blank = rows(3).replace("\"label\": \"no\"", "\"label\": \"\"");
    MemoryWorld::default()
        .with("train.json", rows(20))
        .with("test.json", test.clone())
        .with("long.json", long)
        .with("gaps.json", gaps)
        .with("blank.json", blank)
        .with("data/train.json", rows(20))
        .with("data/train.jsonl", rows(20))
        .with("data/test.json", test.clone())
        .with("data/test.jsonl", test)
        .with("train.csv", "text,label\nA fine cup,yes\nA dull cup,no\n")
}

/// The findings for a text, and its spec.
pub fn checked(text: &str, world: &MemoryWorld) -> (Vec<Diagnostic>, Spec) {
    let mut sources = Sources::default();
    let id = sources.add(Path::new("spec.reft"), text.to_owned());
    let found = compile(&sources, id, world);
    (found.diagnostics, found.spec)
}

/// The codes of the advice for a text.
pub fn advice(text: &str) -> Vec<Code> {
    let mut sources = Sources::default();
    let id = sources.add(Path::new("spec.reft"), text.to_owned());
    compile(&sources, id, &world()).advice.iter().map(|found| found.code).collect()
}

/// The codes of the findings for a text.
pub fn codes(text: &str) -> Vec<Code> {
    checked(text, &world()).0.iter().map(|found| found.code).collect()
}

/// The plan of a spec without errors.
pub fn planned(text: &str, world: &MemoryWorld) -> Plan {
    let (diagnostics, spec) = checked(text, world);
    let errors: Vec<_> = diagnostics.iter().filter(|found| found.severity == reftc::diag::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    plan::lower(&spec, Means::default())
}

/// Completes a fragment of a spec: a section gets an experiment around it, declarations the others that an experiment needs.
pub fn completed(fragment: &str) -> String {
    let section = |text: &str, word: &str| text.lines().any(|line| line.trim_start().starts_with(word));
    let name_of = |word: &str| {
        let line = fragment.lines().find(|line| line.starts_with(word))?;
        line[word.len()..].split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
    };
    let (model, data) = (name_of("model "), name_of("data "));
    let mut text = String::new();
    if model.is_none() {
        text += "model tiny = embedded(\"tiny\")\n";
    }
    if data.is_none() {
        text += "data reviews {\n  train = json(\"train.json\")\n  test = json(\"test.json\")\n";
        text += "  prompt = \"Review: {text}\\n\"\n  target = \"the answer is {label}\"\n}\n";
    }
    let inner = ["train ", "eval ", "intervene "].iter().any(|word| fragment.starts_with(word));
    if section(fragment, "experiment ") || section(fragment, "experimnt ") {
        return text + fragment;
    }
    let (model, data) = (model.unwrap_or("tiny".into()), data.unwrap_or("reviews".into()));
    let mut experiment = format!("experiment example {{\n  model = {model}\n  data = {data}\n");
    if !inner {
        text += fragment;
    }
    if !(inner && section(fragment, "intervene ")) {
        experiment += "  intervene edit = loreft { layers = all, positions = l1, rank = 4 }\n";
    }
    if !(inner && section(fragment, "train ")) {
        experiment += "  train { epochs = 1, lr = 1e-3 }\n";
    }
    if inner {
        experiment += fragment;
    }
    text + &experiment + "}\n"
}

/// The number that the parser gives a spec's only file.
pub const FILE: FileId = FileId(0);
