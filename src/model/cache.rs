//! Keys and values of the tokens seen so far, so that a decoding step only computes its new tokens.

use super::branch::{Branch, Run, Source};
use candle_core::{Result, Tensor, bail};

/// Lines that a full row gets when it grows.
const GROWTH: usize = 64;

/// The cache of a batch of rows, over all layers. Each row has a stretch of `capacity` lines.
#[derive(Default)]
pub struct Cache {
    pub(super) layers: Vec<LayerCache>,
    lengths: Vec<usize>,
    starts: Vec<usize>,
    capacity: usize,
}

/// Keys and values of one layer, `[lines, 2 · key_value_heads · head_dim]`.
#[derive(Default)]
pub struct LayerCache(pub(super) Option<Tensor>);

impl Cache {
    /// An empty cache: the next forward pass fills it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of tokens of each row.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Keeps only these rows, in this order, for a batch in which the others have ended.
    pub fn keep(&mut self, rows: &[usize]) -> Result<()> {
        if let Some(row) = rows.iter().find(|&&row| row >= self.lengths.len()) {
            bail!("row {row} is not in a cache of {} rows", self.lengths.len());
        }
        self.lengths = rows.iter().map(|&row| self.lengths[row]).collect();
        self.starts = rows.iter().map(|&row| self.starts[row]).collect();
        Ok(())
    }

    pub(super) fn lines(&self) -> usize {
        self.layers.first().and_then(|layer| layer.0.as_ref()).map_or(0, |table| table.dims()[0])
    }

    pub(super) fn branches(&self) -> Vec<Branch> {
        let rows = self.lengths.iter().zip(&self.starts).enumerate();
        rows.map(|(row, (&length, &start))| {
            let new = Run { source: Source::Fresh, start: row, length: 1, position: length };
            let seen = Run { source: Source::Past, start, length, position: 0 };
            Branch { queries: vec![new], keys: vec![seen, new] }
        })
        .collect()
    }

    /// Appends the lines of all layers.
    pub(super) fn append(&mut self, lines: &[Tensor], lengths: &[usize]) -> Result<()> {
        let old: Vec<usize> = if self.lengths.is_empty() { vec![0; lengths.len()] } else { self.lengths.clone() };
        let longest = lengths.iter().zip(&old).map(|(a, b)| a + b).max().unwrap_or(0);
        let grow = longest > self.capacity;
        let starts =
            if grow { (0..lengths.len()).map(|r| r * (longest + GROWTH)).collect() } else { self.starts.clone() };
        self.layers.resize_with(lines.len(), Default::default);
        for (layer, lines) in self.layers.iter_mut().zip(lines) {
            if grow {
                let shape = (lengths.len() * (longest + GROWTH), lines.dim(1)?);
                let table = Tensor::zeros(shape, lines.dtype(), lines.device())?;
                if let Some(before) = &layer.0 {
                    for (row, &length) in old.iter().enumerate() {
                        table.slice_set(&before.narrow(0, self.starts[row], length)?.contiguous()?, 0, starts[row])?;
                    }
                }
                layer.0 = Some(table);
            }
            if let Some(table) = &layer.0 {
                let mut first = 0;
                for (row, &length) in lengths.iter().enumerate() {
                    table.slice_set(&lines.narrow(0, first, length)?.contiguous()?, 0, starts[row] + old[row])?;
                    first += length;
                }
            }
        }
        if grow {
            self.capacity = longest + GROWTH;
        }
        self.starts = starts;
        self.lengths = lengths.iter().zip(&old).map(|(a, b)| a + b).collect();
        Ok(())
    }
}
