//! The tiny model of the oracle, its rows, and interventions with the reference's own parameters.

use super::{Oracle, folder};
use candle_core::{Device, Tensor, Var};
use reftc::data::encode::EncodedRow;
use reftc::data::positions::{PromptText, RowTokens, Segment};
use reftc::data::spans::{PlacedPart, Spans};
use reftc::execute::engine::Engine;
use reftc::intervention::edits::{Places, RowPlace};
use reftc::intervention::orthogonal::Rotation;
use reftc::intervention::units::{Directions, Interventions};
use reftc::intervention::{At, Kind};
use reftc::model::config::{ModelConfig, Precision};
use reftc::model::decoder::Decoder;
use reftc::model::files::ModelFiles;
use reftc::model::weights::Weights;
use reftc::plan::passes::Passes;
use reftc::plan::{
    Activation, Fit, Intervention, Keep, Optimizer, Overlong, Schedule, ScheduleShape, Split, Train, TrainSplit,
};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Prompt and target of the rows of the tiny batch.
pub const ROWS: [(&[u32], &[u32]); 4] = [
    (&[127, 12, 34, 82, 87, 83, 43, 109, 127], &[56, 78, 94, 2]),
    (&[125, 113, 114, 98, 48], &[122, 39, 2]),
    (&[90, 70, 53], &[86, 3, 33, 90, 2]),
    (&[100, 28], &[113, 2]),
];

/// The settings of the oracle, and whether their segments share parameters.
pub const SETTINGS: [(&str, bool); 2] = [("tied", true), ("untied", false)];

/// The kinds in the oracle, by its names, with their activations.
pub const VARIANTS: [(&str, Kind, Activation); 12] = [
    ("Loreft", Kind::Loreft, Activation::Linear),
    ("Loreft_relu", Kind::Loreft, Activation::Relu),
    ("Noreft", Kind::Noreft, Activation::Linear),
    ("Noreft_bias", Kind::Noreft, Activation::Linear),
    ("Noreft_bias_silu", Kind::Noreft, Activation::Silu),
    ("Consreft", Kind::Consreft, Activation::Linear),
    ("Lobireft", Kind::Lobireft, Activation::Linear),
    ("Direft", Kind::Direft, Activation::Linear),
    ("Direft_gelu", Kind::Direft, Activation::Gelu),
    ("Nodireft", Kind::Nodireft, Activation::Linear),
    ("Nodireft_bias", Kind::Nodireft, Activation::Linear),
    ("Nodireft_bias_tanh", Kind::Nodireft, Activation::Tanh),
];

pub fn config() -> ModelConfig {
    reftc::model::config_json::parse(include_str!("tiny-llama/config.json"), Path::new("tiny-llama/config.json"))
        .unwrap()
}

/// The decoder, with other end tokens than its config where `eos_tokens` says so.
pub fn decoder_with(eos_tokens: Vec<u32>) -> Decoder {
    let config = ModelConfig { eos_tokens, ..config() };
    Decoder::load(&ModelFiles::Folder(folder().join("tiny-llama")), &config, Precision::F32, &Device::Cpu).unwrap()
}

pub fn decoder() -> Decoder {
    decoder_with(config().eos_tokens)
}

/// The decoder on a device, from weights that are part of the program.
pub fn decoder_on(precision: Precision, device: &Device) -> Decoder {
    let tensors = candle_core::safetensors::load_buffer(include_bytes!("tiny-llama/model.safetensors"), &Device::Cpu);
    let tensors = tensors.unwrap();
    let make = move |name: &str, _: &[usize]| Ok(tensors[name].clone());
    Decoder::from_weights(&Weights::made(make, precision, device), &config()).unwrap()
}

pub fn row(number: usize, prompt: &[u32], target: &[u32]) -> EncodedRow {
    EncodedRow { row: number, ids: [prompt, target].concat(), prompt_tokens: prompt.len(), ..Default::default() }
}

/// A prompt in which every token is a byte, and what its template wrote there.
pub fn spans(prompt: usize, parts: &[(PromptText, Range<usize>)]) -> Spans {
    let bytes = |range: &Range<usize>| range.start as u32..range.end as u32;
    let part =
        |(text, range): &(PromptText, Range<usize>)| PlacedPart { text: Arc::new(text.clone()), bytes: bytes(range) };
    Spans {
        tokens: (0..prompt).map(|token| bytes(&(token..token + 1))).collect(),
        parts: Some(parts.iter().map(part).collect()),
    }
}

/// The rows of the batch, prompt and target.
pub fn rows() -> Vec<EncodedRow> {
    ROWS.iter().enumerate().map(|(number, (prompt, target))| row(number, prompt, target)).collect()
}

/// The prompts of the batch alone.
pub fn prompts() -> Vec<EncodedRow> {
    ROWS.iter().enumerate().map(|(number, (prompt, _))| row(number, prompt, &[])).collect()
}

pub fn block(kind: Kind, tied: bool) -> Intervention {
    Intervention {
        name: "edit".to_owned(),
        kind,
        at: At::BlockOutput,
        layers: vec![1, 3],
        segments: vec![Segment::First(2), Segment::Last(2)],
        tied,
        rank: 4,
        dropout: 0.0,
        activation: Activation::Linear,
        bias: false,
    }
}

/// The reference numbers prefixes of all layers and then suffixes; ours go by layer.
pub fn reference_unit(tied: bool, ours: usize) -> usize {
    if tied { ours } else { ours % 2 * 2 + ours / 2 }
}

/// Interventions as the reference started them, its dense bases included.
pub fn reference_interventions(oracle: &Oracle, setting: &str, tied: bool) -> Interventions {
    reference_interventions_on(oracle, setting, tied, &Device::Cpu)
}

/// The same on a device.
pub fn reference_interventions_on(oracle: &Oracle, setting: &str, tied: bool, device: &Device) -> Interventions {
    let blocks = [block(Kind::Loreft, tied)];
    let name = |ours, name: &str| format!("{setting}.param.{}.{name}", reference_unit(tied, ours));
    started(&blocks, device, |ours, end| oracle.get(&name(ours, end)))
}

/// Tied interventions at these places of each layer, each started as the one of its layer is in the oracle. They are written last
/// place first: in which order they act is not decided by that.
pub fn interventions_at(oracle: &Oracle, places: &[At]) -> Interventions {
    interventions_at_on(oracle, places, &Device::Cpu)
}

/// The same on a device.
pub fn interventions_at_on(oracle: &Oracle, places: &[At], device: &Device) -> Interventions {
    let at = |&at: &At| Intervention { name: at.name().to_owned(), at, ..block(Kind::Loreft, true) };
    let blocks: Vec<Intervention> = places.iter().rev().map(at).collect();
    started(&blocks, device, |ours, name| oracle.get(&format!("tied.param.{}.{name}", ours / places.len())))
}

/// Units whose first values are `parameter(unit, name)`.
fn started(blocks: &[Intervention], device: &Device, parameter: impl Fn(usize, &str) -> Tensor) -> Interventions {
    let mut interventions = Interventions::new(blocks, 32, 0, device).unwrap();
    for (ours, unit) in interventions.units.iter_mut().enumerate() {
        let parameter = |name: &str| parameter(ours, name).to_device(device).unwrap();
        unit.directions = Directions::Rotation(Rotation::with_dense_base(&parameter("base"), 4).unwrap());
        unit.weight = Some(Var::from_tensor(&parameter("weight")).unwrap());
        unit.bias = Var::from_tensor(&parameter("bias")).unwrap();
    }
    interventions
}

/// A training stage; its rows are given beside it.
pub fn plan(epochs: usize, batch: usize, accumulate: usize, learning_rate: f64, schedule: Schedule) -> Train {
    let template = reftc::data::template::Template::Text(Vec::new());
    let source = reftc::data::source::Source::file("rows.json", reftc::data::source::Format::Json);
    let split = Split {
        source,
        prompt: template.clone(),
        target: template,
        eos: true,
        overlong: Overlong::CutRight,
        max_length: 64,
    };
    Train {
        splits: vec![TrainSplit { split, rows: 0 }],
        epochs,
        batch,
        accumulate,
        learning_rate,
        schedule,
        optimizer: Optimizer { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 },
        clip: Some(1.0),
        keep: Keep::Last,
        fit: Fit { pass_tokens: 1000, recompute: false },
        steps: 0,
        rows: 0,
    }
}

pub const CONSTANT: Schedule = Schedule { shape: ScheduleShape::Constant, warmup_share: 0.0, warmup: 0 };

/// An engine with every pass on, that keeps nothing.
pub fn engine<'a>(decoder: &'a Decoder, blocks: &[Intervention]) -> Engine<'a> {
    Engine::new(decoder, blocks, Passes::ALL, None)
}

/// Rows that lie whole one after another, as in a pass over all their tokens.
pub struct WholeRows {
    rows: Vec<RowPlace>,
    offsets: Vec<usize>,
}

impl WholeRows {
    /// Rows of prompt tokens, of all tokens, and with a number.
    pub fn new(rows: &[(usize, usize, usize)]) -> Self {
        let offset = |index: usize| rows[..index].iter().map(|row| row.1).sum();
        Self {
            rows: rows
                .iter()
                .map(|&(prompt, all, row)| RowPlace { tokens: RowTokens::new(prompt, all), row })
                .collect(),
            offsets: (0..rows.len()).map(offset).collect(),
        }
    }
}

impl Places for WholeRows {
    fn rows(&self) -> &[RowPlace] {
        &self.rows
    }

    fn index(&self, _: usize, _: At, row: usize, token: usize) -> Option<u32> {
        Some((self.offsets[row] + token) as u32)
    }
}
