//! The formulas of all kinds of interventions: edited states and gradients.

use super::ground::Ground;
use super::{Checks, Largest};
use crate::synthetic::numbers;
use candle_core::{DType, Device, Result, Tensor, Var};
use reftc::intervention::Kind;
use reftc::intervention::formula::{Edit, Parameters};
use reftc::intervention::registry::Entry;
use reftc::plan::Activation;

const HIDDEN: usize = 200;
const RANK: usize = 6;

pub fn check(checks: &mut Checks) {
    let device = checks.device.clone();
    for kind in Kind::ALL {
        checks.check(&format!("{} forward f32", kind.name()), 2e-6, |largest| formulas(kind, &device, largest, false));
        checks.check(&format!("{} gradients f32", kind.name()), 5e-6, |largest| formulas(kind, &device, largest, true));
    }
}

/// Tensors of one unit on some ground, as variables.
struct Unit {
    variables: Vec<(&'static str, Var)>,
}

impl Unit {
    fn new(entry: &Entry, ground: &Ground) -> Result<Self> {
        let variable = |name, shape: &[usize], seed, scale: f64| -> Result<(&'static str, Var)> {
            let values = (numbers(shape, seed)? * scale)?;
            Ok((name, Var::from_tensor(&ground.place(&values)?)?))
        };
        let scale = 1.0 / (HIDDEN as f64).sqrt();
        let mut variables = vec![variable("D", &[RANK, HIDDEN], 1, scale)?, variable("b", &[RANK], 2, 0.5)?];
        if entry.conditioned {
            variables.push(variable("W", &[RANK, HIDDEN], 3, scale)?);
        }
        if !entry.orthonormal {
            variables.push(variable("b₂", &[RANK], 4, 0.5)?);
        }
        Ok(Self { variables })
    }

    fn edit(&self, entry: &Entry, activation: Activation) -> Result<Edit> {
        let find = |wanted| self.variables.iter().find(|(name, _)| *name == wanted).map(|(_, v)| v.as_tensor().clone());
        let (Some(directions), Some(bias)) = (find("D"), find("b")) else { candle_core::bail!("a unit lacks D or b") };
        let parameters = Parameters { directions, directions_bias: find("b₂"), weight: find("W"), bias };
        Edit::new(entry, activation, &parameters)
    }
}

/// The edited states, or the gradients of states and parameters, in f32 and in f64.
fn formulas(kind: Kind, device: &Device, largest: &mut Largest, gradients: bool) -> Result<()> {
    use Activation::{Gelu, Linear, Relu, Silu, Tanh};
    let entry = kind.entry();
    let activations = if entry.conditioned { vec![Linear, Relu, Gelu, Silu, Tanh] } else { vec![Linear] };
    for activation in activations {
        let run = |ground: &Ground| -> Result<Vec<(&'static str, Tensor)>> {
            let unit = Unit::new(entry, ground)?;
            let states = Var::from_tensor(&ground.place(&numbers(&[33, HIDDEN], 5)?)?)?;
            let output = unit.edit(entry, activation)?.apply(&states)?;
            if !gradients {
                return Ok(vec![("output", output)]);
            }
            let weights = ground.place(&numbers(output.dims(), 6)?)?;
            let store = (output * weights)?.sum_all()?.backward()?;
            let all = unit.variables.iter().map(|(name, variable)| (*name, variable)).chain([("h", &states)]);
            // The b₂ of nodireft is in no formula.
            Ok(all.filter_map(|(name, variable)| Some((name, store.get(variable)?.clone()))).collect())
        };
        let (found, expected) = (run(&Ground::checked(device, DType::F32))?, run(&Ground::exact(DType::F32))?);
        if found.len() != expected.len() {
            candle_core::bail!("{} tensors where there are {}", found.len(), expected.len());
        }
        for ((name, found), (_, expected)) in found.iter().zip(&expected) {
            largest.compare(format!("{activation:?} {name}"), found, expected)?;
        }
    }
    Ok(())
}
