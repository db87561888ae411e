//! `expect { … }`: what an experiment promises.

use super::Checker;
use super::arithmetic::Amount;
use super::spec::{Comparison, Eval, Expectation, FieldOrigin, Promised, Quantity};
use crate::data::metric::Metric;
use crate::diag::{Code, Diagnostic, suggest};
use crate::syntax::tree::{self, Entry, Expr, ExprKind, Path, Section};

impl Checker<'_> {
    /// The comparisons of an `expect` block, as far as they are sound.
    pub(super) fn expectations(&mut self, section: &Section, evals: &[Option<Eval>]) -> Option<Vec<Expectation>> {
        let found: Vec<Option<Expectation>> = section
            .body
            .entries
            .iter()
            .map(|entry| match entry {
                Entry::Comparison(comparison) => {
                    let promised = self.promised(&comparison.left, evals);
                    let amount = self.compared(&comparison.right, promised, evals);
                    self.note_expectation(comparison, amount);
                    Some(Expectation {
                        promised: promised?,
                        name: comparison.left.text(),
                        comparison: Comparison::find(&comparison.operator.text)?,
                        value: amount?.number(),
                        written: self.written(&comparison.right, amount?),
                        span: comparison.span,
                    })
                }
                Entry::Allow(_) | Entry::Bad(_) => None,
                Entry::Field(field) => {
                    self.wrong_entry(field.span);
                    None
                }
                Entry::Section(section) => {
                    self.wrong_entry(section.keyword.span);
                    None
                }
                Entry::Remove(remove) => {
                    self.wrong_entry(remove.span);
                    None
                }
            })
            .collect();
        found.into_iter().collect()
    }

    fn note_expectation(&mut self, comparison: &tree::Comparison, amount: Option<Amount>) {
        let Some(amount) = amount else { return };
        let (sign, place) = (&comparison.operator.text, comparison.span);
        self.origins.push(FieldOrigin {
            path: format!("expect.{}", comparison.left.text()),
            value: format!("{sign} {}", self.slice(comparison.right.span).trim()),
            means: format!("{sign} {}", amount.number()),
            content: None,
            place: Some(place),
        });
    }

    fn wrong_entry(&mut self, span: crate::source::Span) {
        self.mention(span);
        self.sink.push(
            Diagnostic::at(Code::UnexpectedText, span, "`expect` holds comparisons", "not a comparison")
                .help("write for example `eval.test.exact_match >= 72%`"),
        );
    }

    /// What the left side of a comparison names.
    fn promised(&mut self, path: &Path, evals: &[Option<Eval>]) -> Option<Promised> {
        let text = path.text();
        if let Some(quantity) = Quantity::ALL.iter().copied().find(|quantity| quantity.name() == text) {
            return Some(Promised::Planned(quantity));
        }
        if text == "train.loss" {
            return Some(Promised::Loss);
        }
        // An eval that is broken may be what is meant.
        if evals.iter().any(Option::is_none) {
            return None;
        }
        let evals: Vec<&Eval> = evals.iter().flatten().collect();
        let measures: Vec<String> =
            evals.iter().map(|eval| format!("eval.{}.{}", eval.name, eval.metric.name())).collect();
        if let Some(at) = measures.iter().position(|measure| *measure == text) {
            return Some(Promised::Measured(at));
        }
        let names = Quantity::ALL.iter().map(|quantity| quantity.name()).chain(["train.loss"]);
        let names: Vec<&str> = measures.iter().map(String::as_str).chain(names).collect();
        let diagnostic = Diagnostic::at(
            Code::UnknownName,
            path.span,
            format!("nothing here is called `{text}`"),
            "neither planned nor measured",
        );
        self.sink.push(match suggest::near(&text, names.iter().copied()).as_slice() {
            [only, ..] => diagnostic.help(format!("did you mean `{only}`?")).fix(path.span, *only),
            [] => diagnostic.help(format!("write {}", suggest::list(&names))),
        });
        None
    }

    /// The number that is compared with; a share for metrics that are shares.
    fn compared(&mut self, expr: &Expr, promised: Option<Promised>, evals: &[Option<Eval>]) -> Option<Amount> {
        let other = matches!(
            expr.kind,
            ExprKind::List(_)
                | ExprKind::Call { .. }
                | ExprKind::String(_)
                | ExprKind::Bool(_)
                | ExprKind::Range { .. }
        );
        if other {
            self.mention(expr.span);
            self.sink.push(
                Diagnostic::at(Code::WrongType, expr.span, "a comparison takes a number", "not a number")
                    .help("write for example `72%`, `276_720` or `2GiB`"),
            );
            return None;
        }
        let amount = self.amount(expr)?;
        let value = amount.number();
        let size = matches!(promised, Some(Promised::Planned(quantity)) if quantity.is_size());
        if matches!(amount, Amount::Size(_)) && promised.is_some() && !size {
            self.sink.push(
                Diagnostic::at(Code::WrongType, expr.span, "this is no size", "a size in bytes")
                    .help("write a number, or compare `memory.training`"),
            );
            return None;
        }
        let share = match promised {
            Some(Promised::Planned(quantity)) => quantity == Quantity::Share,
            Some(Promised::Measured(at)) => {
                evals.get(at).and_then(Option::as_ref).is_some_and(|eval| eval.metric != Metric::Perplexity)
            }
            _ => false,
        };
        if share && value > 1.0 {
            self.sink.push(
                Diagnostic::at(Code::OutOfRange, expr.span, "a share is at most 1", "more than the whole")
                    .help(format!("write `{value}%`")),
            );
            return None;
        }
        Some(amount)
    }

    /// The right side as it is written, and what it comes to where it is no plain number.
    fn written(&self, expr: &Expr, amount: Amount) -> String {
        let written = self.slice(expr.span).trim();
        if expr.kind.is_number() { written.to_owned() } else { format!("{} ({written})", amount.text()) }
    }
}
