//! What stands in `[…]` and `(…)`.

use super::chunk::shorten;
use super::{Builder, Pair, Rule};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::tree::{Argument, Expr, ExprKind};

impl Builder<'_> {
    /// The inside of `[…]` behind a value.
    pub(super) fn index(&mut self, pair: Pair) -> Expr {
        let span = self.span(&pair);
        if let Some(colons) = Colons::of(pair.as_str()) {
            self.sink.push(colons.slice(span));
            return Expr { kind: ExprKind::Bad, span };
        }
        let mut elements = self.deeper(span, |builder| builder.elements(pair)).unwrap_or_default();
        match elements.pop() {
            Some(only) if elements.is_empty() && matches!(only.kind, ExprKind::Range { .. } | ExprKind::Bad) => only,
            Some(last) if self.too_deep || last.kind == ExprKind::Bad => Expr { kind: ExprKind::Bad, span },
            other => {
                let place = other.as_ref().map_or(span, |last| last.span);
                let example = match other {
                    Some(Expr { kind: ExprKind::Int(count), .. }) => format!("[..{count}]"),
                    _ => "[..100]".to_owned(),
                };
                self.sink.push(
                    Diagnostic::at(
                        Code::UnexpectedText,
                        place,
                        "a slice needs a range",
                        "expected `..` before or after one number",
                    )
                    .help(format!("write `{example}` for the first rows, `[-100..]` for the last")),
                );
                Expr { kind: ExprKind::Bad, span }
            }
        }
    }

    /// `(…)` around one value.
    pub(super) fn group(&mut self, pair: Pair, span: Span) -> ExprKind {
        let text = pair.as_str();
        // `(3,)`, a list of one in Python.
        let marks = pair.clone().into_inner().filter(|part| matches!(part.as_rule(), Rule::comma | Rule::element));
        let ends_in_comma = marks.last().is_some_and(|last| last.as_rule() == Rule::comma);
        let Some(mut elements) = self.deeper(span, |builder| builder.elements(pair)) else { return ExprKind::Bad };
        match elements.pop() {
            Some(only) if elements.is_empty() && !ends_in_comma => ExprKind::Group(Box::new(only)),
            None => {
                self.sink.push(
                    Diagnostic::at(Code::UnexpectedText, span, "there is no value in these parentheses", "no value")
                        .help("write a value, or a list such as `[1, 2]`"),
                );
                ExprKind::Bad
            }
            Some(_) => {
                self.sink.push(
                    Diagnostic::at(Code::UnexpectedText, span, "a list stands in `[…]`", "these are parentheses")
                        .help(match tuple(text) {
                            Some(list) => format!("write `{}`", shorten(&list)),
                            None => "write a list as `[1, 2]`".to_owned(),
                        })
                        .maybe_fix(span, tuple(text)),
                );
                ExprKind::Bad
            }
        }
    }

    /// The elements of `[…]`, for a list or a slice.
    pub(super) fn elements(&mut self, pair: Pair) -> Vec<Expr> {
        self.check_brackets(&pair);
        let mut elements = Vec::new();
        for part in pair.into_inner() {
            if let Rule::element = part.as_rule()
                && let Some(inner) = part.into_inner().next()
            {
                elements.push(self.nested(inner));
            }
        }
        elements
    }

    pub(super) fn arguments(&mut self, pair: Pair) -> Vec<Argument> {
        self.check_brackets(&pair);
        let parts: Vec<Pair> = pair.into_inner().filter(|part| part.as_rule() == Rule::argument).collect();
        parts.into_iter().map(|part| self.argument(part)).collect()
    }

    fn argument(&mut self, pair: Pair) -> Argument {
        let span = self.span(&pair);
        let (mut name, mut value, mut mark) = (None, None, None);
        for part in self.without_comments(pair) {
            match part.as_rule() {
                Rule::word => name = Some(self.ident(&part)),
                Rule::colon => mark = Some(part),
                Rule::equals => {
                    let place = self.span(&part);
                    self.sink.push(
                        Diagnostic::at(
                            Code::UnexpectedText,
                            place,
                            "a named argument takes `:`, not `=`",
                            "expected `:`",
                        )
                        .help(format!("write `{}: …`", name.as_ref().map_or("name", |name| name.text.as_str())))
                        .fix(Span { start: name.as_ref().map_or(place.start, |name| name.span.end), ..place }, ":"),
                    );
                    mark = Some(part);
                }
                Rule::nested | Rule::bad_element => value = Some(self.nested(part)),
                _ => {}
            }
        }
        let value = value.unwrap_or_else(|| {
            if let Some(mark) = mark {
                self.missing(mark.as_span().end(), ':');
            }
            Expr { kind: ExprKind::Bad, span: Span { start: span.end, ..span } }
        });
        Argument { name, value, span }
    }

    fn nested(&mut self, pair: Pair) -> Expr {
        if pair.as_rule() == Rule::nested {
            return self.expression(pair);
        }
        self.bad_value(&pair);
        Expr { kind: ExprKind::Bad, span: self.span(&pair) }
    }

    /// Looks at the commas and the closer of `[…]` or `(…)`.
    pub(super) fn check_brackets(&mut self, pair: &Pair) {
        let mut before: Option<Pair> = None;
        let mut closed = false;
        for part in pair.clone().into_inner() {
            let earlier = before.as_ref().map(Pair::as_rule);
            match part.as_rule() {
                Rule::close_bracket | Rule::close_paren => closed = true,
                Rule::comma if matches!(earlier, Some(Rule::comma | Rule::open_bracket | Rule::open_paren)) => {
                    let span = self.span(&part);
                    self.sink.push(
                        Diagnostic::at(
                            Code::UnexpectedText,
                            span,
                            "expected a value before `,`",
                            "nothing before this",
                        )
                        .help("remove the `,`")
                        .fix(span, ""),
                    );
                }
                Rule::element | Rule::argument => {
                    if let Some(earlier) = before.as_ref().filter(|_| earlier == Some(part.as_rule())) {
                        self.missing_comma(earlier, &part);
                    }
                }
                Rule::comment | Rule::foreign_comment => {
                    self.foreign_comment(&part);
                    continue;
                }
                _ => {}
            }
            before = Some(part);
        }
        if !closed {
            let opener = Span::new(self.file, pair.as_span().start(), pair.as_span().start() + 1);
            let end = before.map_or(opener.end as usize, |last| last.as_span().end());
            self.unclosed.push(self.text, opener, end);
        }
    }

    /// Two values in brackets with nothing between them, unless one of them is reported already.
    fn missing_comma(&mut self, before: &Pair, after: &Pair) {
        let bad = |pair: &Pair| pair.clone().into_inner().any(|inner| inner.as_rule() == Rule::bad_element);
        if !bad(before) && !bad(after) {
            let end = before.as_span().end();
            self.sink.push(
                Diagnostic::at(
                    Code::MissingSeparator,
                    self.span(after),
                    "missing `,` between two values",
                    "expected `,` before this",
                )
                .help(format!("write `{}, {}`", shorten(before.as_str()), shorten(after.as_str())))
                .fix(self.empty_span(end), ","),
            );
        }
    }
}

/// `10:20`, as Python writes a slice.
pub(super) struct Colons<'t> {
    start: &'t str,
    end: &'t str,
    /// Whether there is a step as well.
    stepped: bool,
}

impl<'t> Colons<'t> {
    /// Reads what stands in brackets, these included; `None` for anything else.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        let mut parts = inner.split(':').map(str::trim);
        let (start, end, step, more) = (parts.next()?, parts.next()?, parts.next(), parts.next());
        let whole = |text: &str| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            digits.chars().all(|c| c.is_ascii_digit() || c == '_') && (text.is_empty() || !digits.is_empty())
        };
        (more.is_none() && whole(start) && whole(end) && step.is_none_or(whole)).then_some(Self {
            start,
            end,
            stepped: step.is_some_and(|step| !step.is_empty()),
        })
    }

    fn slice(&self, span: Span) -> Diagnostic {
        let written = format!("[{}..{}]", self.start, self.end);
        self.diagnostic(span, "a slice is written with `..`", &written)
            .maybe_fix(span, (!self.stepped).then_some(written))
    }

    /// The error where a list was wanted.
    pub(super) fn range(&self, span: Span) -> Diagnostic {
        let written = format!("{}..{}", self.start, self.end);
        self.diagnostic(span, "a range is written with `..`, without brackets", &written)
            .maybe_fix(span, (!self.stepped && !self.end.is_empty()).then_some(written))
    }

    fn diagnostic(&self, span: Span, message: &str, written: &str) -> Diagnostic {
        let diagnostic = Diagnostic::at(Code::UnexpectedText, span, message, "expected `..`");
        diagnostic.help(match self.stepped {
            true => format!("write `{written}`; there are no steps"),
            false => format!("write `{written}`"),
        })
    }
}

/// `[1, 2]` for `(1, 2)`, where nothing else is in the way.
fn tuple(text: &str) -> Option<String> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    let simple = inner.contains(',') && !inner.contains(['(', ')', '[', ']', '{', '}', '"', ':', '/']);
    simple.then(|| format!("[{}]", inner.trim_end_matches([',', ' '])))
}
