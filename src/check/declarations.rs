//! Models and data: what their blocks say, and the facts behind them.

use super::Checker;
use super::evaluate::Expected;
use super::schema::{self, Bound};
use super::scope::Declared;
use super::spec::Model;
use super::types::Type;
use super::value::{FormValue, TemplateValue, Value};
use crate::data::source::{Source, select};
use crate::data::split::{Overlong, Split};

use crate::data::read;
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::digest;
use crate::model::config::{ModelSource, Precision};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Block, Expr, Ident};
use crate::world::KnownModel;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A model declaration that was found and read.
pub struct ModelDeclaration {
    pub name: Ident,
    pub checked: Model,
    pub facts: Box<dyn KnownModel>,
    /// Where the model comes from: the expression after `=`.
    pub source: Span,
}

/// A data declaration, its splits looked at.
pub struct DataDeclaration {
    pub name: Ident,
    pub prompt: Option<TemplateValue>,
    pub target: Option<TemplateValue>,
    pub eos: Option<bool>,
    pub overlong: Option<Overlong>,
    pub splits: BTreeMap<String, SplitSource>,
}

/// One split of a data block.
pub struct SplitSource {
    pub source: Spanned<Source>,
    /// `None` where the file could not be read, which was reported.
    pub table: Option<Table>,
}

/// The shape of a split's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// SHA-256 of the file.
    pub digest: String,
    /// Rows of the file, and rows after slices.
    pub file_rows: usize,
    pub rows: usize,
    pub columns: Vec<String>,
}

impl Checker<'_> {
    pub(super) fn model_declaration(
        &mut self,
        name: &Ident,
        value: &Expr,
        body: Option<&Block>,
    ) -> Option<ModelDeclaration> {
        let what = format!("the model `{}`", name.text);
        let expected = Expected { holds: Type::ModelSource, bound: Bound::Any, what: &what };
        let source = self.evaluate(value, expected);
        let fields = self.fields(schema::block("model")?, body, name.span, None);
        let Value::Form(form) = source?.value else { return None };
        let source = self.model_source(&form)?;
        let facts = self.world.model(&source).map_err(|diagnostic| self.blame(diagnostic, value.span)).ok()?;
        let config = facts.config().map_err(|diagnostic| self.blame(diagnostic, value.span)).ok()?;
        let digests = facts.digests().map_err(|diagnostic| self.blame(diagnostic, value.span)).ok()?;
        let precision = match fields.word("dtype")? {
            "f16" => Precision::F16,
            "bf16" => Precision::Bf16,
            _ => Precision::F32,
        };
        let checked = Model { source, precision, config, digests };
        Some(ModelDeclaration { name: name.clone(), checked, facts, source: value.span })
    }

    fn model_source(&self, form: &FormValue) -> Option<ModelSource> {
        let text = |name: &str| Some(form.argument(name)?.value.as_text()?.to_owned());
        Some(match form.form.name {
            "hf" => ModelSource::Hub { repo: text("repository")?, revision: text("rev")? },
            "path" => ModelSource::Folder(self.folder.join(text("folder")?)),
            "gguf" => ModelSource::Gguf(self.folder.join(text("file")?)),
            _ => ModelSource::Embedded(text("name")?),
        })
    }

    /// Reports an error that was found outside of the spec, at the line of the spec that led to it.
    #[allow(clippy::boxed_local, reason = "the errors of all layers come boxed")]
    pub(super) fn blame(&mut self, diagnostic: Box<Diagnostic>, span: Span) {
        let diagnostic =
            if diagnostic.span().is_none() { diagnostic.primary(span, "asked for here") } else { *diagnostic };
        self.sink.push(diagnostic);
    }

    pub(super) fn data_declaration(&mut self, name: &Ident, body: &Block) -> Option<DataDeclaration> {
        let block = schema::block("data")?;
        let fields = self.fields(block, Some(body), name.span, None);
        let template = |field: &str| match fields.get(field).map(|value| &value.value) {
            Some(Value::Template(value)) => Some(value.clone()),
            _ => None,
        };
        let (prompt, target) = (template("prompt"), template("target"));
        let overlong = fields.word("overlong").map(|word| match word {
            "cut_left" => Overlong::CutLeft,
            "drop" => Overlong::Drop,
            _ => Overlong::CutRight,
        });
        let mut splits = BTreeMap::new();
        for field in block.fields.iter().filter(|field| field.holds == Type::Source) {
            let Some(written) = fields.written(field.name) else { continue };
            let Some(Spanned { value: Value::Source(source), span }) = fields.get(field.name) else {
                // Named but broken: known, so that nothing else is reported about it.
                let broken =
                    Source { path: Default::default(), format: crate::data::source::Format::Json, steps: Vec::new() };
                splits
                    .insert(field.name.to_owned(), SplitSource { source: Spanned::new(broken, written), table: None });
                continue;
            };
            let source = Spanned::new(source.clone(), *span);
            let table = self.table(field.name, &source);
            splits.insert(field.name.to_owned(), SplitSource { source, table });
        }
        let data = DataDeclaration { name: name.clone(), prompt, target, eos: fields.flag("eos"), overlong, splits };
        if fields.written("train").or(fields.written("validation")).or(fields.written("test")).is_none() {
            self.sink.push(
                Diagnostic::at(Code::MissingField, name.span, format!("`{}` has no rows", name.text), "no split")
                    .help("add `train = json(\"data/train.json\")`"),
            );
        }
        for split in data.splits.values() {
            for template in [&data.prompt, &data.target].into_iter().flatten() {
                self.check_columns(split, template);
            }
        }
        Some(data)
    }

    /// Reads the shape of a split's rows; reports files that cannot be read and splits without rows.
    fn table(&mut self, name: &str, source: &Spanned<Source>) -> Option<Table> {
        let path = &source.value.path;
        let digest = match self.world.digest(path) {
            Ok(digest) => digest,
            Err(error) => {
                let diagnostic = self.near_file(read::cannot_open(path, &error), path);
                self.blame(diagnostic, source.span);
                return None;
            }
        };
        let key = digest::of(format!("{digest}{}", digest::json(&(&source.value.format, &source.value.steps))));
        let cached = self.world.cached("table", &key).and_then(|text| serde_json::from_str::<Table>(&text).ok());
        let table = match cached {
            Some(table) => table,
            None => match self.shape(&digest, &source.value) {
                Ok(table) => {
                    self.world.remember("table", &key, &digest::json(&table));
                    table
                }
                Err(diagnostic) => {
                    self.blame(diagnostic, source.span);
                    return None;
                }
            },
        };
        if table.rows == 0 {
            self.blame(Box::new(source.value.nothing_left(name, table.file_rows)), source.span);
            return None;
        }
        Some(table)
    }

    fn shape(&self, digest: &str, source: &Source) -> Result<Table> {
        let bytes = self.world.read(&source.path).map_err(|error| read::cannot_open(&source.path, &error))?;
        let rows = read::read(&bytes, &source.path, &source.format)?;
        let kept = select(rows.len(), &source.steps).len();
        Ok(Table { digest: digest.to_owned(), file_rows: rows.len(), rows: kept, columns: rows.columns })
    }

    /// Offers the files of the folder that have nearly the name.
    fn near_file(&self, diagnostic: Box<Diagnostic>, path: &std::path::Path) -> Box<Diagnostic> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return diagnostic;
        };
        let names = self.world.list(folder);
        match suggest::near(name, names.iter().map(String::as_str)).as_slice() {
            [] => diagnostic,
            found => Box::new(diagnostic.help(format!("there is {} in that folder", suggest::list(found)))),
        }
    }

    /// Every column that a template names must be one of the rows'.
    pub(super) fn check_columns(&mut self, split: &SplitSource, template: &TemplateValue) {
        let Some(table) = &split.table else { return };
        for column in &template.columns {
            if table.columns.contains(&column.value) {
                continue;
            }
            let names: Vec<&str> = table.columns.iter().map(String::as_str).collect();
            let near = suggest::near(&column.value, names.iter().copied());
            let mut diagnostic = Diagnostic::at(
                Code::UnknownColumn,
                column.span,
                format!("the rows have no column `{}`", column.value),
                "no such column",
            )
            .label(split.source.span, format!("these rows have {}", suggest::list(&names)));
            diagnostic = match near.as_slice() {
                [] => diagnostic.help(format!("write one of {}", suggest::list(&names))),
                [only] => diagnostic.help(format!("did you mean `{{{only}}}`?")),
                found => diagnostic.help(format!("did you mean one of {}?", suggest::list(found))),
            };
            self.sink.push(diagnostic);
        }
    }

    /// Looks at declarations that no experiment reached, so that their mistakes are found too.
    pub(super) fn unreached_declarations(&mut self) {
        for entry in self.scope.entries() {
            match entry.declared {
                Declared::Data { body } if !self.data.contains_key(&entry.name.text) => {
                    self.data_declaration(entry.name, body);
                }
                Declared::Model { value, body } if !self.models.contains_key(&entry.name.text) => {
                    let what = format!("the model `{}`", entry.name.text);
                    self.evaluate(value, Expected { holds: Type::ModelSource, bound: Bound::Any, what: &what });
                    if let Some(block) = schema::block("model") {
                        self.fields(block, body, entry.name.span, None);
                    }
                }
                _ => {}
            }
        }
    }
}

impl DataDeclaration {
    /// The split as data for tokenising; `None` where a part of it was reported.
    pub fn split(&self, source: &Source, max_length: usize) -> Option<Split> {
        Some(Split {
            source: source.clone(),
            prompt: self.prompt.as_ref()?.template.clone(),
            target: self.target.as_ref()?.template.clone(),
            eos: self.eos?,
            overlong: self.overlong?,
            max_length,
        })
    }
}
