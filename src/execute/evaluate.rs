//! Evaluation: answers or losses of the rows of a split, and the score.

use super::batch::LossBatch;
use super::choices::{self, choose};
use super::event::{Event, Record, Score, Subject, TargetLoss};
use super::generate::Generator;
use super::interruption::or_interrupted;
use crate::data::encode::EncodedRow;
use crate::data::metric::{self, Metric};
use crate::data::tokenizer::Tokenizer;
use crate::diag::Result;
use crate::intervention::engine_failed;
use crate::plan::Eval;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What is measured, and on what.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    pub eval: &'a Eval,
    /// Prompts alone, with choices where there are some; prompts and targets where the metric is perplexity.
    pub rows: &'a [EncodedRow],
    pub answers: Answers<'a>,
    /// Who gives them.
    pub subject: Subject,
}

/// Where the outputs of a model come from.
#[derive(Clone, Copy)]
pub enum Answers<'a> {
    /// It gives them now.
    Given { generator: &'a Generator<'a>, tokenizer: &'a Tokenizer },
    /// It gave them earlier: one text for each row. Only for metrics over generated texts.
    Known(&'a [String]),
}

/// Measures one subject. Records are emitted in the order of the rows; `None` where `interrupt` was set before the end.
///
/// The gold of a row is what the extractor finds in its target, and the target itself where choices are scored. A row's record does not depend on the other rows.
pub fn evaluate(task: Task<'_>, interrupt: &AtomicBool, emit: &mut dyn FnMut(Event)) -> Result<Option<Score>> {
    let begun = Instant::now();
    let Task { eval, rows, answers, subject } = task;
    let reused = matches!(answers, Answers::Known(_));
    emit(Event::EvalStarted { eval: eval.name.clone(), subject, rows: rows.len(), reused });
    let (mut golds, mut correct, mut tokens, mut loss) = (Vec::new(), 0, 0, 0.0);
    for (number, batch) in rows.chunks(eval.batch.max(1)).enumerate() {
        if interrupt.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch: Vec<&EncodedRow> = batch.iter().collect();
        let given = records(task, &batch, number, &mut tokens);
        let Some(records) = or_interrupted(given, interrupt)? else { return Ok(None) };
        for record in records {
            correct += usize::from(record.correct);
            if let Some(target) = record.loss {
                loss += target.sum;
                tokens += target.tokens;
            }
            tokens += record.scores.iter().map(|choice| choice.tokens).sum::<usize>();
            golds.push(class(&record));
            emit(Event::EvalRow { eval: eval.name.clone(), subject, record });
        }
    }
    let value = match eval.metric {
        Metric::Perplexity => metric::perplexity(loss, tokens),
        Metric::Accuracy | Metric::ExactMatch => metric::share(correct, rows.len()),
    };
    let majority = match eval.metric {
        Metric::Perplexity => None,
        Metric::Accuracy | Metric::ExactMatch => eval.metric.majority(golds.iter().map(String::as_str)),
    };
    let seconds = begun.elapsed().as_secs_f64();
    let score = Score { metric: eval.metric, value, rows: rows.len(), correct, majority, tokens, seconds };
    emit(Event::EvalDone { eval: eval.name.clone(), subject, score: score.clone() });
    Ok(Some(score))
}

/// The records of batch `number`; `tokens` counts those that were generated.
fn records(task: Task<'_>, batch: &[&EncodedRow], number: usize, tokens: &mut usize) -> Result<Vec<Record>> {
    let Task { eval, answers, .. } = task;
    Ok(match (answers, &eval.choices, eval.metric) {
        (Answers::Known(outputs), ..) => {
            let known = outputs.iter().skip(number * eval.batch.max(1));
            batch.iter().zip(known).map(|(row, output)| record(eval, row, output.clone())).collect()
        }
        (Answers::Given { generator, .. }, Some(choices), _) => choose(choices.likelihood, generator, batch)?,
        (Answers::Given { generator, .. }, None, Metric::Perplexity) => losses(generator, batch)?,
        (Answers::Given { generator, tokenizer }, None, Metric::Accuracy | Metric::ExactMatch) => {
            let outputs = generator.greedy(batch, eval.max_tokens)?;
            *tokens += outputs.iter().map(Vec::len).sum::<usize>();
            let texts = outputs.iter().map(|ids| tokenizer.decode(ids, true)).collect::<Result<Vec<_>>>()?;
            batch.iter().zip(texts).map(|(row, output)| record(eval, row, output)).collect()
        }
    })
}

/// What the gold of a record counts as where the commonest is looked for: the place of the choice that it is, for the texts of
/// choices may differ from row to row.
fn class(record: &Record) -> String {
    match choices::gold(&record.scores, &record.gold) {
        Some(number) => format!("choice {}", number + 1),
        None => record.gold.clone(),
    }
}

/// What an output says, and whether that is right.
fn record(eval: &Eval, row: &EncodedRow, output: String) -> Record {
    let answer = eval.answer.extract(&output);
    let gold = match eval.gold {
        // Rows were encoded with the gold in the place of the target.
        Some(_) => Some(row.target.trim().to_owned()),
        None => eval.answer.extract(&row.target),
    };
    // A row whose target gives no gold cannot be right.
    let correct = gold.as_ref().is_some_and(|gold| eval.metric.correct(answer.as_deref(), gold));
    let (prompt, gold) = (row.prompt.clone(), gold.unwrap_or_default());
    Record { row: row.row, prompt, output, answer, gold, correct, loss: None, scores: Vec::new() }
}

fn losses(generator: &Generator<'_>, rows: &[&EncodedRow]) -> Result<Vec<Record>> {
    let record = |(row, loss): (&&EncodedRow, TargetLoss)| Record {
        row: row.row,
        prompt: row.prompt.clone(),
        output: String::new(),
        answer: None,
        gold: row.target.clone(),
        correct: false,
        loss: Some(loss),
        scores: Vec::new(),
    };
    Ok(rows.iter().zip(target_losses(generator, rows)?).map(record).collect())
}

/// The loss of each row's target, in one forward pass of all of them.
pub(super) fn target_losses(generator: &Generator<'_>, rows: &[&EncodedRow]) -> Result<Vec<TargetLoss>> {
    let losses = LossBatch::new(generator.engine, rows).and_then(|batch| {
        let edits = generator.edits(&batch.packed)?;
        batch.losses(generator.engine.decoder, &edits)?.to_vec1::<f32>()
    });
    let losses = losses.map_err(engine_failed)?;
    let mut losses = losses.into_iter();
    let target = |row: &&EncodedRow| {
        let tokens = row.supervised();
        TargetLoss { sum: losses.by_ref().take(tokens).map(f64::from).sum(), tokens }
    };
    Ok(rows.iter().map(target).collect())
}
