//! The fields of an experiment as they were set: what `plan --show-origin` shows and `reftc diff` compares.

use crate::check::spec::FieldOrigin;
use crate::source::Sources;
use serde::{Deserialize, Serialize};

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// `train.lr`, `intervene.edit.rank`, `data.reviews.prompt`
    pub path: String,
    /// As it is written there.
    pub value: String,
    /// In the one form that equal values share: `0.0009` for `9e-4`.
    pub means: String,
    /// SHA-256 of the rows or the model that the value names, where they were at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Where it was set; `None` for a default.
    #[serde(flatten)]
    pub place: Option<Place>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// As the command line led to it.
    pub file: String,
    /// From 1.
    pub line: usize,
}

impl Field {
    /// The field with the place's file and line written out; `weights` is the digest of the experiment's model.
    pub fn new(origin: &FieldOrigin, weights: Option<&str>, sources: &Sources) -> Self {
        let FieldOrigin { path, value, means, content, place } = origin.clone();
        let place = place.and_then(|place| {
            let file = sources.file(place.file)?;
            Some(Place { file: file.path.display().to_string(), line: file.line_column(place.start as usize).0 })
        });
        let is_model = path.strip_prefix("model.").is_some_and(|rest| !rest.contains('.'));
        let content = content.or_else(|| weights.filter(|_| is_model).map(str::to_owned));
        Self { path, value, means, content, place }
    }

    /// `specs/base.reft:31`, or `default`.
    pub fn set_at(&self) -> String {
        match &self.place {
            Some(Place { file, line }) => format!("{file}:{line}"),
            None => "default".to_owned(),
        }
    }
}
