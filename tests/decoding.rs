//! Generation and evaluation: the reference's tokens, and rows that do not depend on each other.
#![allow(clippy::unwrap_used, clippy::panic)]

mod oracle;

use candle_core::Device;
use oracle::{Oracle, tiny};
use reftc::data::answer::Extractor;
use reftc::data::choices::{Choices, Likelihood};
use reftc::data::encode::EncodedRow;
use reftc::data::metric::Metric;
use reftc::data::positions::Segment;
use reftc::data::tokenizer::Tokenizer;
use reftc::execute::evaluate::{Answers, Task, evaluate};
use reftc::execute::event::{Event, Record, Subject};
use reftc::execute::generate::{Generator, Sampling};
use reftc::intervention::edits::BatchEdits;
use reftc::intervention::units::Interventions;
use reftc::intervention::{At, Kind};
use reftc::model::decoder::Decoder;
use reftc::plan::{Eval, Intervention, When};
use std::sync::atomic::AtomicBool;

fn reference_tokens(oracle: &Oracle, name: &str) -> Vec<Vec<u32>> {
    oracle.integers(name).chunks(8).map(|row| row.iter().map(|id| *id as u32).collect()).collect()
}

/// The reference never let a text end: where ours does, its next token is the second likeliest and all after it another text.
fn assert_tokens(what: &str, found: &[Vec<u32>], expected: &[Vec<u32>]) {
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, &expected[..found.len()], "{what} row {row}");
    }
    let whole = found.iter().filter(|tokens| tokens.len() == 8).count();
    assert!(whole >= 3, "{what}: {whole} of 4 rows went on to the end");
}

#[test]
fn greedy_tokens_are_those_of_the_reference_together_and_alone() {
    let (oracle, prompts, decoder) = (Oracle::tiny(), tiny::prompts(), tiny::decoder());
    let rows: Vec<&EncodedRow> = prompts.iter().collect();
    for (setting, tied) in tiny::SETTINGS {
        let interventions = tiny::reference_interventions(&oracle, setting, tied);
        let engine = tiny::engine(&decoder, &interventions.blocks);
        let tuned = Generator::new(&engine, Some(&interventions)).unwrap();
        let together = tuned.greedy(&rows, 8).unwrap();
        assert_tokens(setting, &together, &reference_tokens(&oracle, &format!("{setting}.gen.reft_new_tokens")));
        for (row, together) in rows.iter().zip(&together) {
            assert_eq!(tuned.greedy(&[row], 8).unwrap(), std::slice::from_ref(together), "{setting}");
        }
        let base = Generator::new(&engine, None).unwrap().greedy(&rows, 8).unwrap();
        assert_tokens(setting, &base, &reference_tokens(&oracle, &format!("{setting}.gen.base_new_tokens")));
    }
}

#[test]
fn a_row_that_has_ended_leaves_the_batch_and_the_others_go_on() {
    let prompts = tiny::prompts();
    let rows: Vec<&EncodedRow> = prompts.iter().collect();
    let decoder = tiny::decoder_with(Vec::new());
    let endless = Generator::new(&tiny::engine(&decoder, &[]), None).unwrap().greedy(&rows, 8).unwrap();
    // End the first row at its third token; wherever others have that token, they end too.
    let end = endless[0][2];
    let decoder = tiny::decoder_with(vec![end]);
    let ended = Generator::new(&tiny::engine(&decoder, &[]), None).unwrap().greedy(&rows, 8).unwrap();
    for (endless, ended) in endless.iter().zip(&ended) {
        let length = endless.iter().position(|token| *token == end).unwrap_or(8);
        assert_eq!(ended, &endless[..length]);
    }
    assert!(ended[0].len() < 8);
}

#[test]
fn sampling_follows_its_seed_and_greedy_where_there_is_no_temperature() {
    let prompts = tiny::prompts();
    let decoder = tiny::decoder_with(Vec::new());
    let engine = tiny::engine(&decoder, &[]);
    let generator = Generator::new(&engine, None).unwrap();
    let sample = |temperature, seed| {
        let mut seen = Vec::new();
        let sampling = Sampling { temperature, top_p: Some(0.95), seed };
        let tokens = generator.sample(&prompts[0], 8, sampling, &mut |token| seen.push(token)).unwrap();
        assert_eq!(tokens, seen);
        tokens
    };
    assert_eq!(sample(None, 1), generator.greedy(&[&prompts[0]], 8).unwrap()[0]);
    assert_eq!(sample(Some(2.0), 1), sample(Some(2.0), 1));
    assert_ne!(sample(Some(2.0), 1), sample(Some(2.0), 2));
}

/// The likeliest token after these, with everything computed anew and edited where it is in training.
fn next(decoder: &Decoder, interventions: &Interventions, prompt: usize, ids: &[u32]) -> u32 {
    let edits = interventions.edits().unwrap();
    let places = tiny::WholeRows::new(&[(prompt, ids.len(), 0)]);
    let edits = BatchEdits::new(interventions, &edits, &places, None).unwrap();
    let hidden = decoder.run(&decoder.whole_pass(&[ids]).unwrap(), &edits, None).unwrap();
    let last = hidden.narrow(0, ids.len() - 1, 1).unwrap();
    decoder.logits(&last).unwrap().argmax(1).unwrap().to_vec1::<u32>().unwrap()[0]
}

#[test]
fn decoded_tokens_are_edited_as_in_whole_passes_over_the_text_so_far() {
    let prompts = tiny::prompts();
    let rows: Vec<&EncodedRow> = prompts.iter().collect();
    let start = |segments: &[Segment], tied, at| {
        let block =
            Intervention { layers: vec![0, 1, 2], segments: segments.to_vec(), at, ..tiny::block(Kind::Loreft, tied) };
        Interventions::new(&[block], 32, 7, &Device::Cpu).unwrap()
    };
    let (last, generated) = (Segment::Last(1), Segment::Generated);
    let mut moved = 0;
    for (tied, at) in
        [(false, At::BlockOutput), (true, At::BlockOutput), (true, At::AttentionOutput), (false, At::BlockInput)]
    {
        let interventions = start(&[last.clone(), generated.clone()], tied, at);
        let endless = tiny::decoder_with(Vec::new());
        let found = Generator::new(&tiny::engine(&endless, &interventions.blocks), Some(&interventions))
            .unwrap()
            .greedy(&rows, 8)
            .unwrap();
        for (row, found) in rows.iter().zip(&found) {
            let ids = [row.ids.as_slice(), found].concat();
            let expected: Vec<u32> = (row.ids.len()..ids.len())
                .map(|end| next(&endless, &interventions, row.ids.len(), &ids[..end]))
                .collect();
            assert_eq!(found, &expected, "{at:?}, tied: {tied}, row {}", row.row);
        }
        // Rows leave the batch, and those that stay are edited as before.
        let ending = tiny::decoder_with(vec![found[0][2], found[1][4]]);
        let ended = Generator::new(&tiny::engine(&ending, &interventions.blocks), Some(&interventions))
            .unwrap()
            .greedy(&rows, 8)
            .unwrap();
        for (found, ended) in found.iter().zip(&ended) {
            assert_eq!(ended, &found[..ended.len()]);
        }
        assert!(ended.iter().any(|tokens| tokens.len() < 8));
        let prompts_alone = start(std::slice::from_ref(&last), tied, at);
        let engine = tiny::engine(&endless, &prompts_alone.blocks);
        let alone = Generator::new(&engine, Some(&prompts_alone)).unwrap();
        moved += usize::from(alone.greedy(&rows, 8).unwrap() != found);
    }
    assert!(moved > 0, "editing decoded tokens changes some text");
}

/// Token n is the word `tn`.
fn tokenizer() -> Tokenizer {
    let vocabulary: serde_json::Map<_, _> = (0..128).map(|id| (format!("t{id}"), id.into())).collect();
    let model = serde_json::json!({
        "version": "1.0", "added_tokens": [], "pre_tokenizer": { "type": "WhitespaceSplit" },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "t0" },
    });
    Tokenizer::new(model.to_string().parse().unwrap(), None, None).unwrap()
}

fn eval(metric: Metric, batch: usize) -> Eval {
    let split = tiny::plan(1, 1, 1, 1e-3, tiny::CONSTANT).splits.remove(0).split;
    let name = "dev".to_owned();
    Eval {
        name,
        split,
        when: When::End,
        max_tokens: 3,
        answer: Extractor::Text,
        gold: None,
        choices: None,
        metric,
        baseline: true,
        batch,
        rows: 4,
    }
}

fn records(events: &[Event]) -> Vec<Record> {
    let record = |event: &Event| match event {
        Event::EvalRow { record, .. } => Some(record.clone()),
        _ => None,
    };
    events.iter().filter_map(record).collect()
}

#[test]
fn an_evaluation_records_every_row_and_scores_them() {
    let (mut prompts, tokenizer) = (tiny::prompts(), tokenizer());
    let decoder = tiny::decoder_with(Vec::new());
    let engine = tiny::engine(&decoder, &[]);
    let generator = Generator::new(&engine, None).unwrap();
    let outputs = generator.greedy(&prompts.iter().collect::<Vec<_>>(), 3).unwrap();
    for (row, output) in prompts.iter_mut().zip(&outputs) {
        row.prompt = format!("prompt {}", row.row);
        row.target = tokenizer.decode(output, true).unwrap();
    }
    prompts[3].target = "something else".to_owned();
    let run = |batch| {
        let eval = eval(Metric::ExactMatch, batch);
        let task = Task {
            eval: &eval,
            rows: &prompts,
            answers: Answers::Given { generator: &generator, tokenizer: &tokenizer },
            subject: Subject::Baseline,
        };
        let mut events = Vec::new();
        let score = evaluate(task, &AtomicBool::new(false), &mut |event| events.push(event)).unwrap().unwrap();
        (score, records(&events), events)
    };
    let (score, records, events) = run(3);
    assert_eq!((score.correct, score.rows, score.value), (3, 4, 0.75));
    assert_eq!(score.tokens, 12);
    assert!(score.majority.unwrap().share >= 0.25);
    assert_eq!(records.iter().map(|record| record.row).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(records[1].prompt, "prompt 1");
    assert_eq!(records[1].answer.as_ref(), Some(&records[1].gold));
    assert!(!records[3].correct);
    assert!(matches!(events.last(), Some(Event::EvalDone { .. })));
    assert_eq!(run(1).1, records);
}

#[test]
fn perplexity_is_that_of_the_mean_loss_of_target_tokens() {
    let (oracle, rows, tokenizer) = (Oracle::tiny(), tiny::rows(), tokenizer());
    let decoder = tiny::decoder();
    let interventions = tiny::reference_interventions(&oracle, "tied", true);
    for (interventions, name) in [(None, "tied.loss_base"), (Some(&interventions), "tied.loss_reft")] {
        let blocks = interventions.map_or(&[][..], |interventions| &interventions.blocks);
        let engine = tiny::engine(&decoder, blocks);
        let generator = Generator::new(&engine, interventions).unwrap();
        for batch in [1, 4] {
            let eval = eval(Metric::Perplexity, batch);
            let task = Task {
                eval: &eval,
                rows: &rows,
                answers: Answers::Given { generator: &generator, tokenizer: &tokenizer },
                subject: Subject::Tuned,
            };
            let score = evaluate(task, &AtomicBool::new(false), &mut |_| {}).unwrap().unwrap();
            assert!((score.value.ln() / oracle.scalar(name) - 1.0).abs() < 1e-5, "{name}: {}", score.value.ln());
            assert_eq!(score.tokens, 14);
        }
    }
}

#[test]
fn an_interrupted_evaluation_gives_no_score() {
    let (prompts, tokenizer, eval) = (tiny::prompts(), tokenizer(), eval(Metric::Accuracy, 2));
    let decoder = tiny::decoder();
    let engine = tiny::engine(&decoder, &[]);
    let generator = Generator::new(&engine, None).unwrap();
    let task = Task {
        eval: &eval,
        rows: &prompts,
        answers: Answers::Given { generator: &generator, tokenizer: &tokenizer },
        subject: Subject::Baseline,
    };
    assert_eq!(evaluate(task, &AtomicBool::new(true), &mut |_| {}).unwrap(), None);
}

/// Every prompt of the batch with every target as a choice; the gold of a row is its own.
fn rows_with_choices() -> Vec<EncodedRow> {
    let text = |choice: usize| format!("choice {choice}");
    let with_choices = |(number, (prompt, _)): (usize, &(&[u32], &[u32]))| {
        let choice = |(index, (_, target)): (usize, &(&[u32], &[u32]))| EncodedRow {
            target: text(index),
            ..tiny::row(number, prompt, target)
        };
        let choices = tiny::ROWS.iter().enumerate().map(choice).collect();
        EncodedRow { choices, target: format!(" {}\n", text(number)), ..tiny::row(number, prompt, &[]) }
    };
    tiny::ROWS.iter().enumerate().map(with_choices).collect()
}

#[test]
fn choices_are_scored_by_the_losses_that_they_have_as_targets() {
    let (oracle, rows, tokenizer) = (Oracle::tiny(), rows_with_choices(), tokenizer());
    let decoder = tiny::decoder();
    let interventions = tiny::reference_interventions(&oracle, "untied", false);
    let mut taken = Vec::new();
    for (subject, interventions) in [(Subject::Baseline, None), (Subject::Tuned, Some(&interventions))] {
        let blocks = interventions.map_or(&[][..], |interventions| &interventions.blocks);
        let engine = tiny::engine(&decoder, blocks);
        let generator = Generator::new(&engine, interventions).unwrap();
        let measure = |eval: &Eval, rows: &[EncodedRow]| {
            let task =
                Task { eval, rows, answers: Answers::Given { generator: &generator, tokenizer: &tokenizer }, subject };
            let mut events = Vec::new();
            let score = evaluate(task, &AtomicBool::new(false), &mut |event| events.push(event));
            (score.unwrap().unwrap(), records(&events))
        };
        for likelihood in [Likelihood::Sum, Likelihood::Mean] {
            let choices = |batch| Eval {
                choices: Some(Choices { texts: Vec::new(), likelihood }),
                ..eval(Metric::Accuracy, batch)
            };
            let (score, found) = measure(&choices(3), &rows);
            for (row, record) in rows.iter().zip(&found) {
                let alone = measure(&eval(Metric::Perplexity, 1), &row.choices).1;
                let alone = alone.iter().map(|record| record.loss.unwrap()).map(|loss| match likelihood {
                    Likelihood::Sum => -loss.sum,
                    Likelihood::Mean => -loss.sum / loss.tokens as f64,
                });
                let alone: Vec<f64> = alone.collect();
                for (number, (choice, expected)) in record.scores.iter().zip(&alone).enumerate() {
                    assert!((choice.score / expected - 1.0).abs() < 1e-5, "{} for {expected}", choice.score);
                    assert_eq!(
                        (choice.choice.as_str(), choice.tokens),
                        (&*format!("choice {number}"), tiny::ROWS[number].1.len())
                    );
                }
                let best = (0..4).max_by(|a, b| alone[*a].total_cmp(&alone[*b])).unwrap();
                assert_eq!(
                    (record.output.as_str(), record.answer.as_deref()),
                    (&*format!("choice {best}"), Some(&*record.output))
                );
                assert_eq!((record.gold.as_str(), record.correct), (&*format!("choice {}", row.row), best == row.row));
                taken.push(best);
            }
            assert_eq!(found.len(), 4);
            assert_eq!(score.correct, found.iter().filter(|record| record.correct).count());
            assert_eq!((score.value, score.tokens), (score.correct as f64 / 4.0, 4 * 14));
            assert_eq!(score.majority.unwrap().share, 0.25);
            assert_eq!(measure(&choices(1), &rows).0.correct, score.correct);
        }
    }
    // Sums and means of the two subjects are not all of one mind, or this test would tell little.
    assert!(taken.chunks(4).any(|other| other != &taken[..4]), "{taken:?}");
}
