//! Rows of tokens without padding, one after another, and the grid that attention sees them in.

use std::ops::Range;

/// A batch of rows, packed: linear layers waste nothing, and a row's numbers do not depend on its companions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedRows {
    tokens: Vec<u32>,
    /// Where each row starts; a last entry holds the end.
    offsets: Vec<usize>,
}

impl PackedRows {
    /// Packs rows of token ids in their order.
    pub fn new<R: AsRef<[u32]>>(rows: &[R]) -> Self {
        let mut packed = Self { tokens: Vec::new(), offsets: vec![0] };
        for row in rows {
            packed.tokens.extend_from_slice(row.as_ref());
            packed.offsets.push(packed.tokens.len());
        }
        packed
    }

    /// The token ids of all rows.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Where row `row` lies in the packed order.
    pub fn range(&self, row: usize) -> Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }

    /// The number of tokens of row `row`.
    pub fn length(&self, row: usize) -> usize {
        self.range(row).len()
    }

    /// The number of tokens of the longest row.
    pub fn longest(&self) -> usize {
        (0..self.rows()).map(|row| self.length(row)).max().unwrap_or(0)
    }

    /// The packed index of each row's last token; rows must not be empty.
    pub fn last_tokens(&self) -> Vec<u32> {
        self.offsets[1..].iter().map(|end| end.saturating_sub(1) as u32).collect()
    }
}

/// The new tokens of one row in a forward pass, and how many of its tokens the cache already holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The packed index of the first new token.
    pub start: usize,
    pub new: usize,
    pub past: usize,
}

impl Span {
    /// The number of tokens that the row has after this pass.
    pub fn total(&self) -> usize {
        self.past + self.new
    }
}

/// The spans of packed rows whose first `past` tokens are in a cache (empty for none).
pub fn spans(rows: &PackedRows, past: &[usize]) -> Vec<Span> {
    let span =
        |row| Span { start: rows.range(row).start, new: rows.length(row), past: past.get(row).copied().unwrap_or(0) };
    (0..rows.rows()).map(span).collect()
}

/// The position of every new token in its own row, from 0.
pub fn positions(spans: &[Span]) -> Vec<usize> {
    spans.iter().flat_map(|span| span.past..span.total()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_one_after_another() {
        let rows = PackedRows::new(&[vec![5, 6, 7], vec![8], vec![9, 10]]);
        assert_eq!(rows.tokens(), [5, 6, 7, 8, 9, 10]);
        assert_eq!((rows.rows(), rows.longest(), rows.range(2)), (3, 3, 4..6));
        assert_eq!(rows.last_tokens(), [2, 3, 5]);
        assert_eq!(positions(&spans(&rows, &[0, 4, 1])), [0, 1, 2, 4, 1, 2]);
    }
}
