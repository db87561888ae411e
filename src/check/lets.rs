//! `let`s: what holds wherever they are used, and their values where they are.

use super::evaluate::Expected;
use super::schema::{self, Bound, is_position};
use super::scope::Declared;
use super::types::Type;
use super::value::Value;
use super::{Checker, cycles};
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Expr, ExprKind, Ident, Path};

impl Checker<'_> {
    /// Checks every `let`: its name, its type's name, its value under that type, and that a word without a type is not
    /// ambiguous.
    pub(super) fn lets(&mut self) {
        self.broken = cycles::find(self.scope, &mut self.sink);
        for entry in self.scope.all_entries() {
            let Declared::Let { type_name, value } = entry.declared else { continue };
            if !self.broken.contains(&entry.name.span) && self.check_let(entry.name, type_name, value).is_none() {
                self.scope.mention(entry.name.span);
                self.broken.insert(entry.name.span);
            }
        }
    }

    /// `None` after an error in the `let` itself.
    fn check_let(&mut self, name: &Ident, type_name: Option<&Ident>, value: &Expr) -> Option<()> {
        if is_position(&name.text) {
            self.mention(value.span);
            self.sink.push(
                Diagnostic::at(
                    Code::AmbiguousWord,
                    name.span,
                    format!("`{}` cannot be a name, as it is a word of positions", name.text),
                    "a word of the language",
                )
                .help(format!("write for example `let my_{} = …`", name.text)),
            );
            return None;
        }
        let holds = match type_name {
            Some(word) => Some(self.type_named(word, value)?),
            None => self.infer(name, value)?,
        };
        let Some(holds) = holds else { return Some(()) };
        self.active.push(name.clone());
        let what = format!("`{}`", name.text);
        let found = self.evaluate(value, Expected { holds, bound: Bound::Any, what: &what });
        self.active.pop();
        found.map(|_| ())
    }

    fn type_named(&mut self, word: &Ident, value: &Expr) -> Option<Type> {
        let found = Type::find(&word.text);
        if found.is_none() {
            self.mention(value.span);
            let names: Vec<&str> =
                Type::ALL.iter().map(|holds| holds.name()).filter(|name| !name.contains(['<', ' '])).collect();
            let diagnostic =
                Diagnostic::at(Code::UnknownWord, word.span, format!("`{}` is not a type", word.text), "unknown type");
            let foreign = match word.text.to_lowercase().as_str() {
                "integer" => Some("int"),
                "number" | "double" | "real" => Some("float"),
                "boolean" => Some("bool"),
                "str" | "text" => Some("string"),
                "percent" | "percentage" => Some("ratio"),
                _ => None,
            };
            let slip = suggest::slip_of(&word.text, names.iter().copied());
            let diagnostic = diagnostic.maybe_fix(word.span, foreign.or(slip));
            let help = foreign.map(|name| format!("write `{name}`"));
            self.sink.push(match help.or_else(|| suggest::did_you_mean(&word.text, names)) {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
        }
        found
    }

    /// The type of a `let` without one, `Some(None)` where its use decides; reports words that several types would read
    /// differently.
    fn infer(&mut self, name: &Ident, value: &Expr) -> Option<Option<Type>> {
        match &value.kind {
            ExprKind::Bad => {
                self.mention(value.span);
                None
            }
            ExprKind::Method { base, .. } if matches!(base.kind, ExprKind::Call { .. }) => self.infer(name, base),
            ExprKind::Slice { .. } | ExprKind::Method { .. } => Some(Some(Type::Source)),
            ExprKind::Call { name, .. } => {
                let name = name.text();
                let mut makes: Vec<Type> =
                    schema::FORMS.iter().filter(|form| form.name == name).map(|form| form.makes).collect();
                makes.dedup();
                match makes.as_slice() {
                    [] => {
                        self.unknown_call(value, &name);
                        None
                    }
                    [only] => Some(Some(*only)),
                    _ => Some(None),
                }
            }
            ExprKind::Word(path) => {
                if self.scope.is_lost(path) || self.scope.resolve(path).is_some_and(|(_, rest)| rest.is_empty()) {
                    return Some(None);
                }
                self.ambiguous(name, value, &path.text());
                None
            }
            ExprKind::Product(_) | ExprKind::Negation(_) => self.amount(value).map(|_| None),
            ExprKind::Sum(terms) if terms.iter().any(|(_, term)| self.is_number(term)) => {
                self.amount(value).map(|_| None)
            }
            ExprKind::Group(inner) => self.infer(name, inner),
            ExprKind::Sum(_) => {
                let text = self.slice(value.span).to_owned();
                self.ambiguous(name, value, &text);
                None
            }
            _ => Some(None),
        }
    }

    /// Whether an expression can only be a number.
    pub(super) fn is_number(&self, expr: &Expr) -> bool {
        match &expr.kind {
            kind if kind.is_number() => true,
            ExprKind::Product(_) | ExprKind::Negation(_) => true,
            ExprKind::Group(inner) => self.is_number(inner),
            ExprKind::Sum(terms) => terms.iter().any(|(_, term)| self.is_number(term)),
            ExprKind::Word(path) => match self.scope.resolve(path) {
                Some((entry, [])) if !self.broken.contains(&entry.name.span) => {
                    matches!(entry.declared, Declared::Let { value, .. } if self.is_number(value))
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn unknown_call(&mut self, value: &Expr, name: &str) {
        self.mention(value.span);
        let names = schema::FORMS.iter().filter(|form| !form.parameters.is_empty()).map(|form| form.name);
        let diagnostic = Diagnostic::at(
            Code::UnknownWord,
            value.span,
            format!("there is nothing called `{name}(…)`"),
            "unknown call",
        );
        let word = Span { end: value.span.start + name.len() as u32, ..value.span };
        let sure = suggest::slip_of(name, names.clone()).filter(|_| self.slice(word) == name);
        let diagnostic = diagnostic.maybe_fix(word, sure);
        self.sink.push(match suggest::near(name, names).as_slice() {
            [] => diagnostic.help("write for example `json(\"data/train.json\")`"),
            found => diagnostic.help(format!("did you mean {}?", suggest::list(found))),
        });
    }

    /// A word that means nothing, or one thing or another, without a type.
    fn ambiguous(&mut self, name: &Ident, value: &Expr, text: &str) {
        self.mention(value.span);
        let readers: Vec<Type> = schema::FORMS.iter().filter(|form| form.name == text).map(|form| form.makes).collect();
        let reader = readers.first().copied();
        let segments = text.split('+').all(|word| word.trim() == "all" || is_position(word.trim()));
        // What only one type reads can have no other.
        let only = match readers.as_slice() {
            [] if segments => Some(Type::Positions),
            [only] if !segments && !only.name().contains(' ') => Some(*only),
            _ => None,
        };
        let diagnostic = match reader.or(segments.then_some(Type::Positions)) {
            Some(holds) => Diagnostic::at(
                Code::AmbiguousWord,
                value.span,
                format!("`{text}` means nothing without a type"),
                "which type is meant is not clear here",
            )
            .help(format!("say the type, for example `let name: {} = {text}`", holds.name()))
            .maybe_fix(Span { start: name.span.end, ..name.span }, only.map(|only| format!(": {}", only.name()))),
            None => Diagnostic::at(
                Code::UnknownName,
                value.span,
                format!("nothing here is called `{text}`"),
                "not declared in this file, and no word of the language",
            )
            .help("put text into double quotes, or name another `let`"),
        };
        self.sink.push(diagnostic);
    }

    pub(super) fn is_let(&self, path: &Path, holds: Type) -> bool {
        let reserved = |name: &Ident| {
            schema::forms(holds).any(|form| form.name == name.text)
                || (holds == Type::Positions && is_position(&name.text))
        };
        match path.segments.as_slice() {
            [name] if reserved(name) => false,
            _ => {
                matches!(self.scope.resolve(path), Some((entry, [])) if matches!(entry.declared, Declared::Let { .. }))
            }
        }
    }

    /// The value of a `let`, read as the type that is wanted where it is used.
    pub(super) fn let_value(&mut self, path: &Path, expected: Expected<'_>) -> Option<Spanned<Value>> {
        let fits = |declared: Type| {
            declared == expected.holds
                || (declared == Type::Int && matches!(expected.holds, Type::Float | Type::Ratio | Type::Clip))
                || (declared == Type::Float && matches!(expected.holds, Type::Ratio | Type::Clip))
                || (declared == Type::String && matches!(expected.holds, Type::Template | Type::Pattern))
        };
        self.through_let(path, fits, expected, |checker, value| checker.evaluate(value, expected))
    }

    /// What `read` makes of the value of a `let`, whose type, where it is said, must fit; errors in it say where it is
    /// used.
    pub(super) fn through_let<T>(
        &mut self,
        path: &Path,
        fits: impl Fn(Type) -> bool,
        expected: Expected<'_>,
        read: impl FnOnce(&mut Self, &Expr) -> Option<T>,
    ) -> Option<T> {
        let (entry, _) = self.scope.resolve(path)?;
        let Declared::Let { type_name, value } = entry.declared else { return None };
        let leads_back = self.active.iter().any(|active| active.span == entry.name.span);
        if leads_back || self.broken.contains(&entry.name.span) {
            return None;
        }
        if let Some(declared) = type_name.and_then(|word| Type::find(&word.text))
            && !fits(declared)
        {
            let (wanted, found) = (expected.holds.with_article(), declared.with_article());
            self.sink.push(
                Diagnostic::at(
                    Code::WrongType,
                    path.span,
                    format!("{} takes {wanted}, found {found}", expected.what),
                    format!("`{}` is {found}", path.text()),
                )
                .label(entry.name.span, "declared here")
                .help(format!("write for example `{}`", expected.holds.example())),
            );
            return None;
        }
        let (before, outermost) = (self.sink.len(), self.active.is_empty());
        self.active.push(entry.name.clone());
        let found = read(self, value);
        self.active.pop();
        if outermost {
            self.sink.label_from(before, path.span, &format!("`{}` is used here", path.text()));
        }
        found
    }
}
