//! Times the language server on a spec of 300 lines: from a keystroke to its findings, through the pipe, and a check of the same spec
//! with a warm cache.
//!
//!     cargo bench --bench lsp
//!
//! Where `REFTC_SMOLLM2_GGUF` names that model, also with its tokenizer of 49 152 tokens.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use lsp_server::{Message, Notification, Request};
use reftc::compile::compile;
use reftc::model::hub::HubSettings;
use reftc::model::located::Locator;
use reftc::store::cache::Cache;
use reftc::world::RealWorld;
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KEYSTROKES: usize = 100;
const CHECKS: usize = 20;
const EXPERIMENTS: usize = 11;

/// Where is typed, behind which words, and whether every other keystroke deletes: a number of one experiment, and the template of all rows,
/// which are tokenised anew each time.
const PLACES: [(&str, &str, bool); 2] = [("a rank", "rank      = 5", true), ("a template", "worth a visit", false)];

/// Some 300 lines: one task, and experiments of different ranks.
fn spec(model: &str, data: &Path) -> String {
    let mut text = format!(
        "model frozen = {model}\n\ndata reviews {{\n  train  = jsonl(\"{data}/train.jsonl\")\n  test   = jsonl(\"{data}/test.jsonl\")\n  \
         prompt = \"Review: {{review}}\\nQuestion: Is it worth a visit?\\nAnswer:\"\n  target = \" {{label}}\"\n}}\n",
        data = data.display()
    );
    for number in 1..=EXPERIMENTS {
        text.push_str(&format!(
            "\n/// Rank {number}.\nexperiment rank_{number} {{\n  model = frozen\n  data  = reviews\n  seed  = 42\n\n  intervene edit = loreft {{\n    \
             layers    = all\n    positions = f3+l3\n    tied      = true\n    rank      = {number}\n  }}\n\n  train {{\n    epochs   = 3\n    \
             batch    = 32\n    lr       = 2e-3\n    schedule = linear(warmup: 10%)\n  }}\n\n  eval test {{\n    on     = reviews.test\n    \
             decode = greedy(max_tokens: 4)\n    metric = exact_match\n  }}\n}}\n"
        ));
    }
    text
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/data");
    let real = std::env::var("REFTC_SMOLLM2_GGUF").ok().map(|path| format!("gguf({path:?})"));
    for model in std::iter::once("embedded(\"tiny\")".to_owned()).chain(real) {
        let text = spec(&model, &data);
        let path = folder.path().join("spec.reft");
        std::fs::write(&path, &text).unwrap();
        println!("{model}: a spec of {} lines and {EXPERIMENTS} experiments; medians", text.lines().count());
        for (place, words, deletes) in PLACES {
            let time = keystrokes(folder.path(), &path, &text, (words, deletes));
            println!("  keystroke in {place:<10} {:8.2} ms", milliseconds(time));
        }
        println!("  check, warm cache      {:8.2} ms", milliseconds(checks(folder.path(), &path)));
    }
}

/// A server process; a digit is typed behind these words, and deleted in turn or not.
fn keystrokes(folder: &Path, path: &Path, text: &str, (words, deletes): (&str, bool)) -> Duration {
    let mut server = Command::new(env!("CARGO_BIN_EXE_reftc"))
        .args(["lsp", "--offline"])
        .env("REFTC_CACHE", folder.join("cache"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = server.stdin.take().unwrap();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    let mut send = |message: Message| {
        message.write(&mut stdin).unwrap();
        stdin.flush().unwrap();
    };
    let mut receive = |wanted: &dyn Fn(&Message) -> bool| loop {
        let message = Message::read(&mut stdout).unwrap().unwrap();
        if wanted(&message) {
            return message;
        }
    };
    let findings = |version: Value| move |message: &Message| matches!(message, Message::Notification(found) if found.params["version"] == version);
    let notify = |method: &str, params: Value| Notification::new(method.to_owned(), params).into();
    send(Request::new(1.into(), "initialize".to_owned(), json!({ "capabilities": {} })).into());
    receive(&|message| matches!(message, Message::Response(_)));
    send(notify("initialized", json!({})));
    let uri = format!("file://{}", path.display());
    let document = json!({ "uri": uri, "languageId": "reft", "version": 0, "text": text });
    send(notify("textDocument/didOpen", json!({ "textDocument": document })));
    receive(&findings(json!(0)));

    let (line, column) =
        text.lines().enumerate().find_map(|(line, text)| Some((line, text.find(words)? + words.len()))).unwrap();
    let place = |column: usize| json!({ "line": line, "character": column });
    let mut times = Vec::new();
    for version in 1..=KEYSTROKES {
        let change = match deletes && version % 2 == 0 {
            false => json!({ "range": { "start": place(column), "end": place(column) }, "text": "0" }),
            true => json!({ "range": { "start": place(column), "end": place(column + 1) }, "text": "" }),
        };
        let start = Instant::now();
        let document = json!({ "uri": uri, "version": version });
        send(notify("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [change] })));
        receive(&findings(json!(version)));
        times.push(start.elapsed());
    }
    send(Request::new(2.into(), "shutdown".to_owned(), Value::Null).into());
    send(notify("exit", Value::Null));
    server.wait().unwrap();
    median(times)
}

/// A process's work each time: nothing is shared but the cache's files.
fn checks(folder: &Path, path: &Path) -> Duration {
    let times = (0..CHECKS).map(|_| {
        let start = Instant::now();
        let locator = Locator::new(HubSettings::from_variables(|_| None), Cache::at(folder.join("cache")));
        let compiled = compile(path, &[], &RealWorld::new(locator));
        assert!(!compiled.has_errors());
        start.elapsed()
    });
    median(times.collect())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
