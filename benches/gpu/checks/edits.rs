//! Edits where they act in a pass: which tokens they change, what dropout drops, and the gradients that come back.

use super::ground::{Bounds, Ground};
use super::{Checks, Largest, values};
use crate::synthetic::numbers;
use candle_core::{DType, Device, Result, Tensor, Var};
use reftc::data::positions::{RowTokens, Segment};
use reftc::intervention::dropout::{Dropout, Masked};
use reftc::intervention::edits::{BatchEdits, Places, RowPlace};
use reftc::intervention::formula::{Edit, Parameters};
use reftc::intervention::units::{Directions, Interventions, Unit};
use reftc::intervention::{At, Kind};
use reftc::model::decoder::BlockHook;
use reftc::plan::{Activation, Intervention};

const HIDDEN: usize = 200;
const RANK: usize = 6;
/// Prompt tokens of the rows of a pass.
const PROMPTS: [usize; 4] = [11, 1, 4, 30];
const DROPOUT: Dropout = Dropout { seed: 9, epoch: 3 };

/// Edited states, and gradients by what they are of.
type Found = Vec<(String, Tensor)>;

pub fn check(checks: &mut Checks) {
    let device = checks.device.clone();
    // States are rounded where they are read and where the difference is added.
    for (dtype, name, bound) in (Bounds { f32: 5e-6, f16: 2e-3, bf16: 1.2e-2 }).each() {
        checks.check(&format!("edits in a pass {name}"), bound, |largest| in_a_pass(dtype, &device, largest));
    }
    checks.check("dropout drops the same coordinates", 0.0, |largest| same_masks(&device, largest));
}

/// Prompts that lie one after another, each followed by a token that nothing edits.
struct Rows(Vec<RowPlace>);

impl Rows {
    fn new() -> Self {
        let place = |(number, &prompt): (usize, &usize)| RowPlace {
            tokens: RowTokens::new(prompt, prompt + 1),
            row: 5 * number,
        };
        Self(PROMPTS.iter().enumerate().map(place).collect())
    }

    fn tokens() -> usize {
        PROMPTS.iter().map(|tokens| tokens + 1).sum()
    }

    /// The tokens that a unit edits: their packed indices, and the row and the token that each is.
    fn edited(&self, unit: &Unit) -> Vec<(u32, usize, usize)> {
        let of_row = |(number, place): (usize, &RowPlace)| {
            let row = place.row;
            let packed = move |token: usize| PROMPTS[..number].iter().map(|tokens| tokens + 1).sum::<usize>() + token;
            let tokens: Vec<usize> = unit.positions(&place.tokens).iter().collect();
            tokens.into_iter().map(move |token| (packed(token) as u32, row, token))
        };
        self.0.iter().enumerate().flat_map(of_row).collect()
    }
}

impl Places for Rows {
    fn rows(&self) -> &[RowPlace] {
        &self.0
    }

    fn index(&self, _: usize, _: At, row: usize, token: usize) -> Option<u32> {
        Some((PROMPTS[..row].iter().map(|tokens| tokens + 1).sum::<usize>() + token) as u32)
    }
}

/// Units that have left their start, the same on every device.
pub fn moved(kind: Kind, dropout: f64, device: &Device) -> Result<Interventions> {
    let block = Intervention {
        name: "edit".to_owned(),
        kind,
        at: At::BlockOutput,
        layers: vec![1],
        segments: vec![Segment::First(3), Segment::Last(2)],
        tied: false,
        rank: RANK,
        dropout,
        activation: Activation::Silu,
        bias: true,
    };
    let interventions = Interventions::new(&[block], HIDDEN, 3, device)?;
    for (number, parameter) in interventions.parameters().iter().enumerate() {
        let variable = &parameter.variable;
        let change = (numbers(variable.dims(), 40 + number as u64)? * 0.05)?;
        let change = change.to_dtype(variable.dtype())?.to_device(variable.device())?;
        variable.set(&(variable.as_detached_tensor() + change)?)?;
    }
    Ok(interventions)
}

/// Edits of states of this dtype on the device beside the definition in f64.
fn in_a_pass(dtype: DType, device: &Device, largest: &mut Largest) -> Result<()> {
    for kind in Kind::ALL {
        for dropout in [0.0, 0.3] {
            let interventions = moved(kind, dropout, device)?;
            let found = by_the_library(&interventions, &Ground::checked(device, dtype))?;
            let expected = by_definition(&interventions, &Ground::exact(dtype))?;
            for (name, expected) in &expected {
                let Some((_, found)) = found.iter().find(|(found, _)| found == name) else {
                    candle_core::bail!("{} gives nothing for {name}", kind.name());
                };
                largest.compare(format!("{}, dropout {dropout}, {name}", kind.name()), found, expected)?;
            }
        }
    }
    Ok(())
}

/// What the library makes of the states, and the gradients of them and of the parameters.
fn by_the_library(interventions: &Interventions, ground: &Ground) -> Result<Found> {
    let placed = BatchEdits::new(interventions, &interventions.edits()?, &Rows::new(), Some(DROPOUT))?;
    let (states, weights) = states_and_weights(ground)?;
    let output = placed.edit(1, At::BlockOutput, states.as_tensor().clone())?;
    let parameters = interventions.parameters().into_iter().map(|parameter| (parameter.name, parameter.variable));
    with_gradients(output, &weights, states, parameters.collect())
}

/// The same in f64, unit after unit: h becomes mask · edit(h). The parameters of a rotation are checked with its map.
fn by_definition(interventions: &Interventions, ground: &Ground) -> Result<Found> {
    let rows = Rows::new();
    let (states, weights) = states_and_weights(ground)?;
    let mut stream = states.as_tensor().clone();
    let mut variables = Vec::new();
    for unit in &interventions.units {
        let mut exact = |end: &str, tensor: &Tensor| -> Result<Tensor> {
            let tensor = tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?.contiguous()?;
            let variable = Var::from_tensor(&tensor)?;
            let node = variable.as_tensor().clone();
            variables.push((format!("{}.{end}", unit.name), variable));
            Ok(node)
        };
        let (directions, directions_bias) = match &unit.directions {
            Directions::Rotation(rotation) => (exact("R", &rotation.matrix()?)?.t()?, None),
            Directions::Projection { weight, bias } => {
                let bias = bias.as_ref().map(|bias| exact("projection.bias", bias)).transpose()?;
                (exact("projection.weight", weight)?, bias)
            }
        };
        let weight = unit.weight.as_ref().map(|weight| exact("weight", weight)).transpose()?;
        let parameters = Parameters { directions, directions_bias, weight, bias: exact("bias", &unit.bias)? };
        let edit = Edit::new(unit.kind.entry(), unit.activation, &parameters)?;
        let edited = rows.edited(unit);
        let indices = Tensor::from_iter(edited.iter().map(|(index, ..)| *index), &Device::Cpu)?;
        let read = stream.index_select(&indices, 0)?;
        let mask = mask(unit, &edited)?;
        let difference = ((edit.apply(&read)? * mask)? - &read)?;
        stream = stream.index_add(&indices, &difference, 0)?;
    }
    // What is not the library's own variable has a name of its own, and is left out of the comparison.
    variables.retain(|(name, _)| !name.ends_with(".R"));
    with_gradients(stream, &weights, states, variables)
}

fn states_and_weights(ground: &Ground) -> Result<(Var, Tensor)> {
    let shape = [Rows::tokens(), HIDDEN];
    Ok((Var::from_tensor(&ground.place(&numbers(&shape, 7)?)?)?, ground.place(&numbers(&shape, 8)?)?))
}

fn with_gradients(output: Tensor, weights: &Tensor, states: Var, parameters: Vec<(String, Var)>) -> Result<Found> {
    let store = (&output * weights)?.sum_all()?.backward()?;
    let mut found = vec![("the states".to_owned(), output)];
    for (name, variable) in parameters.into_iter().chain([("the gradient of the states".to_owned(), states)]) {
        // A parameter that is in no formula has none.
        found.extend(store.get(&variable).map(|gradient| (name, gradient.clone())));
    }
    Ok(found)
}

/// Factors of dropout, `[positions, hidden]`.
fn mask(unit: &Unit, edited: &[(u32, usize, usize)]) -> Result<Tensor> {
    let tokens: Vec<(usize, usize)> = edited.iter().map(|&(_, row, position)| (row, position)).collect();
    let masked = Masked { site: unit.site, share: unit.dropout, tokens: &tokens, hidden: HIDDEN };
    DROPOUT.mask(masked, &Device::Cpu)?.to_dtype(DType::F64)
}

/// Masks are keyed by what they are for, so the device decides nothing.
fn same_masks(device: &Device, largest: &mut Largest) -> Result<()> {
    let interventions = moved(Kind::Loreft, 0.4, device)?;
    let found = by_the_library(&interventions, &Ground::checked(device, DType::F32))?;
    let expected = by_definition(&interventions, &Ground::exact(DType::F32))?;
    let [found, expected] = [&found[0].1, &expected[0].1].map(values);
    let (found, expected) = (found?, expected?);
    // What the definition drops is 0 but for rounding.
    let dropped = expected.iter().filter(|value| value.abs() < 1e-12).count();
    if dropped < 500 {
        candle_core::bail!("only {dropped} coordinates are dropped at all");
    }
    let differ =
        found.iter().zip(&expected).filter(|(found, expected)| (found.abs() < 1e-6) != (expected.abs() < 1e-12));
    largest.take(format!("{dropped} dropped coordinates"), differ.count() as f64);
    Ok(())
}
