//! The `train` block.

use super::Checker;
use super::fields::Fields;
use super::model::ModelDeclaration;
use super::spec::{CheckedSplit, Keep, Optimizer, ScheduleShape, SplitFacts, Train};
use super::value::{FormValue, Value};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::tree::Section;

impl Checker<'_> {
    pub(super) fn train_fields(&mut self, section: &Section) -> Option<Fields> {
        let extra = section.name.as_ref().map(|name| name.span).or(section.value.as_ref().map(|value| value.span));
        if let Some(span) = extra {
            self.sink.push(
                Diagnostic::at(Code::UnexpectedText, span, "a `train` block has no name", "not expected here")
                    .help("write `train { … }`")
                    .fix(Span { start: section.keyword.span.end, ..span }, ""),
            );
        }
        self.block("train", Some(&section.body), section.keyword.span, None)
    }

    /// `base_dropout`: nothing is dropped in a frozen decoder, so a config that asks for it cannot be followed.
    pub(super) fn base_dropout(&mut self, fields: &Fields, model: &ModelDeclaration) -> Option<()> {
        let share = model.checked.config.attention_dropout;
        if fields.word("base_dropout")? == "config" && share > 0.0 {
            self.sink.push(
                Diagnostic::at(
                    Code::BaseDropout,
                    fields.get("base_dropout")?.span,
                    format!(
                        "the config of `{}` asks for dropout in attention, which reftc does not compute",
                        model.name.text
                    ),
                    format!("`attention_dropout` is {share}"),
                )
                .label(model.name.span, "the model is declared here")
                .help("write `base_dropout = off`"),
            );
            return None;
        }
        Some(())
    }

    /// `max_length`, which the model must be able to read; where none is written, at most what it can.
    pub(super) fn max_length(&mut self, fields: &Fields, model: &ModelDeclaration) -> Option<usize> {
        let max_length = fields.count("max_length")?;
        let context = model.checked.config.context_length;
        let Some(written) = fields.written("max_length") else { return Some(max_length.min(context)) };
        if max_length > context {
            self.sink.push(
                Diagnostic::at(
                    Code::OutOfRange,
                    written,
                    format!("`max_length` of {max_length} is more than the model can read"),
                    format!("`{}` reads {context} tokens at most", model.name.text),
                )
                .label(model.name.span, "the model is declared here")
                .help(format!("write `max_length = {context}` or less")),
            );
            return None;
        }
        Some(max_length)
    }
}

/// The checked block; `None` where a field of it was reported.
pub fn train_block(span: Span, fields: &Fields, splits: Vec<CheckedSplit>, facts: SplitFacts) -> Option<Train> {
    let Value::Form(schedule) = &fields.get("schedule")?.value else { return None };
    let Value::Form(optimizer) = &fields.get("optimizer")?.value else { return None };
    let number = |form: &FormValue, name: &str| form.argument(name)?.value.as_number();
    Some(Train {
        span,
        splits,
        facts,
        epochs: fields.count("epochs")?,
        batch: fields.count("batch")?,
        accumulate: fields.count("accumulate")?,
        learning_rate: fields.number("lr")?,
        schedule: match schedule.form.name {
            "cosine" => ScheduleShape::Cosine,
            "constant" => ScheduleShape::Constant,
            _ => ScheduleShape::Linear,
        },
        warmup: number(schedule, "warmup")?,
        optimizer: Optimizer {
            beta1: number(optimizer, "beta1")?,
            beta2: number(optimizer, "beta2")?,
            epsilon: number(optimizer, "epsilon")?,
            weight_decay: number(optimizer, "weight_decay")?,
        },
        clip: fields.get("clip")?.value.as_number(),
        recompute: fields.flag("recompute")?,
        // What a measure decides is known once the evals are.
        keep: Keep::Last,
    })
}
