//! LoReFT at each place of a layer, and at all of them together, against the reference's tensors (`tests/oracle/README.md`).
#![allow(clippy::unwrap_used, clippy::panic)]

mod oracle;

use oracle::training::{assert_trained, mean_loss, oracle_name, packed, trained, whole_batch};
use oracle::{Oracle, assert_close, tiny};
use reftc::execute::event::{Event, StepDone};
use reftc::execute::optimizer::Gradients;
use reftc::execute::train::{Task, Trainer};
use reftc::intervention::At;
use std::sync::atomic::AtomicBool;

/// The tolerance of a gradient. With eight edits in one pass the reference's own rounding is 3.5e-5 of exact gradients (those of
/// the same pass in f64); with two it is at most 3.4e-6.
fn tolerance(places: &[At]) -> f64 {
    if places.len() == 1 { 1e-5 } else { 1e-4 }
}

/// The settings of the oracle, and where each acts.
fn settings() -> Vec<(&'static str, Vec<At>)> {
    At::ALL.into_iter().map(|at| (at.name(), vec![at])).chain([("together", At::ALL.to_vec())]).collect()
}

#[test]
fn logits_and_loss_are_those_of_the_reference() {
    let (start, oracle, decoder, rows) = (Oracle::tiny(), Oracle::sites(), tiny::decoder(), tiny::rows());
    for (setting, places) in settings() {
        let interventions = tiny::interventions_at(&start, &places);
        let edits = interventions.edits().unwrap();
        let (pass, placed) = whole_batch(&decoder, &rows, &interventions, &edits);
        let logits = decoder.logits(&decoder.run(&pass, &placed, None).unwrap()).unwrap();
        let expected = packed(&oracle.get(&format!("{setting}.logits")), &rows);
        assert_close(&format!("{setting} logits"), &logits, &expected, 1e-5);
        let loss = mean_loss(&decoder, &rows, &interventions, &edits);
        assert_close(&format!("{setting} loss"), &loss, &oracle.get(&format!("{setting}.loss")), 1e-5);
    }
}

#[test]
fn gradients_are_those_of_the_reference() {
    let (start, oracle, decoder, rows) = (Oracle::tiny(), Oracle::sites(), tiny::decoder(), tiny::rows());
    let facts = oracle::sites_facts();
    for (setting, places) in settings() {
        let interventions = tiny::interventions_at(&start, &places);
        let edits = interventions.edits().unwrap();
        let loss = mean_loss(&decoder, &rows, &interventions, &edits);
        for (number, unit) in interventions.units.iter().enumerate() {
            let parameters = unit.parameters();
            let gradients = Gradients::of(&loss, &parameters).unwrap();
            for (parameter, gradient) in parameters.iter().zip(&gradients.0) {
                let expected = oracle.get(&format!("{setting}.grad.{number}.{}", oracle_name(parameter)));
                assert_close(&format!("{setting} {}", parameter.name), gradient, &expected, tolerance(&places));
            }
        }
        let norm = Gradients::of(&loss, &interventions.parameters()).unwrap().norm().unwrap();
        let expected = facts["settings"][setting]["gradient_norms_before_clipping"][0].as_f64().unwrap();
        assert!((norm / expected - 1.0).abs() < tolerance(&places), "{setting}: norm {norm}, {expected}");
    }
}

#[test]
fn ten_steps_move_the_parameters_as_the_reference_does() {
    let (start, oracle, decoder, rows) = (Oracle::tiny(), Oracle::sites(), tiny::decoder(), tiny::rows());
    let facts = oracle::sites_facts();
    let plan = tiny::plan(10, 4, 1, 5e-3, tiny::CONSTANT);
    for (setting, places) in settings() {
        let interventions = tiny::interventions_at(&start, &places);
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
            for unit in 0..trainer.interventions().units.len() {
                for (name, found) in trained(trainer.interventions(), unit) {
                    let Some(expected) = oracle.find(&format!("{setting}.adamw{step}.{unit}.{name}")) else { continue };
                    let gradient = oracle.find(&format!("{setting}.grad.{unit}.{name}"));
                    let what = format!("{setting} unit {unit} {name} after {step}");
                    assert_trained(&what, &found, &expected, gradient.as_ref());
                }
            }
        }
        let expected = &facts["settings"][setting];
        for (step, done) in steps.iter().enumerate() {
            let loss = expected["losses"][step].as_f64().unwrap();
            let norm = expected["gradient_norms_before_clipping"][step].as_f64().unwrap();
            assert!((done.loss / loss - 1.0).abs() < 1e-5, "{setting} step {step}: loss {}, {loss}", done.loss);
            assert!((done.gradient_norm / norm - 1.0).abs() < 1e-4, "{setting} step {step}: norm");
        }
    }
}
