//! Saving interventions, and reading saved ones back with the same bits.
//!
//! A folder has `intervention.safetensors` and `reft_config.json`. For each unit the file has what the reference saves
//! (`rotate_layer` `[hidden, rank]`, `weight` `[rank, hidden]`, `bias` `[rank]`; here also `projection.weight` and `projection.bias`),
//! and for a rotation its start and its X, from which R is computed again exactly and trained further. Each block in the config says
//! where in a layer it acts (`at`); one that does not is from before there was a choice, and acts on `block_output`.

use super::engine_failed;
use super::saved::{CONFIG, SavedConfig, Start, TENSORS};
use super::tensor_file::{self, Tensors};
use super::units::{Directions, Interventions, Parameter, Unit};
use crate::diag::{Code, Diagnostic, Result};
use crate::digest;
use crate::plan::Intervention;
use crate::store::atomic;
use candle_core::{Device, Tensor};
use std::path::Path;

fn config(interventions: &Interventions) -> SavedConfig {
    let count =
        |unit: &Unit| -> u64 { unit.parameters().iter().map(|parameter| parameter.variable.elem_count() as u64).sum() };
    SavedConfig {
        format: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hidden: interventions.hidden,
        interventions: interventions.blocks.clone(),
        parameters: interventions.units.iter().map(count).sum(),
    }
}

/// Saves to a folder, made where it is missing. Each file is written beside and renamed.
pub fn save(folder: &Path, interventions: &Interventions) -> Result<()> {
    let config = config(interventions);
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

/// Puts the parameters of a saved block into the units of the block that starts from it.
///
/// # Errors
/// E0508 where the saved tensors cannot be read or are no longer those that the spec was checked with, E0506 where they are
/// of other shapes.
pub fn start(interventions: &mut Interventions, start: &Start) -> Result<()> {
    let path = start.folder.join(TENSORS);
    let bytes = std::fs::read(&path).unwrap_or_default();
    if digest::of(&bytes) != start.digest {
        let message = format!("the saved intervention `{}` has changed since it was checked", path.display());
        return Err(Box::new(Diagnostic::new(Code::SavedFileUnreadable, message).help("run the spec again")));
    }
    let (tensors, _) = tensor_file::read::<SavedConfig>(&path)?;
    for unit in &mut interventions.units {
        let rest = unit.name.strip_prefix(&start.intervention).filter(|rest| rest.starts_with('.'));
        if let Some(saved) = rest.map(|rest| format!("{}{rest}", start.block)) {
            restore_unit(unit, &saved, &tensors, &path)?;
        }
    }
    Ok(())
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
        let name = unit.name.clone();
        restore_unit(unit, &name, tensors, path)?;
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

/// Puts the values that were saved under the name of a unit into another one, or into itself.
fn restore_unit(unit: &mut Unit, saved: &str, tensors: &Tensors, path: &Path) -> Result<()> {
    if let Directions::Rotation(rotation) = &mut unit.directions {
        let start = find(tensors, &format!("{saved}.rotate_layer.start"), rotation.start().dims(), path)?;
        rotation.restart(&start).map_err(engine_failed)?;
    }
    for Parameter { name, variable, .. } in unit.parameters() {
        let end = name.strip_prefix(unit.name.as_str()).unwrap_or_default();
        let value = find(tensors, &format!("{saved}{end}"), variable.dims(), path)?;
        value.to_device(variable.device()).and_then(|value| variable.set(&value)).map_err(engine_failed)?;
    }
    Ok(())
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
