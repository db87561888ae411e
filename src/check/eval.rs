//! `eval` blocks.

use super::Checker;
use super::choices::WrittenChoices;
use super::data::DataDeclaration;
use super::experiment::Names;
use super::fields::Fields;
use super::lints::unscorable_gold::Judged;
use super::names::is_split_field;
use super::spec::{Eval, When};
use super::split::{SplitContext, Use, missing_split, unknown_split};
use super::trained::TrainedData;
use super::value::{TemplateValue, Value};
use crate::data::answer::Extractor;
use crate::data::metric::Metric;
use crate::data::report::Count;
use crate::diag::{Code, Diagnostic};
use crate::source::Spanned;
use crate::syntax::tree::Section;
use std::rc::Rc;

/// An `eval` block after a look at its fields, before one at its rows.
pub struct EvalFields<'t> {
    section: &'t Section,
    fields: Fields,
    data: Rc<DataDeclaration>,
    split: Spanned<String>,
    gold: Option<TemplateValue>,
    answer: Option<Extractor>,
    choices: Option<WrittenChoices>,
}

impl Checker<'_> {
    pub(super) fn eval_fields<'t>(&mut self, section: &'t Section, names: &mut Names<'t>) -> Option<EvalFields<'t>> {
        let name = self.section_name(section, "eval", names);
        let head = name.map_or(section.keyword.span, |name| name.span);
        let fields = self.block("eval", Some(&section.body), head, None)?;
        if let Some(value) = &section.value {
            self.sink.push(
                Diagnostic::at(Code::UnexpectedText, value.span, "an `eval` has no kind", "not expected here")
                    .help("write `eval NAME { … }`"),
            );
            return None;
        }
        let answer = fields.get("answer").and_then(|answer| self.answer(answer));
        let choices = self.choices(&fields);
        let gold = match fields.get("gold").map(|value| &value.value) {
            Some(Value::Template(value)) => Some(self.text_only(value.clone(), "the gold")?),
            _ => None,
        };
        let Value::Split { split, data } = &fields.get("on")?.value else { return None };
        if !is_split_field(&split.value) {
            self.sink.push(unknown_split(split));
            return None;
        }
        let (split, data) = (split.clone(), self.data(&data.clone())?);
        match data.splits.get(&split.value) {
            Some(source) => {
                let texts = choices.iter().flatten().flat_map(|choices| &choices.texts);
                for template in gold.iter().chain(texts) {
                    source.iter().for_each(|source| self.check_columns(source, template));
                }
            }
            None => {
                self.sink.extend(missing_split(&data, &split));
                return None;
            }
        }
        let choices = choices?;
        name.map(|_| EvalFields { section, fields, data, split, gold, answer, choices })
    }

    pub(super) fn eval_block(
        &mut self,
        eval: EvalFields<'_>,
        trained: &[TrainedData],
        context: &SplitContext<'_>,
    ) -> Option<Eval> {
        let EvalFields { section, fields, data, split, gold, answer, choices } = eval;
        let name = section.name.as_ref()?;
        let metric = match fields.word("metric")? {
            "accuracy" => Metric::Accuracy,
            "perplexity" => Metric::Perplexity,
            _ if choices.is_some() && fields.written("metric").is_none() => Metric::Accuracy,
            _ => Metric::ExactMatch,
        };
        let wanted = match (&choices, metric) {
            (Some(choices), _) => Use::Choices(choices),
            (None, Metric::Perplexity) => Use::Loss,
            (None, _) => Use::Generation,
        };
        let checked = self.split_facts(&data, &split, gold.as_ref(), context, wanted);
        let answer = answer?;
        let mut trained_rows = Count::default();
        for TrainedData { data: trained, .. } in trained {
            trained_rows.merge(self.overlap(trained, &data, &split, fields.get("on")?.span));
        }
        if let (Some(checked), Use::Generation, Some(written)) = (&checked, wanted, fields.get("answer")) {
            let label = format!("`{}.{}`", data.name.text, split.value);
            let judged = Judged { answer: written.span, gold: gold.as_ref(), target: data.target.as_ref() };
            self.gold(checked, &answer, &judged, &label);
        }
        let Value::Form(decode) = &fields.get("decode")?.value else { return None };
        let max_tokens = decode.argument("max_tokens").and_then(|value| usize::try_from(value.value.as_int()?).ok())?;
        let Value::Form(when) = &fields.get("when")?.value else { return None };
        let when = match when.form.name {
            "epoch" => When::Epoch,
            "steps" => When::Steps(usize::try_from(when.argument("count")?.value.as_int()?).ok()?),
            _ => When::End,
        };
        Some(Eval {
            name: name.text.clone(),
            span: name.span,
            split: checked?,
            when,
            max_tokens: if wanted == Use::Generation { max_tokens } else { 0 },
            answer,
            gold: gold.map(|gold| gold.template),
            choices: choices.map(|written| written.choices),
            metric,
            baseline: fields.flag("baseline")?,
            batch: fields.count("batch")?,
            trained_rows,
        })
    }

    /// The extractor of a value of type answer.
    fn answer(&mut self, value: &Spanned<Value>) -> Option<Extractor> {
        let extractor = extractor(&value.value)?;
        if let Err(reason) = extractor.validate() {
            self.sink.push(
                Diagnostic::at(
                    Code::BadArguments,
                    value.span,
                    format!("this `answer` finds nothing: {reason}"),
                    "here",
                )
                .help("write for example `after(\"the answer is \")` or `choice([\"yes\", \"no\"])`"),
            );
            return None;
        }
        Some(extractor)
    }
}

fn extractor(value: &Value) -> Option<Extractor> {
    let Value::Form(form) = value else { return None };
    let text = |name: &str| Some(form.argument(name)?.value.as_text()?.to_owned());
    Some(match form.form.name {
        "after" => Extractor::After(text("trigger")?),
        "regex" => {
            let take = &form.argument("take")?.value;
            Extractor::Regex { pattern: text("pattern")?, last: take.form_name() == Some("last") }
        }
        "last_number" => Extractor::LastNumber,
        "choice" => Extractor::Choice(form.argument("options")?.value.as_texts()?),
        _ => Extractor::Text,
    })
}
