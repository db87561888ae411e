//! Models in memory, each loaded once.

use super::arena::Arena;
use crate::data::chat::ChatTemplate;
use crate::data::tokenizer::Tokenizer;
use crate::diag::Result;
use crate::model::config::{ModelSource, Precision};
use crate::model::decoder::Decoder;
use crate::model::hub::{Progress, Wanted};
use crate::model::interrupt::Interrupt;
use crate::model::known::KnownModel;
use crate::model::located::{Located, Locator};
use crate::model::weights::Weights;
use crate::plan::Model;
use crate::store::frozen::FrozenCache;
use candle_core::Device;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// A model ready to run.
pub struct LoadedModel {
    pub decoder: Decoder,
    pub tokenizer: Arc<Tokenizer>,
    pub chat_template: Option<ChatTemplate>,
    /// Where it was found.
    pub found: Located,
    /// Constant states of rows that stay on the device, empty until an engine gives it room.
    pub arena: RefCell<Arena>,
}

impl LoadedModel {
    /// A decoder with what belongs to it.
    pub fn new(
        decoder: Decoder,
        tokenizer: Arc<Tokenizer>,
        chat_template: Option<ChatTemplate>,
        found: Located,
    ) -> Self {
        let arena = RefCell::new(Arena::new(&decoder, 0));
        Self { decoder, tokenizer, chat_template, found, arena }
    }
}

/// The models that this process has loaded.
pub struct Models {
    device: Device,
    /// Constant states of rows, shared by all that runs in this process.
    frozen: Rc<FrozenCache>,
    locator: Locator,
    interrupt: Interrupt,
    loaded: Vec<(ModelSource, Precision, Rc<LoadedModel>)>,
}

impl Models {
    /// No models yet; those that are loaded will live on `device`.
    pub fn new(device: Device, locator: Locator, frozen: FrozenCache) -> Self {
        Self { device, frozen: Rc::new(frozen), locator, interrupt: Interrupt::default(), loaded: Vec::new() }
    }

    /// Models that are loaded from now on give up in the middle of a pass once this is set.
    #[must_use]
    pub fn heeding(self, interrupt: Interrupt) -> Self {
        Self { interrupt, ..self }
    }

    /// The device of the models.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Where models are looked for.
    pub fn locator(&self) -> &Locator {
        &self.locator
    }

    /// The cache of constant states.
    pub fn frozen(&self) -> Rc<FrozenCache> {
        self.frozen.clone()
    }

    /// Fetches the weights of a model of the hub, if they are not at hand; other models stay as they are.
    ///
    /// # Errors
    /// No network (E0307), a failed download (E0308).
    pub fn fetch(&self, source: &ModelSource, progress: &mut dyn FnMut(Progress<'_>)) -> Result<()> {
        self.locator.locate(source, Wanted::Everything, progress).map(|_| ())
    }

    /// Forgets the models that were read from these paths, or from folders above them: they have changed.
    pub fn forget(&mut self, changed: &[PathBuf]) {
        self.loaded.retain(|(source, ..)| match source {
            ModelSource::Folder(path) | ModelSource::Gguf(path) => !changed.iter().any(|file| file.starts_with(path)),
            ModelSource::Hub { .. } | ModelSource::Embedded(_) => true,
        });
    }

    /// The model of a plan without its weights.
    ///
    /// # Errors
    /// Where its files are missing (E0301).
    pub fn locate(&self, model: &Model) -> Result<Located> {
        self.locator.locate(&model.source, Wanted::Everything, &mut |_| {})
    }

    /// The model of a plan, loaded now or earlier.
    ///
    /// # Errors
    /// Where its files are missing (E0301), unreadable (E0302) or do not have the config's shapes (E0309).
    pub fn load(&mut self, model: &Model) -> Result<Rc<LoadedModel>> {
        let same = |(source, precision, _): &&(ModelSource, Precision, Rc<LoadedModel>)| {
            *source == model.source && *precision == model.precision
        };
        if let Some((_, _, loaded)) = self.loaded.iter().find(same) {
            return Ok(loaded.clone());
        }
        let found = self.locate(model)?;
        let (tokenizer, chat_template) = (found.tokenizer()?, found.chat_template()?);
        // Weights need the room more.
        self.loaded.iter().for_each(|(_, _, other)| other.arena.borrow_mut().clear());
        let mut weights = Weights::open(found.files(), &model.config, model.precision, &self.device)?;
        weights.interrupt = self.interrupt;
        let decoder = Decoder::from_weights(&weights, &model.config)?;
        found.close();
        let loaded = Rc::new(LoadedModel::new(decoder, tokenizer, chat_template, found));
        self.loaded.push((model.source.clone(), model.precision, loaded.clone()));
        Ok(loaded)
    }
}
