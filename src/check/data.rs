//! Data: what their blocks say, and the shape of their rows.

use super::Checker;
use super::fields::Fields;
use super::schema;
use super::scope::Declared;
use super::types::Type;
use super::value::{Origin, TemplateValue, Value, WrittenSource};
use crate::data::files::{digest_of, rows_of, shape_key};
use crate::data::rows::Unread;
use crate::data::source::{Source, select};
use crate::data::split::{Overlong, Split};
use crate::data::template::Template;
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::digest;
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Block, Entry, Ident};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// A data declaration, its splits looked at.
pub struct DataDeclaration {
    pub name: Ident,
    pub prompt: Option<TemplateValue>,
    pub target: Option<TemplateValue>,
    pub eos: Option<bool>,
    pub overlong: Option<Overlong>,
    /// `None` for a split that is named and broken, which was reported.
    pub splits: BTreeMap<String, Option<SplitSource>>,
    /// A field that the block does not have may have been meant as a split.
    pub has_stray: bool,
}

/// One split of a data block.
pub struct SplitSource {
    pub source: Spanned<Source>,
    pub table: Table,
}

/// The shape of a split's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// SHA-256 of the file, or of the digests of several.
    pub digest: String,
    /// Rows of the files, and rows after slices.
    pub file_rows: usize,
    pub rows: usize,
    pub columns: Vec<String>,
    /// Columns that are passed over.
    #[serde(default)]
    pub unread: Vec<Unread>,
}

impl Checker<'_> {
    /// The data of that name as it is declared, looked at once.
    pub(super) fn declared_data(&mut self, name: &Ident) -> Option<Rc<DataDeclaration>> {
        if let Some(known) = self.data.get(&name.span) {
            return known.clone();
        }
        let entry = self.scope.declared_at(name.span)?;
        let Declared::Data { body } = entry.declared else { return None };
        let data = self.data_declaration(entry.name, body).map(Rc::new);
        self.data.insert(name.span, data.clone());
        data
    }

    /// Looks at data that no experiment reached, so that their mistakes are found too.
    pub(super) fn unreached_data(&mut self) {
        for entry in self.scope.entries() {
            if let Declared::Data { body } = entry.declared
                && !self.reached.contains(&entry.name.span)
            {
                self.data_declaration(entry.name, body);
            }
        }
    }

    pub(super) fn data_declaration(&mut self, name: &Ident, body: &Block) -> Option<DataDeclaration> {
        let block = schema::block("data")?;
        let before = self.origins.len();
        let fields = self.fields(block, Some(body), name.span, None);
        let mut origins = self.origins.split_off(before);
        let prompt = template(&fields, "prompt");
        let target = template(&fields, "target").and_then(|target| self.text_only(target, "the target"));
        let overlong = fields.word("overlong").map(|word| match word {
            "cut_left" => Overlong::CutLeft,
            "drop" => Overlong::Drop,
            _ => Overlong::CutRight,
        });
        let mut splits = BTreeMap::new();
        for field in block.fields.iter().filter(|field| field.holds == Type::Source) {
            let split = match fields.get(field.name) {
                Some(Spanned { value: Value::Source(written), span }) => {
                    let source = self.found(written, *span).map(|source| Spanned::new(source, *span));
                    source.and_then(|source| self.table(field.name, &source).map(|table| SplitSource { source, table }))
                }
                _ if fields.is_attempted(field.name) => None,
                _ => continue,
            };
            let path = format!("data.{}.{}", name.text, field.name);
            if let Some(origin) = origins.iter_mut().find(|origin| origin.path == path) {
                origin.content = split.as_ref().map(|split: &SplitSource| split.table.digest.clone());
            }
            splits.insert(field.name.to_owned(), split);
        }
        self.declared.insert(name.span, origins);
        let (eos, has_stray) = (fields.flag("eos"), fields.has_stray());
        let data = DataDeclaration { name: name.clone(), prompt, target, eos, overlong, splits, has_stray };
        let broken = body.entries.iter().any(|entry| !matches!(entry, Entry::Field(_) | Entry::Allow(_)));
        if data.splits.is_empty() && !broken && !has_stray {
            self.sink.push(
                Diagnostic::at(Code::MissingField, name.span, format!("`{}` has no rows", name.text), "no split")
                    .help("add `train = json(\"data/train.json\")`"),
            );
        }
        for split in data.splits.values().flatten() {
            for template in [&data.prompt, &data.target].into_iter().flatten() {
                self.check_columns(split, template);
            }
        }
        Some(data)
    }

    /// A chat is what the model is given; what it answers is one text.
    pub(super) fn text_only(&mut self, value: TemplateValue, what: &str) -> Option<TemplateValue> {
        if let Template::Text(_) = value.template {
            return Some(value);
        }
        self.sink.push(
            Diagnostic::at(Code::BadTemplate, value.span, format!("{what} is a chat, but must be a text"), "a chat")
                .help("write a string, such as `\"{answer}\"`: the model's chat template makes the assistant's turn of it"),
        );
        None
    }

    /// The files of a source; those of the hub are fetched where they are not at hand.
    fn found(&mut self, written: &WrittenSource, span: Span) -> Option<Source> {
        let (dataset, split) = match &written.origin {
            Origin::File { path, format } => {
                return Some(Source { steps: written.steps.clone(), ..Source::file(path.clone(), format.clone()) });
            }
            Origin::Hub(dataset, split) => (dataset, *split),
        };
        match self.world.dataset(dataset, true) {
            Ok(source) => Some(Source { steps: written.steps.clone(), ..source }),
            Err(diagnostic) => {
                let place = if diagnostic.code == Code::UnknownSplit { split } else { span };
                self.blame(diagnostic, place);
                None
            }
        }
    }

    /// Reads the shape of a split's rows; reports files that cannot be read and splits without rows.
    fn table(&mut self, name: &str, source: &Spanned<Source>) -> Option<Table> {
        let digest = match digest_of(&source.value, &|path| self.world.digest(path)) {
            Ok(digest) => digest,
            Err(diagnostic) => {
                let diagnostic = self.near_file(diagnostic, &source.value.path, source.span);
                self.blame(diagnostic, source.span);
                return None;
            }
        };
        let key = shape_key(&digest, &source.value);
        let cached = self.world.cached("table", &key).and_then(|text| serde_json::from_str::<Table>(&text).ok());
        let table = match cached {
            Some(table) => table,
            None => match self.shape(&digest, &source.value) {
                Ok(table) => {
                    self.world.remember("table", &key, &digest::json(&table));
                    table
                }
                Err(mut diagnostic) => {
                    if diagnostic.help.is_empty() {
                        let mend =
                            "mend the file there, or read it as what it is: `json`, `jsonl`, `csv`, `tsv` or `parquet`";
                        diagnostic.help.push(mend.into());
                    }
                    self.blame(diagnostic, source.span);
                    return None;
                }
            },
        };
        if table.rows == 0 {
            let mut diagnostic = source.value.nothing_left(name, table.file_rows);
            if diagnostic.help.is_empty() {
                diagnostic.help.push("name a file that has rows".into());
            }
            self.blame(Box::new(diagnostic), source.span);
            return None;
        }
        Some(table)
    }

    fn shape(&self, digest: &str, source: &Source) -> Result<Table> {
        let (rows, _) = rows_of(source, &|path| self.world.read(path))?;
        let kept = select(rows.len(), &source.steps).len();
        let (digest, file_rows) = (digest.to_owned(), rows.len());
        Ok(Table { digest, file_rows, rows: kept, columns: rows.columns, unread: rows.unread })
    }

    /// Offers the files of the folder that have nearly the name; where only one can be meant and the name stands once in the
    /// source at `span`, as the fix.
    fn near_file(&self, diagnostic: Box<Diagnostic>, path: &Path, span: Span) -> Box<Diagnostic> {
        let written = path.to_string_lossy();
        if written.contains("://") {
            return Box::new(diagnostic.help("download it first: a spec reads files of this machine"));
        }
        if written.contains(['*', '?']) {
            return Box::new(diagnostic.help("name one file: the rows of a split come from one"));
        }
        if diagnostic.code == Code::DataUnreadable {
            return Box::new(diagnostic.help("name the file in it that holds the rows"));
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return diagnostic;
        };
        let files = self.world.list(folder);
        let files = || files.iter().map(String::as_str);
        let found = suggest::near(name, files());
        if found.is_empty() {
            return diagnostic;
        }
        let written: Vec<usize> = self.slice(span).match_indices(name).map(|(at, _)| at).collect();
        let slip = suggest::slip_of(name, files());
        let fix = match written.as_slice() {
            [at] => slip.map(|slip| (span.range().start + at, slip.to_owned())),
            _ => None,
        };
        let diagnostic = diagnostic.help(format!("there is {} in that folder", suggest::list(&found)));
        Box::new(match fix {
            Some((start, slip)) => diagnostic.fix(Span::new(span.file, start, start + name.len()), slip),
            None => diagnostic,
        })
    }

    /// Every column that a template names must be one of the rows'.
    pub(super) fn check_columns(&mut self, split: &SplitSource, template: &TemplateValue) {
        let table = &split.table;
        for column in &template.columns {
            if table.columns.contains(&column.value) {
                continue;
            }
            if let Some(unread) = table.unread.iter().find(|unread| unread.name == column.value) {
                self.sink.push(unreadable_column(unread, column, split));
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
            let slip = suggest::slip_of(&column.value, names.iter().copied()).filter(|name| is_plain(name));
            let place = self.slice(column.span);
            // Where the place in the text is not known, the whole literal stands for it.
            let braces = place.starts_with('{') && place.ends_with('}');
            diagnostic = diagnostic.maybe_fix(column.span, slip.filter(|_| braces).map(|name| format!("{{{name}}}")));
            diagnostic = match near.as_slice() {
                [] => diagnostic.help(format!("write one of {}", suggest::list(&names))),
                [only] => diagnostic.help(format!("did you mean `{{{only}}}`?")),
                found => diagnostic.help(format!("did you mean one of {}?", suggest::list(found))),
            };
            self.sink.push(diagnostic);
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

/// A column that is there, and does not become text.
fn unreadable_column(unread: &Unread, column: &Spanned<String>, split: &SplitSource) -> Diagnostic {
    let Unread { name, holds } = unread;
    let table = &split.table;
    let names: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    let diagnostic = Diagnostic::at(
        Code::UnknownColumn,
        column.span,
        format!("the column `{name}` holds {holds}, which do not become text"),
        "named here",
    )
    .label(split.source.span, "of these rows, texts, numbers and booleans are read");
    diagnostic.help(format!("write {}, or write the file with `{name}` as text", suggest::list(&names)))
}

/// Whether a column's name stands in braces without quotes.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn template(fields: &Fields, name: &str) -> Option<TemplateValue> {
    match fields.get(name).map(|value| &value.value) {
        Some(Value::Template(value)) => Some(value.clone()),
        _ => None,
    }
}
