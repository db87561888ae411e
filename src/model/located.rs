//! A model that was found: its facts for the checker, its files for the engine.

use super::config::{ModelConfig, ModelSource};
use super::files::{Content, ModelFacts, ModelFiles, Part, facts};
use super::gguf::Gguf;
use super::hub::{Hub, HubSettings, Progress, Wanted};
use super::known::{KnownModel, ModelDigests};
use crate::data::chat::ChatTemplate;
use crate::data::tokenizer::Tokenizer;
use crate::diag::{Code, Diagnostic, Result};
use crate::digest;
use crate::store::cache::Cache;
use std::sync::Arc;

/// Where models are looked for.
#[derive(Clone)]
pub struct Locator {
    pub hub: HubSettings,
    /// Remembers digests of large files and the configs of GGUF files.
    pub cache: Cache,
}

/// A model whose files were found.
pub struct Located {
    files: ModelFiles,
    cache: Cache,
    /// For a model of the hub: its name and commit, which stand for the weights while they are not at hand.
    commit: Option<String>,
}

impl Locator {
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
        let (files, commit) = match source {
            ModelSource::Hub { repo, revision } => {
                let snapshot = Hub::new(&self.hub, repo, revision)?.fetch(wanted, progress)?;
                (ModelFiles::folder(&snapshot.folder)?, Some(format!("{repo} {}", snapshot.commit)))
            }
            ModelSource::Folder(path) => (ModelFiles::folder(path)?, None),
            ModelSource::Gguf(path) => (ModelFiles::gguf(path)?, None),
            ModelSource::Embedded(name) => (ModelFiles::embedded(name)?, None),
        };
        Ok(Located { files, cache: self.cache.clone(), commit })
    }
}

impl Located {
    /// The files.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// SHA-256 of a part, remembered for large files.
    fn digest(&self, part: &Part) -> Result<String> {
        match &part.content {
            Content::Bytes(bytes) => Ok(digest::of(bytes)),
            Content::File(path) => self.cache.digest(path).map_err(|error| {
                let message = format!("cannot read `{}`: {error}", path.display());
                Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(path, None))
            }),
        }
    }

    fn digest_of_all(&self, parts: &[&Part]) -> Result<String> {
        let digests: Result<Vec<(&str, String)>> =
            parts.iter().map(|part| Ok((part.name.as_str(), self.digest(part)?))).collect();
        Ok(digest::of(digest::json(&digests?)))
    }
}

impl KnownModel for Located {
    fn config(&self) -> Result<ModelConfig> {
        let ModelFiles::Gguf(path) = &self.files else { return self.files.config() };
        // The header of a GGUF file holds the vocabulary too; reading it takes longer than everything else of a check.
        let key = self.cache.digest(path).ok().map(|digest| format!("{} {digest}", env!("CARGO_PKG_VERSION")));
        if let Some(config) = key.as_ref().and_then(|key| self.cache.get("gguf-config", key)) {
            return Ok(config);
        }
        let config = Gguf::open(path)?.config()?;
        if let Some(key) = key {
            self.cache.put("gguf-config", &key, &config);
        }
        Ok(config)
    }

    fn tokenizer(&self) -> Result<Arc<Tokenizer>> {
        let ModelFacts { config, tokenizer, bos_text, eos_text, .. } = facts(&self.files)?;
        let id =
            |text: Option<String>, named: Option<u32>| text.and_then(|text| tokenizer.token_to_id(&text)).or(named);
        let (bos, eos) = (id(bos_text, config.bos_token), id(eos_text, config.eos_tokens.first().copied()));
        Tokenizer::new(tokenizer, bos, eos).map(Arc::new)
    }

    fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        let ModelFacts { chat_template, bos_text, eos_text, .. } = facts(&self.files)?;
        chat_template.map(|source| ChatTemplate::new(&source, bos_text.as_deref(), eos_text.as_deref())).transpose()
    }

    fn digests(&self) -> Result<ModelDigests> {
        let parts = self.files.parts();
        let all: Vec<&Part> = parts.iter().collect();
        let tokenizer: Vec<&Part> = parts.iter().filter(|part| part.decides_tokens()).collect();
        let tokenizer = self.digest_of_all(&tokenizer)?;
        match (self.files.weights(), &self.commit) {
            (Ok(_), _) => Ok(ModelDigests { tokenizer, weights: self.digest_of_all(&all)?, provisional: false }),
            (Err(_), Some(commit)) => Ok(ModelDigests { tokenizer, weights: digest::of(commit), provisional: true }),
            (Err(diagnostic), None) => Err(diagnostic),
        }
    }
}
