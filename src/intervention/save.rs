//! Saving interventions, and reading saved ones back with the same bits.
//!
//! A folder has `intervention.safetensors` and `reft_config.json`. For each unit the file has what the reference saves
//! (`rotate_layer` `[hidden, rank]`, `weight` `[rank, hidden]`, `bias` `[rank]`; here also `projection.weight` and `projection.bias`),
//! and for a rotation its start and its X, from which R is computed again exactly and trained further. Each block in the config says
//! where in a layer it acts (`at`); one that does not is from before there was a choice, and acts on `block_output`.

use super::engine_failed;
use super::tensor_file::{self, Tensors};
use super::units::{Directions, Interventions, Parameter, Unit};
use crate::diag::{Code, Diagnostic, Result};
use crate::plan::Intervention;
use crate::store::atomic;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The tensors of a saved intervention.
pub const TENSORS: &str = "intervention.safetensors";

/// What a saved intervention is, for people and tools.
pub const CONFIG: &str = "reft_config.json";

/// `reft_config.json`; the same line is in the file of tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedConfig {
    /// The layout of the folder; 1.
    pub format: u32,
    /// The version of reftc that saved it.
    pub version: String,
    /// Coordinates of a state of the model.
    pub hidden: usize,
    /// The blocks of the spec that were trained.
    pub interventions: Vec<Intervention>,
    /// Trained parameters.
    pub parameters: u64,
}

impl SavedConfig {
    fn of(interventions: &Interventions) -> Self {
        let count = |unit: &Unit| -> u64 {
            unit.parameters().iter().map(|parameter| parameter.variable.elem_count() as u64).sum()
        };
        Self {
            format: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hidden: interventions.hidden,
            interventions: interventions.blocks.clone(),
            parameters: interventions.units.iter().map(count).sum(),
        }
    }
}

/// Saves to a folder, made where it is missing. Each file is written beside and renamed.
pub fn save(folder: &Path, interventions: &Interventions) -> Result<()> {
    let config = SavedConfig::of(interventions);
    tensor_file::write(&folder.join(TENSORS), &tensors(interventions).map_err(engine_failed)?, &config)?;
    let mut text =
        serde_json::to_string_pretty(&config).map_err(|error| engine_failed(candle_core::Error::wrap(error)))?;
    text.push('\n');
    atomic::write(&folder.join(CONFIG), text.as_bytes())
}

/// Reads a saved intervention as it was when it was saved.
pub fn load(folder: &Path, device: &Device) -> Result<Interventions> {
    let path = folder.join(TENSORS);
    let (tensors, config) = tensor_file::read::<SavedConfig>(&path)?;
    let mut interventions =
        Interventions::new(&config.interventions, config.hidden, 0, device).map_err(engine_failed)?;
    restore(&mut interventions, &tensors, &path)?;
    Ok(interventions)
}

/// Reads a saved intervention into the units of these blocks; E0506 where it is of other shapes.
pub fn load_as(folder: &Path, blocks: &[Intervention], hidden: usize, device: &Device) -> Result<Interventions> {
    let path = folder.join(TENSORS);
    let (tensors, _) = tensor_file::read::<SavedConfig>(&path)?;
    let mut interventions = Interventions::new(blocks, hidden, 0, device).map_err(engine_failed)?;
    restore(&mut interventions, &tensors, &path)?;
    Ok(interventions)
}

/// All tensors of the units, by name, on the CPU.
pub fn tensors(interventions: &Interventions) -> candle_core::Result<Tensors> {
    let mut tensors = Tensors::new();
    for unit in &interventions.units {
        if let Directions::Rotation(rotation) = &unit.directions {
            tensors.insert(format!("{}.rotate_layer", unit.name), rotation.matrix()?);
            tensors.insert(format!("{}.rotate_layer.start", unit.name), rotation.start().clone());
        }
        for Parameter { name, variable, .. } in unit.parameters() {
            tensors.insert(name, variable.as_detached_tensor().to_device(&Device::Cpu)?.copy()?);
        }
    }
    Ok(tensors)
}

/// Puts saved values into the units; `path` is named in errors.
pub fn restore(interventions: &mut Interventions, tensors: &Tensors, path: &Path) -> Result<()> {
    for unit in &mut interventions.units {
        if let Directions::Rotation(rotation) = &mut unit.directions {
            let name = format!("{}.rotate_layer.start", unit.name);
            let start = find(tensors, &name, rotation.start().dims(), path)?;
            rotation.restart(&start).map_err(engine_failed)?;
        }
        for Parameter { name, variable, .. } in unit.parameters() {
            let value = find(tensors, &name, variable.dims(), path)?;
            value.to_device(variable.device()).and_then(|value| variable.set(&value)).map_err(engine_failed)?;
        }
    }
    let known = |name: &str| {
        let of_unit = |unit: &Unit| name.strip_prefix(unit.name.as_str()).is_some_and(|rest| rest.starts_with('.'));
        interventions.units.iter().any(of_unit)
    };
    match tensors.keys().find(|name| !known(name)) {
        Some(name) => Err(mismatch(path, &format!("it has `{name}`, which no `intervene` block of the spec makes"))),
        None => Ok(()),
    }
}

/// The saved tensor of a name; E0506 where it is missing or of another shape.
pub fn find(tensors: &Tensors, name: &str, shape: &[usize], path: &Path) -> Result<Tensor> {
    match tensors.get(name) {
        Some(tensor) if tensor.dims() == shape => Ok(tensor.clone()),
        Some(tensor) => {
            let problem = format!("`{name}` is {:?} in the file and {shape:?} in the spec", tensor.dims());
            Err(mismatch(path, &problem))
        }
        None => Err(mismatch(path, &format!("it has no tensor `{name}`, which the spec needs"))),
    }
}

fn mismatch(path: &Path, problem: &str) -> Box<Diagnostic> {
    let message = format!("the saved intervention `{}` is not that of the spec: {problem}", path.display());
    let help = "set `rank`, `layers`, `positions`, `at` and the kind as they were when it was trained, or train again";
    Box::new(Diagnostic::new(Code::InterventionMismatch, message).in_file(path, None).help(help))
}
