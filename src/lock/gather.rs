//! What a spec's sources are now.

use super::{Data, Drift, Kind, Library, Lock, Model, ModelFile, Saved};
use crate::data::files::{digest_of, rows_of, shape_key};
use crate::data::source::{Dataset, Source};
use crate::diag::Result;
use crate::intervention::saved::{Start, TENSORS};
use crate::model::config::ModelSource;
use crate::model::hub::{Wanted, pin_of};
use crate::model::located::Locator;
use crate::plan::{Eval, Experiment};
use crate::source::relative_to;
use crate::store::cache::Cache;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// What experiments read, each under its name. Equal ones of several experiments are one.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    pub models: BTreeMap<String, ModelSource>,
    pub data: BTreeMap<String, Source>,
    pub saved: BTreeMap<String, Start>,
    pub library: Library,
}

impl Inputs {
    /// Nothing but a library.
    pub fn new(library: Library) -> Self {
        Self { library, ..Self::default() }
    }

    /// Those of a plan, told from a folder.
    pub fn of(experiment: &Experiment, folder: &Path) -> Self {
        let mut inputs = Self::default();
        let splits = experiment.train.splits.iter().map(|part| &part.split.source);
        let splits = splits.chain(experiment.evals.iter().map(|eval| &eval.split.source));
        inputs.add(folder, &experiment.model.source, splits, &experiment.starts);
        inputs
    }

    /// Those of an evaluation, told from a folder.
    pub fn of_eval(model: &ModelSource, eval: &Eval, folder: &Path) -> Self {
        let mut inputs = Self::default();
        inputs.add(folder, model, std::iter::once(&eval.split.source), &[]);
        inputs
    }

    /// Whether an entry of a lock is about one of them.
    pub fn has(&self, drift: &Drift) -> bool {
        match drift.kind {
            Kind::Data => self.data.contains_key(&drift.name),
            Kind::Library => self.library.files.contains_key(&drift.name),
            Kind::Model => self.models.contains_key(&drift.name),
            Kind::Saved => self.saved.contains_key(&drift.name),
        }
    }

    /// Adds those of an experiment, told from a folder.
    pub fn add<'s>(
        &mut self,
        folder: &Path,
        model: &ModelSource,
        data: impl Iterator<Item = &'s Source>,
        starts: &[Start],
    ) {
        self.models.entry(model_name(model, folder)).or_insert_with(|| model.clone());
        for source in data {
            self.data.entry(data_name(source, folder)).or_insert_with(|| source.clone());
        }
        for start in starts {
            self.saved.entry(written(&start.folder, folder)).or_insert_with(|| start.clone());
        }
    }
}

impl Lock {
    /// What these are now. Digests of large files are remembered in the user's cache, as a check does.
    ///
    /// # Errors
    /// Where a file is missing or cannot be read.
    pub fn of(inputs: &Inputs, locator: &Locator) -> Result<Self> {
        let mut missing = None;
        let lock = Self::of_those_there(inputs, locator, &mut |_, _, diagnostic| {
            missing.get_or_insert(diagnostic);
        });
        missing.map_or(Ok(lock), Err)
    }

    /// As [`Lock::of`], without those that are missing, of which `missing` hears.
    pub(super) fn of_those_there(
        inputs: &Inputs,
        locator: &Locator,
        missing: &mut dyn FnMut(Kind, &str, Box<crate::diag::Diagnostic>),
    ) -> Self {
        let mut lock = Self::empty(inputs.library.clone());
        lock.models = present(Kind::Model, &inputs.models, missing, |source| model(source, locator));
        lock.data = present(Kind::Data, &inputs.data, missing, |source| data(source, locator));
        lock.saved = present(Kind::Saved, &inputs.saved, missing, |start| saved(start, &locator.cache));
        lock
    }
}

fn present<Input, Entry>(
    kind: Kind,
    inputs: &BTreeMap<String, Input>,
    missing: &mut dyn FnMut(Kind, &str, Box<crate::diag::Diagnostic>),
    look: impl Fn(&Input) -> Result<Entry>,
) -> BTreeMap<String, Entry> {
    let mut look = |(name, input): (&String, &Input)| match look(input) {
        Ok(entry) => Some((name.clone(), entry)),
        Err(diagnostic) => {
            missing(kind, name, diagnostic);
            None
        }
    };
    inputs.iter().filter_map(&mut look).collect()
}

fn model(source: &ModelSource, locator: &Locator) -> Result<Model> {
    let located = locator.locate(source, Wanted::Metadata, &mut |_| {})?;
    let items = located.inventory()?.iter();
    let files = items.map(|item| (item.name.clone(), ModelFile { bytes: item.bytes, sha256: item.sha256.clone() }));
    Ok(Model { files: files.collect(), hub: located.pin().cloned() })
}

fn data(source: &Source, locator: &Locator) -> Result<Data> {
    /// The part of what a check remembers of a table that a lock is about.
    #[derive(Deserialize)]
    struct Counted {
        file_rows: usize,
    }
    let cache = &locator.cache;
    let sha256 = digest_of(source, &|path| cache.digest(path))?;
    let rows = match cache.get::<Counted>("table", &shape_key(&sha256, source)) {
        Some(counted) => counted.file_rows,
        None => rows_of(source, &|path| std::fs::read(path))?.0.len(),
    };
    Ok(Data { hub: pin_of(&locator.hub, source), rows, sha256 })
}

fn saved(start: &Start, cache: &Cache) -> Result<Saved> {
    let path = start.folder.join(TENSORS);
    let sha256 = cache.digest(&path).map_err(|cause| crate::data::read::cannot_open(&path, &cause))?;
    Ok(Saved { sha256 })
}

/// As a spec in that folder writes it.
fn model_name(source: &ModelSource, folder: &Path) -> String {
    match source {
        ModelSource::Hub { repo, revision } if revision == "main" => format!("hf({repo:?})"),
        ModelSource::Hub { repo, revision } => format!("hf({repo:?}, rev: {revision:?})"),
        ModelSource::Folder(path) => format!("path({:?})", written(path, folder)),
        ModelSource::Gguf(path) => format!("gguf({:?})", written(path, folder)),
        ModelSource::Embedded(name) => format!("embedded({name:?})"),
    }
}

fn data_name(source: &Source, folder: &Path) -> String {
    let Some(Dataset { repo, config, split, revision }) = &source.dataset else { return written(&source.path, folder) };
    let config = if config.is_empty() { String::new() } else { format!(", config: {config:?}") };
    let revision = if revision == "main" { String::new() } else { format!(", rev: {revision:?}") };
    format!("hf({repo:?}{config}, split: {split:?}{revision})")
}

/// A path told from a folder, with `/` on every system.
fn written(path: &Path, folder: &Path) -> String {
    let relative = relative_to(path, folder);
    let mut parts = relative.components().map(|part| match part {
        Component::RootDir => String::new(),
        part => part.as_os_str().to_string_lossy().into_owned(),
    });
    match (parts.by_ref().collect::<Vec<_>>().join("/"), relative.has_root()) {
        (text, true) if text.is_empty() => "/".to_owned(),
        (text, false) if text.is_empty() => ".".to_owned(),
        (text, _) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::Format;

    #[test]
    fn names_are_as_a_spec_writes_them() {
        let folder = Path::new("specs");
        let hub = |revision: &str| ModelSource::Hub { repo: "org/name".into(), revision: revision.into() };
        for (source, name) in [
            (hub("main"), "hf(\"org/name\")"),
            (hub("v1"), "hf(\"org/name\", rev: \"v1\")"),
            (ModelSource::Folder("specs/model".into()), "path(\"model\")"),
            (ModelSource::Gguf("specs/../m.gguf".into()), "gguf(\"../m.gguf\")"),
            (ModelSource::Embedded("tiny".into()), "embedded(\"tiny\")"),
        ] {
            assert_eq!(model_name(&source, folder), name);
        }
        let file = |path: &str| data_name(&Source::file(path, Format::Jsonl), folder);
        assert_eq!(file("specs/data/./train.jsonl"), "data/train.jsonl");
        assert_eq!(file("/data/train.jsonl"), "/data/train.jsonl");
        assert_eq!(file("train.jsonl"), "../train.jsonl");
        let text = str::to_owned;
        let dataset = Dataset { repo: text("org/d"), config: text("en"), split: text("test"), revision: text("main") };
        let source = Source { dataset: Some(dataset), ..Source::file("x", Format::Parquet) };
        assert_eq!(data_name(&source, folder), "hf(\"org/d\", config: \"en\", split: \"test\")");
    }
}
