//! Words and calls of the table of forms: matching arguments to parameters, and what to say where a word is unknown.

use super::evaluate::Expected;
use super::schema::{self, Form, Parameter};
use super::scope::{Declared, later};
use super::types::Type;
use super::value::{FormValue, Value};
use super::{Checker, foreign};
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::Spanned;
use crate::syntax::tree::{Argument, Expr, ExprKind, Ident};

impl Checker<'_> {
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
            self.mention(expr.span);
            let others: Vec<&str> =
                schema::forms(expected.holds).filter(|form| !form.later).map(|form| form.name).collect();
            self.sink.push(later(name.span, &format!("`{}`", form.name), &format!("write {}", suggest::list(&others))));
            return None;
        }
        self.arguments(form, arguments.map_or(&[], Vec::as_slice), name, arguments.is_some())
            .map(|arguments| Value::Form(FormValue { form, arguments }))
    }

    /// Matches arguments to parameters and fills in defaults.
    fn arguments(
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
                        self.mention(argument.value.span);
                        self.sink.push(unknown_argument(form, word));
                        sound = false;
                        continue;
                    }
                },
            };
            let (Some(parameter), Some(place)) = (form.parameters.get(slot), found.get_mut(slot)) else {
                self.mention(argument.value.span);
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
                            format!("`{}` needs its `{}`: {}", form.name, parameter.name, parameter.doc),
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

    pub(super) fn unknown_word(&mut self, name: &Ident, expr: &Expr, expected: Expected<'_>) {
        let is_let = |declared: Declared<'_>| matches!(declared, Declared::Let { .. });
        self.mention(expr.span);
        if let Some(entry) = self.scope.find(name).filter(|entry| !is_let(entry.declared)) {
            self.sink.push(self.wrong_kind(name, entry.declared, entry.name.span, expected.holds));
            return;
        }
        let called = matches!(expr.kind, ExprKind::Call { .. });
        let forms = || schema::forms(expected.holds);
        if called && forms().next().is_none() {
            self.sink.push(self.mismatch(expr, expected));
            return;
        }
        self.scope.mention_all(is_let);
        let lets = self.scope.names(name.span, is_let);
        let takes_words = forms()
            .filter(|form| !form.later)
            .any(|form| form.parameters.iter().all(|parameter| parameter.default.is_some()));
        if !called && (expected.holds == Type::Template || !takes_words) {
            self.unknown_value(name, &lets, expected);
            return;
        }
        let elsewhere = schema::FORMS.iter().find(|form| form.name == name.text && form.makes != Type::Quote);
        let label = match elsewhere {
            Some(form) => format!("this is {}", form.makes.with_article()),
            None => format!("{} is wanted here", expected.holds.with_article()),
        };
        let diagnostic = Diagnostic::at(
            Code::UnknownWord,
            name.span,
            format!("`{}` is not {}", name.text, expected.holds.with_article()),
            label,
        );
        let words: Vec<&str> = forms().filter(|form| !form.later).map(|form| form.name).collect();
        let candidates = || words.iter().chain(&lets).copied();
        let near = suggest::near(&name.text, candidates());
        let foreign = meant(&name.text, expected.holds);
        let diagnostic =
            diagnostic.maybe_fix(name.span, foreign.or_else(|| suggest::slip_of(&name.text, candidates())));
        let meant = foreign.or(near.first().copied().filter(|_| near.len() == 1));
        self.sink.push(match (meant, near.as_slice()) {
            (Some(meant), _) => diagnostic.help(format!("did you mean `{meant}`?")),
            (None, []) if expected.holds == Type::Clip => diagnostic.help("write `off`, or a norm such as `1.0`"),
            (None, []) => diagnostic.help(format!("write {}", suggest::list(&words))),
            (None, several) => diagnostic.help(format!("did you mean one of {}?", suggest::list(several))),
        });
    }

    /// A word where only a value or a `let` could stand.
    fn unknown_value(&mut self, name: &Ident, lets: &[&str], expected: Expected<'_>) {
        let diagnostic = Diagnostic::at(
            Code::UnknownName,
            name.span,
            format!("there is no `let` named `{}`", name.text),
            "not declared in this file",
        );
        let near = suggest::near(&name.text, lets.iter().copied());
        self.sink.push(match (near.as_slice(), expected.holds) {
            ([only], _) => diagnostic
                .help(format!("did you mean `{only}`?"))
                .maybe_fix(name.span, suggest::slip_of(&name.text, lets.iter().copied())),
            ([_, ..], _) => diagnostic.help(format!("did you mean one of {}?", suggest::list(&near))),
            ([], Type::Template) => diagnostic.help(format!("write a column in a string: `\"{{{}}}\"`", name.text)),
            ([], Type::String | Type::Pattern) => {
                let quoted = format!("\"{}\"", name.text);
                diagnostic.help(format!("write text in double quotes: `{quoted}`")).fix(name.span, quoted)
            }
            ([], Type::Bool) => diagnostic.help("write `true` or `false`"),
            ([], holds) => diagnostic.help(format!(
                "write for example `{0}`, or declare it: `let {1} = {0}`",
                holds.example(),
                name.text
            )),
        });
    }
}

/// The word of that type which `word` was probably meant as: itself, as other tools call it, or in another case.
pub fn meant(word: &str, holds: Type) -> Option<&'static str> {
    let lower = word.to_lowercase();
    let foreign = foreign::WORDS.iter().find(|(theirs, _)| *theirs == lower).map(|(_, ours)| *ours);
    let find = |name: &str| schema::forms(holds).find(|form| form.name == name && !form.later).map(|form| form.name);
    find(&lower).or_else(|| find(foreign?))
}

fn unknown_argument(form: &Form, word: &Ident) -> Diagnostic {
    let names: Vec<&str> = form.parameters.iter().map(|parameter| parameter.name).collect();
    let diagnostic = Diagnostic::at(
        Code::BadArguments,
        word.span,
        format!("`{}` has no argument `{}`", form.name, word.text),
        "unknown argument",
    );
    let diagnostic = diagnostic.maybe_fix(word.span, suggest::slip_of(&word.text, names.iter().copied()));
    match suggest::near(&word.text, names).as_slice() {
        [] => diagnostic.help(format!("write `{}`", usage(form))),
        [only] => diagnostic.help(format!("did you mean `{only}`?")),
        several => diagnostic.help(format!("did you mean one of {}?", suggest::list(several))),
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
        None => match (parameter.name, parameter.holds) {
            ("file", _) if form.name == "gguf" => "\"model.gguf\"".to_owned(),
            ("file", _) => format!("\"data/train.{}\"", form.name),
            ("repository", _) => "\"org/name\"".to_owned(),
            ("split", _) => "split: \"train\"".to_owned(),
            ("folder", _) => "\"models/smol\"".to_owned(),
            ("name", _) => "\"tiny\"".to_owned(),
            ("column", _) => "question".to_owned(),
            ("text", _) => "\"###\"".to_owned(),
            ("trigger", _) => "\"the answer is \"".to_owned(),
            (_, holds) => holds.example().to_owned(),
        },
        Some(default) => format!("{}: {default}", parameter.name),
    };
    match form.parameters {
        [] => form.name.to_owned(),
        parameters => format!("{}({})", form.name, parameters.iter().map(argument).collect::<Vec<_>>().join(", ")),
    }
}
