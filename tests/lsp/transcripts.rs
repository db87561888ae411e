//! What goes over the pipe.

use crate::client::{Client, place, uri};
use serde_json::{Value, json};
use std::path::Path;

const ROWS: &str = "{\"review\":\"The soup was warm and the staff kind.\",\"label\":\"yes\"}\n";

/// A spec without findings, but for short rows.
const SPEC: &str = r#"let small = 2
model tiny = embedded("tiny")

data reviews {
  train  = jsonl("rows.jsonl")
  prompt = "Review: {review}\nAnswer:"
  target = " {label}"
}

experiment first {
  model = tiny
  data  = reviews
  intervene edit = loreft { layers = all, positions = f3+l3, rank = small }
  train { epochs = 1, lr = 1e-3 }
}
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.jsonl"), ROWS.repeat(4)).unwrap();
    folder
}

fn codes(diagnostics: &[Value]) -> Vec<&str> {
    diagnostics.iter().map(|found| found["code"].as_str().unwrap()).collect()
}

#[test]
fn a_session_of_a_real_process() {
    let folder = folder();
    let spec = uri(&folder.path().join("spec.reft"));
    let mut client = Client::process(folder.path());
    let capabilities = client.initialize(json!({}));
    assert_eq!(capabilities["positionEncoding"], "utf-16");
    client.open(&spec, &SPEC.replace("epochs", "epohcs"));
    let found = client.diagnostics(&spec, 1);
    assert_eq!(codes(&found), ["E0201"]);
    assert_eq!(found[0]["range"]["start"], json!({ "line": 13, "character": 10 }));
    assert_eq!(found[0]["severity"], 1);
    assert_eq!(found[0]["message"], "`train` has no field `epohcs`: unknown field\nhelp: did you mean `epochs`?");
    assert_eq!(found[0]["data"]["explain"], "reftc explain E0201");

    let whole = json!({ "start": { "line": 13, "character": 10 }, "end": { "line": 13, "character": 16 } });
    let params = json!({ "textDocument": { "uri": spec }, "range": whole, "context": { "diagnostics": [] } });
    let actions = client.request("textDocument/codeAction", params.clone()).unwrap();
    assert_eq!(actions[0]["title"], "write `epochs` for `epohcs`");
    assert_eq!(actions[0]["edit"]["changes"][&spec], json!([{ "range": whole, "newText": "epochs" }]));

    client.change(&spec, 2, json!([{ "range": whole, "text": "epochs" }]));
    assert_eq!(client.diagnostics(&spec, 2), Vec::<Value>::new());
    assert_eq!(client.request("textDocument/codeAction", params).unwrap(), json!([]));

    client.notify("textDocument/didClose", json!({ "textDocument": { "uri": spec } }));
    let cleared = client.wait("textDocument/publishDiagnostics", |params| params["uri"] == spec.as_str());
    assert_eq!((&cleared["diagnostics"], &cleared["version"]), (&json!([]), &Value::Null));
    client.shut_down();
}

#[test]
fn a_client_that_goes_away_ends_the_process() {
    let folder = folder();
    let mut client = Client::process(folder.path());
    client.initialize(json!({}));
    assert_eq!(client.hang_up().code(), Some(1));
    let mut client = Client::process(folder.path());
    client.initialize(json!({}));
    client.exit();
    assert_eq!(client.hang_up().code(), Some(1));
}

#[test]
fn what_cannot_be_read_is_refused_and_nothing_more() {
    let folder = folder();
    let mut client = Client::process(folder.path());
    client.initialize(json!({ "general": { "positionEncodings": ["utf-32", "utf-8"] } }));
    let code = |result: Result<Value, (i32, String)>| result.unwrap_err().0;
    assert_eq!(code(client.request("textDocument/inventedHere", json!({}))), -32601);
    assert_eq!(code(client.request("textDocument/hover", json!({ "textDocument": 7 }))), -32602);
    client.notify("textDocument/didOpen", json!(["nonsense"]));
    client.wait("window/logMessage", |params| params["message"].as_str().unwrap().contains("textDocument/didOpen"));
    client.notify("$/invented", json!({}));
    // A text that was never opened, and a place that no text has.
    assert_eq!(client.ask("hover", "file:///nowhere.reft", 0, 0), Value::Null);
    let spec = uri(&folder.path().join("spec.reft"));
    client.change(&spec, 2, json!([{ "text": "" }]));
    client.wait("window/logMessage", |params| params["message"].as_str().unwrap().contains("does not fit"));
    client.open(&spec, "");
    for method in ["hover", "completion", "definition", "prepareRename", "documentHighlight"] {
        client.ask(method, &spec, 99, 99);
    }
    assert_eq!(
        code(client.request("textDocument/rename", {
            let mut params = place(&spec, 0, 0);
            params["newName"] = json!("x");
            params
        })),
        -32803
    );
    client.shut_down();
}

#[test]
fn after_a_shutdown_nothing_is_answered() {
    let mut client = Client::thread();
    client.usual();
    client.request("shutdown", Value::Null).unwrap();
    assert_eq!(client.request("textDocument/hover", place("file:///a.reft", 0, 0)).unwrap_err().0, -32600);
    client.shut_down();
}

#[test]
fn columns_count_as_agreed() {
    let folder = folder();
    let spec = uri(&folder.path().join("spec.reft"));
    let text = "let a = \"😀é\" junk\n";
    for (offered, column) in [(json!(["utf-8"]), 17), (json!(["utf-16"]), 14), (Value::Null, 14)] {
        let mut client = Client::thread();
        client.initialize(json!({ "general": { "positionEncodings": offered } }));
        client.open(&spec, text);
        let found = client.diagnostics(&spec, 1);
        let junk = found.iter().find(|found| found["code"] == "E0001").unwrap();
        assert_eq!(junk["range"]["start"], json!({ "line": 0, "character": column }), "{offered}");
        client.shut_down();
    }
}

#[test]
fn a_text_that_has_changed_is_not_reported_on() {
    let folder = folder();
    let spec = uri(&folder.path().join("spec.reft"));
    let mut client = Client::thread();
    client.usual();
    client.open(&spec, SPEC);
    for version in 2..60 {
        client.replace(&spec, version, &SPEC.replace("small = 2", &format!("small = {version}0000")));
    }
    let newest = client.diagnostics(&spec, 59);
    assert_eq!(codes(&newest), ["E0306"], "{newest:?}");
    assert!(newest[0]["message"].as_str().unwrap().starts_with("rank 590000 "), "{newest:?}");
    client.shut_down();
}

#[test]
fn rows_and_saved_files_are_looked_at_again() {
    let folder = folder();
    let spec = uri(&folder.path().join("spec.reft"));
    let rows = folder.path().join("rows.jsonl");
    std::fs::remove_file(&rows).unwrap();
    let mut client = Client::thread();
    client.usual();
    client.open(&spec, SPEC);
    assert_eq!(codes(&client.diagnostics(&spec, 1)), ["E0401"]);
    // Rows that are open and not yet saved count as if they were.
    let open_rows = uri(&rows);
    client.open(&open_rows, &ROWS.repeat(4));
    assert_eq!(codes(&client.diagnostics(&spec, 1)), Vec::<&str>::new());
    client.notify("textDocument/didClose", json!({ "textDocument": { "uri": open_rows } }));
    assert_eq!(codes(&client.diagnostics(&spec, 1)), ["E0401"]);
    std::fs::write(&rows, ROWS.repeat(4)).unwrap();
    client.notify("workspace/didChangeWatchedFiles", json!({ "changes": [] }));
    assert_eq!(codes(&client.diagnostics(&spec, 1)), Vec::<&str>::new());
    std::fs::remove_file(&rows).unwrap();
    client.notify("textDocument/didSave", json!({ "textDocument": { "uri": spec } }));
    assert_eq!(codes(&client.diagnostics(&spec, 1)), ["E0401"]);
    client.shut_down();
}

#[test]
fn causes_lead_to_their_places() {
    let folder = folder();
    let spec = uri(&folder.path().join("spec.reft"));
    let mut client = Client::thread();
    client.usual();
    client.open(&spec, &SPEC.replace("let small = 2", "let small = 2\nlet small = 3\nlet unused = 1"));
    let found = client.diagnostics(&spec, 1);
    let twice = found.iter().find(|found| found["code"] == "E0102").unwrap();
    let cause = &twice["relatedInformation"][0];
    assert_eq!(cause["location"]["uri"], spec.as_str());
    assert_eq!(cause["location"]["range"]["start"], json!({ "line": 0, "character": 4 }));
    let unused = found.iter().find(|found| found["severity"] == 2).unwrap();
    assert_eq!(unused["tags"], json!([1]), "shown as unnecessary: {unused}");
    client.shut_down();
}

#[test]
fn an_editor_that_watches_files_is_asked_to() {
    let mut client = Client::thread();
    client.initialize(json!({ "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } } }));
    let asked = client.wait("client/registerCapability", |_| true);
    assert_eq!(asked["registrations"][0]["method"], "workspace/didChangeWatchedFiles");
    client.shut_down();
}

#[test]
fn outline_folds_tokens_and_hints() {
    let folder = folder();
    let spec = uri(&folder.path().join("spec.reft"));
    let mut client = Client::thread();
    client.usual();
    client.open(&spec, SPEC);
    client.diagnostics(&spec, 1);
    let document = json!({ "textDocument": { "uri": spec } });
    let outline = client.request("textDocument/documentSymbol", document.clone()).unwrap();
    let names = |symbols: &Value| -> Vec<String> {
        symbols.as_array().unwrap().iter().map(|symbol| symbol["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&outline), ["small", "tiny", "reviews", "first"]);
    assert_eq!(names(&outline[3]["children"]), ["model", "data", "edit", "train"]);
    assert_eq!(names(&outline[3]["children"][2]["children"]), ["layers", "positions", "rank"]);
    let folds = client.request("textDocument/foldingRange", document.clone()).unwrap();
    assert_eq!(folds[0], json!({ "startLine": 3, "endLine": 6 }));

    let tokens = client.request("textDocument/semanticTokens/full", document.clone()).unwrap();
    let data: Vec<u64> = tokens["data"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect();
    // `let small = 2`: a keyword, a variable, a number.
    assert_eq!(data[..15], [0, 0, 3, 0, 0, 0, 4, 5, 2, 0, 0, 8, 1, 10, 0]);

    let mut params = document;
    params["range"] = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 99, "character": 0 } });
    let hints = client.request("textDocument/inlayHint", params).unwrap();
    let labels: Vec<&str> = hints.as_array().unwrap().iter().map(|hint| hint["label"].as_str().unwrap()).collect();
    assert_eq!(labels.len(), 2);
    assert!(labels[0].ends_with(" layers") && labels[1].ends_with(" parameters"), "{labels:?}");
    client.shut_down();
}

#[test]
fn formatting_changes_only_what_it_must() {
    let mut client = Client::thread();
    client.usual();
    let spec = uri(Path::new("/formatting.reft"));
    let params = json!({ "textDocument": { "uri": spec }, "options": { "tabSize": 2, "insertSpaces": true } });
    client.open(&spec, "let a = 1\nlet   b=2\nlet c = 3\n");
    let edits = client.request("textDocument/formatting", params.clone()).unwrap();
    let range = json!({ "start": { "line": 1, "character": 0 }, "end": { "line": 2, "character": 0 } });
    assert_eq!(edits, json!([{ "range": range, "newText": "let b = 2\n" }]));
    client.replace(&spec, 2, "let a = 1\n");
    assert_eq!(client.request("textDocument/formatting", params.clone()).unwrap(), json!([]));
    client.replace(&spec, 3, "let a = \n");
    assert_eq!(client.request("textDocument/formatting", params).unwrap(), Value::Null);
    client.shut_down();
}
