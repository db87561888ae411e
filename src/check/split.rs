//! The rows of a split as tokens: what training or evaluation would stumble over.

use super::Checker;
use super::choices::WrittenChoices;
use super::data::DataDeclaration;
use super::model::ModelDeclaration;
use super::schema;
use super::spec::{CheckedSplit, SplitFacts};
use super::value::TemplateValue;
use crate::data::form::Form;
use crate::data::positions::Segment;
use crate::data::read;
use crate::data::report::EncodeReport;
use crate::data::row_bytes::{self, Decides};
use crate::data::source::select;
use crate::data::split::Split;
use crate::data::template::Template;
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::digest;
use crate::source::Spanned;

/// At most this many rows are tokenised by a check.
pub const SCANNED_ROWS: usize = 100_000;

/// What a split is used for, which decides what of it is tokenised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Use<'a> {
    Training,
    /// A loss is taken on the target, as in training.
    Loss,
    /// The prompt is given, text is generated.
    Generation,
    /// Choices are scored after the prompt.
    Choices(&'a WrittenChoices),
}

/// What the experiment around a split says.
pub struct SplitContext<'a> {
    pub model: &'a ModelDeclaration,
    pub max_length: usize,
    /// The segments of all interventions.
    pub segments: &'a [Spanned<Segment>],
}

impl Checker<'_> {
    /// Tokenises a split and reports what is wrong with its rows. `named` is the split and the place that names it; an
    /// evaluation with a `gold` renders that in the place of the target.
    pub(super) fn split_facts(
        &mut self,
        data: &DataDeclaration,
        named: &Spanned<String>,
        gold: Option<&TemplateValue>,
        context: &SplitContext<'_>,
        wanted: Use<'_>,
    ) -> Option<CheckedSplit> {
        let source = data.splits.get(&named.value)?.as_ref()?;
        let table = &source.table;
        let split = data.split(&source.source.value, context.max_length)?;
        let choices = match wanted {
            Use::Choices(written) => written.texts.as_slice(),
            _ => &[],
        };
        let templates = [&data.prompt, &data.target].into_iter().flatten().chain(gold).chain(choices);
        if templates.flat_map(|template| &template.columns).any(|column| !table.columns.contains(&column.value)) {
            return None;
        }
        let rendered = match gold {
            Some(gold) => Split { target: gold.template.clone(), ..split.clone() },
            None => split.clone(),
        };
        let report = match self.report(&rendered, &table.digest, context, wanted) {
            Ok(report) => report,
            Err(diagnostic) => {
                let place = match diagnostic.code {
                    Code::NoChatTemplate => data.prompt.as_ref().map_or(source.source.span, |prompt| prompt.span),
                    Code::MissingValue | Code::DataNotFound | Code::DataUnreadable => source.source.span,
                    _ => context.model.source,
                };
                self.blame(diagnostic, place);
                return None;
            }
        };
        if let Use::Choices(written) = wanted {
            let label = format!("`{}.{}`", data.name.text, named.value);
            let gold = gold.or(data.target.as_ref());
            self.judge_choices(written, gold, &report, &label, &source.source.value.path)?;
        }
        self.judge(data, source, named, context, wanted, &report)?;
        let shapes = report.shapes();
        let prompt_tokens: usize = shapes.iter().map(|shape| shape.prompt * shape.rows).sum();
        let scanned_share = table.rows as f64 / report.rows.max(1) as f64;
        let facts = SplitFacts {
            digest: table.digest.clone(),
            rows: table.rows,
            usable: (report.kept() as f64 * scanned_share).round() as usize,
            mean_prompt: prompt_tokens as f64 / report.kept().max(1) as f64,
            mean_tokens: report.mean(),
            longest_tokens: report.longest,
            shapes,
            shared_start: report.shared_start,
        };
        Some(CheckedSplit { split, facts })
    }

    /// The report on a split's tokens, remembered by the contents that decide it. So are the rows, for the run.
    fn report(&self, split: &Split, data: &str, context: &SplitContext<'_>, wanted: Use<'_>) -> Result<EncodeReport> {
        let form = match wanted {
            Use::Training | Use::Loss => Form::Targets,
            Use::Generation => Form::Prompts,
            Use::Choices(written) => Form::Choices(&written.choices),
        };
        let model = &context.model.checked;
        let rows_key = row_bytes::key(
            split,
            Decides {
                tokenizer: &model.digests.tokenizer,
                data,
                begins: model.config.bos_token,
                ends: &model.config.eos_tokens,
                form,
            },
        );
        let key = format!("{rows_key}, the first {SCANNED_ROWS}, report {}", EncodeReport::VERSION);
        if let Some(report) = self.world.cached("tokens", &key).and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(report);
        }
        let path = &split.source.path;
        let bytes = self.world.read(path).map_err(|error| read::cannot_open(path, &error))?;
        let rows = read::read(&bytes, path, &split.source.format)?;
        let mut order = select(rows.len(), &split.source.steps);
        let all = order.len() <= SCANNED_ROWS;
        order.truncate(SCANNED_ROWS);
        let rows = rows.pick(&order);
        let tokenizer = context.model.facts.tokenizer()?;
        let chat = match split.prompt {
            Template::Chat(_) => context.model.facts.chat_template()?,
            Template::Text(_) => None,
        };
        let encoded = form.encode(&rows, split, &tokenizer, chat.as_ref())?;
        // The file may have changed since its digest was taken.
        if digest::of(&bytes) == data {
            self.world.remember("tokens", &key, &digest::json(&encoded.report));
            if all && !encoded.rows.is_empty() {
                self.world.remember_bytes(row_bytes::KIND, &rows_key, &row_bytes::write(&encoded.rows));
            }
        }
        Ok(encoded.report)
    }
}

/// A split that the data does not set; `None` where a wrong field of it may have been meant, or it has no rows at all.
pub fn missing_split(data: &DataDeclaration, named: &Spanned<String>) -> Option<Diagnostic> {
    if data.has_stray || data.splits.is_empty() {
        return None;
    }
    let splits: Vec<&str> = data.splits.keys().map(String::as_str).collect();
    let diagnostic = Diagnostic::at(
        Code::UnknownSplit,
        named.span,
        format!("`{}` has no split `{}`", data.name.text, named.value),
        "this split is asked for here",
    )
    .label(data.name.span, "the data is declared here");
    let add = format!("add `{} = json(\"data/{}.json\")` to `{}`", named.value, named.value, data.name.text);
    Some(diagnostic.help(format!("{add}, or take {}", suggest::list(&splits))))
}

/// A word after `data.` that names no split of the language.
pub fn unknown_split(split: &Spanned<String>) -> Diagnostic {
    let names = ["train", "validation", "test"];
    let diagnostic = Diagnostic::at(
        Code::UnknownSplit,
        split.span,
        format!("`{}` is not the name of a split", split.value),
        "unknown split",
    );
    let alias = schema::block("data").and_then(|block| block.known_as(&split.value)).map(|field| field.name);
    let alias = alias.filter(|name| names.contains(name));
    let diagnostic = diagnostic.maybe_fix(split.span, alias.or_else(|| suggest::slip_of(&split.value, names)));
    match alias.or(suggest::near(&split.value, names).first().copied()) {
        Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")),
        None => diagnostic.help(format!("write {}", suggest::list(&names))),
    }
}
