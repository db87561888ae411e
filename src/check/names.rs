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
        if self.scope.is_lost(path) {
            return None;
        }
        let declared = self.scope.names(path.span, |declared| declared.serves(Type::Kind));
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).chain(declared).collect();
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
        let wants = |declared: Declared<'_>| declared.serves(holds);
        let declare = if holds == Type::Model { "`model NAME = hf(\"org/name\")`" } else { "`data NAME { … }`" };
        let written = Ident { text: path.text(), span: path.span };
        match self.scope.resolve(path) {
            Some((entry, [])) if wants(entry.declared) => Some(Value::Name(entry.name.clone())),
            Some((entry, rest)) if wants(entry.declared) => {
                let named = path.segments.len() - rest.len();
                let named: Vec<&str> = path.segments.iter().take(named).map(|part| part.text.as_str()).collect();
                self.sink.push(
                    Diagnostic::at(
                        Code::WrongKindOfName,
                        path.span,
                        format!("`{}` is not the name of {}", path.text(), holds.with_article()),
                        "one part too many",
                    )
                    .help(format!("write `{}`", named.join(".")))
                    .fix(path.span, named.join(".")),
                );
                None
            }
            _ if self.scope.is_lost(path) => None,
            Some((entry, _)) if !matches!(entry.declared, Declared::File(_)) || path.segments.len() == 1 => {
                self.scope.mention_all(wants);
                self.sink.push(self.wrong_kind(&written, entry.declared, entry.name.span, holds));
                None
            }
            _ => {
                self.scope.mention_all(wants);
                self.sink.push(unknown_name(&written, holds.name(), &self.scope.names(path.span, wants), declare));
                None
            }
        }
    }

    pub(super) fn wrong_kind(&self, name: &Ident, declared: Declared<'_>, place: Span, holds: Type) -> Diagnostic {
        let names = self.scope.names(name.span, |other| other.serves(holds));
        let quoted = format!("\"{}\"", name.text);
        let meant = match holds {
            Type::Model | Type::Data => names.first().copied().filter(|_| names.len() == 1),
            Type::String | Type::Pattern => Some(quoted.as_str()),
            _ => None,
        };
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
            Type::String | Type::Pattern => format!("write text in double quotes: `{quoted}`"),
            _ => format!("write for example `{}`", holds.example()),
        })
        .maybe_fix(name.span, meant)
    }

    /// `data.split`
    pub(super) fn split(&mut self, path: &Path) -> Option<Value> {
        let is_data = |declared: Declared<'_>| matches!(declared, Declared::Data { .. });
        let data_names = self.scope.names(path.span, is_data);
        if self.scope.is_lost(path) {
            return None;
        }
        let resolved = self.scope.resolve(path);
        if let Some((entry, [split])) = resolved
            && is_data(entry.declared)
        {
            let split = Spanned::new(split.text.clone(), split.span);
            return Some(Value::Split { data: entry.name.clone(), split });
        }
        let [.., last] = path.segments.as_slice() else { return None };
        let owner = path.segments.get(..path.segments.len() - 1).unwrap_or_default();
        let owner = Ident {
            text: owner.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("."),
            span: owner.iter().map(|part| part.span).reduce(Span::to).unwrap_or(path.span),
        };
        match resolved {
            Some((entry, [])) if is_data(entry.declared) || path.segments.len() == 1 => {
                self.not_a_split(path, last, &data_names);
            }
            None if path.segments.len() == 1 => self.not_a_split(path, last, &data_names),
            Some((entry, [_])) if !matches!(entry.declared, Declared::File(_)) => {
                self.sink.push(self.wrong_kind(&owner, entry.declared, entry.name.span, Type::Data));
            }
            Some((_, [_, _, ..])) | Some((_, [])) => self.not_a_split(path, last, &data_names),
            _ => {
                self.scope.mention_all(is_data);
                self.sink.push(unknown_name(&owner, "data", &data_names, "`data NAME { … }`"));
            }
        }
        None
    }

    fn not_a_split(&mut self, path: &Path, last: &Ident, data_names: &[&str]) {
        self.mention(path.span);
        self.scope.mention_all(|declared| matches!(declared, Declared::Data { .. }));
        let data = data_names.first().unwrap_or(&"data");
        let known = Some(last.text.as_str()).filter(|word| path.segments.len() == 1 && is_split_field(word));
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
    }
}

impl Checker<'_> {
    /// `eval.NAME.METRIC`
    pub(super) fn measure(&mut self, path: &Path) -> Option<Value> {
        if let [word, eval, metric] = path.segments.as_slice()
            && word.text == "eval"
        {
            let spanned = |name: &Ident| Spanned::new(name.text.clone(), name.span);
            return Some(Value::Measure { eval: spanned(eval), metric: spanned(metric) });
        }
        self.sink.push(
            Diagnostic::at(
                Code::WrongType,
                path.span,
                format!("`{}` does not name a measure", path.text()),
                "a measure is written `eval.NAME.METRIC`",
            )
            .help("write for example `eval.dev.exact_match`"),
        );
        None
    }
}

/// Whether a data block has a split of that name.
pub fn is_split_field(name: &str) -> bool {
    schema::block("data").and_then(|block| block.field(name)).is_some_and(|field| field.holds == Type::Source)
}
