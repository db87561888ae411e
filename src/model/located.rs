//! A model that was found: its facts for the checker, its files for the engine.

use super::config::{ModelConfig, ModelSource};
use super::files::{Content, ModelFiles, Part};
use super::hub::{Hub, HubSettings, Pin, Progress, Wanted};
use super::known::{KnownModel, ModelDigests};
use crate::data::chat::ChatTemplate;
use crate::data::tokenizer::Tokenizer;
use crate::diag::{Code, Diagnostic, Result};
use crate::digest;
use crate::model::tokenizer::check_fits;
use crate::store::cache::{Cache, state_of};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// So many models are remembered at most; specs are about one or two.
const KEPT: usize = 4;

/// Where models are looked for. Clones share what was read of a model, so that a run does not read again what its check
/// has read.
#[derive(Clone)]
pub struct Locator {
    pub hub: HubSettings,
    /// Remembers digests of large files and the configs of GGUF files.
    pub cache: Cache,
    /// Models found earlier, each with the state that its files were in.
    found: Arc<Mutex<Vec<(String, Located)>>>,
}

/// A model whose files were found. Clones share what was read of it.
#[derive(Clone)]
pub struct Located {
    files: ModelFiles,
    cache: Cache,
    /// For a model of the hub: its commit, which stands for the weights while they are not at hand.
    pin: Option<Pin>,
    tokenizer: Arc<OnceLock<Arc<Tokenizer>>>,
    inventory: Arc<OnceLock<Vec<Item>>>,
}

/// One of the files that decide what a model computes, by its content.
#[derive(Clone, Debug)]
pub struct Item {
    /// The file's name, the same on every machine.
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
    decides_tokens: bool,
}

impl Locator {
    /// Looks for models in these places; nothing is looked at yet.
    pub fn new(hub: HubSettings, cache: Cache) -> Self {
        Self { hub, cache, found: Arc::default() }
    }

    /// Finds a model; `wanted` says whether a model of the hub is to be fetched with its weights.
    ///
    /// # Errors
    /// No such folder, file, model or revision (E0301), no network (E0307), a failed download (E0308).
    pub fn locate(
        &self,
        source: &ModelSource,
        wanted: Wanted,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Located> {
        let (files, pin) = match source {
            ModelSource::Hub { repo, revision } => {
                let snapshot = Hub::new(&self.hub, repo, revision)?.fetch(wanted, progress)?;
                let pin = Pin { commit: snapshot.commit, repository: repo.clone(), revision: revision.clone() };
                (ModelFiles::folder(&snapshot.folder)?, Some(pin))
            }
            ModelSource::Folder(path) => (ModelFiles::folder(path)?, None),
            ModelSource::Gguf(path) => (ModelFiles::gguf(path)?, None),
            ModelSource::Embedded(name) => (ModelFiles::embedded(name)?, None),
        };
        let (tokenizer, inventory) = (Arc::default(), Arc::default());
        Ok(self.shared(Located { files, cache: self.cache.clone(), pin, tokenizer, inventory }))
    }

    /// The same model as it was found earlier, if its files have not changed since.
    fn shared(&self, located: Located) -> Located {
        let Some(state) = located.state() else { return located };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        match found.iter().find(|(known, _)| *known == state) {
            Some((_, known)) => Located { pin: located.pin, ..known.clone() },
            None => {
                found.push((state, located.clone()));
                // Whoever watches files for days does not keep every model that they held.
                let surplus = found.len().saturating_sub(KEPT);
                found.drain(..surplus);
                located
            }
        }
    }
}

impl Located {
    /// The files.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// The cache that goes with the places where models are looked for.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The same model with another tokenizer.
    #[must_use]
    pub fn with_tokenizer(self, tokenizer: Arc<Tokenizer>) -> Self {
        Self { tokenizer: Arc::new(OnceLock::from(tokenizer)), ..self }
    }

    /// Lets go of what only the loading of a model needs.
    pub fn close(&self) {
        if let ModelFiles::Gguf(file) = &self.files {
            file.close();
        }
    }

    /// Of a model of the hub, the commit.
    pub fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// Every file that decides what the model computes, in a fixed order; weights that are not at hand are left out. Each is hashed once.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn inventory(&self) -> Result<&[Item]> {
        if let Some(known) = self.inventory.get() {
            return Ok(known);
        }
        let items = self.files.parts().iter().map(|part| self.item(part)).collect::<Result<_>>()?;
        Ok(self.inventory.get_or_init(|| items))
    }

    /// SHA-256 over the files that decide how text becomes tokens.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn tokenizer_digest(&self) -> Result<String> {
        Ok(digest_of_all(self.inventory()?.iter().filter(|item| item.decides_tokens)))
    }

    /// The present state of all files; `None` where one of them is changing.
    fn state(&self) -> Option<String> {
        let state = |part: Part| match part.content {
            Content::File(path) => Some(format!("{} {}", path.display(), state_of(&path)?)),
            Content::Bytes(bytes) => Some(format!("{} {:p}", part.name, bytes.as_ptr())),
        };
        self.files.parts().into_iter().map(state).collect::<Option<Vec<_>>>().map(|states| states.join("\n"))
    }

    fn read_tokenizer(&self) -> Result<Tokenizer> {
        let (config, texts, tokenizer) = (self.config()?, self.files.texts()?, self.files.tokenizer()?);
        check_fits(&tokenizer, &config)?;
        let id =
            |text: Option<String>, named: Option<u32>| text.and_then(|text| tokenizer.token_to_id(&text)).or(named);
        let bos = id(texts.bos_text, config.bos_token);
        let eos = id(texts.eos_text, config.eos_tokens.first().copied());
        Tokenizer::new(tokenizer, bos, eos)
    }

    fn item(&self, part: &Part) -> Result<Item> {
        let (bytes, sha256) = match &part.content {
            Content::Bytes(bytes) => (bytes.len() as u64, digest::of(bytes)),
            Content::File(path) => {
                let read = || Ok((path.metadata()?.len(), self.cache.digest(path)?));
                read().map_err(|error: std::io::Error| {
                    let message = format!("cannot read `{}`: {error}", path.display());
                    Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(path, None))
                })?
            }
        };
        Ok(Item { name: part.name.clone(), bytes, sha256, decides_tokens: part.decides_tokens() })
    }
}

fn digest_of_all<'a>(items: impl Iterator<Item = &'a Item>) -> String {
    digest::of(digest::json(&items.map(|item| (&item.name, &item.sha256)).collect::<Vec<_>>()))
}

impl KnownModel for Located {
    fn config(&self) -> Result<ModelConfig> {
        let ModelFiles::Gguf(file) = &self.files else { return self.files.config() };
        // The header of a GGUF file holds the vocabulary too; reading it takes longer than everything else of a check.
        let key = self.cache.digest(file.path()).ok().map(|digest| format!("{} {digest}", env!("CARGO_PKG_VERSION")));
        if let Some(config) = key.as_ref().and_then(|key| self.cache.get("gguf-config", key)) {
            return Ok(config);
        }
        let config = file.open()?.config()?;
        if let Some(key) = key {
            self.cache.put("gguf-config", &key, &config);
        }
        Ok(config)
    }

    fn tokenizer(&self) -> Result<Arc<Tokenizer>> {
        if let Some(known) = self.tokenizer.get() {
            return Ok(known.clone());
        }
        let tokenizer = Arc::new(self.read_tokenizer()?);
        Ok(self.tokenizer.get_or_init(|| tokenizer).clone())
    }

    fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        let texts = self.files.texts()?;
        let Some(source) = texts.chat_template else { return Ok(None) };
        let (config, tokenizer) = (self.config()?, self.tokenizer()?);
        let text = |named: Option<String>, id: Option<u32>| named.or_else(|| tokenizer.text_of(id?));
        let bos = text(texts.bos_text, config.bos_token);
        let eos = text(texts.eos_text, config.eos_tokens.first().copied());
        ChatTemplate::new(&source, bos.as_deref(), eos.as_deref()).map(Some)
    }

    fn digests(&self) -> Result<ModelDigests> {
        let tokenizer = self.tokenizer_digest()?;
        match (self.files.weights(), &self.pin) {
            (Ok(_), _) => {
                Ok(ModelDigests { tokenizer, weights: digest_of_all(self.inventory()?.iter()), provisional: false })
            }
            (Err(_), Some(pin)) => {
                let weights = digest::of(format!("{} {}", pin.repository, pin.commit));
                Ok(ModelDigests { tokenizer, weights, provisional: true })
            }
            (Err(diagnostic), None) => Err(diagnostic),
        }
    }
}
