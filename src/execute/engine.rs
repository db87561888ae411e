//! A frozen model together with what the plan knows of an experiment's edits: from encoded rows to forward passes.

use super::arena::{self, Arena};
use super::constants::ConstantRows;
use super::loaded::LoadedModel;
use super::pack::{PackRow, Packed};
use super::works::{RowWork, Use, Works};
use crate::data::encode::EncodedRow;
use crate::digest;
use crate::model::decoder::Decoder;
use crate::model::device;
use crate::plan::passes::Passes;
use crate::plan::{Experiment, Intervention, NUMERICS};
use crate::store::frozen::FrozenCache;
use candle_core::{Result, bail};
use std::cell::RefCell;
use std::sync::Arc;

/// Logits of a chunk, trained parameters, libraries' own memory.
const ASIDE: u64 = 1 << 30;

/// A model, and where an experiment edits it.
pub struct Engine<'a> {
    pub decoder: &'a Decoder,
    works: Works,
    constants: ConstantRows<'a>,
}

/// A row on its way into a forward pass.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub row: &'a EncodedRow,
    /// All tokens that go in: the prompt, then what of the target is an input.
    pub tokens: &'a [u32],
}

/// Rows of a pass whose constants were found in the cache, and rows that have constants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reuse {
    pub found: usize,
    pub rows: usize,
}

impl<'a> Engine<'a> {
    /// An engine for edits of these blocks. Constants are kept where there is a cache and the digest of the model's weights.
    pub fn new(
        decoder: &'a Decoder,
        interventions: &[Intervention],
        passes: Passes,
        cache: Option<(&'a FrozenCache, &str)>,
    ) -> Self {
        let named = |(cache, weights): (&'a FrozenCache, &str)| {
            let (dtype, device) = (format!("{:?}", decoder.dtype()), device::kind(decoder.device()));
            (cache, digest::of(digest::json(&(weights, dtype, device, NUMERICS))))
        };
        let cache = cache.filter(|(cache, _)| passes.hoist && cache.is_on()).map(named);
        let constants = ConstantRows::new(decoder, cache);
        Self { decoder, works: Works::new(decoder.config(), interventions, passes), constants }
    }

    /// Lets constants stay on the device, in the arena of this decoder, where they are kept at all.
    #[must_use]
    pub fn with_arena(mut self, arena: &'a RefCell<Arena>) -> Self {
        if self.passes().hoist {
            self.constants.stay_in(arena);
        }
        self
    }

    /// The engine of an experiment on its model. Beside a cache, constants stay on the device, unless that is the CPU: there the cache
    /// is as near.
    pub fn of(experiment: &Experiment, model: &'a LoadedModel, cache: &'a FrozenCache) -> Self {
        let named = experiment.model.weights.as_deref().map(|weights| (cache, weights));
        let engine = Self::new(&model.decoder, &experiment.interventions, experiment.passes, named);
        if model.decoder.device().is_cpu() || !cache.is_on() {
            return engine;
        }
        let held = model.arena.borrow().bytes();
        model.arena.borrow_mut().limit(arena::budget(None, held, needed(experiment), cache.limit()));
        engine.with_arena(&model.arena)
    }

    /// The passes that are on.
    pub fn passes(&self) -> Passes {
        self.works.passes()
    }

    /// Tokens of a row that every step works on, in the block that works most; all where that cannot be told, which packing will say.
    pub fn worked_tokens(&self, input: Input<'_>) -> usize {
        self.work(input, Use::Losses).map_or(input.tokens.len(), |work| {
            work.work.blocks.iter().map(|block| block.input.len()).max().unwrap_or(0)
        })
    }

    fn work(&self, Input { row, tokens }: Input<'_>, purpose: Use) -> Result<Arc<RowWork>> {
        match row.tokens(tokens.len(), self.works.texts()) {
            Some(row) => Ok(self.works.of(row, purpose)),
            None => bail!(
                "the model's chat template does not write the messages of row {} as they are given, so that it cannot be told where the texts stand that are edited",
                row.row + 1
            ),
        }
    }

    /// Packs rows for one forward pass; constants are found or computed.
    pub fn pack(&self, rows: &[Input<'_>], purpose: Use) -> Result<(Packed, Reuse)> {
        let works = rows.iter().map(|row| self.work(*row, purpose)).collect::<Result<Vec<Arc<RowWork>>>>()?;
        let with_work: Vec<(&[u32], &RowWork)> =
            rows.iter().map(|row| row.tokens).zip(works.iter().map(|work| &**work)).collect();
        let found = self.constants.of(&with_work)?;
        let mut reuse = Reuse::default();
        let mut ready = Vec::with_capacity(rows.len());
        for ((row, work), (constants, reused)) in rows.iter().zip(works).zip(found) {
            if work.has_constants() {
                reuse.rows += 1;
                reuse.found += usize::from(reused);
            }
            ready.push(PackRow { tokens: row.tokens, row: row.row.row, work, constants });
        }
        let share = self.passes().share && self.passes().pack;
        Ok((Packed::new(self.decoder, &ready, share)?, reuse))
    }
}

/// Bytes that a training needs on its device beside weights and an arena: what a pass keeps, its gradients and products under way, and the
/// constants of one step, which lie beside the arena where they have no room in it: as they were computed, and as a pass puts them together.
fn needed(experiment: &Experiment) -> u64 {
    let (train, model) = (&experiment.train, &experiment.model);
    let steps = train.rows.div_ceil((train.batch * train.accumulate).max(1)).max(1) as u64;
    2 * train.fit.kept_bytes(&model.config, model.precision) + 2 * experiment.cost.cache_bytes / steps + ASIDE
}
