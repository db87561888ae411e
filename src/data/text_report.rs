//! How positions that name texts of the prompt fit the rows of a split.

use super::encode::EncodedRow;
use super::positions::{RowTokens, Segment, texts};
use super::report::{Count, RowShape};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// At most this many rows, spread evenly, stand for all where rows are counted by what they look like.
const SHAPES: usize = 2000;

/// The report on one split and some segments. It depends on the rows and the segments alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextReport {
    /// Rows whose chat template hides where the texts stand.
    pub hidden: Count,
    /// For each segment the rows in which it hits nothing.
    pub empty: Vec<(Segment, Count)>,
    /// What rows look like, with the tokens of the texts: all of them, or many.
    pub shapes: Vec<RowShape>,
}

impl TextReport {
    /// Looks at rows.
    pub fn of(rows: &[EncodedRow], segments: &[Segment]) -> Self {
        let texts = texts(segments);
        let mut report = Self {
            empty: segments.iter().map(|segment| (segment.clone(), Count::default())).collect(),
            ..Self::default()
        };
        let step = rows.len().div_ceil(SHAPES).max(1);
        let mut shapes: BTreeMap<RowTokens, usize> = BTreeMap::new();
        for (number, row) in rows.iter().enumerate() {
            let Some(tokens) = row.tokens(row.ids.len(), &texts) else {
                report.hidden.add(row.row);
                continue;
            };
            for (segment, count) in &mut report.empty {
                if segment.resolve(&tokens).is_empty() {
                    count.add(row.row);
                }
            }
            if number % step == 0 {
                *shapes.entry(tokens).or_default() += 1;
            }
        }
        report.shapes = shapes.into_iter().map(|(row, rows)| RowShape { row, rows }).collect();
        report
    }
}
