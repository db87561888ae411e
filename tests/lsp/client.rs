//! An editor without a screen.

use lsp_server::{Connection, Message, Notification, Request, RequestId, Response};
use reftc::lsp::{Ending, serve};
use reftc::model::hub::HubSettings;
use reftc::model::located::Locator;
use reftc::store::cache::Cache;
use reftc::world::{RealWorld, World};
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// Longer than any answer takes, for a machine under load.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the server runs.
enum Host {
    Process(Child),
    Thread(JoinHandle<Ending>),
}

pub struct Client {
    send: Option<Box<dyn FnMut(Message)>>,
    received: Receiver<Message>,
    host: Option<Host>,
    asked: i32,
    /// Notifications and requests of the server that nobody has looked at yet.
    unseen: Vec<Message>,
}

/// This machine without a network and a cache.
pub fn machine() -> RealWorld {
    on(Cache::default())
}

/// This machine without a network, its cache in that folder.
pub fn machine_with(cache: &Path) -> RealWorld {
    on(Cache::at(cache.to_path_buf()))
}

fn on(cache: Cache) -> RealWorld {
    let offline = |name: &str| (name == "HF_HUB_OFFLINE").then(|| "1".to_owned());
    RealWorld::new(Locator::new(HubSettings::from_variables(offline), cache))
}

/// The URI of a path without odd characters.
pub fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

impl Client {
    /// `reftc lsp`, as an editor starts it, its cache in `folder`.
    pub fn process(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reftc"))
            .args(["lsp", "--stdio", "--offline"])
            .env("REFTC_CACHE", folder.join("cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, received) = channel();
        spawn(move || {
            while let Ok(Some(message)) = Message::read(&mut stdout) {
                let _ = sender.send(message);
            }
        });
        let send = move |message: Message| {
            message.write(&mut stdin).unwrap();
            stdin.flush().unwrap();
        };
        Self::new(Box::new(send), received, Host::Process(child))
    }

    /// The server in a thread of this process.
    pub fn thread() -> Self {
        Self::in_world(Arc::new(machine()))
    }

    /// As [`Client::thread`], with a world of its own.
    pub fn in_world(world: Arc<dyn World + Send>) -> Self {
        let (here, there) = Connection::memory();
        let server = spawn(move || serve(there, world));
        let (sender, received) = channel();
        let incoming = here.receiver;
        spawn(move || incoming.into_iter().for_each(|message| drop(sender.send(message))));
        let send = move |message| here.sender.send(message).unwrap();
        Self::new(Box::new(send), received, Host::Thread(server))
    }

    fn new(send: Box<dyn FnMut(Message)>, received: Receiver<Message>, host: Host) -> Self {
        Self { send: Some(send), received, host: Some(host), asked: 0, unseen: Vec::new() }
    }

    /// Says hello with these capabilities, and gives the server's own.
    pub fn initialize(&mut self, capabilities: Value) -> Value {
        let result =
            self.request("initialize", json!({ "processId": null, "rootUri": null, "capabilities": capabilities }));
        self.notify("initialized", json!({}));
        result.unwrap()["capabilities"].clone()
    }

    /// What most tests say of themselves: that hints are asked for again, so that the end of a check's work is an event.
    pub fn usual(&mut self) {
        self.initialize(json!({
            "workspace": { "inlayHint": { "refreshSupport": true } },
            "textDocument": { "completion": { "completionItem": { "snippetSupport": true } } },
        }));
    }

    pub fn send(&mut self, message: Message) {
        self.send.as_mut().unwrap()(message);
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.send(Notification::new(method.to_owned(), params).into());
    }

    /// Asks and waits for the answer: its result, or its error's code and message.
    pub fn request(&mut self, method: &str, params: Value) -> Result<Value, (i32, String)> {
        self.asked += 1;
        let id = RequestId::from(self.asked);
        self.send(Request::new(id.clone(), method.to_owned(), params).into());
        loop {
            match self.received.recv_timeout(PATIENCE).expect("the server answers") {
                Message::Response(Response { id: own, response_result }) if own == id => {
                    return response_result.map_err(|error| (error.code, error.message));
                }
                other => self.unseen.push(other),
            }
        }
    }

    /// Asks about a place.
    pub fn ask(&mut self, method: &str, uri: &str, line: u32, character: u32) -> Value {
        self.request(&format!("textDocument/{method}"), place(uri, line, character)).unwrap()
    }

    /// Waits for the next notification or request of that method that fits.
    pub fn wait(&mut self, method: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let take = |message: &Message| match message {
            Message::Notification(found) if found.method == method && fits(&found.params) => Some(found.params.clone()),
            Message::Request(found) if found.method == method && fits(&found.params) => Some(found.params.clone()),
            _ => None,
        };
        if let Some(at) = self.unseen.iter().position(|message| take(message).is_some()) {
            return take(&self.unseen.remove(at)).unwrap();
        }
        loop {
            let message = self.received.recv_timeout(PATIENCE).expect("the server speaks");
            match take(&message) {
                Some(params) => return params,
                None => self.unseen.push(message),
            }
        }
    }

    pub fn open(&mut self, uri: &str, text: &str) {
        let document = json!({ "uri": uri, "languageId": "reft", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Replaces the whole text.
    pub fn replace(&mut self, uri: &str, version: i32, text: &str) {
        self.change(uri, version, json!([{ "text": text }]));
    }

    pub fn change(&mut self, uri: &str, version: i32, changes: Value) {
        let document = json!({ "uri": uri, "version": version });
        self.notify("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
    }

    /// The findings of that version of a text.
    pub fn diagnostics(&mut self, uri: &str, version: i32) -> Vec<Value> {
        let fits = |params: &Value| params["uri"] == uri && params["version"] == version;
        self.wait("textDocument/publishDiagnostics", fits)["diagnostics"].as_array().unwrap().clone()
    }

    /// Waits until a check and all that follows it is done.
    pub fn settled(&mut self) {
        self.wait("workspace/inlayHint/refresh", |_| true);
    }

    /// Ends the session as editors do.
    pub fn shut_down(mut self) {
        assert_eq!(self.request("shutdown", Value::Null), Ok(Value::Null));
        self.exit();
        match self.host.take().unwrap() {
            Host::Process(mut child) => assert_eq!(child.wait().unwrap().code(), Some(0)),
            Host::Thread(server) => assert_eq!(server.join().unwrap(), Ending::Shutdown),
        }
    }

    pub fn exit(&mut self) {
        self.notify("exit", Value::Null);
    }

    /// Closes the pipe and waits for the process.
    pub fn hang_up(mut self) -> ExitStatus {
        self.send = None;
        match self.host.take().unwrap() {
            Host::Process(mut child) => child.wait().unwrap(),
            Host::Thread(_) => panic!("only a process has a status"),
        }
    }
}

pub fn place(uri: &str, line: u32, character: u32) -> Value {
    json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": character } })
}
