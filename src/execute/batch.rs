//! Which rows go together: into an optimizer step, into one batch of it, into one forward pass.

use super::engine::{Engine, Input, Reuse};
use super::pack::Packed;
use super::works::Use;
use crate::data::encode::EncodedRow;
use crate::intervention::edits::BatchEdits;
use crate::intervention::random::row_order;
use crate::model::decoder::Decoder;
use crate::model::ops::rows::Selection;
use crate::plan::{Train, optimizer_steps};
use candle_core::{Result, Tensor, bail};

/// Rows packed for a forward pass with a loss.
///
/// The last token of a row is never an input: nothing that it predicts is supervised.
pub struct LossBatch {
    pub packed: Packed,
    /// Indices at the last point of the tokens that predict a target token, row after row: the prompt's last to the target's
    /// second-to-last. Rows with the same prompt name its last token each.
    pub supervised: Vec<u32>,
    /// The target tokens that they should predict.
    pub targets: Vec<u32>,
    /// Rows whose constants were in the cache.
    pub reuse: Reuse,
}

impl LossBatch {
    /// Packs rows that hold prompt and target.
    pub fn new(engine: &Engine<'_>, rows: &[&EncodedRow]) -> Result<Self> {
        let (packed, reuse) = engine.pack(&rows.iter().map(|row| input(row)).collect::<Vec<_>>(), Use::Losses)?;
        let (mut supervised, mut targets) = (Vec::new(), Vec::new());
        for (number, row) in rows.iter().enumerate() {
            // A first token that nothing precedes is never predicted.
            for target in row.prompt_tokens.max(1)..row.ids.len() {
                match packed.head(number, target - 1) {
                    Some(index) => supervised.push(index),
                    None => bail!("a token that predicts a target is not among those that the head reads"),
                }
                targets.push(row.ids[target]);
            }
        }
        Ok(Self { packed, supervised, targets, reuse })
    }

    /// The loss of each target token, `[targets]` in f32; the head runs on the tokens that predict one, and on no other.
    pub fn losses(&self, decoder: &Decoder, edits: &BatchEdits) -> Result<Tensor> {
        let hidden = decoder.run(&self.packed.pass, edits, None)?;
        let supervised = Selection::new(self.supervised.clone(), decoder.device())?;
        decoder.losses(&supervised.take(&hidden)?, &self.targets)
    }
}

/// What of an encoded row goes into the model where its target is predicted.
pub fn input(row: &EncodedRow) -> Input<'_> {
    let tokens = &row.ids[..row.ids.len().saturating_sub(1)];
    Input { row, tokens }
}

/// How the rows of an epoch become optimizer steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    pub rows: usize,
    /// Rows of one batch, whose loss is one mean.
    pub batch: usize,
    /// Batches of one step.
    pub accumulate: usize,
    pub epochs: usize,
}

impl Steps {
    /// The steps of a plan over the rows that tokenising left.
    pub fn of(plan: &Train, rows: usize) -> Self {
        Self { rows, batch: plan.batch.max(1), accumulate: plan.accumulate.max(1), epochs: plan.epochs }
    }

    /// Optimizer steps of one epoch; the last one may take fewer rows.
    pub fn per_epoch(&self) -> usize {
        optimizer_steps(self.rows, self.batch, self.accumulate)
    }

    /// Optimizer steps of the whole training.
    pub fn total(&self) -> usize {
        self.epochs * self.per_epoch()
    }

    /// The epoch of a step, both from 0.
    pub fn epoch(&self, step: usize) -> usize {
        step / self.per_epoch().max(1)
    }

    /// The batches of a step (from 0), as indices of rows, in the order of its epoch.
    pub fn batches(&self, step: usize, seed: u64) -> Vec<Vec<usize>> {
        let order = row_order(self.rows, seed, self.epoch(step));
        let rows = order.chunks(self.batch * self.accumulate).nth(step % self.per_epoch().max(1)).unwrap_or_default();
        rows.chunks(self.batch).map(<[usize]>::to_vec).collect()
    }
}

/// Splits items, in their order, into groups of at most `limit` tokens each, but at least one item.
pub fn groups<T>(items: Vec<T>, limit: usize, tokens: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut filled = 0;
    for item in items {
        let more = tokens(&item);
        match groups.last_mut() {
            Some(group) if filled + more <= limit => group.push(item),
            _ => {
                groups.push(vec![item]);
                filled = 0;
            }
        }
        filled += more;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_once_in_an_epoch_and_the_last_step_takes_the_rest() {
        let steps = Steps { rows: 11, batch: 2, accumulate: 2, epochs: 2 };
        assert_eq!((steps.per_epoch(), steps.total()), (3, 6));
        for epoch in 0..2 {
            let batches: Vec<_> = (0..3).flat_map(|step| steps.batches(epoch * 3 + step, 5)).collect();
            assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 2, 2, 1]);
            let mut rows: Vec<usize> = batches.concat();
            rows.sort_unstable();
            assert_eq!(rows, (0..11).collect::<Vec<_>>());
        }
        assert_ne!(steps.batches(0, 5), steps.batches(3, 5));
    }

    #[test]
    fn groups_keep_to_their_tokens() {
        assert_eq!(groups(vec![5, 4, 9, 2], 8, |tokens| *tokens), [vec![5], vec![4], vec![9], vec![2]]);
        assert_eq!(groups(vec![5, 4, 9, 2], 9, |tokens| *tokens), [vec![5, 4], vec![9], vec![2]]);
    }
}
