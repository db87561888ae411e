//! The rows of a split as tokens, read when a stage begins: from the user's cache where a check or an earlier run put them.

use crate::data::choices;
use crate::data::encode::EncodedRow;
use crate::data::files::{digest_of, rows_of};
use crate::data::form::Form;
use crate::data::metric::Metric;
use crate::data::positions::texts;
use crate::data::report::EncodeReport;
use crate::data::row_bytes::{self, Decides};
use crate::data::source::select;
use crate::data::spans::Spans;
use crate::data::split::Split;
use crate::diag::{Code, Diagnostic, Result};
use crate::model::config::ModelConfig;
use crate::model::known::KnownModel;
use crate::model::located::Located;
use crate::plan::{Eval, Experiment};

/// The rows of a training, split after split: prompts and targets. They are numbered through, and where their texts stand they say only
/// where some position asks for it.
///
/// # Errors
/// Where the file cannot be read (E0401, E0402) or no row keeps a target (E0409).
pub fn train_rows(experiment: &Experiment, model: &Located) -> Result<Vec<EncodedRow>> {
    let mut all: Vec<EncodedRow> = Vec::new();
    for part in &experiment.train.splits {
        let first = all.last().map_or(0, |row| row.row + 1);
        let rows = encode(&part.split, experiment, model, Form::Targets)?;
        all.extend(rows.into_iter().map(|row| EncodedRow { row: first + row.row, ..row }));
    }
    Ok(as_needed(all, experiment))
}

/// The rows of an evaluation, likewise. Where `gold` is written, it stands in the place of the target.
///
/// # Errors
/// As [`train_rows`]; E0212, E0406 and E0410 where the choices of a row cannot be scored.
pub fn eval_rows(experiment: &Experiment, eval: &Eval, model: &Located) -> Result<Vec<EncodedRow>> {
    let mut split = eval.split.clone();
    let form = match eval.metric {
        Metric::Perplexity => Form::Targets,
        Metric::Accuracy | Metric::ExactMatch => {
            split.target = eval.gold.as_ref().unwrap_or(&split.target).clone();
            eval.choices.as_ref().map_or(Form::Prompts, Form::Choices)
        }
    };
    encode(&split, experiment, model, form).map(|rows| as_needed(rows, experiment))
}

fn as_needed(mut rows: Vec<EncodedRow>, experiment: &Experiment) -> Vec<EncodedRow> {
    if texts(experiment.interventions.iter().flat_map(|block| &block.segments)).is_empty() {
        let forget = |row: &mut EncodedRow| row.spans = Spans::default();
        rows.iter_mut().for_each(|row| {
            forget(row);
            row.choices.iter_mut().for_each(forget);
        });
    }
    rows
}

/// Only rows that no cache holds need the tokenizer.
fn encode(split: &Split, experiment: &Experiment, model: &Located, form: Form<'_>) -> Result<Vec<EncodedRow>> {
    let cache = model.cache();
    let data = digest_of(&split.source, &|path| cache.digest(path))?;
    let key = key(split, &experiment.model.config, model, &data, form);
    let known = key.as_ref().and_then(|key| row_bytes::read(&cache.get_bytes(row_bytes::KIND, key)?));
    if let Some(rows) = known {
        return Ok(rows);
    }
    let (rows, digest) = rows_of(&split.source, &|path| std::fs::read(path))?;
    let rows = rows.pick(&select(rows.len(), &split.source.steps));
    let encoded = form.encode(&rows, split, &*model.tokenizer()?, model.chat_template()?.as_ref())?;
    judge(split, form, &encoded.report)?;
    if encoded.rows.is_empty() {
        let path = &split.source.path;
        let message =
            format!("no row of `{}` keeps a target token within `max_length = {}`", path.display(), split.max_length);
        return Err(Box::new(Diagnostic::new(Code::NoRowsLeft, message).in_file(path, None)));
    }
    // The file may have changed since its digest was taken.
    if let Some(key) = key.filter(|_| digest == data) {
        cache.put_bytes(row_bytes::KIND, &key, &row_bytes::write(&encoded.rows));
    }
    Ok(encoded.rows)
}

/// What a check may not have seen, for it looks at the first rows of a large file only.
fn judge(split: &Split, form: Form<'_>, report: &EncodeReport) -> Result<()> {
    let path = &split.source.path;
    let fault = matches!(form, Form::Choices(_)).then(|| choices::fault(report, &format!("`{}`", path.display())));
    fault.flatten().map_or(Ok(()), |fault| Err(Box::new(fault.in_file(path, None))))
}

/// What the rows are called in the cache; `None` where the tokenizer's files cannot be read any more.
fn key(split: &Split, config: &ModelConfig, model: &Located, data: &str, form: Form<'_>) -> Option<String> {
    let tokenizer = model.tokenizer_digest().ok()?;
    let (begins, ends) = (config.bos_token, config.eos_tokens.as_slice());
    Some(row_bytes::key(split, Decides { tokenizer: &tokenizer, data, begins, ends, form }))
}
