//! How the entries of the table are written in one line, for `reftc describe` and editors.

use super::schema::{Fallback, Field, Form, Parameter};

impl Field {
    /// What it holds where nothing is written: `(required)`, `= 16`.
    pub fn fallback(&self) -> String {
        match self.default {
            Fallback::Required => "(required)".into(),
            Fallback::None => "(optional)".into(),
            Fallback::Text(text) => format!("= {text}"),
            Fallback::Later => "(comes in a later version)".into(),
        }
    }
}

impl Form {
    /// The word, or the call with its parameters and their defaults: `linear(warmup: 0%)`.
    pub fn signature(&self) -> String {
        let one = |parameter: &Parameter| match parameter.default {
            None => parameter.name.to_owned(),
            Some(default) => format!("{}: {default}", parameter.name),
        };
        match self.parameters {
            [] => self.name.to_owned(),
            parameters => format!("{}({})", self.name, parameters.iter().map(one).collect::<Vec<_>>().join(", ")),
        }
    }
}
