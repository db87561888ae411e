//! What the server knows: open texts, what their last checks found, and what the editor can do.

use super::documents::{Document, Documents};
use super::facts::Facts;
use super::library::Library;
use super::overlay::Texts;
use super::worker::Checked;
use crate::world::World;
use lsp_types::{InitializeParams, TextDocumentPositionParams, Uri};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything that answers are made from.
pub struct Workspace {
    pub documents: Documents,
    pub world: Arc<dyn World + Send>,
    pub client: Client,
    pub library: Library,
    /// The last check of each open spec.
    pub checked: BTreeMap<PathBuf, Arc<Checked>>,
    /// What is known of the rows of each open spec.
    pub facts: BTreeMap<PathBuf, Facts>,
}

impl Workspace {
    /// The text and byte that a request is about; `None` for a text that is not open.
    pub fn place(&self, place: &TextDocumentPositionParams) -> Option<(&Document, usize)> {
        let document = self.documents.find(&place.text_document.uri)?;
        Some((document, document.text.byte(place.position)))
    }

    /// The last check of a text, if the text has not changed since.
    pub fn checked(&self, document: &Document) -> Option<&Checked> {
        self.checked
            .get(&document.path)
            .filter(|checked| checked.revision == document.revision)
            .map(|checked| &**checked)
    }

    /// The text of a spec: the open one, or that of the disk.
    pub fn read(&self, path: &Path) -> Option<String> {
        match self.documents.at(path) {
            Some(document) => Some(document.content().to_owned()),
            None => match self.library.text(path) {
                Some(text) => Some(text.to_owned()),
                None => String::from_utf8(self.world.read(path).ok()?).ok(),
            },
        }
    }

    /// The URI of a file that the editor is led to; `None` where there is no such file.
    pub fn uri(&self, path: &Path) -> Option<Uri> {
        if self.library.show(path) { self.documents.uri(path) } else { None }
    }

    /// Every open text.
    pub fn texts(&self) -> Texts {
        self.documents.texts()
    }
}

/// What the editor can do beyond what every editor can.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client {
    /// Snippets in completions.
    pub snippets: bool,
    /// It asks for inlay hints again when told.
    pub refreshes_hints: bool,
    /// It watches files when asked.
    pub watches_files: bool,
}

impl Client {
    /// Reads what the editor says of itself.
    pub fn new(params: &InitializeParams) -> Self {
        let text = params.capabilities.text_document.as_ref();
        let workspace = params.capabilities.workspace.as_ref();
        let item = text.and_then(|text| text.completion.as_ref()?.completion_item.as_ref());
        let hints = workspace.and_then(|workspace| workspace.inlay_hint.as_ref());
        let watch = workspace.and_then(|workspace| workspace.did_change_watched_files.as_ref());
        Self {
            snippets: item.and_then(|item| item.snippet_support).unwrap_or(false),
            refreshes_hints: hints.and_then(|hints| hints.refresh_support).unwrap_or(false),
            watches_files: watch.and_then(|watch| watch.dynamic_registration).unwrap_or(false),
        }
    }
}
