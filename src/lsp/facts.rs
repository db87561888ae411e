//! What rows say to someone who writes templates and positions: their columns, and the first row as tokens.
//!
//! It is gathered after the findings of a check are shown, and remembered by what decides it.

use super::overlay::Overlay;
use super::worker::Checked;
use crate::check::spec::{CheckedSplit, Experiment};
use crate::data::encode::EncodedRow;
use crate::data::files::{digest_of, rows_of};
use crate::data::form::Form;
use crate::data::positions::{PromptText, Segment};
use crate::data::rows::Rows;
use crate::data::source::{Source, select};
use crate::data::split::Split;
use crate::data::template::Template;
use crate::digest;
use crate::source::FileId;
use crate::syntax;
use crate::syntax::tree::{Entry, ItemKind};
use crate::world::World;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What is known of the rows of one spec.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The columns of each data block, in the order of the file.
    pub columns: BTreeMap<String, Vec<String>>,
    /// The first training rows of each experiment, one of each data.
    pub first_rows: BTreeMap<String, Vec<Arc<FirstRow>>>,
}

/// A prompt as the model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRow {
    /// The text of each token of prompt and target.
    tokens: Vec<String>,
    row: EncodedRow,
}

impl FirstRow {
    /// The texts of the tokens that a segment edits.
    pub fn hits(&self, segment: &Segment) -> Vec<&str> {
        let texts: Vec<PromptText> = segment.texts().into_iter().cloned().collect();
        let Some(row) = self.row.tokens(self.row.ids.len(), &texts) else { return Vec::new() };
        let tokens = segment.resolve(&row);
        tokens.iter().filter_map(|token| self.tokens.get(token)).map(String::as_str).collect()
    }

    /// The number of prompt tokens.
    pub fn prompt(&self) -> usize {
        self.row.prompt_tokens
    }
}

/// Gathers facts, each once.
#[derive(Default)]
pub struct Gatherer {
    columns: BTreeMap<String, Vec<String>>,
    first_rows: BTreeMap<String, Option<Arc<FirstRow>>>,
}

/// More facts than that are of texts that nobody looks at any more.
const REMEMBERED: usize = 256;

impl Gatherer {
    /// The facts of a checked spec. What cannot be found out is left out.
    pub fn facts(&mut self, path: &Path, checked: &Checked, world: &Overlay<'_>) -> Facts {
        let mut facts = Facts::default();
        if self.columns.len() + self.first_rows.len() > REMEMBERED {
            *self = Self::default();
        }
        let (file, _) = syntax::parse(FileId(0), checked.compiled.text());
        let folder = path.parent().unwrap_or(Path::new(""));
        for item in &file.items {
            let ItemKind::Data { name, body } = &item.kind else { continue };
            let sources = body.entries.iter().filter_map(|entry| match entry {
                Entry::Field(field) => super::sources::find(&field.value, &file, folder, world),
                _ => None,
            });
            let found = sources.filter_map(|source| self.columns(&source, world)).next();
            facts.columns.extend(found.map(|columns| (name.text.clone(), columns)));
        }
        for experiment in &checked.compiled.spec.experiments {
            let splits = experiment.train.splits.iter();
            let rows = splits.filter_map(|split| self.first_row(experiment, split, world)).collect();
            facts.first_rows.insert(experiment.name.clone(), rows);
        }
        facts
    }

    fn columns(&mut self, source: &Source, world: &Overlay<'_>) -> Option<Vec<String>> {
        let digest = digest_of(source, &|path| world.digest(path)).ok()?;
        let key = format!("{digest}{}", digest::json(&source.format));
        if let Some(known) = self.columns.get(&key) {
            return Some(known.clone());
        }
        let columns = rows(source, world)?.columns;
        self.columns.insert(key, columns.clone());
        Some(columns)
    }

    fn first_row(
        &mut self,
        experiment: &Experiment,
        train: &CheckedSplit,
        world: &Overlay<'_>,
    ) -> Option<Arc<FirstRow>> {
        let key = format!("{}{}{}", train.digest, experiment.model.digests.tokenizer, digest::json(&train.split));
        if let Some(known) = self.first_rows.get(&key) {
            return known.clone();
        }
        let row = encode_first(experiment, &train.split, world).map(Arc::new);
        self.first_rows.insert(key, row.clone());
        row
    }
}

fn rows(source: &Source, world: &Overlay<'_>) -> Option<Rows> {
    rows_of(source, &|path| world.read(path)).ok().map(|(rows, _)| rows)
}

/// Rows that are looked at for one that is kept.
const TRIED: usize = 32;

/// The first row that training keeps.
fn encode_first(experiment: &Experiment, split: &Split, world: &Overlay<'_>) -> Option<FirstRow> {
    let rows = rows(&split.source, world)?;
    let order = select(rows.len(), &split.source.steps);
    let rows = rows.pick(&order[..order.len().min(TRIED)]);
    let model = world.model(&experiment.model.source).ok()?;
    let tokenizer = model.tokenizer().ok()?;
    let chat = match split.prompt {
        Template::Chat(_) => model.chat_template().ok()?,
        Template::Text(_) => None,
    };
    let encoded = Form::Targets.encode(&rows, split, &tokenizer, chat.as_ref()).ok()?;
    let row = encoded.rows.into_iter().next()?;
    let text = |id: &u32| tokenizer.decode(&[*id], false).ok().filter(|text| !text.is_empty());
    let tokens = row.ids.iter().map(|id| text(id).or_else(|| tokenizer.text_of(*id)).unwrap_or_default()).collect();
    Some(FirstRow { tokens, row })
}
