//! Every pass on and off: the same losses, gradients, parameters and text; with the cache or without, the same bits.
#![allow(clippy::unwrap_used, clippy::panic)]

mod oracle;

use candle_core::{Device, Tensor};
use oracle::{assert_close, bits, tiny};
use reftc::data::encode::EncodedRow;
use reftc::data::positions::{PromptText, Segment, Share};
use reftc::execute::arena::Arena;
use reftc::execute::batch::LossBatch;
use reftc::execute::engine::Engine;
use reftc::execute::event::{Event, StepDone};
use reftc::execute::generate::Generator;
use reftc::execute::train::{Task, Trainer};
use reftc::intervention::units::Interventions;
use reftc::intervention::{At, Kind, save};
use reftc::model::decoder::Decoder;
use reftc::plan::Intervention;
use reftc::plan::passes::Passes;
use reftc::store::frozen::{Budget, FrozenCache, Settings};
use std::cell::RefCell;
use std::sync::atomic::AtomicBool;

/// Rows that begin alike in part, of different lengths, two of them with the same prompt.
fn rows() -> Vec<EncodedRow> {
    let token = |row: usize, place: usize| (3 + (row * 31 + place * 17) % 120) as u32;
    let make = |number: usize| {
        let own = if number == 6 { 2 } else { number };
        let shared = [11, 12, 13, 14, 15, 16, 17].into_iter().take(if own % 4 == 3 { 0 } else { 7 });
        let prompt: Vec<u32> = shared.chain((0..2 + own % 5).map(|place| token(own, place))).collect();
        let target: Vec<u32> = (0..1 + number % 3).map(|place| token(number, 90 + place)).collect();
        // Every token is a byte. The column is empty in one row, and elsewhere in two rows with the same prompt.
        let column = if number == 4 { 3..3 } else { 1 + number % 3..prompt.len() - 1 - number % 2 };
        let spans =
            tiny::spans(prompt.len(), &[(column_text(), column), (constant_text(), prompt.len() - 1..prompt.len())]);
        EncodedRow { spans, ..tiny::row(number, &prompt, &target) }
    };
    (0..8).map(make).collect()
}

fn column_text() -> PromptText {
    PromptText::Column("question".to_owned())
}

fn constant_text() -> PromptText {
    PromptText::Constant("#".to_owned())
}

fn edit(name: &str, at: At, layers: &[usize], segments: &[Segment], tied: bool) -> Intervention {
    let (name, layers, segments) = (name.to_owned(), layers.to_vec(), segments.to_vec());
    Intervention { name, at, layers, segments, ..tiny::block(Kind::Loreft, tied) }
}

/// Small experiments, with every place and every kind of position.
fn experiments() -> Vec<(&'static str, Vec<Intervention>)> {
    use At::{AttentionOutput, BlockInput, BlockOutput, MlpOutput};
    const FIRST: Segment = Segment::First(2);
    const LAST: Segment = Segment::Last(2);
    let text = |of, share| Segment::Text { of, share };
    let column = || text(column_text(), Share::All);
    let rest = Segment::Without { of: Box::new(Segment::All), taken: vec![column()] };
    let ends = [text(column_text(), Share::Last(2)), Segment::Generated];
    let dropping_texts = Intervention { dropout: 0.3, ..edit("edit", BlockOutput, &[0, 2], &ends, false) };
    let dropping = Intervention { dropout: 0.3, ..edit("edit", BlockOutput, &[0, 2], &[FIRST, LAST], false) };
    vec![
        ("last token", vec![edit("edit", BlockOutput, &[1, 2], &[Segment::Last(1)], false)]),
        ("all layers", vec![edit("edit", BlockOutput, &[0, 1, 2, 3], &[FIRST, LAST], true)]),
        ("first tokens late", vec![edit("edit", BlockOutput, &[2], &[FIRST], false)]),
        ("last layer", vec![edit("edit", BlockOutput, &[3], &[Segment::All], false)]),
        ("everywhere", vec![edit("edit", BlockOutput, &[1], &[Segment::All], false)]),
        ("dropout", vec![dropping]),
        ("block input", vec![edit("edit", BlockInput, &[0, 2], &[LAST], false)]),
        ("attention output", vec![edit("edit", AttentionOutput, &[1, 3], &[FIRST, LAST], false)]),
        ("mlp output", vec![edit("edit", MlpOutput, &[0, 2], &[LAST], false)]),
        (
            "two blocks that reach different tokens",
            vec![
                edit("late", BlockOutput, &[0], &[LAST], false),
                edit("early", AttentionOutput, &[2], &[FIRST], false),
            ],
        ),
        (
            "both sides of a point",
            vec![edit("input", BlockInput, &[2], &[LAST], false), edit("output", BlockOutput, &[1], &[LAST], false)],
        ),
        ("a column", vec![edit("edit", BlockOutput, &[1, 2], &[column()], false)]),
        ("an overlap", vec![edit("edit", BlockInput, &[0, 2], &[FIRST, column()], false)]),
        ("all but a column", vec![edit("edit", MlpOutput, &[1], &[rest], false)]),
        (
            "a constant, tied",
            vec![edit("edit", AttentionOutput, &[0, 3], &[text(constant_text(), Share::All), column()], true)],
        ),
        ("targets", vec![edit("edit", BlockOutput, &[1, 3], &[Segment::Generated], false)]),
        ("targets, tied", vec![edit("edit", BlockOutput, &[0, 1, 2, 3], &ends, true)]),
        ("dropout of texts", vec![dropping_texts]),
    ]
}

/// What a training leaves, step by step.
struct Trained {
    steps: Vec<StepDone>,
    tensors: Vec<(String, Tensor)>,
    texts: Vec<Vec<u32>>,
    untouched: Vec<Vec<u32>>,
}

fn train(
    decoder: &Decoder,
    blocks: &[Intervention],
    passes: Passes,
    cache: Option<&FrozenCache>,
    recompute: bool,
) -> Trained {
    trained_by(&Engine::new(decoder, blocks, passes, cache.map(|cache| (cache, "tiny"))), blocks, recompute)
}

/// As `train`, with constants in an arena.
fn train_beside(
    decoder: &Decoder,
    blocks: &[Intervention],
    cache: Option<&FrozenCache>,
    arena: &RefCell<Arena>,
) -> Trained {
    let engine = Engine::new(decoder, blocks, Passes::ALL, cache.map(|cache| (cache, "tiny")));
    trained_by(&engine.with_arena(arena), blocks, false)
}

fn trained_by(engine: &Engine<'_>, blocks: &[Intervention], recompute: bool) -> Trained {
    let rows = rows();
    let mut plan = tiny::plan(2, 3, 2, 5e-3, tiny::CONSTANT);
    plan.fit.recompute = recompute;
    let interventions = Interventions::new(blocks, 32, 5, &Device::Cpu).unwrap();
    let task = Task { engine, rows: &rows, plan: &plan, seed: 5 };
    let mut trainer = Trainer::new(task, interventions).unwrap();
    let mut steps = Vec::new();
    let mut emit = |event| {
        if let Event::StepDone(step) = event {
            steps.push(step)
        }
    };
    trainer.run(&AtomicBool::new(false), &mut emit, &mut |_, _, _| Ok(())).unwrap();
    let prompt = |row: &EncodedRow| EncodedRow {
        spans: row.spans.clone(),
        ..tiny::row(row.row, &row.ids[..row.prompt_tokens], &[])
    };
    let prompts: Vec<EncodedRow> = rows.iter().map(prompt).collect();
    let prompts: Vec<&EncodedRow> = prompts.iter().collect();
    let texts = Generator::new(engine, Some(trainer.interventions())).unwrap().greedy(&prompts, 6).unwrap();
    let untouched = Generator::new(engine, None).unwrap().greedy(&prompts, 6).unwrap();
    Trained { steps, tensors: save::tensors(trainer.interventions()).unwrap().into_iter().collect(), texts, untouched }
}

#[test]
fn passes_on_and_off_agree() {
    let decoder = tiny::decoder_with(Vec::new());
    let none = Passes::NONE;
    let settings = [
        ("reach", Passes { reach: true, ..none }),
        ("live", Passes { live: true, ..none }),
        ("pack", Passes { pack: true, ..none }),
        ("pack and share", Passes { pack: true, share: true, ..none }),
        ("reach and hoist", Passes { reach: true, hoist: true, ..none }),
        ("reach and live", Passes { reach: true, live: true, ..none }),
        ("all but share", Passes { share: false, ..Passes::ALL }),
        ("all", Passes::ALL),
    ];
    for (name, blocks) in experiments() {
        let written = train(&decoder, &blocks, none, None, false);
        for (passes_name, passes) in settings {
            let what = format!("{name}, {passes_name}");
            let cache = FrozenCache::open(Settings { folder: None, budget: Budget::Bytes(1 << 30) });
            let found = train(&decoder, &blocks, passes, Some(&cache), false);
            for (found, written) in found.steps.iter().zip(&written.steps) {
                assert!((found.loss / written.loss - 1.0).abs() < 1e-5, "{what}: {found:?} {written:?}");
                // Where all targets of a step are single tokens, edits of targets get no gradient.
                let norm = found.gradient_norm - written.gradient_norm;
                assert!(norm.abs() <= 1e-4 * written.gradient_norm, "{what}: {found:?} {written:?}");
            }
            for ((tensor_name, found), (_, written)) in found.tensors.iter().zip(&written.tensors) {
                assert_close(&format!("{what}: {tensor_name}"), found, written, 1e-4);
            }
            assert_eq!(found.texts, written.texts, "{what}");
            assert_eq!(found.untouched, written.untouched, "{what}");
        }
    }
}

#[test]
fn what_is_found_in_the_cache_has_the_bits_of_what_is_computed() {
    let decoder = tiny::decoder_with(Vec::new());
    for (name, blocks) in experiments() {
        let cold = train(&decoder, &blocks, Passes::ALL, None, false);
        let folder = tempfile::tempdir().unwrap();
        let open = |budget| {
            let folder = Some(folder.path().to_path_buf());
            FrozenCache::open(Settings { folder, budget: Budget::Bytes(budget) })
        };
        let first = train(&decoder, &blocks, Passes::ALL, Some(&open(1 << 30)), false);
        let again = train(&decoder, &blocks, Passes::ALL, Some(&open(1 << 30)), false);
        let tight = train(&decoder, &blocks, Passes::ALL, Some(&open(20_000)), false);
        let recomputed = train(&decoder, &blocks, Passes::ALL, Some(&open(1 << 30)), true);
        for found in [&first, &again, &tight, &recomputed] {
            for ((tensor_name, found), (_, cold)) in found.tensors.iter().zip(&cold.tensors) {
                assert_eq!(bits(found), bits(cold), "{name}: {tensor_name}");
            }
            assert_eq!(found.texts, cold.texts, "{name}");
        }
        let reused = |trained: &Trained| -> Vec<usize> { trained.steps.iter().map(|step| step.reused_rows).collect() };
        let constant: Vec<usize> = cold.steps.iter().map(|step| step.constant_rows).collect();
        assert!(reused(&cold).iter().all(|rows| *rows == 0), "{name}");
        assert!(reused(&first)[..2].iter().sum::<usize>() <= 1, "{name}: only one prompt comes twice");
        assert_eq!(reused(&first)[2..], constant[2..], "{name}: the second epoch finds all");
        assert_eq!(reused(&again), constant, "{name}: a second run finds all");
    }
}

fn assert_same_bits(what: &str, found: &Trained, expected: &Trained) {
    for (found, expected) in found.steps.iter().zip(&expected.steps) {
        assert_eq!(found.loss.to_bits(), expected.loss.to_bits(), "{what}: {found:?} {expected:?}");
    }
    for ((name, found), (_, expected)) in found.tensors.iter().zip(&expected.tensors) {
        assert_eq!(bits(found), bits(expected), "{what}: {name}");
    }
    assert_eq!((&found.texts, &found.untouched), (&expected.texts, &expected.untouched), "{what}");
}

#[test]
fn what_stays_on_the_device_has_the_bits_of_what_is_computed() {
    let decoder = tiny::decoder_with(Vec::new());
    let arena = |budget| RefCell::new(Arena::new(&decoder, budget));
    let reused = |trained: &Trained| -> Vec<usize> { trained.steps.iter().map(|step| step.reused_rows).collect() };
    for (name, blocks) in experiments() {
        let cold = train(&decoder, &blocks, Passes::ALL, None, false);
        let constant: Vec<usize> = cold.steps.iter().map(|step| step.constant_rows).collect();
        let roomy = arena(1 << 30);
        let alone = train_beside(&decoder, &blocks, None, &roomy);
        assert_same_bits(&format!("{name}, all inside"), &alone, &cold);
        assert_eq!(reused(&alone)[2..], constant[2..], "{name}: the second epoch finds all");
        let again = train_beside(&decoder, &blocks, None, &roomy);
        assert_same_bits(&format!("{name}, all inside from the start"), &again, &cold);
        assert_eq!(reused(&again), constant, "{name}: another engine finds what the first left");
        let needed = roomy.borrow().bytes();
        assert_eq!(needed == 0, constant.iter().all(|rows| *rows == 0), "{name}");
        // Rows inside and rows outside in one pass, with records and without, and with records of some rows only.
        for share in [2, 3, 5, 9] {
            let mixed = arena(needed / share);
            let what = format!("{name}, a part of {share} inside");
            assert_same_bits(&what, &train_beside(&decoder, &blocks, None, &mixed), &cold);
            assert!(mixed.borrow().bytes() <= needed / share, "{what}");
            for budget in [1 << 30, 20_000] {
                let cache = FrozenCache::open(Settings { folder: None, budget: Budget::Bytes(budget) });
                let mixed = arena(needed / share);
                assert_same_bits(&what, &train_beside(&decoder, &blocks, Some(&cache), &mixed), &cold);
                assert_same_bits(&what, &train_beside(&decoder, &blocks, Some(&cache), &mixed), &cold);
            }
        }
        assert_same_bits(&format!("{name}, no room"), &train_beside(&decoder, &blocks, None, &arena(10)), &cold);
    }
}

#[test]
fn what_stays_on_the_device_is_saved_for_later_processes() {
    let decoder = tiny::decoder_with(Vec::new());
    for (name, blocks) in experiments() {
        let cache = FrozenCache::open(Settings { folder: None, budget: Budget::Bytes(1 << 30) });
        let cold = train_beside(&decoder, &blocks, Some(&cache), &RefCell::new(Arena::new(&decoder, 1 << 30)));
        let constant: Vec<usize> = cold.steps.iter().map(|step| step.constant_rows).collect();
        for later in [
            train(&decoder, &blocks, Passes::ALL, Some(&cache), false),
            train_beside(&decoder, &blocks, Some(&cache), &RefCell::new(Arena::new(&decoder, 1 << 30))),
        ] {
            assert_same_bits(name, &later, &cold);
            let reused: Vec<usize> = later.steps.iter().map(|step| step.reused_rows).collect();
            assert_eq!(reused, constant, "{name}: a later process finds all");
        }
    }
}

#[test]
fn what_rows_have_in_common_is_looked_up_computed_and_held_once() {
    let decoder = tiny::decoder_with(Vec::new());
    let blocks = [edit("edit", At::BlockOutput, &[1, 2], &[Segment::Last(1)], false)];
    let prompt = [11, 12, 13, 14, 15, 16, 17, 18];
    let rows: Vec<EncodedRow> =
        (0..4).map(|number| tiny::row(number, &prompt, &[20 + number as u32, 30, 31, 2])).collect();
    let rows: Vec<&EncodedRow> = rows.iter().collect();
    let cache = FrozenCache::open(Settings { folder: None, budget: Budget::Bytes(1 << 30) });
    let engine = Engine::new(&decoder, &blocks, Passes::ALL, Some((&cache, "tiny")));
    let lines = |batch: &LossBatch| -> Vec<usize> {
        batch.packed.pass.past.iter().map(|table| table.as_ref().map_or(0, |table| table.dim(0).unwrap())).collect()
    };
    let first = LossBatch::new(&engine, &rows).unwrap();
    let found = LossBatch::new(&engine, &rows).unwrap();
    assert_eq!((first.reuse.found, found.reuse.found), (0, 4));
    // The prompt, and the states from which the edit moves each target.
    assert_eq!((cache.counts().misses, cache.counts().hits), (5, 5));
    assert_eq!(lines(&found)[3], prompt.len() - 1, "the keys of the prompt but for its last token, once");
    let losses = |batch: &LossBatch| batch.losses(&decoder, &Default::default()).unwrap().to_vec1::<f32>().unwrap();
    let apart = rows.iter().flat_map(|row| {
        let engine = tiny::engine(&decoder, &blocks);
        losses(&LossBatch::new(&engine, &[row]).unwrap())
    });
    // Trainable work may round with its companions: only what is frozen has bits of its own on every device.
    for (together, apart) in losses(&first).into_iter().zip(apart) {
        assert!((together - apart).abs() <= 1e-6 * apart, "{together} together, {apart} apart");
    }
}
