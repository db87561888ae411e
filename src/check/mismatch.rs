//! The error of a value of another type than the one that is wanted.

use super::Checker;
use super::evaluate::Expected;
use super::forms;
use super::schema::{self, Bound, is_position};
use super::types::Type;
use crate::diag::{Code, Diagnostic};
use crate::intervention::Kind;
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
            return diagnostic.help(format!("write it without quotes: `{name}`")).fix(expr.span, name.clone());
        }
        let written = self.slice(expr.span);
        let meant = meant(expr, written, expected.holds);
        diagnostic.help(help(expr, written, expected.holds)).maybe_fix(expr.span, meant)
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
        (ExprKind::Call { name, .. }, Type::Int) if name.text() == "range" => "write the range as `1..4`".into(),
        (ExprKind::Int(count), Type::When) if *count > 0 => format!("write `steps({count})`"),
        (ExprKind::Int(count), Type::Decode) if *count > 0 => format!("write `greedy(max_tokens: {count})`"),
        (ExprKind::List(_), Type::Metric) => "write an `eval` for each metric".into(),
        (ExprKind::List(_), Type::Site) => "write an `intervene` block for each place".into(),
        (ExprKind::Word(path), Type::Selection) if path.text().starts_with("eval.") => {
            format!("write `max({written})`, or `min({written})`")
        }
        (ExprKind::String(_), Type::Selection) => format!("write for example `{}`", holds.example()),
        (ExprKind::Int(layer), Type::Layers) => format!("write `[{layer}]`"),
        (ExprKind::Range { .. }, Type::Int) => format!("write the range alone, without brackets: `{written}`"),
        (ExprKind::Int(back), Type::Positions) if *back < 0 => format!("write `l{}`", back.unsigned_abs()),
        (ExprKind::List(_), Type::Positions) => {
            "count from the ends, `f3` for the first tokens and `l3` for the last, or write `all`".into()
        }
        (ExprKind::Range { .. }, Type::Positions) => {
            "write `all`, or take some away: `all - f3`; `f3` and `l3` count from the ends".into()
        }
        (ExprKind::Int(count), Type::Positions) if *count > 0 => {
            format!("write `f{count}`, `l{count}` or `f{count}+l{count}`")
        }
        (ExprKind::Float(value), Type::Int) if value.fract() == 0.0 && value.abs() < 1e15 => format!("write `{value}`"),
        (ExprKind::Ratio(value), Type::Float) => format!("write `{value}`"),
        (ExprKind::Sum(_), _) if underscored(written, holds).is_some() => {
            format!("write `{}`", underscored(written, holds).unwrap_or_default())
        }
        (ExprKind::Bool(_), Type::Int) => "write a number".into(),
        (ExprKind::List(_), Type::Int | Type::Float | Type::Ratio) => {
            "write one value; a list belongs into `sweep { … }`".into()
        }
        (ExprKind::Bool(true), Type::Clip) => "write the norm: `1.0`".into(),
        (ExprKind::Bool(false), Type::Clip | Type::BaseDropout) => "write `off`".into(),
        _ => format!("write for example `{}`", holds.example()),
    }
}

/// The value that can only have been meant, as it is written.
fn meant(expr: &Expr, written: &str, holds: Type) -> Option<String> {
    match (&expr.kind, holds) {
        (ExprKind::String(text), _) => unquoted(text, written, holds),
        (ExprKind::Float(value), Type::Int) if value.fract() == 0.0 && value.abs() < 1e15 => Some(format!("{value}")),
        (ExprKind::Ratio(value), Type::Float) => Some(format!("{value}")),
        (ExprKind::Bool(false), Type::Clip | Type::BaseDropout) => Some("off".to_owned()),
        (ExprKind::Sum(_), _) => underscored(written, holds),
        _ => None,
    }
}

/// What was put into quotes for nothing: a number, a word, segments; or the file of a source, which needs its call.
fn unquoted(text: &str, written: &str, holds: Type) -> Option<String> {
    let is_number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let ends_well =
            digits.starts_with(|c: char| c.is_ascii_digit()) && digits.ends_with(|c: char| c.is_ascii_digit());
        ends_well && text.parse::<f64>().is_ok_and(f64::is_finite)
    };
    let stands = match holds {
        Type::Int => is_number(text) && text.parse::<i64>().is_ok(),
        Type::Float | Type::Clip => is_number(text),
        Type::Ratio => is_number(text.strip_suffix('%').unwrap_or(text)),
        Type::Positions => text.split('+').all(|word| is_position(word.trim()) || word.trim() == "all"),
        _ => false,
    };
    if stands {
        return Some(text.to_owned());
    }
    let call = |name: &str| Some(format!("{name}({written})"));
    match holds {
        Type::Bool => matches!(text.to_lowercase().as_str(), "true" | "false").then(|| text.to_lowercase()),
        Type::Layers => layer_list(text).map(|list| format!("[{list}]")),
        Type::Source => text.rsplit_once('.').filter(|(_, ending)| READERS.contains(ending)).and(call(reader(text))),
        Type::ModelSource if text.ends_with(".gguf") => call("gguf"),
        Type::ModelSource if text.starts_with(['.', '/']) => call("path"),
        Type::Kind => Kind::find(text).map(|kind| kind.name().to_owned()),
        _ => {
            let word = forms::meant(text, holds)?;
            let form = schema::forms(holds).find(|form| form.name == word)?;
            form.parameters.iter().all(|parameter| parameter.default.is_some()).then(|| word.to_owned())
        }
    }
}

/// `exact_match` for `exact-match`, which is read as a difference.
fn underscored(written: &str, holds: Type) -> Option<String> {
    let word = written.replace('-', "_");
    let form = schema::forms(holds).find(|form| form.name == word && !form.later)?;
    form.parameters.is_empty().then_some(word)
}

/// The endings of files that there is a call for.
const READERS: [&str; 5] = ["json", "jsonl", "ndjson", "csv", "tsv"];

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
        ExprKind::Product(_) | ExprKind::Negation(_) => "a computed number".into(),
        ExprKind::Group(inner) => describe(inner),
        ExprKind::Bad => "nothing".into(),
    }
}
