//! Values that conditions compare.

use crate::check::spec::Comparison;
use crate::syntax::parse_value;
use crate::syntax::tree::{Expr, ExprKind};
use std::cmp::Ordering;

/// What stands at a path of a run, or behind a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Ratios and sizes too.
    Number(f64),
    /// A word, a truth value or a text in quotes; positions, sources and all else as written without blanks.
    Text(String),
    List(Vec<Value>),
    /// `linear(warmup: 0.1)`; an argument may have a name.
    Form {
        name: String,
        arguments: Vec<(Option<String>, Value)>,
    },
}

impl Value {
    /// The value of an expression that stands in this text.
    pub fn of(expr: &Expr, text: &str) -> Self {
        match &expr.kind {
            ExprKind::Int(value) => Self::Number(*value as f64),
            ExprKind::Float(value) | ExprKind::Ratio(value) => Self::Number(*value),
            ExprKind::Size(bytes) => Self::Number(*bytes as f64),
            ExprKind::String(text) => Self::Text(text.clone()),
            ExprKind::Bool(value) => Self::Text(value.to_string()),
            ExprKind::Word(path) => Self::Text(path.text()),
            ExprKind::List(items) => Self::List(items.iter().map(|item| Self::of(item, text)).collect()),
            ExprKind::Group(inner) => Self::of(inner, text),
            ExprKind::Call { name, arguments } => {
                let argument = |argument: &crate::syntax::tree::Argument| {
                    (argument.name.as_ref().map(|name| name.text.clone()), Self::of(&argument.value, text))
                };
                Self::Form { name: name.text(), arguments: arguments.iter().map(argument).collect() }
            }
            _ => Self::Text(text.get(expr.span.range()).unwrap_or("").split_whitespace().collect()),
        }
    }

    /// The value of a text of `plan.json`, which is itself where it is no value of the language.
    pub fn read(text: &str) -> Self {
        parse_value(text).map_or_else(|| Self::Text(text.to_owned()), |expr| Self::of(&expr, text))
    }

    /// Whether it is what is wanted. Arguments that a wanted form leaves out may be anything.
    pub fn is(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Number(left), Self::Number(right)) => Comparison::Equal.holds(*left, *right),
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::List(left), Self::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.is(right))
            }
            (Self::Form { name, .. }, Self::Text(word)) => name == word,
            (Self::Form { name, arguments }, Self::Form { name: wanted, arguments: asked }) => {
                let has = |(at, (name, value)): (usize, &(Option<String>, Value))| {
                    let found = match name {
                        Some(_) => arguments.iter().find(|(own, _)| own == name),
                        None => arguments.get(at),
                    };
                    found.is_some_and(|(_, own)| own.is(value))
                };
                name == wanted && asked.iter().enumerate().all(has)
            }
            _ => false,
        }
    }

    /// Whether a text has that text in it, or a list that value.
    pub fn contains(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::List(items), wanted) => items.iter().any(|item| item.is(wanted)),
            (Self::Text(text), Self::Text(part)) => text.contains(part.as_str()),
            (Self::Form { name, arguments }, wanted) => {
                arguments.iter().any(|(_, value)| value.is(wanted) || value.contains(wanted)) || wanted.is_word(name)
            }
            _ => false,
        }
    }

    fn is_word(&self, name: &str) -> bool {
        matches!(self, Self::Text(word) if word == name)
    }

    /// Numbers by size and texts by their letters; `None` where there is no order.
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) if Comparison::Equal.holds(*left, *right) => {
                Some(Ordering::Equal)
            }
            (Self::Number(left), Self::Number(right)) => left.partial_cmp(right),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Text(_) => "a word or a text",
            Self::List(_) => "a list",
            Self::Form { .. } => "a form with arguments",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_equal_however_written() {
        for (own, wanted) in [
            ("0.001", "1e-3"),
            ("0.1", "10%"),
            ("1073741824", "1GiB"),
            ("block_output", "\"block_output\""),
            ("[0, 1, 2]", "[0,1,2]"),
            ("f1+l1", "f1 + l1"),
            ("true", "true"),
            ("linear(warmup: 0.1)", "linear(warmup: 10%)"),
            ("linear(warmup: 0.1)", "linear(0.1)"),
            ("linear(warmup: 0.1)", "linear"),
            ("adamw(weight_decay: 0, beta1: 0.9)", "adamw(beta1: 0.9)"),
        ] {
            assert!(Value::read(own).is(&Value::read(wanted)), "{own} is {wanted}");
        }
        for (own, wanted) in
            [("1", "\"1\""), ("[0, 1]", "[0]"), ("linear(warmup: 0.1)", "linear(warmup: 0.2)"), ("linear", "linear(1)")]
        {
            assert!(!Value::read(own).is(&Value::read(wanted)), "{own} is not {wanted}");
        }
    }

    #[test]
    fn what_is_no_value_is_its_own_text() {
        assert_eq!(Value::read("a = b"), Value::Text("a = b".into()));
        assert_eq!(Value::read("rows[..-2]"), Value::Text("rows[..-2]".into()));
    }
}
