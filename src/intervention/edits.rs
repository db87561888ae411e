//! Edits between blocks: the units of an experiment acting on one packed batch.

use super::formula::Edit;
use super::random::{Key, Purpose, push_dropout};
use super::units::{Interventions, Unit};
use crate::data::positions::Segment;
use crate::model::decoder::BlockHook;
use candle_core::{DType, Device, Result, Tensor};
use std::collections::BTreeMap;

/// Where the prompt of a row lies in a packed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedPrompt {
    /// The packed index of the row's first token.
    pub offset: usize,
    /// Tokens of the prompt; only these are edited.
    pub tokens: usize,
    /// The number of the row in its split.
    pub row: usize,
}

/// What the masks of dropout are keyed by; evaluation has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropout {
    pub seed: u64,
    pub epoch: usize,
}

/// The edits of one packed batch, by layer, in the order in which they act.
#[derive(Clone, Debug, Default)]
pub struct BatchEdits {
    layers: BTreeMap<usize, Vec<UnitEdit>>,
}

#[derive(Clone, Debug)]
struct UnitEdit {
    edit: Edit,
    /// Packed indices of the edited tokens, `[positions]`, u32.
    indices: Tensor,
    /// Factors of dropout, `[positions, hidden]`, f32.
    mask: Option<Tensor>,
}

impl BatchEdits {
    /// Places `edits` (one for each unit, from [`Interventions::edits`]) on the prompts of a packed batch.
    ///
    /// A mask of dropout depends on the row, the unit and the token's place in the row, not on the batch.
    pub fn new(
        interventions: &Interventions,
        edits: &[Edit],
        prompts: &[PackedPrompt],
        dropout: Option<Dropout>,
    ) -> Result<Self> {
        let device = &interventions.device;
        let mut known: Vec<(&[Segment], Tensor)> = Vec::new();
        let mut layers: BTreeMap<usize, Vec<UnitEdit>> = BTreeMap::new();
        for (unit, edit) in interventions.units.iter().zip(edits) {
            let found =
                known.iter().find(|(segments, _)| *segments == unit.segments).map(|(_, indices)| indices.clone());
            let indices = match found {
                Some(indices) => indices,
                None => {
                    let indices = packed_indices(unit, prompts, device)?;
                    known.push((&unit.segments, indices.clone()));
                    indices
                }
            };
            if indices.elem_count() == 0 {
                continue;
            }
            let mask = match dropout {
                Some(dropout) if unit.dropout > 0.0 => Some(dropout_mask(interventions, unit, prompts, dropout)?),
                _ => None,
            };
            layers.entry(unit.layer).or_default().push(UnitEdit { edit: edit.clone(), indices, mask });
        }
        Ok(Self { layers })
    }

    /// The lowest layer that is edited: below it nothing depends on a parameter.
    pub fn lowest_layer(&self) -> Option<usize> {
        self.layers.keys().next().copied()
    }

    /// The highest layer that is edited.
    pub fn highest_layer(&self) -> Option<usize> {
        self.layers.keys().next_back().copied()
    }
}

impl BlockHook for BatchEdits {
    fn after_block(&self, layer: usize, mut hidden: Tensor) -> Result<Tensor> {
        for edit in self.layers.get(&layer).into_iter().flatten() {
            hidden = edit.apply(&hidden)?;
        }
        Ok(hidden)
    }
}

impl UnitEdit {
    /// Adds the edit's difference at its tokens; the arithmetic is in f32 whatever the states are in.
    fn apply(&self, states: &Tensor) -> Result<Tensor> {
        let read = states.index_select(&self.indices, 0)?.to_dtype(DType::F32)?;
        let difference = match &self.mask {
            // Dropout acts on the whole edited state, not on what the edit adds.
            Some(mask) => ((self.edit.apply(&read)? * mask)? - &read)?,
            None => self.edit.delta(&read)?,
        };
        states.index_add(&self.indices, &difference.to_dtype(states.dtype())?, 0)
    }
}

fn packed_indices(unit: &Unit, prompts: &[PackedPrompt], device: &Device) -> Result<Tensor> {
    let of_prompt = |prompt: &PackedPrompt| {
        let offset = prompt.offset;
        unit.positions(prompt.tokens).into_iter().map(move |position| (offset + position) as u32)
    };
    let indices: Vec<u32> = prompts.iter().flat_map(of_prompt).collect();
    let count = indices.len();
    Tensor::from_vec(indices, count, device)
}

fn dropout_mask(
    interventions: &Interventions,
    unit: &Unit,
    prompts: &[PackedPrompt],
    Dropout { seed, epoch }: Dropout,
) -> Result<Tensor> {
    let hidden = interventions.hidden;
    let mut mask = Vec::new();
    for prompt in prompts {
        for position in unit.positions(prompt.tokens) {
            let key = Key { seed, purpose: Purpose::Dropout, epoch, row: prompt.row, site: unit.site, position };
            push_dropout(&mut mask, key, unit.dropout, hidden);
        }
    }
    let positions = mask.len() / hidden;
    Tensor::from_vec(mask, (positions, hidden), &interventions.device)
}
