//! From expressions to values of an expected type.

use super::Checker;
use super::arithmetic::is_computed;
use super::mismatch::within;
use super::schema::Bound;
use super::scope::later;
use super::types::Type;
use super::value::Value;
use crate::diag::{Code, Diagnostic};
use crate::source::{FileId, Span, Spanned};
use crate::syntax;
use crate::syntax::tree::{Expr, ExprKind, ItemKind};

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
            (ExprKind::Bad, _) => {
                self.mention(expr.span);
                None
            }
            (ExprKind::Word(path), _) if self.is_let(path, expected.holds) => return self.let_value(path, expected),
            (ExprKind::Group(inner), _) => self.evaluate(inner, expected).map(|found| found.value),
            (_, Type::Layers) => self.layers(expr, expected),
            (_, Type::Positions) => self.positions(expr, expected),
            (_, Type::Source) => self.source(expr, expected),
            (_, Type::Template) => self.template(expr, expected),
            (ExprKind::Word(path), Type::Kind) => self.kind(path),
            (ExprKind::Word(path), Type::Model | Type::Data) => self.declared_name(path, expected.holds),
            (ExprKind::Word(path), Type::Split) => self.split(path),
            (ExprKind::Word(path), Type::Measure) => self.measure(path),
            (ExprKind::List(_), Type::Data) => {
                self.mention(expr.span);
                self.sink.push(later(expr.span, "a list of data", "write one name"));
                None
            }
            (_, Type::Int | Type::Float | Type::Ratio | Type::Size | Type::Clip) if is_computed(expr) => {
                self.computed(expr, expected)
            }
            _ => self.literal(expr, expected),
        }?;
        Some(Spanned::new(value, expr.span))
    }

    /// Numbers, booleans, strings, lists of them, and forms.
    pub(super) fn literal(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        let value = match (&expr.kind, expected.holds) {
            (ExprKind::Int(value), Type::Int) => Value::Int(*value),
            (ExprKind::Int(value), Type::Float | Type::Ratio | Type::Clip) => Value::Float(*value as f64),
            (ExprKind::Float(value), Type::Float | Type::Ratio | Type::Clip)
            | (ExprKind::Ratio(value), Type::Ratio) => Value::Float(*value),
            (ExprKind::Size(bytes), Type::Size) => Value::Size(*bytes),
            (ExprKind::Bool(value), Type::Bool) => Value::Bool(*value),
            (ExprKind::String(text), Type::String) => Value::Text(text.clone()),
            (ExprKind::String(text), Type::Pattern) => self.pattern(text, expr.span)?,
            (ExprKind::List(items), Type::Strings) => self.list(items, Type::String, expected)?,
            (ExprKind::List(items), Type::Ratios) => self.list(items, Type::Ratio, expected)?,
            (ExprKind::List(items), Type::Templates) => self.list(items, Type::Template, expected)?,
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
                    .help(match bound {
                        // What was meant as a percentage.
                        Bound::Share | Bound::Ratio
                            if number.fract() == 0.0
                                && (1.0..100.0).contains(&number)
                                && !matches!(expr.kind, ExprKind::Ratio(_)) =>
                        {
                            format!("write `{number}%`")
                        }
                        _ => format!("write for example `{}`", within(expected.holds, bound)),
                    }),
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

    pub(super) fn int(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Spanned<i64>> {
        let value = self.evaluate(expr, expected)?;
        Some(Spanned::new(value.value.as_int()?, value.span))
    }

    /// A default of the tables, as a value; it takes the place `span`.
    pub fn default(&mut self, text: &str, holds: Type, span: Span) -> Option<Spanned<Value>> {
        let (file, _) = syntax::parse(FileId(u32::MAX), &format!("let default = {text}\n"));
        let Some(ItemKind::Let { value, .. }) = file.items.first().map(|item| &item.kind) else { return None };
        let expected = Expected { holds, bound: Bound::Any, what: "a default" };
        self.evaluate(value, expected).map(|found| Spanned::new(found.value, span))
    }
}
