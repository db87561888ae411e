//! Which rows go together: into an optimizer step, into one batch of it, into one forward pass.

use crate::data::encode::EncodedRow;
use crate::intervention::edits::{BatchEdits, PackedPrompt};
use crate::intervention::random::row_order;
use crate::model::decoder::Decoder;
use crate::model::packed::PackedRows;
use crate::plan::Train;
use candle_core::{Result, Tensor};

/// Rows packed for a forward pass with a loss.
///
/// The last token of a row is never an input: nothing that it predicts is supervised.
#[derive(Clone, Debug)]
pub struct LossBatch {
    pub rows: PackedRows,
    pub prompts: Vec<PackedPrompt>,
    /// Packed indices of the tokens that predict a target token: the prompt's last to the target's second-to-last.
    pub supervised: Vec<u32>,
    /// The target tokens that they should predict.
    pub targets: Vec<u32>,
}

impl LossBatch {
    /// Packs rows that hold prompt and target.
    pub fn new(rows: &[&EncodedRow]) -> Self {
        let inputs: Vec<&[u32]> = rows.iter().map(|row| &row.ids[..row.ids.len().saturating_sub(1)]).collect();
        let packed = PackedRows::new(&inputs);
        let (mut prompts, mut supervised, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            let offset = packed.range(index).start;
            prompts.push(PackedPrompt { offset, tokens: row.prompt_tokens, row: row.row });
            // A first token that nothing precedes is never predicted.
            for target in row.prompt_tokens.max(1)..row.ids.len() {
                supervised.push((offset + target - 1) as u32);
                targets.push(row.ids[target]);
            }
        }
        Self { rows: packed, prompts, supervised, targets }
    }

    /// The loss of each target token, `[targets]` in f32; the head runs on the tokens that predict one, and on no other.
    pub fn losses(&self, decoder: &Decoder, edits: &BatchEdits) -> Result<Tensor> {
        decoder.losses(&decoder.forward_at(&self.rows, &self.supervised, edits, None)?, &self.targets)
    }
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
        self.rows.div_ceil(self.batch * self.accumulate)
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

/// Splits rows, in their order, into forward passes of at most `tokens` tokens each, but at least one row.
pub fn forward_passes<'a>(rows: &[&'a EncodedRow], tokens: usize) -> Vec<Vec<&'a EncodedRow>> {
    let mut passes: Vec<Vec<&EncodedRow>> = Vec::new();
    let mut filled = 0;
    for &row in rows {
        match passes.last_mut() {
            Some(pass) if filled + row.ids.len() <= tokens => pass.push(row),
            _ => {
                passes.push(vec![row]);
                filled = 0;
            }
        }
        filled += row.ids.len();
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: usize, ids: &[u32], prompt_tokens: usize) -> EncodedRow {
        EncodedRow { row, ids: ids.to_vec(), prompt_tokens, ..Default::default() }
    }

    #[test]
    fn the_loss_is_on_the_target_tokens() {
        let rows = [row(4, &[10, 11, 12, 20, 21], 3), row(7, &[13, 22], 1)];
        let batch = LossBatch::new(&rows.iter().collect::<Vec<_>>());
        assert_eq!(batch.rows.tokens(), [10, 11, 12, 20, 13]);
        assert_eq!(batch.supervised, [2, 3, 4]);
        assert_eq!(batch.targets, [20, 21, 22]);
        assert_eq!(batch.prompts[1], PackedPrompt { offset: 4, tokens: 1, row: 7 });
    }

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
    fn passes_keep_to_their_tokens() {
        let rows = [row(0, &[1; 5], 1), row(1, &[1; 4], 1), row(2, &[1; 9], 1), row(3, &[1; 2], 1)];
        let passes = forward_passes(&rows.iter().collect::<Vec<_>>(), 8);
        let numbers: Vec<Vec<usize>> = passes.iter().map(|pass| pass.iter().map(|row| row.row).collect()).collect();
        assert_eq!(numbers, [vec![0], vec![1], vec![2], vec![3]]);
        assert_eq!(forward_passes(&rows.iter().collect::<Vec<_>>(), 9).len(), 3);
    }
}
