//! What a saved intervention is, as plain data: its config, and what a block that starts from one must have in common with it.

use super::Intervention;
use crate::data::positions::Segment;
use crate::diag::{Code, Diagnostic, reason};
use crate::digest;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

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

/// `init`: the saved block that a block starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The block of the spec.
    pub intervention: String,
    /// The folder that has the tensors, and the block's name there.
    pub folder: PathBuf,
    pub block: String,
    /// SHA-256 of the tensors.
    pub digest: String,
}

/// Why a block cannot start from what is saved somewhere.
#[derive(Debug)]
pub enum NoStart {
    /// Nothing is saved there, or it cannot be read; without a place.
    Unreadable(Box<Diagnostic>),
    /// The block is not like the saved one.
    Misfit {
        /// What the saved one is like, and what to write.
        problem: String,
        help: String,
        /// The field of the block that differs; none where it is the model or the name.
        field: Option<&'static str>,
    },
}

impl Start {
    /// The start of `block`, for states of `hidden` coordinates, from a run folder or the folder of a saved intervention.
    ///
    /// # Errors
    /// E0504 where nothing is saved there, E0508 where it cannot be read, and what does not fit.
    pub fn of(block: &Intervention, hidden: usize, path: &Path) -> Result<Self, NoStart> {
        let folders = [path.to_path_buf(), path.join("intervention")];
        let Some(folder) = folders.into_iter().find(|folder| folder.join(CONFIG).is_file()) else {
            let message = format!("there is no saved intervention in `{}`", path.display());
            let help = "name the folder of a finished run, such as `runs/small/0f3a9c2d`, relative to this file";
            return Err(NoStart::Unreadable(Box::new(Diagnostic::new(Code::RunNotFound, message).help(help))));
        };
        let unreadable = |name: &str, cause: String| {
            let message = format!("`{}` cannot be read: {cause}", folder.join(name).display());
            let diagnostic = Diagnostic::new(Code::SavedFileUnreadable, message);
            NoStart::Unreadable(Box::new(diagnostic.help("train the run again")))
        };
        let text = std::fs::read(folder.join(CONFIG)).map_err(|cause| unreadable(CONFIG, reason(&cause)))?;
        let config: SavedConfig =
            serde_json::from_slice(&text).map_err(|cause| unreadable(CONFIG, cause.to_string()))?;
        let tensors = std::fs::read(folder.join(TENSORS)).map_err(|cause| unreadable(TENSORS, reason(&cause)))?;
        let saved = config.block(&block.name)?;
        fits(block, hidden, saved, config.hidden)?;
        let (intervention, block) = (block.name.clone(), saved.name.clone());
        Ok(Self { intervention, block, digest: digest::of(&tensors), folder })
    }
}

impl SavedConfig {
    /// The saved block of that name, or the only one.
    fn block(&self, name: &str) -> Result<&Intervention, NoStart> {
        let same = self.interventions.iter().find(|saved| saved.name == name);
        same.or(match self.interventions.as_slice() {
            [only] => Some(only),
            _ => None,
        })
        .ok_or_else(|| {
            let names: Vec<String> = self.interventions.iter().map(|saved| format!("`{}`", saved.name)).collect();
            let problem = format!("there are {}", names.join(", "));
            NoStart::Misfit { problem, help: "give the block the name that it had".to_owned(), field: None }
        })
    }
}

/// Whether a block can start with the parameters of a saved one.
fn fits(block: &Intervention, hidden: usize, saved: &Intervention, saved_hidden: usize) -> Result<(), NoStart> {
    let list = |numbers: &mut dyn Iterator<Item = &usize>| numbers.map(usize::to_string).collect::<Vec<_>>().join(", ");
    let positions = |segments: &[Segment]| segments.iter().map(Segment::to_string).collect::<Vec<_>>().join("+");
    let misfit = |field: Option<&'static str>, problem: String, help: String| {
        Err(NoStart::Misfit { problem, help: format!("{help}, or train without `init`"), field })
    };
    if saved_hidden != hidden {
        let problem = format!("it is of a model of hidden size {saved_hidden}, not {hidden}");
        return misfit(None, problem, "take the model that it was trained on".to_owned());
    }
    if saved.kind != block.kind {
        let kind = saved.kind.name();
        return misfit(None, format!("it is `{kind}`"), format!("write `intervene {} = {kind} {{ … }}`", block.name));
    }
    let same = [
        ("rank", saved.rank.to_string(), block.rank.to_string()),
        ("at", saved.at.name().to_owned(), block.at.name().to_owned()),
        ("positions", positions(&saved.segments), positions(&block.segments)),
        ("tied", saved.tied.to_string(), block.tied.to_string()),
        ("bias", saved.bias.to_string(), block.bias.to_string()),
    ];
    if let Some((field, theirs, ours)) = same.into_iter().find(|(_, theirs, ours)| theirs != ours) {
        let problem = format!("its `{field}` is {theirs}, not {ours}");
        return misfit(Some(field), problem, format!("write `{field} = {theirs}`"));
    }
    let missing = list(&mut block.layers.iter().filter(|layer| !saved.layers.contains(layer)));
    if !missing.is_empty() {
        let layers = list(&mut saved.layers.iter());
        let problem = format!("it has layers {layers}, and not {missing}");
        return misfit(Some("layers"), problem, format!("write `layers = [{layers}]`"));
    }
    Ok(())
}
