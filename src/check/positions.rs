//! Positions: `f3+l3`, `field(question).last(1)`, `all - l1`.

use super::Checker;
use super::evaluate::Expected;
use super::schema::{self, Bound, is_position};
use super::scope::Declared;
use super::types::Type;
use super::value::Value;
use crate::data::positions::{PromptText, Segment, Share};
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Argument, Expr, ExprKind, Ident, Operator, Path};

impl Checker<'_> {
    /// `f3+l3`, `all - field(question)`
    pub(super) fn positions(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        match &expr.kind {
            ExprKind::Sum(terms) => self.sum(terms, expected).map(Value::Positions),
            ExprKind::List(items) if items.iter().all(|item| matches!(item.kind, ExprKind::Word(_))) => {
                self.mention(expr.span);
                let words: Vec<&str> = items.iter().map(|item| self.slice(item.span)).collect();
                self.sink.push(
                    Diagnostic::at(
                        Code::PositionSeparator,
                        expr.span,
                        "segments of positions are joined by `+`",
                        "this is a list",
                    )
                    .help(format!("write `{}`", words.join("+")))
                    .fix(expr.span, words.join("+")),
                );
                None
            }
            _ => self.term(expr, expected).map(Value::Positions),
        }
    }

    /// Terms of a sum; what is taken away is taken from the term before it.
    fn sum(&mut self, terms: &[(Operator, Expr)], expected: Expected<'_>) -> Option<Vec<Spanned<Segment>>> {
        let found: Vec<_> = terms.iter().map(|(_, term)| self.term(term, expected)).collect();
        let found: Vec<Vec<Spanned<Segment>>> = found.into_iter().collect::<Option<_>>()?;
        let mut all: Vec<Spanned<Segment>> = Vec::new();
        // Where the last term that is added begins, among the segments and in the text.
        let (mut first, mut start) = (0, None::<Span>);
        for ((operator, term), segments) in terms.iter().zip(found) {
            match (operator, start) {
                (Operator::Subtract, Some(start)) => {
                    let taken: Vec<Segment> = segments.into_iter().map(|segment| segment.value).collect();
                    for segment in &mut all[first..] {
                        *segment = Spanned::new(without(segment.value.clone(), &taken), start.to(term.span));
                    }
                }
                _ => {
                    (first, start) = (all.len(), Some(term.span));
                    all.extend(segments);
                }
            }
        }
        Some(all)
    }

    /// The segments of one term: one of its own, or those of a `let` or of parentheses.
    fn term(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Vec<Spanned<Segment>>> {
        match &expr.kind {
            ExprKind::Word(path) if self.is_let(path, Type::Positions) => match self.let_value(path, expected)?.value {
                Value::Positions(segments) => Some(segments),
                _ => None,
            },
            ExprKind::Group(inner) => match &inner.kind {
                ExprKind::Sum(terms) => self.sum(terms, expected),
                _ => self.term(inner, expected),
            },
            _ => self.segment(expr, expected).map(|segment| vec![Spanned::new(segment, expr.span)]),
        }
    }

    fn segment(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Segment> {
        match &expr.kind {
            ExprKind::Bad => {
                self.mention(expr.span);
                None
            }
            ExprKind::Word(path) if is_text(&path.text()) => self.form(&path.segments, None, expr, expected).and(None),
            ExprKind::Word(path) => self.word(&path.text(), expr.span),
            ExprKind::Call { name, arguments } if is_text(&name.text()) => {
                let of = self.text_of_prompt(name, arguments, expr, expected)?;
                Some(Segment::Text { of, share: Share::All })
            }
            ExprKind::Call { name, .. } => {
                self.mention(expr.span);
                let word = name.text();
                if word != "all" && word != "generated" && !is_position(&word) {
                    self.unknown_segment(&word, name.span);
                    return None;
                }
                let message = format!("`{word}` takes no arguments");
                let diagnostic = Diagnostic::at(Code::BadArguments, expr.span, message, "a word alone");
                self.sink.push(diagnostic.help(format!("write `{word}`")).fix(expr.span, word));
                None
            }
            ExprKind::Method { base, name, arguments } => self.share(base, name, arguments, expected),
            _ => {
                self.sink.push(self.mismatch(expr, expected));
                None
            }
        }
    }

    /// `f3`, `l3`, `all`, `generated`
    fn word(&mut self, word: &str, span: Span) -> Option<Segment> {
        let counted = |letter: char| word.strip_prefix(letter).and_then(|digits| digits.parse::<usize>().ok());
        let segment = match (word, counted('f'), counted('l')) {
            ("all", ..) => Segment::All,
            ("generated", ..) => Segment::Generated,
            (_, Some(count), _) => Segment::First(count),
            (_, _, Some(count)) => Segment::Last(count),
            _ => {
                self.unknown_segment(word, span);
                return None;
            }
        };
        if matches!(segment, Segment::First(0) | Segment::Last(0)) {
            self.sink.push(
                Diagnostic::at(Code::OutOfRange, span, format!("`{word}` is no token"), "must be 1 or more")
                    .help(format!("write `{}1`, or leave the segment out", &word[..1])),
            );
            return None;
        }
        Some(segment)
    }

    /// `field(question)`, `field("odd name")`, `match("###")`
    fn text_of_prompt(
        &mut self,
        name: &Path,
        arguments: &[Argument],
        expr: &Expr,
        expected: Expected<'_>,
    ) -> Option<PromptText> {
        let is_field = name.text() == "field";
        let quoted = |argument: &Argument| match &argument.value.kind {
            ExprKind::Word(path) if is_field && path.segments.len() == 1 => {
                let value = Expr { kind: ExprKind::String(path.text()), span: argument.value.span };
                Argument { value, ..argument.clone() }
            }
            _ => argument.clone(),
        };
        let arguments = arguments.iter().map(quoted).collect();
        let Value::Form(form) = self.form(&name.segments, Some(&arguments), expr, expected)? else { return None };
        let argument = form.argument(if is_field { "column" } else { "text" })?;
        let text = argument.value.as_text()?.to_owned();
        if text.is_empty() {
            let what = if is_field { "`field` needs the name of a column" } else { "`match` needs a text to look for" };
            let diagnostic = Diagnostic::at(Code::OutOfRange, argument.span, what, "an empty string");
            self.sink.push(diagnostic.help("write for example `field(question)` or `match(\"###\")`"));
            return None;
        }
        Some(if is_field { PromptText::Column(text) } else { PromptText::Constant(text) })
    }

    /// `field(question).first(2)`, `match("###").last(1)`
    fn share(&mut self, base: &Expr, name: &Ident, arguments: &[Argument], expected: Expected<'_>) -> Option<Segment> {
        let is_text_call = matches!(&base.kind, ExprKind::Call { name, .. } if is_text(&name.text()));
        if !is_text_call || !matches!(name.text.as_str(), "first" | "last") {
            arguments.iter().for_each(|argument| self.mention(argument.span));
            self.mention(base.span);
            let of = self.slice(base.span).to_owned();
            let diagnostic = Diagnostic::at(
                Code::UnknownWord,
                name.span,
                format!("`{of}` has no `.{}`", name.text),
                "unknown method",
            );
            let near = suggest::near(&name.text, ["first", "last"]).first().copied();
            self.sink.push(match (is_text_call, near) {
                (true, Some(near)) => diagnostic.help(format!("did you mean `.{near}(2)`?")).fix(name.span, near),
                (true, None) => diagnostic.help("write `.first(2)` or `.last(2)`, or nothing for all its tokens"),
                _ => diagnostic.help(
                    "`.first(n)` and `.last(n)` are of `field(…)` and `match(…)`, once; of the prompt write `fN` or `lN`",
                ),
            });
            return None;
        }
        let of = self.segment(base, expected);
        let [argument @ Argument { name: None, .. }] = arguments else {
            arguments.iter().for_each(|argument| self.mention(argument.span));
            let message = format!("`.{}` takes how many tokens", name.text);
            let diagnostic = Diagnostic::at(Code::BadArguments, name.span, message, "one number is wanted");
            self.sink.push(diagnostic.help(format!("write `.{}(2)`", name.text)));
            return None;
        };
        let what = format!("`.{}`", name.text);
        let expected = Expected { holds: Type::Int, bound: Bound::AtLeast(1), what: &what };
        let count = usize::try_from(self.int(&argument.value, expected)?.value).ok()?;
        match of? {
            Segment::Text { of, .. } => {
                let share = if name.text == "first" { Share::First(count) } else { Share::Last(count) };
                Some(Segment::Text { of, share })
            }
            _ => None,
        }
    }

    fn unknown_segment(&mut self, word: &str, span: Span) {
        let is_let = |declared: Declared<'_>| matches!(declared, Declared::Let { .. });
        let names = self.scope.names(span, is_let);
        self.scope.mention_all(is_let);
        let lower = word.to_lowercase();
        let meant = match lower.as_str() {
            "prefix" | "first" => Some("f3".to_owned()),
            "suffix" | "last" => Some("l3".to_owned()),
            "target" | "output" | "response" | "completion" => Some("generated".to_owned()),
            "column" => Some("field".to_owned()),
            _ => {
                Some(lower.clone()).filter(|lower| is_position(lower) || schema::forms(Type::Positions).any(is(lower)))
            }
        };
        let words = schema::forms(Type::Positions).map(|form| form.name);
        let near = suggest::near(word, names.into_iter().chain(words));
        let meant = meant.or_else(|| near.first().map(|name| (*name).to_owned()));
        let diagnostic = Diagnostic::at(
            Code::UnknownWord,
            span,
            format!("`{word}` is not a segment of positions"),
            "unknown segment",
        );
        self.sink.push(match meant {
            // How many tokens a `prefix` has is not known.
            Some(meant) => {
                let sure = meant == lower || suggest::slip_of(word, [meant.as_str()]).is_some();
                diagnostic.help(format!("write `{meant}`")).maybe_fix(span, sure.then_some(meant))
            }
            None => {
                diagnostic.help("write `fN` (first N prompt tokens), `lN` (last N) or `all`, joined by `+`: `f3+l3`")
            }
        });
    }
}

fn is(word: &str) -> impl Fn(&schema::Form) -> bool {
    move |form| form.name == word
}

/// Whether a word names texts of the prompt.
fn is_text(word: &str) -> bool {
    matches!(word, "field" | "match")
}

/// A segment but for what others have.
fn without(segment: Segment, others: &[Segment]) -> Segment {
    match segment {
        Segment::Without { of, taken } => Segment::Without { of, taken: [&taken, others].concat() },
        of => Segment::Without { of: Box::new(of), taken: others.to_vec() },
    }
}
