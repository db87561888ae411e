//! The tiny model against the reference's tensors (`tests/oracle/README.md`), as `tests/training_reference.rs` has it, in f32 and to the
//! same tolerances.

use super::{Checks, Largest};
use crate::oracle::training::{mean_loss, oracle_name, packed, trained, whole_batch};
use crate::oracle::{Oracle, tiny, tiny_facts};
use crate::told;
use candle_core::{DType, Device, Result, Tensor};
use reftc::data::encode::EncodedRow;
use reftc::execute::event::{Event, StepDone};
use reftc::execute::generate::Generator;
use reftc::execute::optimizer::Gradients;
use reftc::execute::train::{Task, Trainer};
use reftc::intervention::formula::{Edit, Parameters};
use reftc::intervention::orthogonal::Rotation;
use reftc::intervention::rotations;
use reftc::intervention::units::Interventions;
use reftc::model::config::Precision;
use reftc::model::decoder::Decoder;
use std::sync::atomic::AtomicBool;

pub fn check(checks: &mut Checks) {
    let device = checks.device.clone();
    let (oracle, decoder, rows) = (Oracle::tiny(), tiny::decoder_on(Precision::F32, &device), tiny::rows());
    let reference = Reference { oracle, decoder, rows, device };
    for (setting, tied) in tiny::SETTINGS {
        checks
            .check(&format!("reference, {setting}: logits"), 1e-5, |largest| reference.logits(setting, tied, largest));
        checks.check(&format!("reference, {setting}: loss"), 1e-5, |largest| reference.losses(setting, tied, largest));
        let name = format!("reference, {setting}: gradients");
        checks.check(&name, 1e-5, |largest| reference.gradients(setting, tied, largest));
        let name = format!("reference, {setting}: losses of ten steps");
        checks.check(&name, 1e-5, |largest| reference.ten_steps(setting, tied, largest, Wanted::Losses));
        let name = format!("reference, {setting}: norms of gradients of ten steps");
        checks.check(&name, 1e-4, |largest| reference.ten_steps(setting, tied, largest, Wanted::Norms));
        let name = format!("reference, {setting}: parameters after ten steps");
        checks.check(&name, 1e-4, |largest| reference.ten_steps(setting, tied, largest, Wanted::Parameters));
        let name = format!("reference, {setting}: greedy tokens");
        checks.check(&name, 0.0, |largest| reference.tokens(setting, tied, largest));
    }
    checks.check("reference: logits of every kind", 1e-5, |largest| reference.kinds(largest));
    checks.check("reference: the householder map of torch", 1e-5, |largest| reference.householder(largest));
}

/// What is compared of a trajectory.
#[derive(Clone, Copy, PartialEq)]
pub enum Wanted {
    Losses,
    Norms,
    Parameters,
}

struct Reference {
    oracle: Oracle,
    decoder: Decoder,
    rows: Vec<EncodedRow>,
    device: Device,
}

impl Reference {
    fn interventions(&self, setting: &str, tied: bool) -> Interventions {
        tiny::reference_interventions_on(&self.oracle, setting, tied, &self.device)
    }

    fn logits(&self, setting: &str, tied: bool, largest: &mut Largest) -> Result<()> {
        let interventions = self.interventions(setting, tied);
        let found = logits(&self.decoder, &self.rows, &interventions, &interventions.edits()?)?;
        let expected = packed(&self.oracle.get(&format!("{setting}.logits_reft")), &self.rows);
        largest.compare_largest("all tokens", &found, &expected)
    }

    fn losses(&self, setting: &str, tied: bool, largest: &mut Largest) -> Result<()> {
        let interventions = self.interventions(setting, tied);
        let loss = mean_loss(&self.decoder, &self.rows, &interventions, &interventions.edits()?);
        largest.compare_largest("tuned", &loss, &self.oracle.get(&format!("{setting}.loss_reft")))?;
        let untouched = Interventions { units: Vec::new(), ..interventions };
        let loss = mean_loss(&self.decoder, &self.rows, &untouched, &[]);
        largest.compare_largest("untouched", &loss, &self.oracle.get(&format!("{setting}.loss_base")))
    }

    fn gradients(&self, setting: &str, tied: bool, largest: &mut Largest) -> Result<()> {
        let interventions = self.interventions(setting, tied);
        let loss = mean_loss(&self.decoder, &self.rows, &interventions, &interventions.edits()?);
        let name = |ours, end: &str| format!("{setting}.grad.{}.{end}", tiny::reference_unit(tied, ours));
        gradients(&interventions, &loss, largest, |ours, end| self.oracle.get(&name(ours, end)))
    }

    fn kinds(&self, largest: &mut Largest) -> Result<()> {
        for (variant, kind, activation) in tiny::VARIANTS {
            let interventions = Interventions::new(&[tiny::block(kind, true)], 32, 0, &self.device)?;
            let edit = |unit: usize| {
                let on = |tensor: Tensor| tensor.contiguous()?.to_device(&self.device);
                let find =
                    |name: &str| self.oracle.find(&format!("var.{variant}.param.{unit}.{name}")).map(on).transpose();
                let directions = match find("proj_layer.weight")? {
                    Some(weight) => weight,
                    None => on(self.oracle.get(&format!("var.{variant}.param.{unit}.rotate_layer")).t()?)?,
                };
                let bias = match find("learned_source.bias")? {
                    Some(bias) => bias,
                    None => on(self.oracle.get(&format!("var.{variant}.param.{unit}.learned_source_vec")))?,
                };
                let (directions_bias, weight) = (find("proj_layer.bias")?, find("learned_source.weight")?);
                Edit::new(kind.entry(), activation, &Parameters { directions, directions_bias, weight, bias })
            };
            let found = logits(&self.decoder, &self.rows, &interventions, &[edit(0)?, edit(1)?])?;
            let expected = packed(&self.oracle.get(&format!("var.{variant}.logits")), &self.rows);
            largest.compare_largest(variant, &found, &expected)?;
        }
        Ok(())
    }

    /// The plain gradient of R, through the backward of the map, is what torch found for X.
    fn householder(&self, largest: &mut Largest) -> Result<()> {
        for (setting, units) in [("tied", 2), ("untied", 4)] {
            for unit in 0..units {
                let get = |name: &str| self.oracle.get(&format!("{setting}.{name}"));
                let base = get(&format!("param.{unit}.base")).to_device(&self.device)?;
                let rotation = Rotation::with_dense_base(&base, 4)?;
                let matrix = rotation.matrix()?;
                let start = get(&format!("param.{unit}.rotate_layer"));
                largest.compare_largest(format!("{setting} {unit} start"), &matrix, &start)?;
                let plain = get(&format!("grad.{unit}.rotate_layer_plain")).to_device(matrix.device())?;
                let gradient = &rotations::pull_back(&[&rotation], &[plain.t()?.contiguous()?])?[0];
                let expected = get(&format!("grad.{unit}.householder_original"));
                largest.compare_largest(format!("{setting} {unit} gradient"), gradient, &expected)?;
            }
        }
        Ok(())
    }

    fn ten_steps(&self, setting: &str, tied: bool, largest: &mut Largest, wanted: Wanted) -> Result<()> {
        let log = &tiny_facts()["traj"][format!("{setting}.adamw")];
        let expected = Trajectory {
            losses: &log["loss_before_step_k_then_final"],
            norms: &log["grad_norm_before_clip"],
            parameter: &|step, unit, name| match unit {
                0 => self.oracle.find(&format!("{setting}.adamw{step}.0.{name}")),
                _ => None,
            },
            gradient: &|_, name| self.oracle.find(&format!("{setting}.grad.0.{name}")),
        };
        expected.follow(&self.decoder, &self.rows, self.interventions(setting, tied), largest, wanted)
    }

    fn tokens(&self, setting: &str, tied: bool, largest: &mut Largest) -> Result<()> {
        let (interventions, prompts) = (self.interventions(setting, tied), tiny::prompts());
        let prompts: Vec<&EncodedRow> = prompts.iter().collect();
        let engine = tiny::engine(&self.decoder, &interventions.blocks);
        for (subject, tuned) in [("reft", Some(&interventions)), ("base", None)] {
            let found =
                Generator::new(&engine, tuned).and_then(|generator| generator.greedy(&prompts, 8)).map_err(told)?;
            let expected = self.oracle.integers(&format!("{setting}.gen.{subject}_new_tokens"));
            let mut whole = 0;
            for (row, (found, expected)) in found.iter().zip(expected.chunks(8)).enumerate() {
                // The reference never let a text end; where ours does, what follows is another text.
                let differ = found.iter().zip(expected).filter(|(found, expected)| i64::from(**found) != **expected);
                largest.take(format!("{subject} row {row}"), differ.count() as f64);
                whole += usize::from(found.len() == 8);
            }
            if whole < 3 {
                candle_core::bail!("only {whole} of 4 rows went on to the end");
            }
        }
        Ok(())
    }
}

/// The logits of every token of the rows.
pub fn logits(decoder: &Decoder, rows: &[EncodedRow], interventions: &Interventions, edits: &[Edit]) -> Result<Tensor> {
    let (pass, placed) = whole_batch(decoder, rows, interventions, edits);
    decoder.logits(&decoder.run(&pass, &placed, None)?)
}

/// Compares the gradients of all units with those that `expected` has by unit and name.
pub fn gradients(
    interventions: &Interventions,
    loss: &Tensor,
    largest: &mut Largest,
    expected: impl Fn(usize, &str) -> Tensor,
) -> Result<()> {
    for (number, unit) in interventions.units.iter().enumerate() {
        let parameters = unit.parameters();
        for (parameter, gradient) in parameters.iter().zip(&Gradients::of(loss, &parameters)?.0) {
            largest.compare_largest(&parameter.name, gradient, &expected(number, oracle_name(parameter)))?;
        }
    }
    Ok(())
}

/// Ten steps of the reference on the tiny rows.
pub struct Trajectory<'a> {
    pub losses: &'a serde_json::Value,
    pub norms: &'a serde_json::Value,
    /// A tensor after a step, by unit and name, where the reference has it.
    pub parameter: &'a dyn Fn(usize, usize, &str) -> Option<Tensor>,
    /// The first gradient of a tensor.
    pub gradient: &'a dyn Fn(usize, &str) -> Option<Tensor>,
}

impl Trajectory<'_> {
    /// Takes the steps too, by the trainer.
    pub fn follow(
        &self,
        decoder: &Decoder,
        rows: &[EncodedRow],
        interventions: Interventions,
        largest: &mut Largest,
        wanted: Wanted,
    ) -> Result<()> {
        let plan = tiny::plan(10, 4, 1, 5e-3, tiny::CONSTANT);
        let engine = tiny::engine(decoder, &interventions.blocks);
        let task = Task { engine: &engine, rows, plan: &plan, seed: 42 };
        let mut trainer = Trainer::new(task, interventions).map_err(told)?;
        let mut steps: Vec<StepDone> = Vec::new();
        for step in 1..=10 {
            let mut emit = |event| {
                if let Event::StepDone(done) = event {
                    steps.push(done);
                }
            };
            trainer.advance(&AtomicBool::new(false), &mut emit).map_err(told)?;
            let units = if wanted == Wanted::Parameters { trainer.interventions().units.len() } else { 0 };
            for unit in 0..units {
                for (name, found) in trained(trainer.interventions(), unit) {
                    let Some(expected) = (self.parameter)(step, unit, name) else { continue };
                    let known = known(&expected, (self.gradient)(unit, name).as_ref())?;
                    let found = (found.detach().to_device(&Device::Cpu)? * &known)?;
                    largest.compare_largest(
                        format!("unit {unit} {name} after {step}"),
                        &found,
                        &(expected * known)?,
                    )?;
                }
            }
        }
        for (number, step) in steps.iter().enumerate() {
            let (found, expected) = match wanted {
                Wanted::Losses => (step.loss, self.losses[number].as_f64()),
                Wanted::Norms => (step.gradient_norm, self.norms[number].as_f64()),
                Wanted::Parameters => continue,
            };
            largest.take(format!("step {}", number + 1), (found / expected.unwrap_or(f64::NAN) - 1.0).abs());
        }
        Ok(())
    }
}

/// 1 where a tensor is compared. Where the reference's gradient is next to nothing Adam turns rounding into a whole step.
fn known(expected: &Tensor, gradient: Option<&Tensor>) -> Result<Tensor> {
    match gradient {
        Some(gradient) => {
            let magnitude = gradient.abs()?;
            let least = 1e-6 * f64::from(magnitude.max_all()?.to_scalar::<f32>()?);
            magnitude.ge(least)?.to_dtype(DType::F32)
        }
        None => expected.ones_like(),
    }
}
