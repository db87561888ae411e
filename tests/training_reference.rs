//! Training against the reference's tensors (`tests/oracle/README.md`).
#![allow(clippy::unwrap_used, clippy::panic)]

mod oracle;

use candle_core::{Device, Tensor, Var};
use oracle::training::{assert_trained, loss_batch, mean_loss, oracle_name, packed, trained, whole_batch};
use oracle::{Oracle, assert_close, tiny};
use reftc::execute::event::{Event, StepDone};
use reftc::execute::optimizer::{AdamW, Gradients};
use reftc::execute::train::{Progress, Task, Trainer};
use reftc::intervention::Kind;
use reftc::intervention::edits::BatchEdits;
use reftc::intervention::formula::{Edit, Parameters};
use reftc::intervention::units::{Interventions, Parameter};
use reftc::model::decoder::BlockHook;
use reftc::model::place::At;
use reftc::plan::{Activation, Optimizer, Schedule, ScheduleShape};
use std::cell::RefCell;
use std::sync::atomic::AtomicBool;

/// Keeps the states that leave each block, after the edits.
struct Recorder<'a> {
    edits: &'a BatchEdits,
    states: RefCell<Vec<Tensor>>,
}

impl BlockHook for Recorder<'_> {
    fn edit(&self, layer: usize, at: At, values: Tensor) -> candle_core::Result<Tensor> {
        let values = self.edits.edit(layer, at, values)?;
        if at == At::BlockOutput {
            self.states.borrow_mut().push(values.clone());
        }
        Ok(values)
    }

    fn edits_inside(&self, layer: usize) -> bool {
        self.edits.edits_inside(layer)
    }
}

#[test]
fn states_logits_and_loss_are_those_of_the_reference() {
    let (oracle, decoder, rows) = (Oracle::tiny(), tiny::decoder(), tiny::rows());
    for (setting, tied) in tiny::SETTINGS {
        let interventions = tiny::reference_interventions(&oracle, setting, tied);
        let edits = interventions.edits().unwrap();
        let (tokens, placed) = whole_batch(&decoder, &rows, &interventions, &edits);
        let recorder = Recorder { edits: &placed, states: RefCell::default() };
        let last = decoder.run(&tokens, &recorder, None).unwrap();
        let expected = oracle.get(&format!("{setting}.hidden_reft"));
        for layer in 0..3 {
            let states = recorder.states.borrow()[layer].clone();
            assert_close(
                &format!("{setting} layer {layer}"),
                &states,
                &packed(&expected.get(layer + 1).unwrap(), &rows),
                1e-5,
            );
        }
        let logits = decoder.logits(&last).unwrap();
        assert_close(setting, &logits, &packed(&oracle.get(&format!("{setting}.logits_reft")), &rows), 1e-5);
        let loss = mean_loss(&decoder, &rows, &interventions, &edits);
        assert_close(setting, &loss, &oracle.get(&format!("{setting}.loss_reft")), 1e-5);

        let batch = loss_batch(&decoder, &rows, &interventions);
        let base = batch.losses(&decoder, &BatchEdits::default()).unwrap().mean_all().unwrap();
        assert_close(setting, &base, &oracle.get(&format!("{setting}.loss_base")), 1e-5);
    }
}

#[test]
fn every_kind_gives_the_logits_of_the_reference() {
    let (oracle, decoder, rows) = (Oracle::tiny(), tiny::decoder(), tiny::rows());
    for (variant, kind, activation) in tiny::VARIANTS {
        let interventions = Interventions::new(&[tiny::block(kind, true)], 32, 0, &Device::Cpu).unwrap();
        let edit = |unit: usize| {
            let find = |name: &str| oracle.find(&format!("var.{variant}.param.{unit}.{name}"));
            let parameters = Parameters {
                directions: find("proj_layer.weight").unwrap_or_else(|| find("rotate_layer").unwrap().t().unwrap()),
                directions_bias: find("proj_layer.bias"),
                weight: find("learned_source.weight"),
                bias: find("learned_source.bias").or_else(|| find("learned_source_vec")).unwrap(),
            };
            Edit::new(kind.entry(), activation, &parameters).unwrap()
        };
        let edits = [edit(0), edit(1)];
        let (tokens, placed) = whole_batch(&decoder, &rows, &interventions, &edits);
        let logits = decoder.logits(&decoder.run(&tokens, &placed, None).unwrap()).unwrap();
        assert_close(variant, &logits, &packed(&oracle.get(&format!("var.{variant}.logits")), &rows), 1e-5);
        let loss = mean_loss(&decoder, &rows, &interventions, &edits);
        assert_close(variant, &loss, &oracle.get(&format!("var.{variant}.loss")), 1e-5);
    }
}

#[test]
fn gradients_are_those_of_the_reference() {
    let (oracle, decoder, rows) = (Oracle::tiny(), tiny::decoder(), tiny::rows());
    for (setting, tied) in tiny::SETTINGS {
        let interventions = tiny::reference_interventions(&oracle, setting, tied);
        let edits = interventions.edits().unwrap();
        let loss = mean_loss(&decoder, &rows, &interventions, &edits);
        for (ours, unit) in interventions.units.iter().enumerate() {
            let parameters = unit.parameters();
            let gradients = Gradients::of(&loss, &parameters).unwrap();
            for (parameter, gradient) in parameters.iter().zip(&gradients.0) {
                let reference = tiny::reference_unit(tied, ours);
                let expected = oracle.get(&format!("{setting}.grad.{reference}.{}", oracle_name(parameter)));
                assert_close(&format!("{setting} {}", parameter.name), gradient, &expected, 1e-5);
            }
        }
        let all = Gradients::of(&loss, &interventions.parameters()).unwrap();
        let trajectory = oracle::tiny_facts();
        let norm = trajectory["traj"][format!("{setting}.adamw")]["grad_norm_before_clip"][0].as_f64().unwrap();
        assert!((all.norm().unwrap() / norm - 1.0).abs() < 1e-5);
    }
}

/// R, W and b of every unit as plain matrices, and edits made of them.
fn plain_units(oracle: &Oracle, setting: &str, tied: bool, units: usize) -> Vec<[Var; 3]> {
    let unit = |ours: usize| {
        let reference = tiny::reference_unit(tied, ours);
        ["rotate_layer", "weight", "bias"]
            .map(|name| Var::from_tensor(&oracle.get(&format!("{setting}.param.{reference}.{name}"))).unwrap())
    };
    (0..units).map(unit).collect()
}

fn plain_edits(units: &[[Var; 3]]) -> Vec<Edit> {
    let edit = |[rotation, weight, bias]: &[Var; 3]| {
        let parameters = Parameters {
            directions: rotation.t().unwrap(),
            directions_bias: None,
            weight: Some(weight.as_tensor().clone()),
            bias: bias.as_tensor().clone(),
        };
        Edit::new(Kind::Loreft.entry(), Activation::Linear, &parameters).unwrap()
    };
    units.iter().map(edit).collect()
}

const ADAM: Optimizer = Optimizer { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };

#[test]
fn a_plain_matrix_has_the_gradient_and_the_adamw_steps_of_the_reference() {
    let (oracle, decoder, rows) = (Oracle::tiny(), tiny::decoder(), tiny::rows());
    for (setting, tied) in tiny::SETTINGS {
        let interventions = tiny::reference_interventions(&oracle, setting, tied);
        let units = plain_units(&oracle, setting, tied, interventions.units.len());
        let parameters: Vec<Parameter> =
            units.iter().flatten().map(|variable| Parameter::plain(String::new(), variable, false)).collect();
        let mut optimizer = AdamW::new(parameters.clone(), ADAM).unwrap();
        for step in 0..10 {
            let loss = mean_loss(&decoder, &rows, &interventions, &plain_edits(&units));
            let gradients = Gradients::of(&loss, &parameters).unwrap();
            if step == 0 {
                for ours in 0..units.len() {
                    let reference = tiny::reference_unit(tied, ours);
                    let expected = oracle.get(&format!("{setting}.grad.{reference}.rotate_layer_plain"));
                    assert_close("plain R", &gradients.0[3 * ours], &expected, 1e-5);
                }
            }
            let report = optimizer.update(&[], &gradients, Some(1.0), 5e-3).unwrap();
            optimizer.finish(&report).unwrap();
            for (name, variable) in ["rotate_layer", "weight", "bias"].iter().zip(&units[0]) {
                if let Some(expected) = oracle.find(&format!("{setting}.plain_adamw{}.0.{name}", step + 1)) {
                    assert_close(&format!("{setting} {name} after {}", step + 1), variable, &expected, 1e-4);
                }
            }
        }
    }
}

#[test]
fn ten_steps_move_the_parameters_as_the_reference_does() {
    let (oracle, decoder, rows, facts) = (Oracle::tiny(), tiny::decoder(), tiny::rows(), oracle::tiny_facts());
    let plan = tiny::plan(10, 4, 1, 5e-3, tiny::CONSTANT);
    for (setting, tied) in tiny::SETTINGS {
        let interventions = tiny::reference_interventions(&oracle, setting, tied);
        let engine = tiny::engine(&decoder, &interventions.blocks);
        let task = Task { engine: &engine, rows: &rows, plan: &plan, seed: 42 };
        let mut trainer = Trainer::new(task, interventions).unwrap();
        let mut steps: Vec<StepDone> = Vec::new();
        for step in 1..=10 {
            let mut emit = |event| {
                if let Event::StepDone(done) = event {
                    steps.push(done)
                }
            };
            trainer.advance(&AtomicBool::new(false), &mut emit).unwrap();
            for (name, found) in trained(trainer.interventions(), 0) {
                let Some(expected) = oracle.find(&format!("{setting}.adamw{step}.0.{name}")) else { continue };
                let gradient = oracle.find(&format!("{setting}.grad.0.{name}"));
                assert_trained(&format!("{setting} {name} after {step}"), &found, &expected, gradient.as_ref());
            }
        }
        let reference = &facts["traj"][format!("{setting}.adamw")];
        for (step, done) in steps.iter().enumerate() {
            let loss = reference["loss_before_step_k_then_final"][step].as_f64().unwrap();
            let norm = reference["grad_norm_before_clip"][step].as_f64().unwrap();
            assert!((done.loss / loss - 1.0).abs() < 1e-5, "{setting} step {step}: loss {} {loss}", done.loss);
            assert!((done.gradient_norm / norm - 1.0).abs() < 1e-4, "{setting} step {step}: norm");
        }
    }
}

#[test]
fn the_schedule_and_its_warm_up_are_those_of_the_trainer_of_the_reference() {
    let (oracle, decoder, rows, facts) = (Oracle::tiny(), tiny::decoder(), tiny::rows(), oracle::tiny_facts());
    let plan = tiny::plan(10, 4, 1, 9e-3, Schedule { shape: ScheduleShape::Linear, warmup_share: 0.0, warmup: 2 });
    for (setting, tied) in tiny::SETTINGS {
        let interventions = tiny::reference_interventions(&oracle, setting, tied);
        let engine = tiny::engine(&decoder, &interventions.blocks);
        let task = Task { engine: &engine, rows: &rows, plan: &plan, seed: 42 };
        let mut trainer = Trainer::new(task, interventions).unwrap();
        let mut steps: Vec<StepDone> = Vec::new();
        let mut emit = |event| {
            if let Event::StepDone(done) = event {
                steps.push(done)
            }
        };
        let progress = trainer.run(&AtomicBool::new(false), &mut emit, &mut |_, _, _| Ok(())).unwrap();
        assert_eq!(progress, Progress::Finished);
        for ours in 0..trainer.interventions().units.len() {
            let reference = tiny::reference_unit(tied, ours);
            for (name, found) in trained(trainer.interventions(), ours) {
                let Some(expected) = oracle.find(&format!("{setting}.trainer10.{reference}.{name}")) else { continue };
                let gradient = oracle.find(&format!("{setting}.grad.{reference}.{name}"));
                assert_trained(&format!("{setting} {name}"), &found, &expected, gradient.as_ref());
            }
        }
        let log = facts["traj"][format!("{setting}.trainer")]["log"].as_array().unwrap();
        assert_eq!(steps[0].learning_rate, 0.0);
        for (step, entry) in steps.iter().zip(log) {
            assert!((step.loss - entry["loss"].as_f64().unwrap()).abs() < 1e-4);
            assert!((step.gradient_norm / entry["grad_norm"].as_f64().unwrap() - 1.0).abs() < 1e-4);
        }
    }
}

#[test]
fn the_backward_pass_keeps_no_buffer_for_a_frozen_weight() {
    let (oracle, decoder, rows) = (Oracle::tiny(), tiny::decoder(), tiny::rows());
    let interventions = tiny::reference_interventions(&oracle, "untied", false);
    let edits = interventions.edits().unwrap();
    let store = mean_loss(&decoder, &rows, &interventions, &edits).backward().unwrap();
    let kept: usize = store.get_ids().map(|id| store.get_id(*id).unwrap().elem_count()).sum();
    let trained: usize = interventions.parameters().iter().map(|parameter| parameter.variable.elem_count()).sum();
    // Beside the parameters: states that nothing recorded and an operation of candle read, fewer than all tokens have.
    let states = (25 + 16) * 32;
    assert!(kept <= trained + states, "{kept} numbers kept for {trained} trained");
}
