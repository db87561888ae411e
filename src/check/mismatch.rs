//! The error of a value of another type than the one that is wanted.

use super::Checker;
use super::evaluate::Expected;
use super::forms;
use super::schema::{self, Bound};
use super::types::Type;
use crate::diag::{Code, Diagnostic};
use crate::syntax::tree::{Expr, ExprKind};

impl Checker<'_> {
    /// The error of a value of another type.
    pub(super) fn mismatch(&self, expr: &Expr, expected: Expected<'_>) -> Diagnostic {
        self.mention(expr.span);
        let found = describe(expr);
        let diagnostic = Diagnostic::at(
            Code::WrongType,
            expr.span,
            format!("{} takes {}, found {found}", expected.what, expected.holds.with_article()),
            format!("this is {found}"),
        );
        if let ExprKind::String(name) = &expr.kind
            && self.scope.names(expr.span, |declared| declared.serves(expected.holds)).contains(&name.as_str())
        {
            return diagnostic.help(format!("write it without quotes: `{name}`"));
        }
        diagnostic.help(help(expr, self.slice(expr.span), expected.holds))
    }
}

/// What to write instead.
fn help(expr: &Expr, written: &str, holds: Type) -> String {
    match (&expr.kind, holds) {
        (ExprKind::String(_) | ExprKind::Call { .. }, Type::Model) => {
            "declare it first, `model smol = hf(\"org/name\")`, and name it here: `model = smol`".into()
        }
        (ExprKind::String(_), Type::Data) => "declare it first, `data reviews { … }`, and name it here".into(),
        (ExprKind::String(text), Type::Source) => format!("write `{}(\"{text}\")`", reader(text)),
        (ExprKind::String(text), Type::ModelSource) if text.ends_with(".gguf") => format!("write `gguf(\"{text}\")`"),
        (ExprKind::String(text), Type::ModelSource) if text.starts_with(['.', '/']) => {
            format!("write `path(\"{text}\")`")
        }
        (ExprKind::String(text), Type::ModelSource) => format!("write `hf(\"{text}\")`"),
        (ExprKind::String(text), Type::Layers) if layer_list(text).is_some() => {
            format!("write `[{}]`", layer_list(text).unwrap_or_default())
        }
        (ExprKind::String(text), _) if schema::forms(holds).next().is_some() && forms::meant(text, holds).is_some() => {
            format!("write `{}`", forms::meant(text, holds).unwrap_or_default())
        }
        (ExprKind::String(text), Type::Int | Type::Float | Type::Ratio | Type::Clip)
            if text.trim_end_matches('%').parse::<f64>().is_err() =>
        {
            format!("write for example `{}`", holds.example())
        }
        (ExprKind::String(text), _) if is_plain(text) => format!("write it without quotes: `{text}`"),
        (ExprKind::Int(back), Type::Layers) if *back < 0 => format!("write `last({})`", back.unsigned_abs()),
        (ExprKind::Int(layer), Type::Layers) => format!("write `[{layer}]`"),
        (ExprKind::Range { .. }, Type::Int) => format!("write the range alone, without brackets: `{written}`"),
        (ExprKind::Int(count), Type::Positions) if *count > 0 => {
            format!("write `f{count}`, `l{count}` or `f{count}+l{count}`")
        }
        (ExprKind::Float(value), Type::Int) if value.fract() == 0.0 && value.abs() < 1e15 => format!("write `{value}`"),
        (ExprKind::Ratio(value), Type::Float) => format!("write `{value}`"),
        (ExprKind::Bool(_), Type::Int) => "write a number".into(),
        (ExprKind::List(_), Type::Int | Type::Float | Type::Ratio) => {
            "write one value; a list belongs into `sweep { … }`".into()
        }
        (ExprKind::Bool(true), Type::Clip) => "write the norm: `1.0`".into(),
        (ExprKind::Bool(false), Type::Clip | Type::BaseDropout) => "write `off`".into(),
        _ => format!("write for example `{}`", holds.example()),
    }
}

/// Text that was probably quoted for nothing.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_+.%-".contains(c))
}

/// `3, 9, 18` for `3;9;18`.
fn layer_list(text: &str) -> Option<String> {
    let numbers: Vec<&str> =
        text.trim_matches(['[', ']']).split([';', ',', ' ']).filter(|part| !part.is_empty()).collect();
    let digits = numbers.iter().all(|number| number.chars().all(|c| c.is_ascii_digit()));
    (digits && !numbers.is_empty()).then(|| numbers.join(", "))
}

/// The call that reads a file of that name.
fn reader(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("jsonl" | "ndjson") => "jsonl",
        Some("csv") => "csv",
        Some("tsv") => "tsv",
        _ => "json",
    }
}

/// A number inside the bound, for help.
pub(super) fn within(holds: Type, bound: Bound) -> String {
    match (bound, holds) {
        (Bound::AtLeast(least), _) => least.max(1).to_string(),
        (Bound::Share, _) => "0.05".into(),
        (Bound::Ratio, _) => "10%".into(),
        _ => holds.example().into(),
    }
}

/// What an expression is, in words.
pub fn describe(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Int(_) => "an int".into(),
        ExprKind::Float(_) => "a float".into(),
        ExprKind::Ratio(_) => "a ratio".into(),
        ExprKind::Size(_) => "a size".into(),
        ExprKind::String(_) => "a string".into(),
        ExprKind::Bool(_) => "a bool".into(),
        ExprKind::Word(path) => format!("`{}`", path.text()),
        ExprKind::Call { name, .. } => {
            let name = name.text();
            match schema::FORMS.iter().find(|form| form.name == name) {
                Some(form) => form.makes.with_article(),
                None => format!("a call of `{name}`"),
            }
        }
        ExprKind::Method { name, .. } => format!("a call of `.{}`", name.text),
        ExprKind::List(_) => "a list".into(),
        ExprKind::Range { .. } => "a range".into(),
        ExprKind::Slice { .. } => "a slice".into(),
        ExprKind::Sum(_) => "a sum".into(),
        ExprKind::Bad => "nothing".into(),
    }
}
