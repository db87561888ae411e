//! Checks that take long, and checks that break.

use crate::client::{Client, machine};
use reftc::data::source::{Dataset, Source};
use reftc::diag::Result;
use reftc::model::config::ModelSource;
use reftc::model::known::KnownModel;
use reftc::world::{RealWorld, World};
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

const SPEC: &str = "model tiny = embedded(\"tiny\")\n\nexperiment one {\n  model = tiny\n}\n";
const URI: &str = "file:///one.reft";

/// The machine, but for models.
struct Odd {
    machine: RealWorld,
    /// Models wait for a word from here; where there is nobody to say it, they panic.
    gate: Mutex<Receiver<()>>,
}

impl World for Odd {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.machine.read(path)
    }

    fn digest(&self, path: &Path) -> io::Result<String> {
        self.machine.digest(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.machine.exists(path)
    }

    fn model(&self, source: &ModelSource) -> Result<Box<dyn KnownModel>> {
        self.gate.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv().expect("nobody opens the gate");
        self.machine.model(source)
    }

    fn dataset(&self, dataset: &Dataset, may_fetch: bool) -> Result<Source> {
        self.machine.dataset(dataset, may_fetch)
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        self.machine.list(folder)
    }

    fn cached_bytes(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        self.machine.cached_bytes(kind, key)
    }

    fn remember_bytes(&self, kind: &str, key: &str, value: &[u8]) {
        self.machine.remember_bytes(kind, key, value);
    }

    fn touched(&self) -> Vec<PathBuf> {
        self.machine.touched()
    }
}

#[test]
fn answers_do_not_wait_for_checks() {
    let (open, gate) = channel();
    let mut client = Client::in_world(Arc::new(Odd { machine: machine(), gate: Mutex::new(gate) }));
    client.usual();
    client.open(URI, SPEC);
    // The check stands at the gate, and the text is another already.
    client.replace(URI, 2, &SPEC.replace("one", "another"));
    let hover = client.ask("hover", URI, 2, 13);
    assert!(hover["contents"]["value"].as_str().unwrap().contains("experiment another"), "{hover}");
    assert_eq!(client.ask("completion", URI, 4, 0).as_array().map(Vec::is_empty), Some(false));
    open.send(()).unwrap();
    open.send(()).unwrap();
    // The findings of the first text are not shown: they come with the second.
    let first = client.wait("textDocument/publishDiagnostics", |params| params["uri"] == URI);
    assert_eq!(first["version"], 2);
    client.shut_down();
}

#[test]
fn a_check_that_panics_is_told_about_and_survived() {
    let (open, gate) = channel();
    drop(open);
    let mut client = Client::in_world(Arc::new(Odd { machine: machine(), gate: Mutex::new(gate) }));
    client.usual();
    client.open(URI, SPEC);
    let told = client.wait("window/logMessage", |params| params["message"].as_str().unwrap().contains("one.reft"));
    assert!(told["message"].as_str().unwrap().contains("an error of reftc: nobody opens the gate"), "{told}");
    client.replace(URI, 2, "let a = \n");
    let found = client.diagnostics(URI, 2);
    assert!(!found.is_empty());
    let symbols = client.request("textDocument/documentSymbol", json!({ "textDocument": { "uri": URI } })).unwrap();
    assert_ne!(symbols, Value::Null);
    client.shut_down();
}
