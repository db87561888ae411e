//! The choices of an evaluation: what may not stand beside them, and whether each row's gold is one of them.

use super::Checker;
use super::fields::Fields;
use super::value::{TemplateValue, Value};
use crate::data::choices::{self, Choices, Likelihood, position};
use crate::data::report::EncodeReport;
use crate::data::template::{Part, Template};
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use std::path::Path;

/// The choices of an `eval`, and where they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenChoices {
    pub choices: Choices,
    pub span: Span,
    /// The template of each choice.
    pub texts: Vec<TemplateValue>,
}

impl Checker<'_> {
    /// The choices of an `eval`: `Some(None)` where it has none, `None` after an error, which is then reported.
    pub(super) fn choices(&mut self, fields: &Fields) -> Option<Option<WrittenChoices>> {
        let Some(Spanned { value: Value::List(items), span }) = fields.get("choices") else {
            if fields.is_attempted("choices") {
                return None;
            }
            return self.no_score(fields).map(|()| None);
        };
        let alone = self.nothing_generated(fields, *span);
        let texts = items.iter().map(|item| match &item.value {
            Value::Template(value) => self.text_only(value.clone(), "the choice"),
            _ => None,
        });
        // Every choice is looked at before the first wrong one ends it.
        let texts = texts.collect::<Vec<_>>().into_iter().collect::<Option<Vec<TemplateValue>>>()?;
        self.distinct(&texts, *span)?;
        let likelihood = match fields.word("score")? {
            "mean" => Likelihood::Mean,
            _ => Likelihood::Sum,
        };
        let choices = Choices { texts: texts.iter().map(|text| text.template.clone()).collect(), likelihood };
        alone.then_some(Some(WrittenChoices { choices, span: *span, texts }))
    }

    /// `score` says nothing without choices.
    fn no_score(&mut self, fields: &Fields) -> Option<()> {
        let Some(score) = fields.written("score") else { return Some(()) };
        self.sink.push(
            Diagnostic::at(
                Code::MissingField,
                score,
                "`score` says how choices are compared, but this `eval` has no `choices`",
                "of no choices",
            )
            .help("add `choices = [\"the answer is yes\", \"the answer is no\"]`, or remove `score`"),
        );
        None
    }

    /// Whether no field stands beside `choices` that is about generated text or losses.
    fn nothing_generated(&mut self, fields: &Fields, choices: Span) -> bool {
        let metric = fields.word("metric").filter(|metric| *metric == "perplexity");
        let fields = [
            ("`decode`", fields.written("decode"), "how text is generated", "remove `decode`: nothing is generated"),
            (
                "`answer`",
                fields.written("answer"),
                "how an answer is taken from a text",
                "remove `answer`, and write each choice as a whole target: `\"the answer is yes\"`",
            ),
            (
                "`perplexity`",
                metric.and(fields.written("metric")),
                "compares no answers",
                "write `metric = accuracy`, or measure the perplexity in an `eval` of its own",
            ),
        ];
        let mut alone = true;
        for (name, written, label, help) in fields {
            let Some(written) = written else { continue };
            self.sink.push(
                Diagnostic::at(
                    Code::ConflictingFields,
                    written,
                    format!("{name} cannot stand beside `choices`"),
                    label,
                )
                .label(choices, "the likeliest of these is the answer")
                .help(help),
            );
            alone = false;
        }
        alone
    }

    /// Two choices or more, none blank, no two the same.
    fn distinct(&mut self, texts: &[TemplateValue], span: Span) -> Option<()> {
        if texts.len() < 2 {
            let count = if texts.is_empty() { "no choices" } else { "one choice" };
            self.sink.push(
                Diagnostic::at(Code::BadChoices, span, format!("there is nothing to choose from: {count}"), count)
                    .help("write every answer that a row may have: `[\"the answer is yes\", \"the answer is no\"]`"),
            );
            return None;
        }
        let mut sound = true;
        for (number, text) in texts.iter().enumerate() {
            if constant(text).is_some_and(|text| text.trim().is_empty()) {
                self.sink.push(
                    Diagnostic::at(Code::BadChoices, text.span, "a choice is blank", "no text to score")
                        .help("write the text that stands in the target's place, such as `\"the answer is yes\"`"),
                );
                sound = false;
            } else if let Some(first) = texts[..number].iter().find(|first| same(first, text)) {
                self.sink.push(
                    Diagnostic::at(Code::BadChoices, text.span, "two choices are the same text", "the same again")
                        .label(first.span, "first written here")
                        .help("remove one of them; white space around a choice makes no other of it"),
                );
                sound = false;
            }
        }
        sound.then_some(())
    }

    /// Reports choices that some rows cannot be scored by; `label` names the split, `gold` is the template that the
    /// right answer comes from.
    pub(super) fn judge_choices(
        &mut self,
        written: &WrittenChoices,
        gold: Option<&TemplateValue>,
        report: &EncodeReport,
        label: &str,
        file: &Path,
    ) -> Option<()> {
        let Some(mut fault) = choices::fault(report, label) else { return Some(()) };
        let (place, help) = match fault.code {
            Code::GoldNotAChoice => (
                "the gold must be one of these",
                "write each choice as the whole target that it stands for, or name the gold: `gold = \"the answer is {answer}\"`",
            ),
            Code::BadChoices => ("the same for these rows", "leave the rows out, or choose from other columns"),
            _ => (
                "blank, or melted into the prompt's last token",
                "fill the column in, or leave the rows out; end the prompt with a newline",
            ),
        };
        let is_gold = fault.code == Code::GoldNotAChoice;
        fault = fault.label(written.span, place);
        if let Some(gold) = gold.filter(|_| is_gold) {
            fault = fault.label(gold.span, "the gold of each row");
        }
        self.sink.push(fault.in_file(file, None).help(help));
        None
    }
}

/// The text of a template without columns.
fn constant(value: &TemplateValue) -> Option<String> {
    let Template::Text(parts) = &value.template else { return None };
    let text = parts.iter().map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    text.collect()
}

/// Whether two choices give the same text for every row.
fn same(one: &TemplateValue, other: &TemplateValue) -> bool {
    match (constant(one), constant(other)) {
        (Some(one), Some(other)) => position([one.as_str()], &other).is_some(),
        _ => one.template == other.template,
    }
}
