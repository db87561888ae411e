//! Values and expressions.

use super::brackets::Colons;
use super::{Builder, DEPTH_LIMIT, Pair, Rule};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::literal;
use crate::syntax::tree::{Expr, ExprKind, Operator, Path, Scaling};

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

    pub(super) fn missing(&mut self, after: usize, mark: char) {
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
        let of = |rule| if rule == Rule::minus { Operator::Subtract } else { Operator::Add };
        self.chain(pair, Rule::plus, of, Self::range, ExprKind::Sum)
    }

    /// `product` or `nested_product`: factors with `*` and `/` between them.
    fn product(&mut self, pair: Pair) -> Expr {
        let of = |rule| if rule == Rule::divided { Scaling::Divided } else { Scaling::Times };
        self.chain(pair, Rule::times, of, Self::factor, ExprKind::Product)
    }

    /// Parts with operators between them; a part alone is itself. `first` is the operator before the first part.
    fn chain<O>(
        &mut self,
        pair: Pair,
        first: Rule,
        of: impl Fn(Rule) -> O,
        build: impl Fn(&mut Self, Pair) -> Expr,
        join: impl Fn(Vec<(O, Expr)>) -> ExprKind,
    ) -> Expr {
        let span = self.span(&pair);
        let mut parts = Vec::new();
        let mut waiting: Option<Pair> = None;
        let lost = |builder: &mut Self, operator: &Pair| {
            builder.missing(operator.as_span().end(), operator.as_str().chars().next().unwrap_or('+'));
            (of(operator.as_rule()), Expr { kind: ExprKind::Bad, span: builder.span(operator) })
        };
        for part in self.without_comments(pair) {
            match part.as_rule() {
                Rule::plus | Rule::minus | Rule::times | Rule::divided => {
                    if let Some(earlier) = waiting.replace(part) {
                        parts.push(lost(self, &earlier));
                    }
                }
                _ => {
                    let before = of(waiting.take().map_or(first, |operator| operator.as_rule()));
                    parts.push((before, build(self, part)));
                }
            }
        }
        if let Some(last) = waiting {
            parts.push(lost(self, &last));
        }
        match parts.len() {
            1 => parts.pop().map_or(Expr { kind: ExprKind::Bad, span }, |(_, only)| only),
            _ => Expr { kind: join(parts), span },
        }
    }

    /// An operand, or one with a `-` before it.
    fn factor(&mut self, pair: Pair) -> Expr {
        if !matches!(pair.as_rule(), Rule::negation | Rule::nested_negation) {
            return self.operand(pair);
        }
        let span = self.span(&pair);
        let operand = self.without_comments(pair).into_iter().find(|part| part.as_rule() != Rule::minus);
        let kind = match operand {
            // Its minus belongs to the number, and stands right before it.
            Some(operand) if is_number(&operand) => self.number(&format!("- {}", operand.as_str()), span),
            Some(operand) => ExprKind::Negation(Box::new(self.operand(operand))),
            None => ExprKind::Bad,
        };
        Expr { kind, span }
    }

    fn range(&mut self, pair: Pair) -> Expr {
        let span = self.span(&pair);
        let (mut start, mut end, mut dots) = (None, None, None);
        for part in self.without_comments(pair) {
            if part.as_rule() == Rule::dots {
                dots = Some(part.as_str() == "..=");
            } else if dots.is_none() {
                start = Some(self.product(part));
            } else {
                end = Some(Box::new(self.product(part)));
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

    /// The parts of a pair, without the comments between them.
    pub(super) fn without_comments<'p>(&mut self, pair: Pair<'p>) -> Vec<Pair<'p>> {
        let (comments, parts): (Vec<Pair>, Vec<Pair>) =
            pair.into_inner().partition(|part| matches!(part.as_rule(), Rule::comment | Rule::foreign_comment));
        comments.iter().for_each(|comment| self.foreign_comment(comment));
        parts
    }

    fn operand(&mut self, pair: Pair) -> Expr {
        let start = pair.as_span().start();
        let mut parts = self.without_comments(pair).into_iter();
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
            Rule::number => self.number(pair.as_str(), span),
            Rule::list if let Some(colons) = Colons::of(pair.as_str()) => {
                self.sink.push(colons.range(span));
                ExprKind::Bad
            }
            Rule::list => self.deeper(span, |builder| ExprKind::List(builder.elements(pair))).unwrap_or(ExprKind::Bad),
            Rule::group => self.group(pair, span),
            Rule::call => self.call(pair),
            _ => self.string(&pair),
        };
        Expr { kind, span }
    }

    fn number(&mut self, text: &str, span: Span) -> ExprKind {
        literal::number(text).unwrap_or_else(|slip| {
            let message = format!("`{text}` is not a number");
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
                    let base = Box::new(Expr { kind: self.word(path), span });
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
                self.sink.push(
                    Diagnostic::at(
                        Code::UnexpectedText,
                        name.span,
                        format!("`.{}` needs its arguments", name.text),
                        "expected `(` after this",
                    )
                    .help(format!("write `.{}(…)`", name.text)),
                );
                ExprKind::Bad
            }
        }
    }
}

/// Whether an operand is a number and nothing else.
fn is_number(operand: &Pair) -> bool {
    let mut parts = operand.clone().into_inner();
    parts.next().is_some_and(|part| part.as_rule() == Rule::number) && parts.next().is_none()
}
