//! Units: what an `intervene` block is to the engine. One unit is one set of parameters at one layer.

use super::formula::{Edit, Parameters};
use super::orthogonal::Rotation;
use super::random::{Key, Purpose, site};
use super::rotations;
use super::{Activation, At, Intervention, Kind};
use crate::data::positions::{RowTokens, Segment};
use crate::data::token_set::Tokens;
use candle_core::{Device, Result, Tensor, Var};
use rand::Rng;

/// One set of parameters and where it acts.
#[derive(Clone, Debug)]
pub struct Unit {
    /// `edit.layer3.f3`: the block, the layer and the segment, or `tied` for several segments together. Where it is not the
    /// output of the layer's block that is edited, the place is in the name: `edit.layer3.attention_output.f3`.
    pub name: String,
    /// The layer that is edited, and the place in it.
    pub layer: usize,
    pub at: At,
    /// The tokens that are edited; a token in two of them is edited once.
    pub segments: Vec<Segment>,
    pub kind: Kind,
    pub activation: Activation,
    /// The share of coordinates of the edited state that is dropped in training.
    pub dropout: f64,
    /// Keys the randomness of this unit.
    pub site: u64,
    pub directions: Directions,
    /// W `[rank, hidden]`, of conditioned kinds.
    pub weight: Option<Var>,
    /// b `[rank]`
    pub bias: Var,
}

/// What an edit reads and writes along.
#[derive(Clone, Debug)]
pub enum Directions {
    /// Orthonormal, trained through a parametrization.
    Rotation(Rotation),
    /// W₂ `[rank, hidden]` and b₂ `[rank]`.
    Projection { weight: Var, bias: Option<Var> },
}

/// A tensor that the optimizer moves.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// `edit.layer3.f3.weight`; stable over versions, as saved files have it.
    pub name: String,
    pub variable: Var,
    /// Weight decay, where it is asked for, acts on free matrices only: never on biases, and never on a rotation, whose
    /// diagonal of −1 it would destroy.
    pub decays: bool,
    /// The rotation that the variable is X of: graphs lead to its directions, not to the variable.
    pub rotation: Option<Rotation>,
}

impl Parameter {
    /// A parameter that graphs lead to.
    pub fn plain(name: String, variable: &Var, decays: bool) -> Self {
        Self { name, variable: variable.clone(), decays, rotation: None }
    }
}

/// All units of an experiment, in the order in which they act.
#[derive(Clone, Debug)]
pub struct Interventions {
    /// The blocks that the units come from.
    pub blocks: Vec<Intervention>,
    /// Coordinates of a state.
    pub hidden: usize,
    /// By layer, then by the place in it as the layer computes, then in written order.
    pub units: Vec<Unit>,
    /// Where everything trainable is.
    pub device: Device,
}

impl Interventions {
    /// Fresh units of the blocks, for states of `hidden` coordinates: R Haar-random, linear maps as `torch.nn.Linear` (uniform in
    /// ±1/√hidden), a constant source uniform in [0, 1), as the reference starts them.
    pub fn new(blocks: &[Intervention], hidden: usize, seed: u64, device: &Device) -> Result<Self> {
        let mut units: Vec<Unit> = Vec::new();
        for (block, layer, segments) in places(blocks) {
            let ordinal = units.iter().filter(|unit| (unit.layer, unit.at) == (layer, block.at)).count();
            let name = unit_name(&units, block, layer, &segments);
            let start = Start { seed, site: site(layer, block.at, ordinal), hidden, rank: block.rank, device };
            units.push(start.unit(block, name, layer, segments)?);
        }
        units.sort_by_key(|unit| (unit.layer, unit.at));
        Ok(Self { blocks: blocks.to_vec(), hidden, units, device: device.clone() })
    }

    /// Everything trainable, in a fixed order.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.units.iter().flat_map(Unit::parameters).collect()
    }

    /// The edits of all units, in their order, as nodes of a new graph. R is worked out here, for all units at once and for all uses in a
    /// step; it is a leaf of the graph, and stays as it is until the next call.
    pub fn edits(&self) -> Result<Vec<Edit>> {
        let rotations: Vec<&Rotation> = self.units.iter().filter_map(Unit::rotation).collect();
        rotations::turn(&rotations)?;
        self.units.iter().map(Unit::edit).collect()
    }
}

impl Unit {
    /// The trainable tensors, in a fixed order.
    pub fn parameters(&self) -> Vec<Parameter> {
        let named = |end: &str, variable, decays| Parameter::plain(format!("{}.{end}", self.name), variable, decays);
        let mut parameters = match &self.directions {
            Directions::Rotation(rotation) => {
                let original = named("rotate_layer.original", rotation.original(), false);
                vec![Parameter { rotation: Some(rotation.clone()), ..original }]
            }
            Directions::Projection { weight, bias } => {
                let bias = bias.iter().map(|bias| named("projection.bias", bias, false));
                std::iter::once(named("projection.weight", weight, true)).chain(bias).collect()
            }
        };
        parameters.extend(self.weight.iter().map(|weight| named("weight", weight, true)));
        parameters.push(named("bias", &self.bias, false));
        parameters
    }

    fn rotation(&self) -> Option<&Rotation> {
        match &self.directions {
            Directions::Rotation(rotation) => Some(rotation),
            Directions::Projection { .. } => None,
        }
    }

    fn edit(&self) -> Result<Edit> {
        let (directions, directions_bias) = match &self.directions {
            Directions::Rotation(rotation) => (rotation.directions().as_tensor().clone(), None),
            Directions::Projection { weight, bias } => {
                (weight.as_tensor().clone(), bias.as_ref().map(|bias| bias.as_tensor().clone()))
            }
        };
        let weight = self.weight.as_ref().map(|weight| weight.as_tensor().clone());
        let parameters = Parameters { directions, directions_bias, weight, bias: self.bias.as_tensor().clone() };
        Edit::new(self.kind.entry(), self.activation, &parameters)
    }

    /// The tokens of a row that the unit edits.
    pub fn positions(&self, row: &RowTokens) -> Tokens {
        self.segments.iter().fold(Tokens::none(), |all, segment| all.or(&segment.resolve(row)))
    }
}

/// Every (layer, segments) of every block that has parameters of its own.
fn places(blocks: &[Intervention]) -> impl Iterator<Item = (&Intervention, usize, Vec<Segment>)> {
    blocks.iter().flat_map(|block| {
        let groups: Vec<Vec<Segment>> = match block.tied {
            true => vec![block.segments.clone()],
            false => block.segments.iter().map(|segment| vec![segment.clone()]).collect(),
        };
        let at_layer = move |&layer: &usize| groups.clone().into_iter().map(move |segments| (block, layer, segments));
        block.layers.iter().flat_map(at_layer)
    })
}

fn unit_name(units: &[Unit], block: &Intervention, layer: usize, segments: &[Segment]) -> String {
    let tokens = match segments {
        [segment] => segment.to_string(),
        _ => "tied".to_owned(),
    };
    let name = match block.at {
        At::BlockOutput => format!("{}.layer{layer}.{tokens}", block.name),
        at => format!("{}.layer{layer}.{}.{tokens}", block.name, at.name()),
    };
    // `f3+f3` makes two units at one place.
    let free = |name: &String| units.iter().all(|unit| unit.name != *name);
    std::iter::once(name.clone()).chain((2..).map(|number| format!("{name}-{number}"))).find(free).unwrap_or(name)
}

/// The first values of one unit.
struct Start<'a> {
    seed: u64,
    site: u64,
    hidden: usize,
    rank: usize,
    device: &'a Device,
}

impl Start<'_> {
    fn unit(&self, block: &Intervention, name: String, layer: usize, segments: Vec<Segment>) -> Result<Unit> {
        let entry = block.kind.entry();
        let directions = if entry.orthonormal {
            Directions::Rotation(Rotation::random(self.hidden, self.rank, &mut self.stream(0), self.device)?)
        } else {
            let bias = block.bias.then(|| self.linear(1, self.rank)).transpose()?;
            Directions::Projection { weight: self.linear(0, (self.rank, self.hidden))?, bias }
        };
        let weight = entry.conditioned.then(|| self.linear(2, (self.rank, self.hidden))).transpose()?;
        let bias = if entry.conditioned { self.linear(3, self.rank)? } else { self.uniform(3, self.rank, 0.0, 1.0)? };
        Ok(Unit {
            name,
            layer,
            at: block.at,
            segments,
            kind: block.kind,
            activation: block.activation,
            dropout: if entry.has_field("dropout") { block.dropout } else { 0.0 },
            site: self.site,
            directions,
            weight,
            bias,
        })
    }

    fn stream(&self, tensor: usize) -> impl Rng {
        let key = Key { seed: self.seed, purpose: Purpose::Start, epoch: 0, row: 0, site: self.site, position: tensor };
        key.stream()
    }

    fn linear(&self, tensor: usize, shape: impl Into<candle_core::Shape>) -> Result<Var> {
        let bound = 1.0 / (self.hidden as f32).sqrt();
        self.uniform(tensor, shape, -bound, bound)
    }

    fn uniform(&self, tensor: usize, shape: impl Into<candle_core::Shape>, low: f32, high: f32) -> Result<Var> {
        let shape = shape.into();
        let mut stream = self.stream(tensor);
        let values: Vec<f32> = (0..shape.elem_count()).map(|_| stream.random_range(low..high)).collect();
        Var::from_tensor(&Tensor::from_vec(values, shape, self.device)?)
    }
}
