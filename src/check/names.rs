//! Names where a name is wanted: models, data, splits and kinds of interventions.

use super::Checker;
use super::schema;
use super::scope::{Declared, unknown_name};
use super::types::Type;
use super::value::Value;
use crate::diag::{Code, Diagnostic, suggest};
use crate::intervention::Kind;
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Ident, Path};

impl Checker<'_> {
    pub(super) fn kind(&mut self, path: &Path) -> Option<Value> {
        let name = path.text();
        if let Some(kind) = Kind::find(&name) {
            return Some(Value::Kind(kind));
        }
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let diagnostic = Diagnostic::at(
            Code::UnknownWord,
            path.span,
            format!("`{name}` is not a kind of intervention"),
            "unknown kind",
        );
        let diagnostic = diagnostic.maybe_fix(path.span, suggest::slip_of(&name, names.iter().copied()));
        self.sink.push(match suggest::did_you_mean(&name, names) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
        None
    }

    pub(super) fn declared_name(&mut self, path: &Path, holds: Type) -> Option<Value> {
        let name = path.segments.first()?;
        let wants = |declared: Declared<'_>| declared.serves(holds);
        let declare = if holds == Type::Model { "`model NAME = hf(\"org/name\")`" } else { "`data NAME { … }`" };
        match self.scope.find(&name.text) {
            Some(entry) if wants(entry.declared) && path.segments.len() == 1 => Some(Value::Name(name.text.clone())),
            Some(entry) if !wants(entry.declared) => {
                self.scope.mention_all(wants);
                self.sink.push(self.wrong_kind(name, entry.declared, entry.name.span, holds));
                None
            }
            Some(_) => {
                self.sink.push(
                    Diagnostic::at(
                        Code::WrongKindOfName,
                        path.span,
                        format!("`{}` is not the name of {}", path.text(), holds.with_article()),
                        "one part too many",
                    )
                    .help(format!("write `{}`", name.text))
                    .fix(path.span, name.text.clone()),
                );
                None
            }
            None => {
                self.scope.mention_all(wants);
                self.sink.push(unknown_name(name, holds.name(), &self.scope.names(wants), declare));
                None
            }
        }
    }

    pub(super) fn wrong_kind(&self, name: &Ident, declared: Declared<'_>, place: Span, holds: Type) -> Diagnostic {
        let names = self.scope.names(|other| other.serves(holds));
        Diagnostic::at(
            Code::WrongKindOfName,
            name.span,
            format!("`{}` is {}, not {}", name.text, declared.description(), holds.with_article()),
            format!("{} is wanted here", holds.with_article()),
        )
        .label(place, "declared here")
        .help(match holds {
            Type::Model | Type::Data => {
                let name = names.first().copied().unwrap_or(holds.example());
                format!("write the name of {}, such as `{name}`", holds.with_article())
            }
            _ => format!("write for example `{}`", holds.example()),
        })
        .maybe_fix(name.span, names.first().copied().filter(|_| names.len() == 1))
    }

    /// `data.split`
    pub(super) fn split(&mut self, path: &Path) -> Option<Value> {
        let is_data = |declared: Declared<'_>| matches!(declared, Declared::Data { .. });
        let data_names = self.scope.names(is_data);
        let [data, split] = path.segments.as_slice() else {
            self.mention(path.span);
            self.scope.mention_all(is_data);
            let data = data_names.first().unwrap_or(&"data");
            let word = path.segments.first().filter(|_| path.segments.len() == 1).map(|word| word.text.as_str());
            let known = word.filter(|word| is_split_field(word));
            self.sink.push(
                Diagnostic::at(
                    Code::UnknownSplit,
                    path.span,
                    format!("`{}` does not name a split", path.text()),
                    "a split is written `data.split`",
                )
                .help(format!("write `{data}.{}`", known.unwrap_or("test")))
                .maybe_fix(path.span, known.filter(|_| data_names.len() == 1).map(|split| format!("{data}.{split}"))),
            );
            return None;
        };
        match self.scope.find(&data.text) {
            Some(entry) if is_data(entry.declared) => Some(Value::Split {
                data: Spanned::new(data.text.clone(), data.span),
                split: Spanned::new(split.text.clone(), split.span),
            }),
            Some(entry) => {
                self.sink.push(self.wrong_kind(data, entry.declared, entry.name.span, Type::Data));
                None
            }
            None => {
                self.scope.mention_all(is_data);
                self.sink.push(unknown_name(data, "data", &data_names, "`data NAME { … }`"));
                None
            }
        }
    }
}

/// Whether a data block has a split of that name.
pub fn is_split_field(name: &str) -> bool {
    schema::block("data").and_then(|block| block.field(name)).is_some_and(|field| field.holds == Type::Source)
}
