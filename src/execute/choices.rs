//! Choices scored by likelihood: what each row of an evaluation takes, and how likely the others were.

use super::evaluate::target_losses;
use super::event::{ChoiceScore, Record};
use super::generate::Generator;
use crate::data::choices::{Likelihood, likeliest, position};
use crate::data::encode::EncodedRow;
use crate::diag::Result;

/// The records of rows with choices.
///
/// The score of a choice is the log-likelihood of its tokens after the prompt, teacher-forced, summed or averaged: the negative of
/// the loss that it would have as a target. The choices of a row are neighbours in one batch, which computes their common prompt
/// once. The likeliest is the answer, of equally likely ones the first.
pub fn choose(likelihood: Likelihood, generator: &Generator<'_>, rows: &[&EncodedRow]) -> Result<Vec<Record>> {
    let choices: Vec<&EncodedRow> = rows.iter().flat_map(|row| &row.choices).collect();
    let mut losses = target_losses(generator, &choices)?.into_iter();
    let record = |row: &&EncodedRow| {
        let scores = row.choices.iter().zip(losses.by_ref()).map(|(choice, loss)| ChoiceScore {
            choice: choice.target.clone(),
            score: likelihood.score(loss.sum, loss.tokens),
            tokens: loss.tokens,
        });
        let scores: Vec<ChoiceScore> = scores.collect();
        let taken = likeliest(scores.iter().map(|choice| choice.score));
        let output = taken.map(|number| scores[number].choice.clone());
        let correct = taken.is_some() && taken == gold(&scores, &row.target);
        Record {
            row: row.row,
            prompt: row.prompt.clone(),
            answer: output.as_deref().map(|output| output.trim().to_owned()),
            output: output.unwrap_or_default(),
            gold: row.target.trim().to_owned(),
            correct,
            loss: None,
            scores,
        }
    };
    Ok(rows.iter().map(record).collect())
}

/// The number of the choice that is the gold.
pub fn gold(scores: &[ChoiceScore], gold: &str) -> Option<usize> {
    position(scores.iter().map(|choice| choice.choice.as_str()), gold)
}
