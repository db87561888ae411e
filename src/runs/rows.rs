//! The rows of an evaluation, and which rows of two evaluations are the same.

use super::record::Record;
use crate::store::eval_rows::{EvalLine, lines};
use crate::store::result::eval_path;
use std::collections::BTreeMap;

/// What the tuned model made of a row, as `eval/NAME.jsonl` holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvalRow {
    /// The number of the row in its split.
    pub row: usize,
    pub prompt: String,
    pub output: String,
    pub answer: Option<String>,
    pub gold: String,
    pub correct: bool,
    pub loss: Option<Loss>,
}

/// The loss of the target of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// Natural logarithms, over all tokens.
    pub sum: f64,
    pub tokens: usize,
}

/// The rows that two evaluations share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    pub pairs: Vec<(EvalRow, EvalRow)>,
    /// Rows that only one of them has.
    pub unpaired: usize,
}

impl Record {
    /// The rows of one of its evals by the tuned model; empty where the file is missing. Lines that cannot be read are left out.
    pub fn rows(&self, eval: &str) -> Vec<EvalRow> {
        let bytes = std::fs::read(eval_path(&self.run.path, eval)).unwrap_or_default();
        lines(&bytes).filter(|line| line.subject == "tuned").filter_map(EvalRow::of).collect()
    }
}

impl EvalRow {
    /// `None` where the loss was no number, with which nothing can be compared.
    fn of(line: EvalLine) -> Option<Self> {
        let EvalLine { row, prompt, output, answer, gold, correct, loss, .. } = line;
        let loss = match loss {
            Some(loss) => Some(Loss { sum: loss.sum?, tokens: loss.tokens }),
            None => None,
        };
        Some(Self { row, prompt, output, answer, gold, correct, loss })
    }
}

impl Pairs {
    /// Pairs rows with the same prompt and the same gold, in the order of the first; the second of equal rows with the second.
    pub fn of(first: Vec<EvalRow>, second: Vec<EvalRow>) -> Self {
        let count = first.len() + second.len();
        let mut waiting: BTreeMap<(String, String), Vec<EvalRow>> = BTreeMap::new();
        for row in second.into_iter().rev() {
            waiting.entry((row.prompt.clone(), row.gold.clone())).or_default().push(row);
        }
        let partner = |row: EvalRow| {
            let other = waiting.get_mut(&(row.prompt.clone(), row.gold.clone()))?.pop()?;
            Some((row, other))
        };
        let pairs: Vec<(EvalRow, EvalRow)> = first.into_iter().filter_map(partner).collect();
        Self { unpaired: count - 2 * pairs.len(), pairs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: usize, prompt: &str, gold: &str) -> EvalRow {
        EvalRow { row, prompt: prompt.into(), gold: gold.into(), ..EvalRow::default() }
    }

    #[test]
    fn rows_are_the_same_by_prompt_and_gold() {
        let first = vec![row(0, "a", "x"), row(1, "b", "x"), row(2, "a", "x"), row(3, "c", "x")];
        let second = vec![row(0, "b", "y"), row(1, "a", "x"), row(2, "c", "x"), row(3, "a", "x"), row(4, "a", "x")];
        let pairs = Pairs::of(first, second);
        let numbers: Vec<(usize, usize)> = pairs.pairs.iter().map(|(a, b)| (a.row, b.row)).collect();
        assert_eq!((numbers, pairs.unpaired), (vec![(0, 1), (2, 3), (3, 2)], 3));
    }
}
