//! Sources: `json("…")[..2000].shuffle(42)`.

use super::Checker;
use super::evaluate::Expected;
use super::schema::Bound;
use super::types::Type;
use super::value::{FormValue, Value};
use crate::data::source::{Format, Separated, Source, Step};
use crate::diag::{Code, Diagnostic, suggest};
use crate::syntax::tree::{Argument, Expr, ExprKind, Ident};

impl Checker<'_> {
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
                    .help("write `.shuffle(seed)`, or a slice: `[..2000]`")
                    .maybe_fix(name.span, suggest::slip_of(&name.text, ["shuffle"])),
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
        let file = value.argument("file")?;
        let path = self.modules.locate(file.span, file.value.as_text()?);
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
        if let ExprKind::Group(inner) = &range.kind {
            return self.slice_step(inner);
        }
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
