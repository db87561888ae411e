//! From expressions to values of an expected type.

use super::Checker;
use super::schema::{self, Bound, Form, Parameter};
use super::scope::{Declared, later, unknown_name};
use super::types::Type;
use super::value::{FormValue, Value};
use crate::diag::{Code, Diagnostic, suggest};
use crate::intervention::Kind;
use crate::source::{FileId, Span, Spanned};
use crate::syntax;
use crate::syntax::tree::{Argument, Expr, ExprKind, Ident, ItemKind, Path};

/// What a value is for: its type, the allowed numbers, and its name in messages.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    pub holds: Type,
    pub bound: Bound,
    /// `` `rank` ``, with the backticks.
    pub what: &'a str,
}

impl Checker<'_> {
    /// Evaluates `expr` as a value of the expected type; `None` after an error, which is then reported.
    pub fn evaluate(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Spanned<Value>> {
        let value = match (&expr.kind, expected.holds) {
            (ExprKind::Bad, _) => None,
            (ExprKind::Word(path), _) if self.is_let(path, expected.holds) => return self.let_value(path, expected),
            (_, Type::Layers) => self.layers(expr, expected),
            (_, Type::Positions) => self.positions(expr, expected),
            (_, Type::Source) => self.source(expr, expected),
            (_, Type::Template) => self.template(expr, expected),
            (ExprKind::Word(path), Type::Kind) => self.kind(path),
            (ExprKind::Word(path), Type::Model | Type::Data) => self.declared_name(path, expected.holds),
            (ExprKind::Word(path), Type::Split) => self.split(path),
            (ExprKind::Call { .. }, Type::Model) => {
                self.sink.push(
                    self.mismatch(expr, expected).help("declare it first: `model NAME = …`, then `model = NAME`"),
                );
                None
            }
            (ExprKind::List(_), Type::Data) => {
                self.sink.push(later(expr.span, "a list of data", "write one name"));
                None
            }
            _ => self.literal(expr, expected),
        }?;
        Some(Spanned::new(value, expr.span))
    }

    /// Numbers, booleans, strings, lists of them, and forms.
    fn literal(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        let value = match (&expr.kind, expected.holds) {
            (ExprKind::Int(value), Type::Int) => Value::Int(*value),
            (ExprKind::Int(value), Type::Float | Type::Ratio | Type::Clip) => Value::Float(*value as f64),
            (ExprKind::Float(value), Type::Float | Type::Ratio | Type::Clip)
            | (ExprKind::Ratio(value), Type::Ratio) => Value::Float(*value),
            (ExprKind::Bool(value), Type::Bool) => Value::Bool(*value),
            (ExprKind::String(text), Type::String) => Value::Text(text.clone()),
            (ExprKind::String(text), Type::Pattern) => self.pattern(text, expr.span)?,
            (ExprKind::List(items), Type::Strings) => self.list(items, Type::String, expected)?,
            (ExprKind::List(items), Type::Ratios) => self.list(items, Type::Ratio, expected)?,
            (ExprKind::List(items), Type::Messages) => self.list(items, Type::Message, expected)?,
            (ExprKind::Word(path), _) => return self.form(&path.segments, None, expr, expected),
            (ExprKind::Call { name, arguments }, _) => {
                return self.form(&name.segments, Some(arguments), expr, expected);
            }
            _ => {
                self.sink.push(self.mismatch(expr, expected));
                return None;
            }
        };
        let bound = if expected.holds == Type::Clip { Bound::Positive } else { expected.bound };
        match value.as_number() {
            Some(number) if !bound.holds(number) => {
                self.sink.push(
                    Diagnostic::at(
                        Code::OutOfRange,
                        expr.span,
                        format!("{} is out of range", expected.what),
                        format!("must be {}", bound.describe()),
                    )
                    .help(format!("write for example `{}`", within(expected.holds, bound))),
                );
                None
            }
            _ => Some(value),
        }
    }

    fn list(&mut self, items: &[Expr], holds: Type, expected: Expected<'_>) -> Option<Value> {
        let values: Vec<Option<Spanned<Value>>> =
            items.iter().map(|item| self.evaluate(item, Expected { holds, ..expected })).collect();
        values.into_iter().collect::<Option<Vec<_>>>().map(Value::List)
    }

    fn pattern(&mut self, text: &str, span: Span) -> Option<Value> {
        match regex::Regex::new(text) {
            Ok(_) => Some(Value::Text(text.to_owned())),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.sink.push(
                    Diagnostic::at(Code::BadPattern, span, "the regular expression cannot be read", reason)
                        .help("escape a special character with two backslashes, as in `\"\\\\(\"`"),
                );
                None
            }
        }
    }

    /// A word or call of the table of forms.
    pub(super) fn form(
        &mut self,
        name: &[Ident],
        arguments: Option<&Vec<Argument>>,
        expr: &Expr,
        expected: Expected<'_>,
    ) -> Option<Value> {
        let [name] = name else {
            self.sink.push(self.mismatch(expr, expected));
            return None;
        };
        let Some(form) = schema::forms(expected.holds).find(|form| form.name == name.text) else {
            self.unknown_word(name, expr, expected);
            return None;
        };
        if form.later {
            let others: Vec<&str> =
                schema::forms(expected.holds).filter(|form| !form.later).map(|form| form.name).collect();
            self.sink.push(later(name.span, &format!("`{}`", form.name), &format!("write {}", suggest::list(&others))));
            return None;
        }
        self.arguments(form, arguments.map_or(&[], Vec::as_slice), name, arguments.is_some())
            .map(|arguments| Value::Form(FormValue { form, arguments }))
    }

    /// Matches arguments to parameters and fills in defaults.
    pub fn arguments(
        &mut self,
        form: &'static Form,
        given: &[Argument],
        name: &Ident,
        called: bool,
    ) -> Option<Vec<Spanned<Value>>> {
        let mut found: Vec<Option<Spanned<Value>>> = form.parameters.iter().map(|_| None).collect();
        let mut sound = true;
        let gathers = matches!(form.parameters, [only] if matches!(only.holds, Type::Strings | Type::Ratios));
        let gathered = gathers && given.iter().all(|argument| argument.name.is_none()) && !given.is_empty();
        let gathered = gathered.then(|| match given {
            [Argument { value: list @ Expr { kind: ExprKind::List(_) | ExprKind::Word(_), .. }, .. }] => list.clone(),
            _ => Expr { kind: ExprKind::List(given.iter().map(|a| a.value.clone()).collect()), span: name.span },
        });
        let single;
        let given = match gathered {
            Some(value) => {
                single = [Argument { name: None, span: value.span, value }];
                single.as_slice()
            }
            None => given,
        };
        for (at, argument) in given.iter().enumerate() {
            let slot = match &argument.name {
                None => at,
                Some(word) => match form.parameters.iter().position(|parameter| parameter.name == word.text) {
                    Some(slot) => slot,
                    None => {
                        self.sink.push(unknown_argument(form, word));
                        sound = false;
                        continue;
                    }
                },
            };
            let (Some(parameter), Some(place)) = (form.parameters.get(slot), found.get_mut(slot)) else {
                self.sink.push(
                    Diagnostic::at(
                        Code::BadArguments,
                        argument.span,
                        format!("`{}` takes {}", form.name, count(form.parameters.len())),
                        "one too many",
                    )
                    .help(format!("write `{}`", usage(form))),
                );
                sound = false;
                continue;
            };
            if place.is_some() {
                self.sink.push(
                    Diagnostic::at(
                        Code::BadArguments,
                        argument.span,
                        format!("`{}` of `{}` is given twice", parameter.name, form.name),
                        "given again here",
                    )
                    .help("remove one of them"),
                );
                sound = false;
                continue;
            }
            let what = format!("`{}` of `{}`", parameter.name, form.name);
            let expected = Expected { holds: parameter.holds, bound: parameter.bound, what: &what };
            match self.evaluate(&argument.value, expected) {
                Some(value) => *place = Some(value),
                None => sound = false,
            }
        }
        if !sound {
            return None;
        }
        for (parameter, place) in form.parameters.iter().zip(&mut found) {
            if place.is_some() {
                continue;
            }
            match parameter.default {
                Some(text) => *place = Some(self.default(text, parameter.holds, name.span)?),
                None => {
                    let label = if called { "argument missing" } else { "written without its arguments" };
                    self.sink.push(
                        Diagnostic::at(
                            Code::BadArguments,
                            name.span,
                            format!("`{}` needs `{}`, {}", form.name, parameter.name, parameter.doc),
                            label,
                        )
                        .help(format!("write `{}`", usage(form))),
                    );
                    return None;
                }
            }
        }
        found.into_iter().collect()
    }

    /// A default of the tables, as a value; it takes the place `span`.
    pub fn default(&mut self, text: &str, holds: Type, span: Span) -> Option<Spanned<Value>> {
        let (file, _) = syntax::parse(FileId(u32::MAX), &format!("let default = {text}\n"));
        let Some(ItemKind::Let { value, .. }) = file.items.first().map(|item| &item.kind) else { return None };
        let expected = Expected { holds, bound: Bound::Any, what: "a default" };
        self.evaluate(value, expected).map(|found| Spanned::new(found.value, span))
    }

    fn is_let(&self, path: &Path, holds: Type) -> bool {
        let [name] = path.segments.as_slice() else { return false };
        let reserved = schema::forms(holds).any(|form| form.name == name.text);
        !reserved && matches!(self.scope.find(&name.text).map(|entry| entry.declared), Some(Declared::Let { .. }))
    }

    /// The value of a `let`, read as the type that is wanted where it is used.
    pub fn let_value(&mut self, path: &Path, expected: Expected<'_>) -> Option<Spanned<Value>> {
        let name = path.segments.first()?;
        let entry = self.scope.find(&name.text)?;
        let Declared::Let { type_name, value } = entry.declared else { return None };
        if self.active.iter().any(|active| active.text == name.text) {
            let chain: Vec<String> =
                self.active.iter().chain([name]).map(|active| format!("`{}`", active.text)).collect();
            self.sink.push(
                Diagnostic::at(
                    Code::CyclicDefinition,
                    name.span,
                    format!("`{}` is defined by itself: {}", name.text, chain.join(" → ")),
                    "leads back here",
                )
                .help("give one of them a value of its own"),
            );
            return None;
        }
        if let Some(declared) = type_name.and_then(|word| Type::find(&word.text)) {
            let fits = declared == expected.holds
                || (declared == Type::Int && matches!(expected.holds, Type::Float | Type::Ratio))
                || (declared == Type::Float && expected.holds == Type::Ratio)
                || (declared == Type::String && matches!(expected.holds, Type::Template | Type::Pattern));
            if !fits {
                self.sink.push(
                    Diagnostic::at(
                        Code::WrongType,
                        name.span,
                        format!(
                            "{} takes {}, found {}",
                            expected.what,
                            expected.holds.with_article(),
                            declared.with_article()
                        ),
                        format!("`{}` is {}", name.text, declared.with_article()),
                    )
                    .label(entry.name.span, "declared here")
                    .help(format!("write for example `{}`", expected.holds.example())),
                );
                return None;
            }
        }
        self.active.push(entry.name.clone());
        let found = self.evaluate(value, expected);
        self.active.pop();
        found
    }

    fn kind(&mut self, path: &Path) -> Option<Value> {
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
        self.sink.push(match suggest::did_you_mean(&name, names) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
        None
    }

    fn declared_name(&mut self, path: &Path, holds: Type) -> Option<Value> {
        let name = path.segments.first()?;
        let wants = |declared: Declared<'_>| match holds {
            Type::Model => matches!(declared, Declared::Model { .. }),
            _ => matches!(declared, Declared::Data { .. }),
        };
        let declare = if holds == Type::Model { "`model NAME = hf(\"org/name\")`" } else { "`data NAME { … }`" };
        match self.scope.find(&name.text) {
            Some(entry) if wants(entry.declared) && path.segments.len() == 1 => Some(Value::Name(name.text.clone())),
            Some(entry) if !wants(entry.declared) => {
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
                    .help(format!("write `{}`", name.text)),
                );
                None
            }
            None => {
                self.sink.push(unknown_name(name, holds.name(), &self.scope.names(wants), declare));
                None
            }
        }
    }

    fn wrong_kind(&self, name: &Ident, declared: Declared<'_>, place: Span, holds: Type) -> Diagnostic {
        Diagnostic::at(
            Code::WrongKindOfName,
            name.span,
            format!("`{}` is {}, not {}", name.text, declared.description(), holds.with_article()),
            format!("{} is wanted here", holds.with_article()),
        )
        .label(place, "declared here")
        .help(format!("write the name of {}, such as `{}`", holds.with_article(), holds.example()))
    }

    /// `data.split`
    fn split(&mut self, path: &Path) -> Option<Value> {
        let is_data = |declared: Declared<'_>| matches!(declared, Declared::Data { .. });
        let data_names = self.scope.names(is_data);
        let [data, split] = path.segments.as_slice() else {
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
                .help(format!("write `{data}.{}`", known.unwrap_or("test"))),
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
                self.sink.push(unknown_name(data, "data", &data_names, "`data NAME { … }`"));
                None
            }
        }
    }

    fn unknown_word(&mut self, name: &Ident, expr: &Expr, expected: Expected<'_>) {
        let words: Vec<&str> = schema::forms(expected.holds).map(|form| form.name).collect();
        if let Some(entry) = self.scope.find(&name.text)
            && !matches!(entry.declared, Declared::Let { .. })
        {
            self.sink.push(self.wrong_kind(name, entry.declared, entry.name.span, expected.holds));
            return;
        }
        if words.is_empty() {
            if matches!(expr.kind, ExprKind::Call { .. }) {
                self.sink.push(self.mismatch(expr, expected));
                return;
            }
            let lets = self.scope.names(|declared| matches!(declared, Declared::Let { .. }));
            let quoted = matches!(expected.holds, Type::String | Type::Pattern);
            let declare = format!("`let {} = {}`", name.text, expected.holds.example());
            let diagnostic = unknown_name(name, "`let`", &lets, &declare);
            self.sink.push(if quoted { diagnostic.help("put text into double quotes") } else { diagnostic });
            return;
        }
        let elsewhere = schema::FORMS.iter().find(|form| form.name == name.text).map(|form| form.makes.with_article());
        let label = match elsewhere {
            Some(other) => format!("this is {other}"),
            None => format!("{} is wanted here", expected.holds.with_article()),
        };
        let diagnostic = Diagnostic::at(
            Code::UnknownWord,
            name.span,
            format!("`{}` is not {}", name.text, expected.holds.with_article()),
            label,
        );
        let near = suggest::near(&name.text, words.iter().copied());
        let diagnostic = match near.as_slice() {
            [only] => diagnostic.fix(name.span, *only),
            _ => diagnostic,
        };
        self.sink.push(match suggest::did_you_mean(&name.text, words) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }

    /// The error of a value of another type.
    pub fn mismatch(&self, expr: &Expr, expected: Expected<'_>) -> Diagnostic {
        let found = describe(expr);
        let diagnostic = Diagnostic::at(
            Code::WrongType,
            expr.span,
            format!("{} takes {}, found {found}", expected.what, expected.holds.with_article()),
            format!("this is {found}"),
        );
        let inner = match &expr.kind {
            ExprKind::String(text) if !matches!(expected.holds, Type::Model | Type::Data | Type::Source) => {
                let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_+.%-".contains(c)) && !text.is_empty();
                plain.then_some(text)
            }
            _ => None,
        };
        match (inner, &expr.kind, expected.holds) {
            (Some(text), ..) => diagnostic.help(format!("write it without quotes: `{text}`")),
            (_, ExprKind::Int(layer), Type::Layers) => diagnostic.help(format!("write `[{layer}]`")),
            (_, ExprKind::Bool(_), Type::Int) => diagnostic.help("write a number"),
            _ => diagnostic.help(format!("write for example `{}`", expected.holds.example())),
        }
    }
}

/// Whether a data block has a split of that name.
pub fn is_split_field(name: &str) -> bool {
    schema::block("data").and_then(|block| block.field(name)).is_some_and(|field| field.holds == Type::Source)
}

/// A number inside the bound, for help.
fn within(holds: Type, bound: Bound) -> String {
    match (bound, holds) {
        (Bound::AtLeast(least), _) => least.max(1).to_string(),
        (Bound::Share, _) => "0.05".into(),
        (Bound::Ratio, _) => "10%".into(),
        _ => holds.example().into(),
    }
}

/// What an expression is, in words.
pub fn describe(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Int(_) => "an int".into(),
        ExprKind::Float(_) => "a float".into(),
        ExprKind::Ratio(_) => "a ratio".into(),
        ExprKind::Size(_) => "a size".into(),
        ExprKind::String(_) => "a string".into(),
        ExprKind::Bool(_) => "a bool".into(),
        ExprKind::Word(path) => format!("`{}`", path.text()),
        ExprKind::Call { name, .. } => {
            let name = name.text();
            match schema::FORMS.iter().find(|form| form.name == name) {
                Some(form) => form.makes.with_article(),
                None => format!("a call of `{name}`"),
            }
        }
        ExprKind::Method { name, .. } => format!("a call of `.{}`", name.text),
        ExprKind::List(_) => "a list".into(),
        ExprKind::Range { .. } => "a range".into(),
        ExprKind::Slice { .. } => "a slice".into(),
        ExprKind::Sum(_) => "a sum".into(),
        ExprKind::Bad => "nothing".into(),
    }
}

fn unknown_argument(form: &Form, word: &Ident) -> Diagnostic {
    let names: Vec<&str> = form.parameters.iter().map(|parameter| parameter.name).collect();
    let diagnostic = Diagnostic::at(
        Code::BadArguments,
        word.span,
        format!("`{}` has no argument `{}`", form.name, word.text),
        "unknown argument",
    );
    match suggest::did_you_mean(&word.text, names) {
        Some(help) => diagnostic.help(help),
        None => diagnostic.help(format!("write `{}`", form.name)),
    }
}

fn count(parameters: usize) -> String {
    match parameters {
        0 => "no arguments".into(),
        1 => "one argument".into(),
        many => format!("at most {many} arguments"),
    }
}

/// How a form is written, with an example of each argument.
pub fn usage(form: &Form) -> String {
    let argument = |parameter: &Parameter| match parameter.default {
        None => parameter.holds.example().to_owned(),
        Some(default) => format!("{}: {default}", parameter.name),
    };
    match form.parameters {
        [] => form.name.to_owned(),
        parameters => format!("{}({})", form.name, parameters.iter().map(argument).collect::<Vec<_>>().join(", ")),
    }
}
