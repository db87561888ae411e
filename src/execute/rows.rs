//! The rows of a split as tokens, read when a stage begins: from the user's cache where a check or an earlier run put them.

use crate::data::choices;
use crate::data::encode::EncodedRow;
use crate::data::form::Form;
use crate::data::metric::Metric;
use crate::data::read;
use crate::data::report::EncodeReport;
use crate::data::row_bytes::{self, Decides};
use crate::data::source::select;
use crate::data::split::Split;
use crate::diag::{Code, Diagnostic, Result};
use crate::digest;
use crate::execute::loaded::LoadedModel;
use crate::plan::{Eval, Train};

/// The rows of a training: prompts and targets.
///
/// # Errors
/// Where the file cannot be read (E0401, E0402) or no row keeps a target (E0409).
pub fn train_rows(train: &Train, model: &LoadedModel) -> Result<Vec<EncodedRow>> {
    encode(&train.split, model, Form::Targets)
}

/// The rows of an evaluation. Where `gold` is written, it stands in the place of the target.
///
/// # Errors
/// As [`train_rows`]; E0212, E0406 and E0410 where the choices of a row cannot be scored.
pub fn eval_rows(eval: &Eval, model: &LoadedModel) -> Result<Vec<EncodedRow>> {
    if eval.metric == Metric::Perplexity {
        return encode(&eval.split, model, Form::Targets);
    }
    let mut split = eval.split.clone();
    if let Some(gold) = &eval.gold {
        split.target = gold.clone();
    }
    encode(&split, model, eval.choices.as_ref().map_or(Form::Prompts, Form::Choices))
}

fn encode(split: &Split, model: &LoadedModel, form: Form<'_>) -> Result<Vec<EncodedRow>> {
    let path = &split.source.path;
    let cache = model.found.cache();
    let data = cache.digest(path).map_err(|error| read::cannot_open(path, &error))?;
    let key = key(split, model, &data, form);
    let known = key.as_ref().and_then(|key| row_bytes::read(&cache.get_bytes(row_bytes::KIND, key)?));
    if let Some(rows) = known {
        return Ok(rows);
    }
    let bytes = std::fs::read(path).map_err(|error| read::cannot_open(path, &error))?;
    let rows = read::read(&bytes, path, &split.source.format)?;
    let rows = rows.pick(&select(rows.len(), &split.source.steps));
    let encoded = form.encode(&rows, split, &model.tokenizer, model.chat_template.as_ref())?;
    judge(split, form, &encoded.report)?;
    if encoded.rows.is_empty() {
        let message =
            format!("no row of `{}` keeps a target token within `max_length = {}`", path.display(), split.max_length);
        return Err(Box::new(Diagnostic::new(Code::NoRowsLeft, message).in_file(path, None)));
    }
    // The file may have changed since its digest was taken.
    if let Some(key) = key.filter(|_| digest::of(&bytes) == data) {
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
fn key(split: &Split, model: &LoadedModel, data: &str, form: Form<'_>) -> Option<String> {
    let tokenizer = model.found.tokenizer_digest().ok()?;
    let config = model.decoder.config();
    let (begins, ends) = (config.bos_token, config.eos_tokens.as_slice());
    Some(row_bytes::key(split, Decides { tokenizer: &tokenizer, data, begins, ends, form }))
}
