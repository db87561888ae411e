//! Generating text: batched greedy decoding, and sampling for one prompt.

use crate::data::encode::EncodedRow;
use crate::diag::Result;
use crate::intervention::edits::{BatchEdits, PackedPrompt};
use crate::intervention::engine_failed;
use crate::intervention::formula::Edit;
use crate::intervention::units::Interventions;
use crate::model::cache::Cache;
use crate::model::decoder::Decoder;
use crate::model::packed::PackedRows;
use candle_core::Tensor;
use candle_transformers::generation::LogitsProcessor;

/// A frozen model, with interventions or without, ready to answer.
pub struct Generator<'a> {
    pub(super) decoder: &'a Decoder,
    tuned: Option<(&'a Interventions, Vec<Edit>)>,
}

/// How tokens are drawn; without a temperature the likeliest is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    pub temperature: Option<f64>,
    /// Only the likeliest tokens that together have this probability are drawn from.
    pub top_p: Option<f64>,
    pub seed: u64,
}

impl<'a> Generator<'a> {
    /// Makes the edits ready; `None` leaves the model untouched.
    pub fn new(decoder: &'a Decoder, interventions: Option<&'a Interventions>) -> Result<Self> {
        let ready = |interventions: &'a Interventions| {
            let edits = interventions.edits()?.iter().map(Edit::detach).collect();
            Ok((interventions, edits))
        };
        Ok(Self { decoder, tuned: interventions.map(ready).transpose().map_err(engine_failed)? })
    }

    /// The new tokens of each row, without the token that ended it: at most `max_tokens`, the likeliest each time.
    ///
    /// Rows hold prompts alone. A row's tokens do not depend on the other rows; rows that have ended leave the batch.
    pub fn greedy(&self, rows: &[&EncodedRow], max_tokens: usize) -> Result<Vec<Vec<u32>>> {
        self.decode(rows, max_tokens, &mut |logits| logits.argmax(1)?.to_vec1(), &mut |_| {}).map_err(engine_failed)
    }

    /// The new tokens of one prompt, drawn; `on_token` sees each as it comes.
    pub fn sample(
        &self,
        row: &EncodedRow,
        max_tokens: usize,
        sampling: Sampling,
        on_token: &mut dyn FnMut(u32),
    ) -> Result<Vec<u32>> {
        let mut processor = LogitsProcessor::new(sampling.seed, sampling.temperature, sampling.top_p);
        let mut choose = |logits: &Tensor| Ok(vec![processor.sample(&logits.get(0)?)?]);
        let mut tokens = self.decode(&[row], max_tokens, &mut choose, on_token).map_err(engine_failed)?;
        Ok(tokens.pop().unwrap_or_default())
    }

    fn decode(
        &self,
        rows: &[&EncodedRow],
        max_tokens: usize,
        choose: &mut dyn FnMut(&Tensor) -> candle_core::Result<Vec<u32>>,
        on_token: &mut dyn FnMut(u32),
    ) -> candle_core::Result<Vec<Vec<u32>>> {
        let mut outputs = vec![Vec::new(); rows.len()];
        let mut active: Vec<usize> = (0..rows.len()).filter(|&row| !rows[row].ids.is_empty()).collect();
        let mut packed = PackedRows::new(&active.iter().map(|&row| &rows[row].ids).collect::<Vec<_>>());
        let prompt = |(slot, &row): (usize, &usize)| {
            let offset = packed.range(slot).start;
            PackedPrompt { offset, tokens: rows[row].prompt_tokens, row: rows[row].row }
        };
        let prompts: Vec<PackedPrompt> = active.iter().enumerate().map(prompt).collect();
        let mut edits = self.edits(&prompts)?;
        let mut cache = Cache::new();
        for _ in 0..max_tokens {
            if active.is_empty() {
                break;
            }
            // Prompts are edited as they fill the cache; later tokens feel it through keys and values.
            let (edits, last) = (std::mem::take(&mut edits), packed.last_tokens());
            let hidden = self.decoder.forward_at(&packed, &last, &edits, Some(&mut cache))?;
            let chosen = choose(&self.decoder.logits(&hidden)?)?;
            let going: Vec<usize> = (0..active.len()).filter(|&slot| !self.ends(chosen[slot])).collect();
            for &slot in &going {
                outputs[active[slot]].push(chosen[slot]);
                on_token(chosen[slot]);
            }
            if going.len() < active.len() {
                cache.keep(&going)?;
            }
            packed = PackedRows::new(&going.iter().map(|&slot| [chosen[slot]]).collect::<Vec<_>>());
            active = going.iter().map(|&slot| active[slot]).collect();
        }
        Ok(outputs)
    }

    fn ends(&self, token: u32) -> bool {
        self.decoder.config().eos_tokens.contains(&token)
    }

    /// The edits of the prompts of a packed batch, without dropout.
    pub(super) fn edits(&self, prompts: &[PackedPrompt]) -> candle_core::Result<BatchEdits> {
        match &self.tuned {
            Some((interventions, edits)) => BatchEdits::new(interventions, edits, prompts, None),
            None => Ok(BatchEdits::default()),
        }
    }
}
