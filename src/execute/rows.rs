//! The rows of a split as tokens, read when a stage begins: from the user's cache where a check or an earlier run put them.

use crate::data::encode::{EncodedRow, encode_prompts, encode_split};
use crate::data::metric::Metric;
use crate::data::read;
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
    encode(&train.split, model, true)
}

/// The rows of an evaluation. Where `gold` is written, it stands in the place of the target.
///
/// # Errors
/// As [`train_rows`].
pub fn eval_rows(eval: &Eval, model: &LoadedModel) -> Result<Vec<EncodedRow>> {
    if eval.metric == Metric::Perplexity {
        return encode(&eval.split, model, true);
    }
    let mut split = eval.split.clone();
    if let Some(gold) = &eval.gold {
        split.target = gold.clone();
    }
    encode(&split, model, false)
}

fn encode(split: &Split, model: &LoadedModel, with_target: bool) -> Result<Vec<EncodedRow>> {
    let path = &split.source.path;
    let cache = model.found.cache();
    let data = cache.digest(path).map_err(|error| read::cannot_open(path, &error))?;
    let key = key(split, model, &data, with_target);
    let known = key.as_ref().and_then(|key| row_bytes::read(&cache.get_bytes(row_bytes::KIND, key)?));
    if let Some(rows) = known {
        return Ok(rows);
    }
    let bytes = std::fs::read(path).map_err(|error| read::cannot_open(path, &error))?;
    let rows = read::read(&bytes, path, &split.source.format)?;
    let rows = rows.pick(&select(rows.len(), &split.source.steps));
    let encode = if with_target { encode_split } else { encode_prompts };
    let rows = encode(&rows, split, &model.tokenizer, model.chat_template.as_ref())?.rows;
    if rows.is_empty() {
        let message =
            format!("no row of `{}` keeps a target token within `max_length = {}`", path.display(), split.max_length);
        return Err(Box::new(Diagnostic::new(Code::NoRowsLeft, message).in_file(path, None)));
    }
    // The file may have changed since its digest was taken.
    if let Some(key) = key.filter(|_| digest::of(&bytes) == data) {
        cache.put_bytes(row_bytes::KIND, &key, &row_bytes::write(&rows));
    }
    Ok(rows)
}

/// What the rows are called in the cache; `None` where the tokenizer's files cannot be read any more.
fn key(split: &Split, model: &LoadedModel, data: &str, with_target: bool) -> Option<String> {
    let tokenizer = model.found.tokenizer_digest().ok()?;
    let config = model.decoder.config();
    let (begins, ends) = (config.bos_token, config.eos_tokens.as_slice());
    Some(row_bytes::key(split, Decides { tokenizer: &tokenizer, data, begins, ends, with_target }))
}
