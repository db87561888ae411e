//! Generating text: batched greedy decoding, and sampling for one prompt.

use super::engine::{Engine, Input};
use super::pack::Packed;
use super::works::Use;
use crate::data::encode::EncodedRow;
use crate::data::positions::RowTokens;
use crate::diag::Result;
use crate::intervention::edits::{BatchEdits, Places, RowPlace};
use crate::intervention::engine_failed;
use crate::intervention::formula::Edit;
use crate::intervention::units::Interventions;
use crate::model::cache::Cache;
use crate::model::decoder::Watch;
use crate::model::ops::rows::Selection;
use crate::model::place::At;
use candle_core::{Tensor, bail};
use candle_transformers::generation::LogitsProcessor;

/// New tokens for which the cache has room from the start.
const ROOM: usize = 64;

/// A frozen model, with interventions or without, ready to answer.
pub struct Generator<'a> {
    pub(super) engine: &'a Engine<'a>,
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
    pub fn new(engine: &'a Engine<'a>, interventions: Option<&'a Interventions>) -> Result<Self> {
        let ready = |interventions: &'a Interventions| {
            let edits = interventions.edits()?.iter().map(Edit::detach).collect();
            Ok((interventions, edits))
        };
        Ok(Self { engine, tuned: interventions.map(ready).transpose().map_err(engine_failed)? })
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
        if active.is_empty() || max_tokens == 0 {
            return Ok(outputs);
        }
        let (mut logits, mut cache) =
            self.read_prompts(&active.iter().map(|&row| rows[row]).collect::<Vec<_>>(), max_tokens)?;
        let mut edits = self.edits(&NewPlaces::new(active.len()))?;
        for number in 1.. {
            let chosen = choose(&logits)?;
            let going: Vec<usize> = (0..active.len()).filter(|&slot| !self.ends(chosen[slot])).collect();
            for &slot in &going {
                outputs[active[slot]].push(chosen[slot]);
                on_token(chosen[slot]);
            }
            if going.is_empty() || number == max_tokens {
                break;
            }
            if going.len() < active.len() {
                cache.keep(&going);
                active = going.iter().map(|&slot| active[slot]).collect();
                edits = self.edits(&NewPlaces::new(active.len()))?;
            }
            logits =
                self.read_tokens(&going.iter().map(|&slot| chosen[slot]).collect::<Vec<_>>(), &edits, &mut cache)?;
        }
        Ok(outputs)
    }

    /// Reads prompts: the logits of each prompt's last token, `[rows, vocabulary]`, and the keys of all tokens.
    ///
    /// Prompts are edited as they are read; later tokens feel it through keys and values.
    fn read_prompts(&self, rows: &[&EncodedRow], max_tokens: usize) -> candle_core::Result<(Tensor, Cache)> {
        let decoder = self.engine.decoder;
        let input = rows.iter().map(|row| Input { row, tokens: &row.ids });
        let (packed, _) = self.engine.pack(&input.collect::<Vec<_>>(), Use::Decoding)?;
        let lengths: Vec<usize> = rows.iter().map(|row| row.ids.len()).collect();
        let (layers, width) = (decoder.config().layers, decoder.key_width());
        let mut cache = Cache::new(&lengths, max_tokens.min(ROOM), layers, width, decoder.dtype(), decoder.device())?;
        let edits = self.edits(&packed)?;
        let hidden = decoder.run(&packed.pass, &edits, Some(&mut Prompts { packed: &packed, cache: &mut cache }))?;
        // Blocks in which all is constant did not run.
        for layer in (0..layers).filter(|&layer| packed.pass.stages[layer].is_none()) {
            Prompts { packed: &packed, cache: &mut cache }.fill(layer, None, packed.pass.past[layer].as_ref())?;
        }
        let last = (0..rows.len()).map(|row| packed.head(row, lengths[row] - 1)).collect::<Option<Vec<u32>>>();
        let Some(last) = last else { bail!("the last token of a prompt is not among those that the head reads") };
        let last = Selection::new(last, decoder.device())?;
        Ok((decoder.logits(&last.take(&hidden)?)?, cache))
    }

    /// Reads one more token of each row: the logits of the next.
    fn read_tokens(&self, tokens: &[u32], edits: &BatchEdits, cache: &mut Cache) -> candle_core::Result<Tensor> {
        let decoder = self.engine.decoder;
        let pass = decoder.decoding_pass(tokens, cache)?;
        let hidden = decoder.run(&pass, edits, Some(&mut NewTokens { cache }))?;
        cache.advance()?;
        decoder.logits(&hidden)
    }

    fn ends(&self, token: u32) -> bool {
        self.engine.decoder.config().eos_tokens.contains(&token)
    }

    /// The edits of a pass, without dropout.
    pub(super) fn edits(&self, places: &dyn Places) -> candle_core::Result<BatchEdits> {
        match &self.tuned {
            Some((interventions, edits)) => BatchEdits::new(interventions, edits, places, None),
            None => Ok(BatchEdits::default()),
        }
    }
}

/// One new token of each row, as a row of its own behind a prompt of no token: it is edited where decoded tokens are, whatever went before.
struct NewPlaces(Vec<RowPlace>);

impl NewPlaces {
    fn new(rows: usize) -> Self {
        Self((0..rows).map(|row| RowPlace { tokens: RowTokens::new(0, 1), row }).collect())
    }
}

impl Places for NewPlaces {
    fn rows(&self) -> &[RowPlace] {
        &self.0
    }

    fn index(&self, _: usize, _: At, row: usize, _: usize) -> Option<u32> {
        Some(row as u32)
    }
}

/// Fills the cache as prompts are read.
struct Prompts<'a> {
    packed: &'a Packed,
    cache: &'a mut Cache,
}

impl Prompts<'_> {
    fn fill(&mut self, layer: usize, fresh: Option<&Tensor>, past: Option<&Tensor>) -> candle_core::Result<()> {
        let branches = (0..self.cache.lengths().len()).map(|row| self.packed.branch(layer, row));
        self.cache.fill(layer, &branches.collect::<Vec<_>>(), fresh, past)
    }
}

impl Watch for Prompts<'_> {
    fn keys(&mut self, layer: usize, fresh: &Tensor, past: Option<&Tensor>) -> candle_core::Result<()> {
        self.fill(layer, Some(fresh), past)
    }
}

/// Appends the keys of the tokens of a decoding step.
struct NewTokens<'a> {
    cache: &'a mut Cache,
}

impl Watch for NewTokens<'_> {
    fn keys(&mut self, layer: usize, fresh: &Tensor, _: Option<&Tensor>) -> candle_core::Result<()> {
        self.cache.append(layer, fresh)
    }
}
