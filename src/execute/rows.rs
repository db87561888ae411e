//! The rows of a split as tokens, read when a stage begins.

use crate::data::encode::{EncodedRow, encode_prompts, encode_split};
use crate::data::metric::Metric;
use crate::data::read;
use crate::data::source::select;
use crate::data::split::Split;
use crate::diag::{Code, Diagnostic, Result};
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
    let bytes = std::fs::read(path).map_err(|error| read::cannot_open(path, &error))?;
    let rows = read::read(&bytes, path, &split.source.format)?;
    let rows = rows.pick(&select(rows.len(), &split.source.steps));
    let encode = if with_target { encode_split } else { encode_prompts };
    let encoded = encode(&rows, split, &model.tokenizer, model.chat_template.as_ref())?;
    if encoded.rows.is_empty() {
        let message =
            format!("no row of `{}` keeps a target token within `max_length = {}`", path.display(), split.max_length);
        return Err(Box::new(Diagnostic::new(Code::NoRowsLeft, message).in_file(path, None)));
    }
    Ok(encoded.rows)
}
