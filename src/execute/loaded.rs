//! Models in memory, each loaded once.

use crate::data::chat::ChatTemplate;
use crate::data::tokenizer::Tokenizer;
use crate::diag::Result;
use crate::model::config::{ModelSource, Precision};
use crate::model::decoder::Decoder;
use crate::model::located::{Locator, located};
use crate::plan::Model;
use candle_core::Device;
use std::rc::Rc;
use std::sync::Arc;

/// A model ready to run.
pub struct LoadedModel {
    pub decoder: Decoder,
    pub tokenizer: Arc<Tokenizer>,
    pub chat_template: Option<ChatTemplate>,
}

/// The models that this process has loaded.
pub struct Models {
    device: Device,
    locator: Locator,
    loaded: Vec<(ModelSource, Precision, Rc<LoadedModel>)>,
}

impl Models {
    /// No models yet; those that are loaded will live on `device`.
    pub fn new(device: Device, locator: Locator) -> Self {
        Self { device, locator, loaded: Vec::new() }
    }

    /// The device of the models.
    pub fn device(&self) -> &Device {
        &self.device
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
        let found = located(&self.locator, &model.source, true)?;
        let decoder = Decoder::load(found.files(), &model.config, model.precision, &self.device)?;
        let loaded = Rc::new(LoadedModel {
            decoder,
            tokenizer: found.read_tokenizer()?,
            chat_template: found.read_chat_template()?,
        });
        self.loaded.push((model.source.clone(), model.precision, loaded.clone()));
        Ok(loaded)
    }
}
