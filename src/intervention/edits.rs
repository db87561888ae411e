//! Edits between blocks and inside them: the units of an experiment acting on one forward pass.

use super::dropout::Masked;
use super::formula::Edit;
use super::units::{Interventions, Unit};
use crate::data::positions::RowTokens;
use crate::model::decoder::BlockHook;
use crate::model::ops::rows::Selection;
use crate::model::place::At;
use candle_core::{Result, Tensor};
use std::collections::BTreeMap;

pub use super::dropout::Dropout;

/// A row of a forward pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// Its tokens, as positions see them.
    pub tokens: RowTokens,
    /// The number of the row in its split.
    pub row: usize,
}

/// Where the tokens of rows lie in a forward pass.
pub trait Places {
    /// The rows of the pass.
    fn rows(&self) -> &[RowPlace];

    /// The packed index that a token of a row has at a place; `None` where the pass does not work on it there, or where it lies with
    /// another row that begins alike and is edited for both.
    fn index(&self, layer: usize, at: At, row: usize, token: usize) -> Option<u32>;
}

/// Where the units of an experiment act in one forward pass, whatever their parameters are.
#[derive(Clone, Debug, Default)]
pub struct Placement(Vec<PlacedUnit>);

#[derive(Clone, Debug)]
struct PlacedUnit {
    /// The number of the unit.
    unit: usize,
    place: (usize, At),
    /// Packed indices of the edited tokens.
    tokens: Selection,
    /// Factors of dropout, `[positions, hidden]`, f32.
    mask: Option<Tensor>,
}

/// The edits of one forward pass, by place, in the order in which they act.
#[derive(Clone, Debug, Default)]
pub struct BatchEdits {
    places: BTreeMap<(usize, At), Vec<UnitEdit>>,
}

#[derive(Clone, Debug)]
struct UnitEdit {
    edit: Edit,
    tokens: Selection,
    mask: Option<Tensor>,
}

/// The tokens of one unit in a pass: packed indices, and for each the row and the token it is.
struct Targets {
    indices: Vec<u32>,
    tokens: Vec<(usize, usize)>,
}

impl Placement {
    /// Finds the tokens of all units in a pass.
    ///
    /// A mask of dropout depends on the row, the unit and the token's place in the row, not on the pass.
    pub fn new(interventions: &Interventions, places: &dyn Places, dropout: Option<Dropout>) -> Result<Self> {
        let Interventions { device, hidden, .. } = interventions;
        // Most units have the same indices as the one before.
        let (mut placed, mut known) = (Vec::new(), Vec::<Selection>::new());
        for (number, unit) in interventions.units.iter().enumerate() {
            let Targets { indices, tokens } = Targets::of(unit, places);
            if indices.is_empty() {
                continue;
            }
            let (site, share) = (unit.site, unit.dropout);
            let dropout = dropout.filter(|_| share > 0.0);
            let mask =
                |dropout: Dropout| dropout.mask(Masked { site, share, tokens: &tokens, hidden: *hidden }, device);
            let mask = dropout.map(mask).transpose()?;
            let found = known.iter().find(|known| known.indices() == indices).cloned();
            let tokens = match found {
                Some(selection) => selection,
                None => {
                    let selection = Selection::new(indices, device)?;
                    known.push(selection.clone());
                    selection
                }
            };
            placed.push(PlacedUnit { unit: number, place: (unit.layer, unit.at), tokens, mask });
        }
        Ok(Self(placed))
    }

    /// Puts `edits` (one for each unit, from [`Interventions::edits`]) in their places.
    pub fn with(self, edits: &[Edit]) -> BatchEdits {
        let mut places = BTreeMap::<_, Vec<UnitEdit>>::new();
        for PlacedUnit { unit, place, tokens, mask } in self.0 {
            if let Some(edit) = edits.get(unit) {
                places.entry(place).or_default().push(UnitEdit { edit: edit.clone(), tokens, mask });
            }
        }
        BatchEdits { places }
    }
}

impl BatchEdits {
    /// Puts `edits` (one for each unit, from [`Interventions::edits`]) in their places in a pass.
    pub fn new(
        interventions: &Interventions,
        edits: &[Edit],
        places: &dyn Places,
        dropout: Option<Dropout>,
    ) -> Result<Self> {
        Ok(Placement::new(interventions, places, dropout)?.with(edits))
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
        for (number, row) in places.rows().iter().enumerate() {
            for token in unit.positions(&row.tokens).iter() {
                if let Some(index) = places.index(unit.layer, unit.at, number, token) {
                    indices.push(index);
                    tokens.push((row.row, token));
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
