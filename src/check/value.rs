//! Values after their type is known.

use super::schema::Form;
use crate::data::positions::Segment;
use crate::data::source::Source;
use crate::data::template::Template;
use crate::intervention::Kind;
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Ident, Operator};

/// A value of one of the language's types.
#[derive(Clone, Debug)]
pub enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    /// In bytes.
    Size(u64),
    Text(String),
    List(Vec<Spanned<Value>>),
    /// A word or a call of the table of forms.
    Form(FormValue),
    Layers(Layers),
    Positions(Vec<Spanned<Segment>>),
    Source(Source),
    Template(TemplateValue),
    Kind(Kind),
    /// A model or data: the name in its declaration.
    Name(Ident),
    /// `eval.dev.exact_match`: the names of an evaluation and of its metric.
    Measure {
        eval: Spanned<String>,
        metric: Spanned<String>,
    },
    /// `data.split`: the name in the data's declaration, and the split as it is written here.
    Split {
        data: Ident,
        split: Spanned<String>,
    },
}

/// A form and its arguments, in the order of the form's parameters, defaults filled in.
#[derive(Clone, Debug)]
pub struct FormValue {
    pub form: &'static Form,
    pub arguments: Vec<Spanned<Value>>,
}

/// Layers before the number of layers is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Layers {
    All,
    List(Vec<Spanned<i64>>),
    Range {
        start: Spanned<i64>,
        end: Spanned<i64>,
        inclusive: bool,
    },
    First(Spanned<i64>),
    Last(Spanned<i64>),
    Every(usize),
    Depth(Vec<f64>),
    /// Layers added to others, or taken from them, from left to right.
    Sum(Vec<(Operator, Spanned<Layers>)>),
}

/// A template and the places where it names columns.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateValue {
    pub template: Template,
    pub columns: Vec<Spanned<String>>,
    pub span: Span,
}

impl Value {
    /// The whole number, of an int.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, of an int, float, ratio or size.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::Size(bytes) => Some(*bytes as f64),
            _ => None,
        }
    }

    /// The text, of a string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The name in the declaration that is meant.
    pub fn as_name(&self) -> Option<&Ident> {
        match self {
            Value::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The name, of a word or call of the table of forms.
    pub fn form_name(&self) -> Option<&'static str> {
        match self {
            Value::Form(value) => Some(value.form.name),
            _ => None,
        }
    }

    /// The texts, of a list of strings.
    pub fn as_texts(&self) -> Option<Vec<String>> {
        match self {
            Value::List(items) => items.iter().map(|item| item.value.as_text().map(str::to_owned)).collect(),
            _ => None,
        }
    }
}

impl FormValue {
    /// The argument of that parameter.
    pub fn argument(&self, name: &str) -> Option<&Spanned<Value>> {
        let at = self.form.parameters.iter().position(|parameter| parameter.name == name)?;
        self.arguments.get(at)
    }
}
