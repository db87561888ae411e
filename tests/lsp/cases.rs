//! Golden cases: `cases/NAME.reft` is opened, and asked about at every `‸` what its first line says; `NAME.out` has the answers.
//!
//! `REFTC_BLESS=1 cargo test --test lsp` writes the answers anew; look at the difference before committing it.

use crate::client::{Client, place, uri};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const MARK: char = '‸';

/// The text without its marks, and the lines and columns (of UTF-16) of the marks.
fn marked(text: &str) -> (String, Vec<(u32, u32)>) {
    let mut places = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut column = 0;
        for piece in line.split_inclusive(MARK) {
            column += piece.trim_end_matches(MARK).encode_utf16().count() as u32;
            if piece.ends_with(MARK) {
                places.push((number as u32, column));
            }
        }
    }
    (text.replace(MARK, ""), places)
}

#[test]
fn answers_are_as_committed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lsp/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "reft"));
    paths.sort();
    assert!(!paths.is_empty());
    let bless = std::env::var_os("REFTC_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        // A file without a question is there to be used by others.
        let Some(question) = text.lines().next().and_then(|line| line.strip_prefix("// ask: ")) else { continue };
        let found = answers(&path, &text, question);
        let expected = path.with_extension("out");
        if bless {
            std::fs::write(expected, found).unwrap();
        } else if std::fs::read_to_string(expected).unwrap_or_default() != found {
            wrong.push(format!("{}\n{found}", path.file_name().unwrap().display()));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ, found:\n\n{}", wrong.len(), wrong.join("\n"));
}

fn answers(path: &Path, text: &str, question: &str) -> String {
    let (text, places) = marked(text);
    let mut client = Client::thread();
    client.usual();
    let spec = uri(path);
    client.open(&spec, &text);
    client.diagnostics(&spec, 1);
    client.settled();
    let mut out = String::new();
    for (line, column) in places {
        let shown = text.lines().nth(line as usize).unwrap();
        let at = shown.char_indices().nth(column as usize).map_or(shown.len(), |(at, _)| at);
        let (before, after) = shown.split_at(at);
        let _ = writeln!(out, "=== {}: {before}{MARK}{after}", line + 1);
        let answer = answer(&mut client, question, &spec, line, column);
        out.push_str(&answer.replace(&uri(path.parent().unwrap()), ""));
    }
    client.shut_down();
    out
}

fn answer(client: &mut Client, question: &str, spec: &str, line: u32, column: u32) -> String {
    match question.split(' ').collect::<Vec<_>>().as_slice() {
        ["hover"] => match client.ask("hover", spec, line, column) {
            Value::Null => "nothing\n".to_owned(),
            hover => format!("{}\n", hover["contents"]["value"].as_str().unwrap()),
        },
        ["completion"] => completions(&client.ask("completion", spec, line, column)),
        ["definition"] => locations(&client.ask("definition", spec, line, column)),
        ["references"] => {
            let mut params = place(spec, line, column);
            params["context"] = json!({ "includeDeclaration": true });
            locations(&client.request("textDocument/references", params).unwrap())
        }
        ["rename", name] => {
            let prepared = client.ask("prepareRename", spec, line, column);
            let mut params = place(spec, line, column);
            params["newName"] = json!(name);
            let edits = match client.request("textDocument/rename", params) {
                Ok(edit) => edit["changes"].as_object().unwrap().iter().fold(String::new(), |mut out, (uri, edits)| {
                    let places: Vec<String> =
                        edits.as_array().unwrap().iter().map(|edit| start(&edit["range"])).collect();
                    let _ = writeln!(out, "{uri} {}", places.join(" "));
                    out
                }),
                Err((_, reason)) => format!("refused: {reason}\n"),
            };
            format!("prepared: {}\n{edits}", prepared["placeholder"].as_str().unwrap_or("nothing"))
        }
        other => panic!("no such question: {other:?}"),
    }
}

/// At most so many completions of a place are shown.
const SHOWN: usize = 40;

fn completions(found: &Value) -> String {
    let items = found.as_array().unwrap();
    if items.is_empty() {
        return "nothing\n".to_owned();
    }
    let mut out = String::new();
    for item in items.iter().take(SHOWN) {
        let label = item["label"].as_str().unwrap();
        let new = item["textEdit"]["newText"].as_str().unwrap();
        let range = &item["textEdit"]["range"];
        let replaced = range["end"]["character"].as_u64().unwrap() - range["start"]["character"].as_u64().unwrap();
        let insertion = if new == label { String::new() } else { format!(" → {new:?}") };
        let over = if replaced == 0 { String::new() } else { format!(" (over {replaced})") };
        let _ = writeln!(out, "{label}{over}: {}{insertion}", item["detail"].as_str().unwrap_or(""));
    }
    out
}

fn locations(found: &Value) -> String {
    let one = |place: &Value| format!("{} {}\n", place["uri"].as_str().unwrap(), start(&place["range"]));
    match found {
        Value::Null => "nothing\n".to_owned(),
        Value::Array(places) => places.iter().map(one).collect(),
        place => one(place),
    }
}

fn start(range: &Value) -> String {
    format!("{}:{}", range["start"]["line"].as_u64().unwrap() + 1, range["start"]["character"].as_u64().unwrap() + 1)
}
