//! What a training costs, as it is written and as it is planned: counted over the lengths of its rows.

mod beginning;
mod price;

pub use price::{Price, bytes_of};

use super::passes::{ConstantPass, Passes, Readers, Shape, Tokens, Work, sites, work};
use super::{Cost, Experiment};
use crate::check::spec::SplitFacts;
use crate::data::positions::RowTokens;
use crate::intervention::At;

/// Counts an experiment.
///
/// As written, every token of every row runs through every block and the head in every epoch, and back through the blocks above the
/// lowest edit. As planned, worked tokens do, constants are computed once, and what rows that run together begin with is computed for one
/// of them.
pub(super) fn estimate(experiment: &Experiment, facts: &SplitFacts) -> Cost {
    let counter = Counter::new(experiment, facts);
    let train = &experiment.train;
    // Of very large splits only some rows were tokenised.
    let tokenised: usize = facts.shapes.iter().map(|shape| shape.rows).sum();
    let scale = facts.usable as f64 / tokenised.max(1) as f64;
    let mut all = RowCost::default();
    for shape in &facts.shapes {
        all.add(&counter.row(&shape.row), scale * shape.rows as f64);
    }
    let rows = facts.usable.max(1) as f64;
    let (epochs, batch) = (train.epochs as f64, (train.batch * train.accumulate) as f64);
    let passes = &experiment.passes;
    // A forward pass computes the common beginning for one of its rows.
    let beginnings = if passes.share { all.beginning * (rows / batch).ceil() / rows } else { all.beginning };
    let constant_flops = all.constant * if passes.hoist { 1.0 } else { epochs };
    let bytes = bytes_of(experiment.model.precision);
    let step_rows = batch.min(rows) / rows;
    let optimizer = 4 * 4 * experiment.parameters.interventions;
    Cost {
        written_flops: all.written * epochs,
        planned_flops: constant_flops + (beginnings + all.rest) * epochs,
        constant_flops,
        worked_share: if all.grid > 0.0 { all.worked / all.grid } else { 0.0 },
        cache_bytes: if passes.hoist { (all.kept * bytes as f64) as u64 } else { 0 },
        weight_bytes: bytes * experiment.parameters.model,
        training_bytes: ((bytes as f64 * all.saved + 4.0 * all.logits) * step_rows) as u64 + optimizer,
        mean_prompt: facts.mean_prompt,
        mean_tokens: facts.mean_tokens,
        longest_tokens: facts.longest_tokens,
    }
}

/// What one row costs in one epoch, or many rows together.
#[derive(Clone, Copy, Debug, Default)]
struct RowCost {
    /// Floating-point operations of the row as it is written.
    written: f64,
    /// Those of its work: in the beginning that it has in common with all rows, and in the rest, the head included.
    beginning: f64,
    rest: f64,
    /// Those of its constants.
    constant: f64,
    /// Layers times tokens, and those that are worked.
    grid: f64,
    worked: f64,
    /// Numbers that are kept of its constants, and that are saved for the backward pass; scores of the vocabulary.
    kept: f64,
    saved: f64,
    logits: f64,
}

impl RowCost {
    fn add(&mut self, other: &Self, rows: f64) {
        self.written += other.written * rows;
        self.beginning += other.beginning * rows;
        self.rest += other.rest * rows;
        self.constant += other.constant * rows;
        self.grid += other.grid * rows;
        self.worked += other.worked * rows;
        self.kept += other.kept * rows;
        self.saved += other.saved * rows;
        self.logits += other.logits * rows;
    }
}

/// Counts rows of one experiment.
struct Counter<'a> {
    experiment: &'a Experiment,
    price: Price,
    /// Tokens that all rows begin with alike, edits included.
    beginning: usize,
    /// The first block that gradients go back through.
    lowest: usize,
}

impl<'a> Counter<'a> {
    fn new(experiment: &'a Experiment, facts: &SplitFacts) -> Self {
        let blocks = &experiment.interventions;
        let first = blocks.iter().filter_map(|block| match block.at {
            At::BlockInput | At::AttentionOutput => block.layers.first().copied(),
            At::MlpOutput | At::BlockOutput => block.layers.first().map(|layer| layer + 1),
        });
        let config = &experiment.model.config;
        Self {
            experiment,
            price: Price::of(config),
            beginning: beginning::alike(blocks, facts),
            lowest: first.min().unwrap_or(config.layers),
        }
    }

    fn row(&self, row: &RowTokens) -> RowCost {
        let config = &self.experiment.model.config;
        let (prompt, tokens) = (row.prompt, row.all);
        let inputs = tokens.saturating_sub(1);
        let readers = Readers::training(prompt, inputs);
        let sites = sites(&self.experiment.interventions, &row.up_to(inputs));
        let work = work(Shape::of(config), &sites, &readers, self.experiment.passes);
        let pass = ConstantPass::new(&work, prompt, inputs);
        let (beginning, rest) = (Tokens::from(0..self.beginning), Tokens::from(self.beginning..tokens));
        let head = work.head().len() as f64;
        RowCost {
            written: self.written(tokens),
            beginning: self.worked(&work, &beginning),
            rest: self.worked(&work, &rest) + 2.0 * head * self.price.head,
            constant: self.price.constants(&pass, prompt.min(inputs), inputs),
            grid: (config.layers * tokens) as f64,
            worked: work.blocks.iter().map(|block| block.input.len()).sum::<usize>() as f64,
            kept: self.price.kept(&work, prompt.min(inputs), inputs),
            saved: work.blocks.iter().skip(self.lowest).map(|block| self.price.saved(block)).sum(),
            logits: head * config.vocabulary as f64,
        }
    }

    /// Every token forward through every block, and back through those above the lowest edit; the head likewise.
    fn written(&self, tokens: usize) -> f64 {
        let readers = Readers { inputs: tokens, head: Tokens::from(0..tokens), decoding: false };
        let all = work(self.price.shape, &[], &readers, Passes::NONE);
        self.worked(&all, &readers.head) + 2.0 * tokens as f64 * self.price.head
    }

    /// The work of some tokens of a row.
    fn worked(&self, work: &Work, tokens: &Tokens) -> f64 {
        let block = |(layer, block)| {
            let back = if layer >= self.lowest { self.price.backward(block, tokens) } else { 0.0 };
            self.price.forward(block, tokens) + back
        };
        work.blocks.iter().enumerate().map(block).sum()
    }
}
