//! The loop: one message after the other, and what checks report in between.

use super::capabilities::capabilities;
use super::diagnostics;
use super::documents::Documents;
use super::facts::Facts;
use super::library::Library;
use super::position::Encoding;
use super::requests;
use super::uri;
use super::worker::{self, Checked, Job, guarded};
use super::workspace::{Client, Workspace};
use crate::world::World;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidChangeWatchedFiles, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument, Exit,
    Initialized, LogMessage, Notification as _, PublishDiagnostics,
};
use lsp_types::request::{InlayHintRefreshRequest, RegisterCapability, Request as _, Shutdown};
use lsp_types::{
    Diagnostic, DidChangeTextDocumentParams, DidChangeWatchedFilesRegistrationOptions, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, FileSystemWatcher, GlobPattern, InitializeParams, LogMessageParams, MessageType,
    PublishDiagnosticsParams, Registration, RegistrationParams, Uri,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The editor asked to shut down, and then said `exit`.
    Shutdown,
    /// The editor went away, or said `exit` out of the blue.
    Abandoned,
}

/// What the loop waits for.
pub enum Event {
    /// From the editor.
    Message(Message),
    /// The editor has closed the connection.
    Disconnected,
    /// A spec was checked.
    Checked(PathBuf, Arc<Checked>),
    /// The rows of a spec were looked at.
    Facts(PathBuf, Facts),
    /// Work panicked; a sentence about it.
    Failed(String),
}

/// What editors may want to know the changes of: specs, and the rows they name.
const WATCHED: &str = "**/*.{reft,json,jsonl,csv,tsv}";

/// Serves one editor until the connection ends.
pub fn serve(connection: Connection, world: Arc<dyn World + Send>) -> Ending {
    let Ok((id, params)) = connection.initialize_start() else { return Ending::Abandoned };
    // An editor that says odd things about itself is served like one that says nothing.
    let params: InitializeParams = serde_json::from_value(params).unwrap_or_default();
    let general = params.capabilities.general.as_ref();
    let encoding = Encoding::choose(general.and_then(|general| general.position_encodings.as_deref()).unwrap_or(&[]));
    let welcome = json!({
        "capabilities": capabilities(encoding),
        "serverInfo": { "name": "reftc", "version": env!("CARGO_PKG_VERSION") },
    });
    if connection.sender.send(Response::new_ok(id, welcome).into()).is_err() {
        return Ending::Abandoned;
    }
    let (events, received) = channel();
    let (jobs, queue) = channel();
    if worker::start(Arc::clone(&world), queue, events.clone()).is_err() {
        return Ending::Abandoned;
    }
    let Connection { sender, receiver } = connection;
    let forward = move || {
        for message in receiver {
            if events.send(Event::Message(message)).is_err() {
                return;
            }
        }
        let _ = events.send(Event::Disconnected);
    };
    if thread::Builder::new().name("receive".to_owned()).spawn(forward).is_err() {
        return Ending::Abandoned;
    }
    let workspace = Workspace {
        documents: Documents::new(encoding),
        library: Library::new(&*world),
        world,
        client: Client::new(&params),
        checked: BTreeMap::new(),
        facts: BTreeMap::new(),
    };
    let send = Box::new(move |message| {
        // An editor that has gone away is noticed when its messages end.
        let _ = sender.send(message);
    });
    Server { send, jobs, workspace, published: BTreeMap::new(), stale: BTreeSet::new(), asked: 0, down: false }
        .run(&received)
}

struct Server {
    send: Box<dyn Fn(Message)>,
    jobs: Sender<Job>,
    workspace: Workspace,
    /// What is shown because of each open spec, by file.
    published: BTreeMap<PathBuf, BTreeMap<PathBuf, Vec<Diagnostic>>>,
    /// Open specs to check once no message waits.
    stale: BTreeSet<PathBuf>,
    /// Requests sent to the editor.
    asked: i32,
    /// Whether the editor has asked to shut down.
    down: bool,
}

impl Server {
    fn run(mut self, events: &Receiver<Event>) -> Ending {
        loop {
            let event = match events.try_recv() {
                Ok(event) => event,
                // Checks begin when nothing is left to read, so that none is of a text that has changed already.
                Err(_) => {
                    self.check_stale();
                    match events.recv() {
                        Ok(event) => event,
                        Err(_) => return Ending::Abandoned,
                    }
                }
            };
            match event {
                Event::Message(Message::Request(request)) => self.request(request),
                Event::Message(Message::Notification(notification)) if notification.method == Exit::METHOD => {
                    return if self.down { Ending::Shutdown } else { Ending::Abandoned };
                }
                Event::Message(Message::Notification(notification)) => self.notification(notification),
                Event::Message(Message::Response(_)) => {}
                Event::Disconnected => return Ending::Abandoned,
                Event::Checked(path, checked) => self.show(path, checked),
                Event::Facts(path, facts) => self.learn(path, facts),
                Event::Failed(text) => self.log(MessageType::ERROR, text),
            }
        }
    }

    fn request(&mut self, request: Request) {
        let (id, method) = (request.id.clone(), request.method.clone());
        let response = if method == Shutdown::METHOD {
            self.down = true;
            Response::new_ok(id, ())
        } else if self.down {
            let text = "the server was asked to shut down".to_owned();
            Response::new_err(id, ErrorCode::InvalidRequest as i32, text)
        } else {
            guarded(|| requests::answer(&self.workspace, request)).unwrap_or_else(|reason| {
                let text = format!("`{method}` failed, which is an error of reftc: {reason}");
                self.log(MessageType::ERROR, text.clone());
                Response::new_err(id, ErrorCode::InternalError as i32, text)
            })
        };
        (self.send)(response.into());
    }

    fn notification(&mut self, notification: Notification) {
        match notification.method.as_str() {
            Initialized::METHOD => self.watch_files(),
            DidOpenTextDocument::METHOD => {
                let Some(DidOpenTextDocumentParams { text_document: text }) = self.params(notification) else { return };
                let path = self.workspace.documents.open(text.uri, text.version, text.text);
                self.changed(&path);
            }
            DidChangeTextDocument::METHOD => {
                let Some(change) = self.params::<DidChangeTextDocumentParams>(notification) else { return };
                let (uri, version) = (change.text_document.uri, change.text_document.version);
                match self.workspace.documents.change(&uri, version, change.content_changes) {
                    Some(path) => self.changed(&path),
                    None => self.log(
                        MessageType::WARNING,
                        format!("a change of {} does not fit the text; close and open it", uri.as_str()),
                    ),
                }
            }
            DidCloseTextDocument::METHOD => {
                let Some(params) = self.params::<DidCloseTextDocumentParams>(notification) else { return };
                self.close(&params.text_document.uri);
            }
            // Rows, or specs that are not open, may be others now.
            DidSaveTextDocument::METHOD | DidChangeWatchedFiles::METHOD => {
                self.check_all();
            }
            _ => {}
        }
    }

    /// What a notification says; one that cannot be read is logged and passed over.
    fn params<T: DeserializeOwned>(&self, notification: Notification) -> Option<T> {
        let method = notification.method;
        serde_json::from_value(notification.params)
            .map_err(|error| self.log(MessageType::ERROR, format!("cannot read `{method}`: {error}")))
            .ok()
    }

    /// A text is another: it is checked, and so is every open spec that uses it. Rows may be those of any spec.
    fn changed(&mut self, path: &Path) {
        let documents = &self.workspace.documents;
        if documents.at(path).is_some_and(|document| !document.is_spec()) {
            self.check_all();
            return;
        }
        self.stale.insert(path.to_path_buf());
        let users = self.published.iter().filter(|(_, files)| files.contains_key(path));
        self.stale.extend(users.map(|(user, _)| user.clone()));
    }

    fn check_all(&mut self) {
        self.stale.extend(self.workspace.documents.iter().map(|document| document.path.clone()));
    }

    /// A text is now what the disk says, and what was shown because of it goes.
    fn close(&mut self, uri: &Uri) {
        let path = uri::to_path(uri);
        self.changed(&path);
        self.workspace.documents.close(&path);
        self.workspace.checked.remove(&path);
        self.workspace.facts.remove(&path);
        let files = self.published.remove(&path).unwrap_or_default();
        files.keys().for_each(|file| self.publish(file));
    }

    fn check_stale(&mut self) {
        let documents = &self.workspace.documents;
        let specs = std::mem::take(&mut self.stale).into_iter().filter_map(|path| {
            let revision = documents.at(&path).filter(|document| document.is_spec())?.revision;
            Some((path, revision))
        });
        let stale: BTreeMap<PathBuf, u64> = specs.collect();
        if !stale.is_empty() {
            // The worker lives as long as the server.
            let _ = self.jobs.send(Job { texts: self.workspace.texts(), stale });
        }
    }

    /// Shows what a check found, unless the text has changed since: then another check is under way.
    fn show(&mut self, path: PathBuf, checked: Arc<Checked>) {
        let current = self.workspace.documents.at(&path).is_some_and(|now| now.revision == checked.revision);
        if !current {
            return;
        }
        let files = diagnostics::by_file(&checked.compiled, &self.workspace);
        // Of a used file that is well, and was, there is nothing to say.
        let ill = |files: &BTreeMap<PathBuf, Vec<Diagnostic>>| -> BTreeSet<PathBuf> {
            files.iter().filter(|(_, found)| !found.is_empty()).map(|(file, _)| file.clone()).collect()
        };
        let mut touched = ill(&files);
        touched.insert(path.clone());
        let before = self.published.insert(path.clone(), files).unwrap_or_default();
        touched.extend(ill(&before));
        self.workspace.checked.insert(path, checked);
        touched.iter().for_each(|file| self.publish(file));
    }

    /// Shows the findings of a file: those of every open spec that uses it, each once.
    fn publish(&self, file: &Path) {
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        for found in self.published.values().filter_map(|files| files.get(file)).flatten() {
            if !diagnostics.contains(found) {
                diagnostics.push(found.clone());
            }
        }
        let Some(uri) = self.workspace.uri(file) else { return };
        let version = self.workspace.documents.at(file).map(|document| document.version);
        self.notify::<PublishDiagnostics>(PublishDiagnosticsParams { uri, diagnostics, version });
    }

    fn learn(&mut self, path: PathBuf, facts: Facts) {
        if self.workspace.documents.at(&path).is_none() {
            return;
        }
        let known = self.workspace.facts.entry(path).or_default();
        // What a text with a slip in it does not tell is known from before.
        known.columns.extend(facts.columns);
        known.first_rows = facts.first_rows;
        if self.workspace.client.refreshes_hints {
            self.ask::<InlayHintRefreshRequest>(());
        }
    }

    fn watch_files(&mut self) {
        if !self.workspace.client.watches_files {
            return;
        }
        let watcher = FileSystemWatcher { glob_pattern: GlobPattern::String(WATCHED.to_owned()), kind: None };
        let options = DidChangeWatchedFilesRegistrationOptions { watchers: vec![watcher] };
        let registration = Registration {
            id: "files".to_owned(),
            method: DidChangeWatchedFiles::METHOD.to_owned(),
            register_options: serde_json::to_value(options).ok(),
        };
        self.ask::<RegisterCapability>(RegistrationParams { registrations: vec![registration] });
    }

    fn log(&self, typ: MessageType, message: String) {
        self.notify::<LogMessage>(LogMessageParams { typ, message });
    }

    fn notify<N: lsp_types::notification::Notification>(&self, params: N::Params)
    where
        N::Params: Serialize,
    {
        (self.send)(Notification::new(N::METHOD.to_owned(), params).into());
    }

    /// Asks the editor for something; nothing depends on its answer.
    fn ask<R: lsp_types::request::Request>(&mut self, params: R::Params)
    where
        R::Params: Serialize,
    {
        self.asked += 1;
        (self.send)(Request::new(self.asked.into(), R::METHOD.to_owned(), params).into());
    }
}
