//! Edits between blocks and inside them: the units of an experiment acting on one forward pass.

use super::formula::Edit;
use super::random::{Key, Purpose, push_dropout};
use super::units::{Interventions, Unit};
use crate::model::decoder::BlockHook;
use crate::model::ops::rows::Selection;
use crate::model::place::At;
use candle_core::{Result, Tensor};
use std::collections::BTreeMap;

/// The prompt of a row in a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptPlace {
    /// Tokens of the prompt; only these are edited.
    pub tokens: usize,
    /// The number of the row in its split.
    pub row: usize,
}

/// Where the tokens of rows lie in a forward pass.
pub trait Places {
    /// The rows of the pass.
    fn prompts(&self) -> &[PromptPlace];

    /// The packed index that a token of a row has at a place; `None` where the pass does not work on it there, or where it lies with
    /// another row that begins alike and is edited for both.
    fn index(&self, layer: usize, at: At, row: usize, token: usize) -> Option<u32>;
}

/// What the masks of dropout are keyed by; evaluation has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropout {
    pub seed: u64,
    pub epoch: usize,
}

/// The edits of one forward pass, by place, in the order in which they act.
#[derive(Clone, Debug, Default)]
pub struct BatchEdits {
    places: BTreeMap<(usize, At), Vec<UnitEdit>>,
}

#[derive(Clone, Debug)]
struct UnitEdit {
    edit: Edit,
    /// Packed indices of the edited tokens.
    tokens: Selection,
    /// Factors of dropout, `[positions, hidden]`, f32.
    mask: Option<Tensor>,
}

/// The tokens of one unit in a pass: packed indices, and for each the row and the token it is.
struct Targets {
    indices: Vec<u32>,
    tokens: Vec<(usize, usize)>,
}

impl BatchEdits {
    /// Puts `edits` (one for each unit, from [`Interventions::edits`]) in their places in a pass.
    ///
    /// A mask of dropout depends on the row, the unit and the token's place in the row, not on the pass.
    pub fn new(
        interventions: &Interventions,
        edits: &[Edit],
        places: &dyn Places,
        dropout: Option<Dropout>,
    ) -> Result<Self> {
        let device = &interventions.device;
        let mut placed: BTreeMap<(usize, At), Vec<UnitEdit>> = BTreeMap::new();
        // Most units have the same indices as the one before.
        let mut known: Vec<Selection> = Vec::new();
        for (unit, edit) in interventions.units.iter().zip(edits) {
            let Targets { indices, tokens } = Targets::of(unit, places);
            if indices.is_empty() {
                continue;
            }
            let mask = match dropout {
                Some(dropout) if unit.dropout > 0.0 => Some(dropout_mask(interventions, unit, &tokens, dropout)?),
                _ => None,
            };
            let found = known.iter().find(|known| known.indices() == indices).cloned();
            let tokens = match found {
                Some(selection) => selection,
                None => {
                    let selection = Selection::new(indices, device)?;
                    known.push(selection.clone());
                    selection
                }
            };
            placed.entry((unit.layer, unit.at)).or_default().push(UnitEdit { edit: edit.clone(), tokens, mask });
        }
        Ok(Self { places: placed })
    }
}

impl BlockHook for BatchEdits {
    fn edit(&self, layer: usize, at: At, mut values: Tensor) -> Result<Tensor> {
        for edit in self.places.get(&(layer, at)).into_iter().flatten() {
            values = edit.apply(&values)?;
        }
        Ok(values)
    }

    fn edits_inside(&self, layer: usize) -> bool {
        [At::AttentionOutput, At::MlpOutput].iter().any(|&at| self.places.contains_key(&(layer, at)))
    }
}

impl Targets {
    fn of(unit: &Unit, places: &dyn Places) -> Self {
        let (mut indices, mut tokens) = (Vec::new(), Vec::new());
        for (number, prompt) in places.prompts().iter().enumerate() {
            for token in unit.positions(prompt.tokens) {
                if let Some(index) = places.index(unit.layer, unit.at, number, token) {
                    indices.push(index);
                    tokens.push((prompt.row, token));
                }
            }
        }
        Self { indices, tokens }
    }
}

impl UnitEdit {
    /// Adds the edit's difference at its tokens; the arithmetic is in f32 whatever the states are in.
    fn apply(&self, states: &Tensor) -> Result<Tensor> {
        let read = self.tokens.take_wide(states)?;
        let difference = match &self.mask {
            // Dropout acts on the whole edited state, not on what the edit adds.
            Some(mask) => ((self.edit.apply(&read)? * mask)? - &read)?,
            None => self.edit.delta(&read)?,
        };
        self.tokens.add(states, &difference)
    }
}

fn dropout_mask(
    interventions: &Interventions,
    unit: &Unit,
    tokens: &[(usize, usize)],
    Dropout { seed, epoch }: Dropout,
) -> Result<Tensor> {
    let hidden = interventions.hidden;
    let mut mask = Vec::new();
    for &(row, position) in tokens {
        let key = Key { seed, purpose: Purpose::Dropout, epoch, row, site: unit.site, position };
        push_dropout(&mut mask, key, unit.dropout, hidden);
    }
    Tensor::from_vec(mask, (tokens.len(), hidden), &interventions.device)
}
