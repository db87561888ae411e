//! What a training promises: accumulation, bits, checkpoints, interrupts, errors.
#![allow(clippy::unwrap_used, clippy::panic)]

mod oracle;

use candle_core::{DType, Device, Tensor};
use oracle::{assert_close, bits, tiny};
use reftc::data::encode::EncodedRow;
use reftc::diag::Code;
use reftc::execute::event::Event;
use reftc::execute::train::{Progress, Task, Trainer};
use reftc::intervention::units::Interventions;
use reftc::intervention::{Kind, save};
use reftc::plan::{Intervention, Schedule, ScheduleShape, Train};
use std::sync::atomic::AtomicBool;

/// Rows whose targets are of one length, so that a mean of means is the mean.
fn even_rows(count: usize) -> Vec<EncodedRow> {
    let token = |row: usize, place: usize| (3 + (row * 31 + place * 17) % 120) as u32;
    let make = |row: usize| {
        let prompt: Vec<u32> = (0..3 + row % 5).map(|place| token(row, place)).collect();
        tiny::row(row, &prompt, &[token(row, 90), token(row, 91), 2])
    };
    (0..count).map(make).collect()
}

fn dropping(kind: Kind) -> Intervention {
    Intervention { dropout: 0.2, ..tiny::block(kind, false) }
}

/// Trains from the start and gives every tensor.
fn train(
    plan: &Train,
    rows: &[EncodedRow],
    seed: u64,
    block: &Intervention,
    pass_tokens: Option<usize>,
) -> Vec<(String, Tensor)> {
    let decoder = tiny::decoder();
    let interventions = Interventions::new(std::slice::from_ref(block), 32, seed, &Device::Cpu).unwrap();
    let engine = tiny::engine(&decoder, std::slice::from_ref(block));
    let mut plan = plan.clone();
    plan.fit.pass_tokens = pass_tokens.unwrap_or(plan.fit.pass_tokens);
    let mut trainer = Trainer::new(Task { engine: &engine, rows, plan: &plan, seed }, interventions).unwrap();
    trainer.run(&AtomicBool::new(false), &mut |_| {}, &mut |_, _, _| Ok(())).unwrap();
    save::tensors(trainer.interventions()).unwrap().into_iter().collect()
}

#[track_caller]
fn assert_same(left: &[(String, Tensor)], right: &[(String, Tensor)], tolerance: f64) {
    for ((name, left), (_, right)) in left.iter().zip(right) {
        assert_close(name, left, right, tolerance);
    }
}

#[test]
fn accumulation_equals_one_big_batch() {
    let rows = even_rows(8);
    let plan = |batch, accumulate| tiny::plan(3, batch, accumulate, 1e-3, tiny::CONSTANT);
    let block = dropping(Kind::Loreft);
    let whole = train(&plan(4, 1), &rows, 7, &block, None);
    assert_same(&train(&plan(2, 2), &rows, 7, &block, None), &whole, 1e-5);
    assert_same(&train(&plan(1, 4), &rows, 7, &block, None), &whole, 1e-5);
}

#[test]
fn the_last_partial_group_steps_with_its_own_count() {
    // Five rows in groups of 4: the last step is one row, and its gradient must be as if it were alone.
    let (decoder, rows) = (tiny::decoder(), even_rows(5));
    let norms = |batch, accumulate| {
        let plan = tiny::plan(1, batch, accumulate, 1e-3, tiny::CONSTANT);
        let interventions = Interventions::new(&[dropping(Kind::Loreft)], 32, 7, &Device::Cpu).unwrap();
        let engine = tiny::engine(&decoder, &interventions.blocks);
        let task = Task { engine: &engine, rows: &rows, plan: &plan, seed: 7 };
        let mut norms = Vec::new();
        let mut emit = |event| {
            if let Event::StepDone(step) = event {
                norms.push((step.gradient_norm, step.loss))
            }
        };
        let mut trainer = Trainer::new(task, interventions).unwrap();
        trainer.run(&AtomicBool::new(false), &mut emit, &mut |_, _, _| Ok(())).unwrap();
        norms
    };
    let (grouped, batched) = (norms(1, 4), norms(4, 1));
    assert_eq!(grouped.len(), 2);
    for ((norm, loss), (expected_norm, expected_loss)) in grouped.iter().zip(&batched) {
        assert!((norm / expected_norm - 1.0).abs() < 1e-4 && (loss / expected_loss - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_batch_split_into_passes_gives_the_same_numbers() {
    let rows = tiny::rows();
    let plan = tiny::plan(5, 4, 1, 1e-3, tiny::CONSTANT);
    for kind in [Kind::Loreft, Kind::Nodireft] {
        let whole = train(&plan, &rows, 7, &dropping(kind), None);
        assert_same(&train(&plan, &rows, 7, &dropping(kind), Some(1)), &whole, 1e-5);
        assert_same(&train(&plan, &rows, 7, &dropping(kind), Some(17)), &whole, 1e-5);
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_does_not() {
    let (rows, plan) = (even_rows(9), tiny::plan(2, 2, 2, 1e-3, tiny::CONSTANT));
    let run = |seed| {
        let tensors = train(&plan, &rows, seed, &dropping(Kind::Loreft), None);
        tensors.iter().map(|(_, tensor)| bits(tensor)).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn an_interrupted_training_goes_on_with_the_same_bits() {
    let (decoder, rows) = (tiny::decoder(), even_rows(9));
    let plan = tiny::plan(3, 2, 2, 1e-3, Schedule { shape: ScheduleShape::Cosine, warmup_share: 0.0, warmup: 1 });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    for kind in [Kind::Loreft, Kind::Noreft, Kind::Lobireft] {
        let block = dropping(kind);
        let whole = train(&plan, &rows, 7, &block, None);
        let fresh = |seed| Interventions::new(std::slice::from_ref(&block), 32, seed, &Device::Cpu).unwrap();
        let engine = tiny::engine(&decoder, std::slice::from_ref(&block));
        let task = Task { engine: &engine, rows: &rows, plan: &plan, seed: 7 };

        let mut trainer = Trainer::new(task, fresh(7)).unwrap();
        let interrupt = AtomicBool::new(false);
        let stop_after_four = &mut |trainer: &mut Trainer, _: bool, _: &mut dyn FnMut(Event)| {
            interrupt.store(trainer.step() == 4, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        };
        assert_eq!(trainer.run(&interrupt, &mut |_| {}, stop_after_four).unwrap(), Progress::Interrupted);
        assert_eq!((trainer.step(), trainer.steps()), (4, 9));
        trainer.save_checkpoint(&path).unwrap();
        drop(trainer);

        // What the fresh interventions were must not matter.
        let mut resumed = Trainer::resume(task, fresh(8), &path).unwrap();
        assert_eq!(resumed.step(), 4);
        resumed.run(&AtomicBool::new(false), &mut |_| {}, &mut |_, _, _| Ok(())).unwrap();
        for (name, tensor) in &whole {
            assert_eq!(bits(tensor), bits(&save::tensors(resumed.interventions()).unwrap()[name]), "{kind:?} {name}");
        }

        let other = Task { seed: 9, ..task };
        let error = Trainer::resume(other, fresh(9), &path).err().unwrap();
        assert_eq!(error.code, Code::InterventionMismatch);
        let cut = std::fs::read(&path).unwrap();
        std::fs::write(&path, &cut[..cut.len() - 10]).unwrap();
        assert_eq!(Trainer::resume(task, fresh(7), &path).err().unwrap().code, Code::SavedFileUnreadable);
    }
}

#[test]
fn a_loss_that_is_not_a_number_stops_the_step_before_it_moves_anything() {
    let (decoder, rows) = (tiny::decoder(), even_rows(4));
    let plan = tiny::plan(2, 2, 1, 1e-3, tiny::CONSTANT);
    let interventions = Interventions::new(&[tiny::block(Kind::Loreft, true)], 32, 1, &Device::Cpu).unwrap();
    let engine = tiny::engine(&decoder, &interventions.blocks);
    let mut trainer = Trainer::new(Task { engine: &engine, rows: &rows, plan: &plan, seed: 1 }, interventions).unwrap();
    trainer.advance(&AtomicBool::new(false), &mut |_| {}).unwrap();
    let bias = trainer.interventions().units[1].bias.clone();
    bias.set(&Tensor::full(f32::NAN, 4, &Device::Cpu).unwrap()).unwrap();
    let before = bits(trainer.interventions().units[0].weight.as_ref().unwrap());
    let error = trainer.advance(&AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert_eq!(error.code, Code::LossNotFinite);
    assert!(error.message.contains("step 2 of 4"), "{error}");
    assert!(error.note.unwrap().contains("rows "));
    assert_eq!(before, bits(trainer.interventions().units[0].weight.as_ref().unwrap()));
    assert_eq!(trainer.step(), 1);
}

#[test]
fn an_interrupt_before_the_first_step_changes_nothing() {
    let (decoder, rows) = (tiny::decoder(), even_rows(4));
    let plan = tiny::plan(2, 2, 1, 1e-3, tiny::CONSTANT);
    let interventions = Interventions::new(&[tiny::block(Kind::Loreft, true)], 32, 1, &Device::Cpu).unwrap();
    let engine = tiny::engine(&decoder, &interventions.blocks);
    let mut trainer = Trainer::new(Task { engine: &engine, rows: &rows, plan: &plan, seed: 1 }, interventions).unwrap();
    assert_eq!(trainer.advance(&AtomicBool::new(true), &mut |_| {}).unwrap(), Progress::Interrupted);
    assert_eq!(trainer.step(), 0);
}

#[test]
fn weight_decay_shrinks_free_matrices_and_leaves_rotations_orthonormal() {
    let mut plan = tiny::plan(20, 4, 1, 1e-2, tiny::CONSTANT);
    plan.optimizer.weight_decay = 0.5;
    let tensors = train(&plan, &tiny::rows(), 7, &tiny::block(Kind::Loreft, true), None);
    let rotation = &tensors.iter().find(|(name, _)| name == "edit.layer1.tied.rotate_layer").unwrap().1;
    let product = rotation.t().unwrap().matmul(rotation).unwrap();
    let error = oracle::largest(&(product - Tensor::eye(4, DType::F32, &Device::Cpu).unwrap()).unwrap());
    assert!(error < 1e-6, "{error}");
    plan.optimizer.weight_decay = 0.0;
    let free = train(&plan, &tiny::rows(), 7, &tiny::block(Kind::Loreft, true), None);
    let norm = |tensors: &[(String, Tensor)]| {
        let weight = &tensors.iter().find(|(name, _)| name == "edit.layer1.tied.weight").unwrap().1;
        weight.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()
    };
    assert!(norm(&tensors) < norm(&free));
}
