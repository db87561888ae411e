//! Values and expressions.

use super::chunk::shorten;
use super::{Builder, DEPTH_LIMIT, Pair, Rule};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::literal;
use crate::syntax::tree::{Argument, Expr, ExprKind, Operator, Path};

impl Builder<'_> {
    /// What stands behind `mark`, an `=` that ends at `after`; reports a value that is missing or cannot be read.
    pub(super) fn value(&mut self, pair: Option<Pair>, after: usize) -> Expr {
        let Some(inner) = pair.and_then(|pair| pair.into_inner().next()) else {
            let mark = self.text[..after].chars().next_back().unwrap_or('=');
            self.missing(after, mark);
            return Expr { kind: ExprKind::Bad, span: self.empty_span(after) };
        };
        match inner.as_rule() {
            Rule::position_slip => self.position_slip(&inner),
            Rule::bad_value => {
                self.bad_value(&inner);
                Expr { kind: ExprKind::Bad, span: self.span(&inner) }
            }
            _ => self.expression(inner),
        }
    }

    fn missing(&mut self, after: usize, mark: char) {
        self.sink.push(
            Diagnostic::at(
                Code::UnexpectedText,
                Span::new(self.file, after.saturating_sub(mark.len_utf8()), after),
                format!("expected a value after `{mark}`"),
                "nothing follows",
            )
            .help(format!("write the value behind the `{mark}`, on the same line")),
        );
    }

    /// `f3,l3` is read as `f3+l3`.
    fn position_slip(&mut self, pair: &Pair) -> Expr {
        let span = self.span(pair);
        let mut terms = Vec::new();
        let mut separator = None;
        for part in pair.clone().into_inner() {
            match part.as_rule() {
                Rule::position => {
                    let word = self.ident(&part);
                    let span = word.span;
                    let kind = ExprKind::Word(Path { segments: vec![word], span });
                    terms.push((Operator::Add, Expr { kind, span }));
                }
                Rule::separator => separator = separator.or(Some(part)),
                _ => {}
            }
        }
        let written: Vec<&str> = terms.iter().map(|(_, term)| &self.text[term.span.range()]).collect();
        let written = written.join("+");
        if let Some(separator) = separator {
            let message = format!("segments of positions are joined by `+`, not by `{}`", separator.as_str());
            self.sink.push(
                Diagnostic::at(Code::PositionSeparator, self.span(&separator), message, "expected `+`")
                    .help(format!("write `{written}`"))
                    .fix(span, written),
            );
        }
        Expr { kind: ExprKind::Sum(terms), span }
    }

    /// `expression` or `nested`: terms with `+` and `-` between them.
    pub(super) fn expression(&mut self, pair: Pair) -> Expr {
        let span = self.span(&pair);
        let mut terms = Vec::new();
        let mut operator: Option<Pair> = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::plus | Rule::minus => {
                    if let Some(earlier) = operator.replace(part) {
                        self.missing(earlier.as_span().end(), sign(&earlier));
                        terms.push((of(&earlier), Expr { kind: ExprKind::Bad, span: self.span(&earlier) }));
                    }
                }
                Rule::range | Rule::nested_range => {
                    let before = operator.take().map_or(Operator::Add, |pair| of(&pair));
                    let term = self.range(part);
                    terms.push((before, term));
                }
                _ => {}
            }
        }
        if let Some(last) = operator {
            self.missing(last.as_span().end(), sign(&last));
            terms.push((of(&last), Expr { kind: ExprKind::Bad, span: self.span(&last) }));
        }
        match terms.len() {
            1 => terms.pop().map_or(Expr { kind: ExprKind::Bad, span }, |(_, only)| only),
            _ => Expr { kind: ExprKind::Sum(terms), span },
        }
    }

    fn range(&mut self, pair: Pair) -> Expr {
        let span = self.span(&pair);
        let (mut start, mut end, mut dots) = (None, None, None);
        for part in pair.into_inner() {
            if part.as_rule() == Rule::dots {
                dots = Some(part.as_str() == "..=");
            } else if dots.is_none() {
                start = Some(self.operand(part));
            } else {
                end = Some(Box::new(self.operand(part)));
            }
        }
        match (dots, start) {
            (None, Some(only)) => only,
            (inclusive, start) => {
                let inclusive = inclusive.unwrap_or(false);
                Expr { kind: ExprKind::Range { start: start.map(Box::new), end, inclusive }, span }
            }
        }
    }

    fn operand(&mut self, pair: Pair) -> Expr {
        let start = pair.as_span().start();
        let mut parts = pair.into_inner();
        let mut result = match parts.next() {
            Some(primary) => self.primary(primary),
            None => Expr { kind: ExprKind::Bad, span: self.empty_span(start) },
        };
        for (count, part) in parts.enumerate() {
            let span = Span::new(self.file, start, part.as_span().end());
            if count >= DEPTH_LIMIT {
                self.nested_too_deeply(self.span(&part));
                return Expr { kind: ExprKind::Bad, span };
            }
            let base = Box::new(result);
            let kind = match part.as_rule() {
                Rule::method => self.method(base, part),
                _ => ExprKind::Slice { base, range: Box::new(self.index(part)) },
            };
            result = Expr { kind, span };
        }
        result
    }

    fn primary(&mut self, pair: Pair) -> Expr {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::number => self.number(&pair),
            Rule::list => self.deeper(span, |builder| ExprKind::List(builder.elements(pair))).unwrap_or(ExprKind::Bad),
            Rule::call => self.call(pair),
            _ => self.string(&pair),
        };
        Expr { kind, span }
    }

    fn number(&mut self, pair: &Pair) -> ExprKind {
        literal::number(pair.as_str()).unwrap_or_else(|slip| {
            let span = self.span(pair);
            let message = format!("`{}` is not a number", pair.as_str());
            let mut diagnostic = Diagnostic::at(Code::BadNumber, span, message, slip.label).help(slip.help);
            if let Some(replacement) = slip.replacement {
                diagnostic = diagnostic.fix(span, replacement);
            }
            self.sink.push(diagnostic);
            ExprKind::Bad
        })
    }

    /// A string with any quotes, whole or not.
    pub(super) fn string(&mut self, pair: &Pair) -> ExprKind {
        let text = pair.as_str();
        let start = pair.as_span().start();
        match pair.as_rule() {
            Rule::string | Rule::triple_string => {
                let (value, bad) = literal::string(text);
                for range in &bad {
                    self.bad_escape(start, &text[range.clone()], range.start);
                }
                if bad.is_empty() { ExprKind::String(value) } else { ExprKind::Bad }
            }
            Rule::smart_string | Rule::single_string => {
                self.other_quotes(self.span(pair), text);
                let inner = text.get(text.chars().next().map_or(0, char::len_utf8)..).unwrap_or("");
                let last = inner.chars().next_back().map_or(0, char::len_utf8);
                ExprKind::String(literal::string(&format!("\"{}\"", &inner[..inner.len() - last])).0)
            }
            _ => {
                self.open_string(self.span(pair), text);
                ExprKind::Bad
            }
        }
    }

    fn bad_escape(&mut self, string: usize, escape: &str, at: usize) {
        let span = Span::new(self.file, string + at, string + at + escape.len());
        self.sink.push(
            Diagnostic::at(Code::BadEscape, span, format!("`{escape}` is no escape"), "unknown escape")
                .help(format!("write `\\{escape}` for a backslash"))
                .fix(span, format!("\\{escape}"))
                .note("the escapes are `\\n`, `\\t`, `\\r`, `\\0`, `\\\"`, `\\\\` and `\\u{e9}`"),
        );
    }

    /// A word, or a call with everything in its parentheses.
    fn call(&mut self, pair: Pair) -> ExprKind {
        let mut parts = pair.into_inner();
        let Some(path_pair) = parts.next() else { return ExprKind::Bad };
        let mut path = self.path(&path_pair);
        let arguments = parts.next().map(|arguments| {
            let span = self.span(&arguments);
            self.deeper(span, |builder| builder.arguments(arguments))
        });
        match arguments {
            None => self.word(path),
            Some(None) => ExprKind::Bad,
            Some(Some(arguments)) if path.segments.len() == 1 => ExprKind::Call { name: path, arguments },
            Some(Some(arguments)) => match path.segments.pop() {
                None => ExprKind::Bad,
                Some(name) => {
                    let end = path.segments.last().map_or(path.span, |segment| segment.span);
                    path.span = Span { end: end.end, ..path.span };
                    let span = path.span;
                    let base = Box::new(Expr { kind: ExprKind::Word(path), span });
                    ExprKind::Method { base, name, arguments }
                }
            },
        }
    }

    fn word(&mut self, path: Path) -> ExprKind {
        let span = path.span;
        let text = path.text();
        let right = match text.as_str() {
            "true" => return ExprKind::Bool(true),
            "false" => return ExprKind::Bool(false),
            "True" | "TRUE" => Some(true),
            "False" | "FALSE" => Some(false),
            "None" | "null" | "NULL" | "nil" | "undefined" => None,
            _ => return ExprKind::Word(path),
        };
        let diagnostic = Diagnostic::at(
            Code::ForeignWord,
            span,
            format!("`{text}` is a word of another language"),
            if right.is_some() { "not a truth value here" } else { "there is no such value here" },
        );
        match right {
            Some(value) => {
                self.sink.push(diagnostic.help(format!("write `{value}`")).fix(span, value.to_string()));
                ExprKind::Bool(value)
            }
            None => {
                self.sink.push(
                    diagnostic.help("leave the field out to keep its default, or write `none` where it allows that"),
                );
                ExprKind::Bad
            }
        }
    }

    fn method(&mut self, base: Box<Expr>, pair: Pair) -> ExprKind {
        let mut parts = pair.into_inner();
        let Some(name) = parts.next().map(|part| self.ident(&part)) else { return ExprKind::Bad };
        match parts.next() {
            Some(arguments) => {
                let span = self.span(&arguments);
                match self.deeper(span, |builder| builder.arguments(arguments)) {
                    Some(arguments) => ExprKind::Method { base, name, arguments },
                    None => ExprKind::Bad,
                }
            }
            None => {
                let end = self.empty_span(name.span.end as usize);
                self.sink.push(
                    Diagnostic::at(
                        Code::UnexpectedText,
                        name.span,
                        format!("`.{}` needs its arguments", name.text),
                        "expected `(` after this",
                    )
                    .help(format!("write `.{}(…)`", name.text))
                    .fix(end, "()"),
                );
                ExprKind::Bad
            }
        }
    }

    /// The inside of `[…]` behind a value.
    fn index(&mut self, pair: Pair) -> Expr {
        let span = self.span(&pair);
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

    /// The elements of `[…]`, for a list or a slice.
    fn elements(&mut self, pair: Pair) -> Vec<Expr> {
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

    fn arguments(&mut self, pair: Pair) -> Vec<Argument> {
        self.check_brackets(&pair);
        let parts: Vec<Pair> = pair.into_inner().filter(|part| part.as_rule() == Rule::argument).collect();
        parts.into_iter().map(|part| self.argument(part)).collect()
    }

    fn argument(&mut self, pair: Pair) -> Argument {
        let span = self.span(&pair);
        let (mut name, mut value, mut mark) = (None, None, None);
        for part in pair.into_inner() {
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
    fn check_brackets(&mut self, pair: &Pair) {
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

fn of(pair: &Pair) -> Operator {
    if pair.as_rule() == Rule::minus { Operator::Subtract } else { Operator::Add }
}

fn sign(pair: &Pair) -> char {
    if pair.as_rule() == Rule::minus { '-' } else { '+' }
}
