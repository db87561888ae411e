//! Checks of `let`s that hold wherever they are used.

use super::Checker;
use super::evaluate::Expected;
use super::schema::{self, Bound};
use super::scope::Declared;
use super::types::Type;
use crate::diag::{Code, Diagnostic, suggest};
use crate::syntax::tree::{Expr, ExprKind};

impl Checker<'_> {
    /// Checks every `let`: its type's name, its value under that type, and that a word without a type is not ambiguous.
    pub(super) fn lets(&mut self) {
        for entry in self.scope.entries() {
            let Declared::Let { type_name, value } = entry.declared else { continue };
            let holds = match type_name {
                Some(word) => match Type::find(&word.text) {
                    Some(holds) => Some(holds),
                    None => {
                        let names: Vec<&str> = Type::ALL.iter().map(|holds| holds.name()).collect();
                        let diagnostic = Diagnostic::at(
                            Code::UnknownWord,
                            word.span,
                            format!("`{}` is not a type", word.text),
                            "unknown type",
                        );
                        self.sink.push(match suggest::did_you_mean(&word.text, names) {
                            Some(help) => diagnostic.help(help),
                            None => diagnostic,
                        });
                        continue;
                    }
                },
                None => self.infer(value),
            };
            let Some(holds) = holds else { continue };
            self.active.push(entry.name.clone());
            let what = format!("`{}`", entry.name.text);
            self.evaluate(value, Expected { holds, bound: Bound::Any, what: &what });
            self.active.pop();
        }
    }

    /// The type of a `let` without one; reports words that several types would read differently.
    fn infer(&mut self, value: &Expr) -> Option<Type> {
        match &value.kind {
            ExprKind::Slice { .. } | ExprKind::Method { .. } => Some(Type::Source),
            ExprKind::Call { name, .. } => {
                let name = name.text();
                let mut makes: Vec<Type> =
                    schema::FORMS.iter().filter(|form| form.name == name).map(|form| form.makes).collect();
                makes.dedup();
                match makes.as_slice() {
                    [only] => Some(*only),
                    [] => {
                        let names =
                            schema::FORMS.iter().filter(|form| !form.parameters.is_empty()).map(|form| form.name);
                        let diagnostic = Diagnostic::at(
                            Code::UnknownWord,
                            value.span,
                            format!("there is nothing called `{name}(…)`"),
                            "unknown call",
                        );
                        self.sink.push(match suggest::near(&name, names).as_slice() {
                            [] => diagnostic.help("write for example `json(\"data/train.json\")`"),
                            found => diagnostic.help(format!("did you mean {}?", suggest::list(found))),
                        });
                        None
                    }
                    _ => None,
                }
            }
            ExprKind::Word(path) => {
                let named = path.segments.first().is_some_and(|name| {
                    path.segments.len() == 1 && self.scope.entries().iter().any(|entry| entry.name.text == name.text)
                });
                if !named {
                    self.ambiguous(value, &path.text());
                }
                None
            }
            ExprKind::Sum(_) => {
                let text = self.text.get(value.span.range()).unwrap_or_default().to_owned();
                self.ambiguous(value, &text);
                None
            }
            _ => None,
        }
    }

    fn ambiguous(&mut self, value: &Expr, text: &str) {
        let readers: Vec<Type> = schema::FORMS.iter().filter(|form| form.name == text).map(|form| form.makes).collect();
        let holds = readers.first().copied().unwrap_or(Type::Positions);
        self.sink.push(
            Diagnostic::at(
                Code::AmbiguousWord,
                value.span,
                format!("`{text}` means nothing without a type"),
                "which type is meant is not clear here",
            )
            .help(format!("say the type, for example `let name: {} = {text}`", holds.name())),
        );
    }
}
