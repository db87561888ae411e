//! The rows of a split as tokens, read when a stage begins.

use crate::data::chat::ChatTemplate;
use crate::data::choices::{self, encode_choices};
use crate::data::encode::{Encoded, EncodedRow, encode_prompts, encode_split};
use crate::data::metric::Metric;
use crate::data::read;
use crate::data::rows::Rows;
use crate::data::source::select;
use crate::data::split::Split;
use crate::data::tokenizer::Tokenizer;
use crate::diag::{Code, Diagnostic, Result};
use crate::execute::loaded::LoadedModel;
use crate::plan::{Eval, Train};

/// The rows of a training: prompts and targets.
///
/// # Errors
/// Where the file cannot be read (E0401, E0402) or no row keeps a target (E0409).
pub fn train_rows(train: &Train, model: &LoadedModel) -> Result<Vec<EncodedRow>> {
    Ok(encode(&train.split, model, encode_split)?.rows)
}

/// The rows of an evaluation. Where `gold` is written, it stands in the place of the target.
///
/// # Errors
/// As [`train_rows`]; E0212, E0406 and E0410 where the choices of a row cannot be scored.
pub fn eval_rows(eval: &Eval, model: &LoadedModel) -> Result<Vec<EncodedRow>> {
    if eval.metric == Metric::Perplexity {
        return Ok(encode(&eval.split, model, encode_split)?.rows);
    }
    let mut split = eval.split.clone();
    if let Some(gold) = &eval.gold {
        split.target = gold.clone();
    }
    let Some(choices) = &eval.choices else { return Ok(encode(&split, model, encode_prompts)?.rows) };
    let encoded = encode(&split, model, |rows, split, tokenizer, chat| {
        let encoded = encode_choices(rows, split, choices, tokenizer, chat)?;
        // A check looks at the first rows of a large file only.
        match choices::fault(&encoded.report, &format!("`{}`", split.source.path.display())) {
            Some(fault) => Err(Box::new(fault.in_file(&split.source.path, None))),
            None => Ok(encoded),
        }
    })?;
    Ok(encoded.rows)
}

fn encode<F>(split: &Split, model: &LoadedModel, encode: F) -> Result<Encoded>
where
    F: Fn(&Rows, &Split, &Tokenizer, Option<&ChatTemplate>) -> Result<Encoded>,
{
    let path = &split.source.path;
    let bytes = std::fs::read(path).map_err(|error| read::cannot_open(path, &error))?;
    let rows = read::read(&bytes, path, &split.source.format)?;
    let rows = rows.pick(&select(rows.len(), &split.source.steps));
    let encoded = encode(&rows, split, &model.tokenizer, model.chat_template.as_ref())?;
    if encoded.rows.is_empty() {
        let message =
            format!("no row of `{}` keeps a target token within `max_length = {}`", path.display(), split.max_length);
        return Err(Box::new(Diagnostic::new(Code::NoRowsLeft, message).in_file(path, None)));
    }
    Ok(encoded)
}
