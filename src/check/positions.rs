//! Positions: `f3+l3`.

use super::Checker;
use super::evaluate::Expected;
use super::lets::is_position;
use super::schema;
use super::scope::{Declared, later};
use super::types::Type;
use super::value::Value;
use crate::data::positions::Segment;
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Expr, ExprKind, Operator};

impl Checker<'_> {
    /// `f3+l3`
    pub(super) fn positions(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        let terms: Vec<&Expr> = match &expr.kind {
            ExprKind::Sum(terms) => {
                if let Some((_, term)) = terms.iter().find(|(operator, _)| *operator == Operator::Subtract) {
                    self.mention(expr.span);
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
                return None;
            }
            _ => vec![expr],
        };
        let segments: Vec<_> = terms.into_iter().map(|term| self.term(term, expected)).collect();
        let segments: Vec<Vec<_>> = segments.into_iter().collect::<Option<_>>()?;
        Some(Value::Positions(segments.concat()))
    }

    /// The segments of one term: one of its own, or those of a `let`.
    fn term(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Vec<Spanned<Segment>>> {
        match &expr.kind {
            ExprKind::Word(path) if self.is_let(path, Type::Positions) => match self.let_value(path, expected)?.value {
                Value::Positions(segments) => Some(segments),
                _ => None,
            },
            _ => self.segment(expr, expected).map(|segment| vec![segment]),
        }
    }

    fn segment(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Spanned<Segment>> {
        let (word, called) = match innermost(expr) {
            ExprKind::Bad => {
                self.mention(expr.span);
                return None;
            }
            ExprKind::Word(path) => (path.text(), !matches!(expr.kind, ExprKind::Word(_))),
            ExprKind::Call { name, .. } => (name.text(), true),
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
        if called && (word == "all" || is_position(&word)) {
            self.sink.push(
                Diagnostic::at(Code::BadArguments, expr.span, format!("`{word}` takes no arguments"), "a word alone")
                    .help(format!("write `{word}`")),
            );
            return None;
        }
        if word == "all" {
            return Some(Spanned::new(Segment::All, expr.span));
        }
        let counted = |letter: char| word.strip_prefix(letter).and_then(|digits| digits.parse::<usize>().ok());
        let segment = match (counted('f'), counted('l')) {
            (Some(count), _) => Segment::First(count),
            (_, Some(count)) => Segment::Last(count),
            _ => {
                self.unknown_segment(&word, expr.span);
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

    fn unknown_segment(&mut self, word: &str, span: Span) {
        let is_let = |declared: Declared<'_>| matches!(declared, Declared::Let { .. });
        let names = self.scope.names(span, is_let);
        self.scope.mention_all(is_let);
        let lower = word.to_lowercase();
        let meant = match lower.as_str() {
            "prefix" | "first" => Some("f3".to_owned()),
            "suffix" | "last" => Some("l3".to_owned()),
            _ => Some(lower.clone()).filter(|lower| is_position(lower) || lower == "all"),
        };
        let meant = meant.or_else(|| suggest::near(word, names).first().map(|name| (*name).to_owned()));
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

/// What the methods of an expression are called on.
fn innermost(expr: &Expr) -> &ExprKind {
    match &expr.kind {
        ExprKind::Method { base, .. } => innermost(base),
        kind => kind,
    }
}
