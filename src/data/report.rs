//! What tokenising a split found out: numbers that the checker warns about and the planner counts with.

use super::positions::{RowTokens, Segment};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

/// How many rows something is true of, and the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub rows: usize,
    /// The number of the row in the split, from 0.
    pub first: Option<usize>,
}

impl Count {
    /// Counts a row; rows come in any order.
    pub fn add(&mut self, row: usize) {
        self.merge(Count { rows: 1, first: Some(row) });
    }

    /// Adds another count.
    pub fn merge(&mut self, other: Count) {
        self.rows += other.rows;
        self.first = self.first.into_iter().chain(other.first).min();
    }
}

/// `12 rows (the first is row 3)`, counted from 1.
impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let rows = if self.rows == 1 { "row" } else { "rows" };
        match self.first {
            Some(first) => write!(f, "{} {rows} (the first is row {})", self.rows, first + 1),
            None => write!(f, "{} {rows}", self.rows),
        }
    }
}

/// The report on one split. It depends on the rows, the templates, the tokenizer and the limits alone, so it can be
/// cached by their contents and asked about any positions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeReport {
    /// Rows of the split.
    pub rows: usize,
    /// Rows that were taken out: nothing of the target was left to train on, or they were too long and `overlong = drop`.
    pub dropped: Count,
    /// Rows longer than `max_length`, whatever became of them.
    pub overlong: Count,
    /// Rows whose prompt was cut.
    pub cut_prompts: Count,
    /// Rows whose target was cut, its end token included.
    pub cut_targets: Count,
    /// Rows whose target, or one of whose choices, makes no token, end token aside.
    pub empty_targets: Count,
    /// Rows in which prompt and target together do not begin with the tokens of the prompt alone.
    pub split_tokens: Count,
    /// Rows in which two choices are the same text, and rows whose gold is none of the choices.
    pub same_choices: Count,
    pub gold_elsewhere: Count,
    /// Tokens of all rows that were kept.
    pub tokens: u64,
    /// Tokens of them that a loss is taken on.
    pub supervised: u64,
    /// Tokens of the longest row that was kept.
    pub longest: usize,
    /// Tokens of the longest row, and of the longest prompt, before anything was cut.
    pub longest_uncut: usize,
    pub longest_prompt_uncut: usize,
    /// Rows that were kept, by the tokens of their prompts, then by all their tokens.
    pub lengths: BTreeMap<usize, BTreeMap<usize, Count>>,
    /// Leading tokens that the prompts of all rows that were kept have in common.
    pub shared_start: usize,
    /// The texts of the last prompt tokens in which no column has a part, in any row that was kept: the constant end of the template.
    pub constant_end: Vec<String>,
}

/// Rows whose tokens positions cannot tell apart: as many in the prompt, as many in all, and the same ones of each text that is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowShape {
    pub row: RowTokens,
    pub rows: usize,
}

/// How one segment fits the rows of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentFit {
    /// Prompts too short for the whole segment.
    pub clipped: Count,
    /// Rows in which the segment edits nothing.
    pub empty: Count,
}

impl EncodeReport {
    /// Reports of another version are made anew.
    pub const VERSION: u32 = 3;

    /// Rows that were not taken out.
    pub fn kept(&self) -> usize {
        self.rows - self.dropped.rows
    }

    /// Mean tokens of a row that was kept; 0 where none was.
    pub fn mean(&self) -> f64 {
        if self.kept() == 0 { 0.0 } else { self.tokens as f64 / self.kept() as f64 }
    }

    /// How a segment that names no text fits the rows that were kept, whose last token is never an input.
    pub fn fit(&self, segment: &Segment) -> SegmentFit {
        let mut fit = SegmentFit::default();
        for (&prompt, rows) in &self.lengths {
            for (&tokens, &count) in rows {
                if segment.is_clipped(prompt) {
                    fit.clipped.merge(count);
                }
                if segment.resolve(&RowTokens::new(prompt, tokens.saturating_sub(1))).is_empty() {
                    fit.empty.merge(count);
                }
            }
        }
        fit
    }

    /// The shapes of the rows that were kept, in their order.
    pub fn shapes(&self) -> Vec<RowShape> {
        let rows = self.lengths.iter().flat_map(|(&prompt, rows)| rows.iter().map(move |row| (prompt, row)));
        rows.map(|(prompt, (&tokens, count))| RowShape { row: RowTokens::new(prompt, tokens), rows: count.rows })
            .collect()
    }
}
