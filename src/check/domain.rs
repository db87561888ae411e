//! Evaluation of the domain types that have a syntax of their own: layers, positions, sources, templates.

use super::Checker;
use super::evaluate::Expected;
use super::schema::{self, Bound};
use super::scope::later;
use super::types::Type;
use super::value::{FormValue, Layers, TemplateValue, Value};
use crate::data::positions::Segment;
use crate::data::source::{Format, Separated, Source, Step};
use crate::data::template::{self, Message, Part, Template};
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Argument, Expr, ExprKind, Ident, Operator};

impl Checker<'_> {
    /// `all`, `[3, 9]`, `4..12`, `first(4)`, …
    pub(super) fn layers(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        let index = Expected { holds: Type::Int, bound: Bound::AtLeast(0), what: "a layer" };
        let layers = match &expr.kind {
            ExprKind::List(items) if items.is_empty() => {
                self.sink.push(
                    Diagnostic::at(Code::OutOfRange, expr.span, "a list of layers needs at least one", "no layers")
                        .help("write `all`, or the layers: `[3, 9, 18]`"),
                );
                return None;
            }
            ExprKind::List(items) => {
                let found: Vec<_> = items.iter().map(|item| self.int(item, index)).collect();
                Layers::List(found.into_iter().collect::<Option<_>>()?)
            }
            ExprKind::Range { start, end, inclusive } => {
                let (Some(start), Some(end)) = (start, end) else {
                    self.sink.push(
                        Diagnostic::at(Code::WrongType, expr.span, "a range of layers needs both ends", "an open end")
                            .help("write for example `4..12`, `first(4)` or `last(4)`"),
                    );
                    return None;
                };
                let (start, end) = (self.int(start, index), self.int(end, index));
                Layers::Range { start: start?, end: end?, inclusive: *inclusive }
            }
            ExprKind::Sum(_) => {
                self.sink.push(later(expr.span, "layer algebra with `+` and `-`", "list the layers: `[3, 9, 18]`"));
                return None;
            }
            ExprKind::Word(path) | ExprKind::Call { name: path, .. } => {
                let arguments = match &expr.kind {
                    ExprKind::Call { arguments, .. } => Some(arguments),
                    _ => None,
                };
                let Value::Form(value) = self.form(&path.segments, arguments, expr, expected)? else { return None };
                self.layer_form(&value)?
            }
            _ => {
                self.sink.push(self.mismatch(expr, expected));
                return None;
            }
        };
        Some(Value::Layers(layers))
    }

    fn layer_form(&self, value: &FormValue) -> Option<Layers> {
        let count = || {
            let argument = value.argument("count")?;
            Some(Spanned::new(argument.value.as_int()?, argument.span))
        };
        Some(match value.form.name {
            "first" => Layers::First(count()?),
            "last" => Layers::Last(count()?),
            "every" => Layers::Every(usize::try_from(count()?.value).ok()?),
            "depth" => match &value.argument("shares")?.value {
                Value::List(shares) => {
                    Layers::Depth(shares.iter().filter_map(|share| share.value.as_number()).collect())
                }
                _ => return None,
            },
            _ => Layers::All,
        })
    }

    fn int(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Spanned<i64>> {
        let value = self.evaluate(expr, expected)?;
        Some(Spanned::new(value.value.as_int()?, value.span))
    }

    /// `f3+l3`
    pub(super) fn positions(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        let terms: Vec<&Expr> = match &expr.kind {
            ExprKind::Sum(terms) => {
                if let Some((_, term)) = terms.iter().find(|(operator, _)| *operator == Operator::Subtract) {
                    self.sink.push(
                        Diagnostic::at(
                            Code::WrongType,
                            term.span,
                            "segments of positions are only added",
                            "taken away",
                        )
                        .help("join segments by `+`: `f3+l3`"),
                    );
                    return None;
                }
                terms.iter().map(|(_, term)| term).collect()
            }
            ExprKind::List(items) if items.iter().all(|item| matches!(item.kind, ExprKind::Word(_))) => {
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
                return None;
            }
            _ => vec![expr],
        };
        let segments: Vec<_> = terms.into_iter().map(|term| self.segment(term, expected)).collect();
        segments.into_iter().collect::<Option<_>>().map(Value::Positions)
    }

    fn segment(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Spanned<Segment>> {
        let word = match &expr.kind {
            ExprKind::Bad => return None,
            ExprKind::Word(path) => path.text(),
            ExprKind::Call { name, .. } => name.text(),
            ExprKind::Method { base, .. } => return self.segment(base, expected),
            _ => {
                self.sink.push(self.mismatch(expr, expected));
                return None;
            }
        };
        if schema::forms(Type::Positions).any(|form| form.later && form.name == word) {
            let what = format!("the segment `{word}`");
            self.sink.push(later(expr.span, &what, "write `fN`, `lN` or `all`"));
            return None;
        }
        if word == "all" && matches!(expr.kind, ExprKind::Word(_)) {
            return Some(Spanned::new(Segment::All, expr.span));
        }
        let counted = |letter: char| word.strip_prefix(letter).and_then(|digits| digits.parse::<usize>().ok());
        let segment = match (counted('f'), counted('l')) {
            (Some(count), _) => Segment::First(count),
            (_, Some(count)) => Segment::Last(count),
            _ => {
                let lower = word.to_lowercase();
                let close =
                    lower.starts_with(['f', 'l']) && lower[1..].chars().all(|c| c.is_ascii_digit()) && lower.len() > 1;
                let diagnostic = Diagnostic::at(
                    Code::UnknownWord,
                    expr.span,
                    format!("`{word}` is not a segment of positions"),
                    "unknown segment",
                )
                .help(match close {
                    true => format!("write `{lower}`"),
                    false => "write `fN` (first N prompt tokens), `lN` (last N) or `all`, joined by `+`".to_owned(),
                });
                self.sink.push(if close { diagnostic.fix(expr.span, lower) } else { diagnostic });
                return None;
            }
        };
        if matches!(segment, Segment::First(0) | Segment::Last(0)) {
            self.sink.push(
                Diagnostic::at(Code::OutOfRange, expr.span, format!("`{word}` is no token"), "must be 1 or more")
                    .help(format!("write `{}1`, or leave the segment out", &word[..1])),
            );
            return None;
        }
        Some(Spanned::new(segment, expr.span))
    }

    /// `json("…")[..2000].shuffle(42)`
    pub(super) fn source(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        match &expr.kind {
            ExprKind::Call { name, arguments } => {
                let Value::Form(value) = self.form(&name.segments, Some(arguments), expr, expected)? else {
                    return None;
                };
                self.source_file(&value).map(Value::Source)
            }
            ExprKind::Slice { base, range } => {
                let base = self.evaluate(base, expected);
                let step = self.slice_step(range);
                with_step(base?.value, step?)
            }
            ExprKind::Method { base, name, arguments } if name.text == "shuffle" => {
                let base = self.evaluate(base, expected);
                let step = self.shuffle_step(name, arguments);
                with_step(base?.value, step?)
            }
            ExprKind::Method { name, .. } => {
                self.sink.push(
                    Diagnostic::at(
                        Code::UnknownWord,
                        name.span,
                        format!("a source has no `.{}`", name.text),
                        "unknown method",
                    )
                    .help("write `.shuffle(seed)`, or a slice: `[..2000]`"),
                );
                None
            }
            ExprKind::Word(path) => self.form(&path.segments, None, expr, expected).and(None),
            _ => {
                self.sink.push(self.mismatch(expr, expected));
                None
            }
        }
    }

    fn source_file(&self, value: &FormValue) -> Option<Source> {
        let path = self.folder.join(value.argument("file")?.value.as_text()?);
        let separated = || {
            Some(Separated {
                header: matches!(value.argument("header")?.value, Value::Bool(true)),
                columns: value.argument("columns")?.value.as_texts()?,
                quote: match value.argument("quote")?.value.form_name()? {
                    "none" => None,
                    "single" => Some('\''),
                    _ => Some('"'),
                },
            })
        };
        let format = match value.form.name {
            "jsonl" => Format::Jsonl,
            "csv" => Format::Csv(separated()?),
            "tsv" => Format::Tsv(separated()?),
            _ => Format::Json,
        };
        Some(Source { path, format, steps: Vec::new() })
    }

    fn slice_step(&mut self, range: &Expr) -> Option<Step> {
        let ExprKind::Range { start, end, inclusive } = &range.kind else {
            if !matches!(range.kind, ExprKind::Bad) {
                self.sink.push(
                    Diagnostic::at(Code::WrongType, range.span, "a slice takes a range of rows", "not a range")
                        .help("write for example `[..2000]`, `[100..200]` or `[-200..]`"),
                );
            }
            return None;
        };
        let bound = Expected { holds: Type::Int, bound: Bound::Any, what: "an end of a slice" };
        let start = start.as_ref().map(|expr| self.int(expr, bound));
        let end = end.as_ref().map(|expr| self.int(expr, bound));
        let start = start.map_or(Some(None), |found| found.map(|value| Some(value.value)))?;
        let end = end.map_or(Some(None), |found| found.map(|value| Some(value.value)))?;
        let end = match (inclusive, end) {
            (true, Some(-1)) => None,
            (true, Some(end)) => Some(end + 1),
            (_, end) => end,
        };
        Some(Step::Slice { start, end })
    }

    fn shuffle_step(&mut self, name: &Ident, arguments: &[Argument]) -> Option<Step> {
        let [argument] = arguments else {
            self.sink.push(
                Diagnostic::at(Code::BadArguments, name.span, "`.shuffle` takes a seed", "one argument is wanted")
                    .help("write `.shuffle(42)`"),
            );
            return None;
        };
        let seed = Expected { holds: Type::Int, bound: Bound::AtLeast(0), what: "the seed of `.shuffle`" };
        let value = self.int(&argument.value, seed)?;
        Some(Step::Shuffle { seed: u64::try_from(value.value).ok()? })
    }

    /// A string with `{column}` places, `chat([…])` or `when(…)`.
    pub(super) fn template(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        match &expr.kind {
            ExprKind::String(text) => {
                let (parts, columns) = self.text_template(text, expr.span)?;
                Some(Value::Template(TemplateValue { template: Template::Text(parts), columns, span: expr.span }))
            }
            ExprKind::Call { name, arguments } => {
                let Value::Form(value) = self.form(&name.segments, Some(arguments), expr, expected)? else {
                    return None;
                };
                self.template_form(&value, expr.span)
            }
            ExprKind::Word(path) => self.form(&path.segments, None, expr, expected).and(None),
            _ => {
                self.sink.push(self.mismatch(expr, expected));
                None
            }
        }
    }

    fn template_form(&mut self, value: &FormValue, span: Span) -> Option<Value> {
        let mut columns = Vec::new();
        let mut text = |sink: &mut crate::diag::Sink, found: &Spanned<Value>| match &found.value {
            Value::Template(TemplateValue { template: Template::Text(parts), columns: inner, .. }) => {
                columns.extend(inner.iter().cloned());
                Some(parts.clone())
            }
            _ => {
                sink.push(
                    Diagnostic::at(Code::BadTemplate, found.span, "a text template is wanted here", "this is a chat")
                        .help("write a string with `{column}` places"),
                );
                None
            }
        };
        let template = if value.form.name == "when" {
            let mut argument = |name| text(&mut self.sink, value.argument(name)?);
            let (condition, then, otherwise) = (argument("condition"), argument("then"), argument("otherwise"));
            Template::Text(vec![Part::When { condition: condition?, then: then?, otherwise: otherwise? }])
        } else {
            let Value::List(items) = &value.argument("messages")?.value else { return None };
            let messages = items.iter().map(|item| {
                let Value::Form(message) = &item.value else { return None };
                let content = text(&mut self.sink, message.argument("content")?)?;
                Some(Message { role: message.form.name.to_owned(), content })
            });
            let messages: Vec<Message> = messages.collect::<Option<_>>()?;
            if messages.is_empty() {
                self.sink.push(
                    Diagnostic::at(Code::BadTemplate, span, "a chat needs at least one message", "no messages")
                        .help("write `chat([user(\"{question}\")])`"),
                );
                return None;
            }
            Template::Chat(messages)
        };
        Some(Value::Template(TemplateValue { template, columns, span }))
    }

    /// Reads the places of a text template, and finds where each column is named in the source.
    fn text_template(&mut self, text: &str, span: Span) -> Option<(Vec<Part>, Vec<Spanned<String>>)> {
        let parts = match template::parse(text) {
            Ok(parts) => parts,
            Err(error) => {
                let place = self.inside(span, text.get(error.range).unwrap_or_default());
                self.sink.push(Diagnostic::at(Code::BadTemplate, place, error.message, "here").help(error.help));
                return None;
            }
        };
        let named = parts.iter().filter_map(|part| match part {
            Part::Column(name) => Some(Spanned::new(name.clone(), self.column_place(span, name))),
            _ => None,
        });
        let columns = named.collect();
        Some((parts, columns))
    }

    /// Where `{name}` stands inside a string literal; the whole literal where escapes hide it.
    fn column_place(&self, span: Span, name: &str) -> Span {
        let candidates = [format!("{{{name}}}"), format!("{{\\\"{name}\\\"}}"), format!("{{\"{name}\"}}")];
        candidates.iter().map(|text| self.inside(span, text)).find(|place| *place != span).unwrap_or(span)
    }

    /// The place of a piece of a string's text inside its literal; the whole literal where escapes hide it.
    fn inside(&self, span: Span, piece: &str) -> Span {
        match self.slice(span).find(piece).filter(|_| !piece.is_empty()) {
            Some(at) => Span::new(span.file, span.start as usize + at, span.start as usize + at + piece.len()),
            None => span,
        }
    }

    fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }
}

fn with_step(value: Value, step: Step) -> Option<Value> {
    match value {
        Value::Source(mut source) => {
            source.steps.push(step);
            Some(Value::Source(source))
        }
        _ => None,
    }
}
