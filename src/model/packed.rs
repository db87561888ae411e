//! Rows of tokens without padding, one after another, and the grid that attention sees them in.

use candle_core::{DType, Device, Result, Tensor};
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

/// Rows side by side, all ending in the same column: how packed tokens are regrouped for batched attention and for the
/// cache. A row that is shorter leaves its first columns empty.
pub struct Grid {
    pub rows: usize,
    /// Columns of new tokens.
    pub columns: usize,
    /// The packed index in each slot, `[rows · columns]`; empty slots name token 0.
    pub slots: Tensor,
    /// 1 where a slot holds a token, 0 where it is empty, `[rows · columns, 1]`.
    pub filled: Tensor,
    /// The slot of each packed token, `[tokens]`.
    pub tokens: Tensor,
    /// 0 where a new token sees a column, −∞ where not, `[rows, 1, 1, columns, past + columns]`.
    pub mask: Tensor,
}

impl Grid {
    /// The grid of the given spans behind `past` columns of a cache. `window` bounds how far back a token sees; `dtype` is
    /// that of `filled` and `mask`.
    pub fn new(spans: &[Span], past: usize, window: Option<usize>, dtype: DType, device: &Device) -> Result<Self> {
        let rows = spans.len();
        let columns = spans.iter().map(|span| span.new).max().unwrap_or(0);
        let total = past + columns;
        let (mut slots, mut filled) = (vec![0u32; rows * columns], vec![0f32; rows * columns]);
        let (mut tokens, mut mask) = (Vec::new(), vec![f32::NEG_INFINITY; rows * columns * total]);
        for (row, span) in spans.iter().enumerate() {
            for i in 0..span.new {
                let slot = row * columns + columns - span.new + i;
                slots[slot] = (span.start + i) as u32;
                filled[slot] = 1.0;
                tokens.push(slot as u32);
            }
            for column in 0..columns {
                let query = total - columns + column;
                let seen = window.map_or(0, |window| (query + 1).saturating_sub(window)).max(total - span.total());
                let line = (row * columns + column) * total;
                // An empty slot sees itself, so that its softmax stays finite.
                mask[line + query] = 0.0;
                for key in seen..query {
                    mask[line + key] = 0.0;
                }
            }
        }
        Ok(Self {
            rows,
            columns,
            slots: Tensor::from_vec(slots, rows * columns, device)?,
            filled: Tensor::from_vec(filled, (rows * columns, 1), device)?.to_dtype(dtype)?,
            tokens: Tensor::from_vec(tokens, spans.iter().map(|span| span.new).sum::<usize>(), device)?,
            mask: Tensor::from_vec(mask, (rows, 1, 1, columns, total), device)?.to_dtype(dtype)?,
        })
    }
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

    #[test]
    fn the_grid_hides_the_future_the_padding_and_what_left_the_window() {
        let rows = PackedRows::new(&[vec![1, 2, 3], vec![4]]);
        let grid = Grid::new(&spans(&rows, &[]), 0, Some(2), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(grid.slots.to_vec1::<u32>().unwrap(), [0, 1, 2, 0, 0, 3]);
        assert_eq!(grid.tokens.to_vec1::<u32>().unwrap(), [0, 1, 2, 5]);
        let seen: Vec<f32> = grid.mask.exp().unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let expected = [1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1];
        assert_eq!(seen, expected.map(|bit| bit as f32));
    }
}
