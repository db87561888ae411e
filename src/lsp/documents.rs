//! The texts that are open in the editor.

use super::overlay::Texts;
use super::position::{Encoding, Text};
use super::uri;
use crate::source::FileId;
use crate::syntax;
use crate::syntax::tree::File;
use lsp_types::{TextDocumentContentChangeEvent, Uri};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// One text and its tree.
pub struct Document {
    /// As the editor writes it.
    pub uri: Uri,
    pub path: PathBuf,
    /// The editor's count of changes.
    pub version: i32,
    /// Our own, which never goes back.
    pub revision: u64,
    pub text: Text,
    tree: OnceLock<Parsed>,
}

/// A tree, and whether its text had no syntax errors.
struct Parsed {
    file: File,
    clean: bool,
}

impl Document {
    /// A text that nobody has parsed yet.
    pub fn new(uri: Uri, path: PathBuf, version: i32, revision: u64, text: Text) -> Self {
        Self { uri, path, version, revision, text, tree: OnceLock::new() }
    }

    /// The tree of the text; its spans are of file 0.
    pub fn tree(&self) -> &File {
        &self.parsed().file
    }

    /// Whether it is a spec, or without a name yet, and not a file of rows.
    pub fn is_spec(&self) -> bool {
        self.path.extension().is_none_or(|extension| extension == "reft")
    }

    /// Whether the text has no syntax errors.
    pub fn is_clean(&self) -> bool {
        self.parsed().clean
    }

    /// The text itself.
    pub fn content(&self) -> &str {
        &self.text.content
    }

    fn parsed(&self) -> &Parsed {
        self.tree.get_or_init(|| {
            let (file, diagnostics) = syntax::parse(FileId(0), self.content());
            Parsed { file, clean: diagnostics.is_empty() }
        })
    }
}

/// All open texts, by their paths.
pub struct Documents {
    pub encoding: Encoding,
    open: BTreeMap<PathBuf, Document>,
    revisions: u64,
}

impl Documents {
    /// None yet.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, open: BTreeMap::new(), revisions: 0 }
    }

    /// Takes up a text that was opened, and gives its path.
    pub fn open(&mut self, uri: Uri, version: i32, content: String) -> PathBuf {
        let path = uri::to_path(&uri);
        let text = Text::new(content, self.encoding);
        self.put(uri, path.clone(), version, text);
        path
    }

    /// Applies changes in their order and gives the path; `None` for a text that is not open, or a change that makes no sense.
    pub fn change(&mut self, uri: &Uri, version: i32, changes: Vec<TextDocumentContentChangeEvent>) -> Option<PathBuf> {
        let path = uri::to_path(uri);
        let document = self.open.get(&path)?;
        let mut text = document.text.clone();
        for change in changes {
            text = match change.range {
                Some(range) => text.changed(range, &change.text)?,
                None => Text::new(change.text, self.encoding),
            };
        }
        self.put(document.uri.clone(), path.clone(), version, text);
        Some(path)
    }

    /// Forgets a text.
    pub fn close(&mut self, path: &Path) {
        self.open.remove(path);
    }

    fn put(&mut self, uri: Uri, path: PathBuf, version: i32, text: Text) {
        self.revisions += 1;
        self.open.insert(path.clone(), Document::new(uri, path, version, self.revisions, text));
    }

    /// The open text of that URI.
    pub fn find(&self, uri: &Uri) -> Option<&Document> {
        self.open.get(&uri::to_path(uri))
    }

    /// The open text of that path.
    pub fn at(&self, path: &Path) -> Option<&Document> {
        self.open.get(path)
    }

    /// All of them, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = &Document> {
        self.open.values()
    }

    /// The URI of a path, as the editor writes it where it does.
    pub fn uri(&self, path: &Path) -> Option<Uri> {
        self.at(path).map(|document| document.uri.clone()).or_else(|| uri::from_path(path))
    }

    /// The texts alone.
    pub fn texts(&self) -> Texts {
        self.open.iter().map(|(path, document)| (path.clone(), Arc::clone(&document.text.content))).collect()
    }
}
