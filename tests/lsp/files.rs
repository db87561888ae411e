//! Files beside the open one: those that it uses, and the library.

use crate::client::{Client, machine_with, place, uri};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const BASE: &str = r#"data reviews {
  train  = jsonl("rows.jsonl")
  prompt = "Review: {review}\nAnswer:"
  target = " {label}"
}
intervention edit = loreft { layers = all, positions = f1+l1, rank = 2 }
"#;

const SPEC: &str = r#"use "base.reft" as base
model tiny = embedded("tiny")
experiment first {
  model = tiny
  data  = base.reviews
  intervene edit = base.edit
  train { epochs = 1, lr = 1e-3 }
}
"#;

const ROW: &str = "{\"review\":\"The soup was warm and the staff kind.\",\"label\":\"yes\"}\n";

fn codes(found: &Value) -> Vec<&str> {
    found["diagnostics"].as_array().unwrap().iter().map(|found| found["code"].as_str().unwrap()).collect()
}

#[test]
fn an_error_in_a_used_file_is_shown_there_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| uri(&folder.path().join(name));
    std::fs::write(folder.path().join("rows.jsonl"), ROW.repeat(4)).unwrap();
    let broken = BASE.replace("rank = 2", "rnk = 2");
    std::fs::write(folder.path().join("base.reft"), &broken).unwrap();
    let (spec, base) = (at("spec.reft"), at("base.reft"));
    let mut client = Client::thread();
    client.usual();
    client.open(&spec, SPEC);
    let published =
        |client: &mut Client, uri: &str| client.wait("textDocument/publishDiagnostics", |params| params["uri"] == uri);
    let found = published(&mut client, &base);
    assert_eq!(codes(&found), ["E0201"], "{found}");
    assert_eq!(found["diagnostics"][0]["range"]["start"], json!({ "line": 5, "character": 62 }));
    assert_eq!(found["version"], Value::Null, "the file is not open");
    assert_eq!(codes(&published(&mut client, &spec)), Vec::<&str>::new());

    // Mended on disk.
    std::fs::write(folder.path().join("base.reft"), BASE).unwrap();
    client.notify("workspace/didChangeWatchedFiles", json!({ "changes": [] }));
    assert_eq!(codes(&published(&mut client, &base)), Vec::<&str>::new());

    // Broken and mended again in the editor, where nothing is saved. The fragment alone has nothing to run.
    client.open(&base, &broken);
    let mut shown = published(&mut client, &base);
    while !codes(&shown).contains(&"E0201") {
        shown = published(&mut client, &base);
    }
    client.replace(&base, 2, BASE);
    while codes(&shown).contains(&"E0201") {
        shown = published(&mut client, &base);
    }

    // What was shown because of a spec goes with it.
    client.replace(&base, 3, &broken);
    while !codes(&shown).contains(&"E0201") {
        shown = published(&mut client, &base);
    }
    client.notify("textDocument/didClose", json!({ "textDocument": { "uri": base } }));
    client.notify("textDocument/didClose", json!({ "textDocument": { "uri": spec } }));
    while !codes(&shown).is_empty() {
        shown = published(&mut client, &base);
    }
    client.shut_down();
}

#[test]
fn the_library_is_a_file_that_any_editor_can_open() {
    let folder = tempfile::tempdir().unwrap();
    let spec = uri(&folder.path().join("spec.reft"));
    let text = "use \"std/recipes.reft\" as recipes\nintervention mine = recipes.one_place\n";
    let mut client = Client::in_world(Arc::new(machine_with(&folder.path().join("cache"))));
    client.usual();
    client.open(&spec, text);
    let path_of = |location: &Value| location["uri"].as_str().unwrap().strip_prefix("file://").unwrap().to_owned();
    let name = client.ask("definition", &spec, 1, 30);
    let path = path_of(&name);
    assert!(path.ends_with("/std/recipes.reft"), "{path}");
    let line = name["range"]["start"]["line"].as_u64().unwrap() as usize;
    let shown = std::fs::read_to_string(&path).unwrap();
    assert!(shown.lines().nth(line).unwrap().starts_with("intervention one_place"), "{name}");
    assert!(std::fs::metadata(&path).unwrap().permissions().readonly());
    assert_eq!(path_of(&client.ask("definition", &spec, 0, 10)), path);
    assert_eq!(path_of(&client.ask("definition", &spec, 0, 28)), path);

    let hover = client.ask("hover", &spec, 1, 30);
    assert!(hover["contents"]["value"].as_str().unwrap().contains("One layer, the last prompt token"), "{hover}");
    let mut params = place(&spec, 1, 30);
    params["newName"] = json!("other");
    let (_, reason) = client.request("textDocument/rename", params).unwrap_err();
    assert_eq!(reason, "this name is declared in the library of reftc");
    assert_eq!(client.ask("prepareRename", &spec, 1, 30), Value::Null);

    // A file that someone changed all the same is put right.
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false, reason = "a file of this test")]
    permissions.set_readonly(false);
    std::fs::set_permissions(&path, permissions).unwrap();
    std::fs::write(&path, "let changed = 1\n").unwrap();
    client.ask("definition", &spec, 1, 30);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), shown);

    // Open, it is a text like any other.
    let library = uri(Path::new(&path));
    client.open(&library, &shown);
    client.settled();
    assert_ne!(client.ask("hover", &library, line as u32, 14), Value::Null);
    client.shut_down();
}

#[test]
fn without_a_cache_the_library_has_no_place() {
    let mut client = Client::thread();
    client.usual();
    let spec = uri(Path::new("/spec.reft"));
    client.open(&spec, "use \"std/recipes.reft\" as recipes\nintervention mine = recipes.one_place\n");
    assert_eq!(client.ask("definition", &spec, 1, 30), Value::Null);
    assert_ne!(client.ask("hover", &spec, 1, 30), Value::Null, "what it says is known all the same");
    client.shut_down();
}
