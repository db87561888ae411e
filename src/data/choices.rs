//! Choices: texts in the place of the target, of which the likeliest is the answer.

use super::chat::ChatTemplate;
use super::encode::{Encoded, EncodedRow, encode_prompts, encode_split};
use super::report::EncodeReport;
use super::rows::Rows;
use super::split::{Overlong, Split};
use super::template::Template;
use super::tokenizer::Tokenizer;
use crate::diag::{Code, Diagnostic, Result};
use serde::{Deserialize, Serialize};

/// What an evaluation chooses from, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// Each stands, for every row, where the target stands in training.
    pub texts: Vec<Template>,
    pub likelihood: Likelihood,
}

/// How the log-likelihoods of a choice's tokens become its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Likelihood {
    /// Their sum: the logarithm of the choice's probability after the prompt.
    Sum,
    /// Their mean, so that a long choice is not the less likely for its length.
    Mean,
}

impl Likelihood {
    /// The score of a choice whose `tokens` tokens have this summed loss (natural logarithms); the greater, the likelier.
    pub fn score(self, loss: f64, tokens: usize) -> f64 {
        match self {
            Likelihood::Sum => -loss,
            Likelihood::Mean => -loss / tokens as f64,
        }
    }

    /// The word of the language.
    pub const fn name(self) -> &'static str {
        match self {
            Likelihood::Sum => "sum",
            Likelihood::Mean => "mean",
        }
    }
}

/// The number of the greatest score, of equal ones the first; a score that is no number is never taken.
pub fn likeliest(scores: impl IntoIterator<Item = f64>) -> Option<usize> {
    let numbers = scores.into_iter().enumerate().filter(|(_, score)| !score.is_nan());
    numbers.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(number, _)| number)
}

/// The number of the choice whose text is the gold; white space around either does not count.
pub fn position<'a>(choices: impl IntoIterator<Item = &'a str>, gold: &str) -> Option<usize> {
    choices.into_iter().position(|choice| choice.trim() == gold.trim())
}

/// Tokens of each prompt with each of the choices.
///
/// A row holds its prompt alone, its gold as the target (what `split.target` says), and in `choices` a row of prompt and choice for each
/// choice, tokenised as one text as in training, but without an end token: a choice is scored by its own tokens. A choice is
/// never cut. Where prompt and longest choice are more than `max_length` tokens, the prompt loses the excess, on the side that
/// `overlong` says, before every choice alike; the row is dropped for `overlong = drop` and where no prompt would be left. A
/// row in which a choice makes no token is dropped and counted as one with an empty target.
///
/// # Errors
/// Those of [`encode_split`].
pub fn encode_choices(
    rows: &Rows,
    split: &Split,
    choices: &Choices,
    tokenizer: &Tokenizer,
    chat: Option<&ChatTemplate>,
) -> Result<Encoded> {
    let whole =
        |target: &Template| Split { target: target.clone(), eos: false, max_length: usize::MAX, ..split.clone() };
    let mut asked = by_row(encode_prompts(rows, &whole(&split.target), tokenizer, chat)?, rows.len());
    let scored = choices.texts.iter().map(|text| encode_split(rows, &whole(text), tokenizer, chat));
    let mut scored: Vec<_> = scored.map(|encoded| Ok(by_row(encoded?, rows.len()))).collect::<Result<_>>()?;
    let start = match split.prompt {
        Template::Text(_) => tokenizer.start().len(),
        Template::Chat(_) => 0,
    };
    let mut encoded = Encoded { report: EncodeReport { rows: rows.len(), ..Default::default() }, ..Default::default() };
    for row in 0..rows.len() {
        let choices: Option<Vec<EncodedRow>> = scored.iter_mut().map(|choice| choice[row].take()).collect();
        match (asked[row].take(), choices) {
            (Some(asked), Some(choices)) => encoded.add(EncodedRow { choices, ..asked }, split, start),
            (_, None) => {
                encoded.report.empty_targets.add(row);
                encoded.report.dropped.add(row);
            }
            (None, _) => encoded.report.dropped.add(row),
        }
    }
    Ok(encoded)
}

/// What is wrong with the choices in some of the rows of `label`, if anything is: E0406, E0212 or E0410, without a place.
pub fn fault(report: &EncodeReport, label: &str) -> Option<Diagnostic> {
    let faults = [
        (Code::EmptyTarget, "a choice makes no token in", report.empty_targets),
        (Code::BadChoices, "two choices are the same text in", report.same_choices),
        (Code::GoldNotAChoice, "none of the choices is the gold in", report.gold_elsewhere),
    ];
    let (code, what, count) = faults.into_iter().find(|(.., count)| count.rows > 0)?;
    Some(Diagnostic::new(code, format!("{what} {count} of {label}")))
}

/// The rows by their number; `None` where one was dropped.
fn by_row(encoded: Encoded, rows: usize) -> Vec<Option<EncodedRow>> {
    let mut found = vec![None; rows];
    for row in encoded.rows {
        let number = row.row;
        found[number] = Some(row);
    }
    found
}

impl Encoded {
    /// Adds a row with its choices, cut where it is too long. The first `start` tokens of a prompt stay in any case.
    fn add(&mut self, mut row: EncodedRow, split: &Split, start: usize) {
        let report = &mut self.report;
        let texts = || row.choices.iter().map(|choice| choice.target.as_str());
        if position(texts(), &row.target).is_none() {
            report.gold_elsewhere.add(row.row);
        }
        if texts().enumerate().any(|(number, text)| position(texts(), text) != Some(number)) {
            report.same_choices.add(row.row);
        }
        if row.choices.iter().any(|choice| !choice.ids.starts_with(&row.ids)) {
            report.split_tokens.add(row.row);
        }
        let uncut = row.choices.iter().map(|choice| choice.ids.len()).max().unwrap_or(row.ids.len());
        report.longest_uncut = report.longest_uncut.max(uncut);
        report.longest_prompt_uncut = report.longest_prompt_uncut.max(row.prompt_tokens);
        let excess = uncut.saturating_sub(split.max_length);
        if excess > 0 {
            report.overlong.add(row.row);
            if split.overlong == Overlong::Drop || excess + start.max(1) > row.prompt_tokens {
                report.dropped.add(row.row);
                return;
            }
            report.cut_prompts.add(row.row);
            let from = if split.overlong == Overlong::CutLeft { start } else { row.prompt_tokens - excess };
            row.take_out(from..from + excess);
            row.choices.iter_mut().for_each(|choice| choice.take_out(from..from + excess));
        }
        for choice in &mut row.choices {
            // The row has it already.
            choice.prompt.clear();
            report.tokens += choice.ids.len() as u64;
            report.supervised += choice.supervised() as u64;
            report.longest = report.longest.max(choice.ids.len());
        }
        let longest = row.choices.iter().map(|choice| choice.ids.len()).max().unwrap_or(row.ids.len());
        report.lengths.entry(row.prompt_tokens).or_default().entry(longest).or_default().add(row.row);
        self.rows.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_greatest_scores_is_taken_and_what_is_no_number_never() {
        assert_eq!(likeliest([-3.0, -1.0, -1.0, -2.0]), Some(1));
        assert_eq!(likeliest([f64::NAN, f64::NEG_INFINITY, -9.0]), Some(2));
        assert_eq!(likeliest([f64::NAN, f64::NAN]), None);
        assert_eq!(likeliest([]), None);
    }

    #[test]
    fn a_mean_does_not_grow_with_the_length() {
        assert_eq!((Likelihood::Sum.score(6.0, 3), Likelihood::Mean.score(6.0, 3)), (-6.0, -2.0));
    }
}
