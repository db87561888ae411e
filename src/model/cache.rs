//! Keys and values of the tokens that decoding has seen, so that a step only computes its new tokens.

use super::branch::{Branch, Run, Source};
use candle_core::{DType, Device, Result, Tensor, bail};

/// Lines that a full row gets when it grows.
const GROWTH: usize = 64;

/// The keys and values of rows that are being decoded, over all layers. Each row has a stretch of lines to itself.
pub struct Cache {
    /// For each layer `[lines, 2 · key_value_heads · head_dim]`: keys, then values.
    tables: Vec<Tensor>,
    rows: Vec<Stretch>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: usize,
    length: usize,
    capacity: usize,
}

impl Cache {
    /// Room for rows of these many tokens and `room` more each; `width` numbers a line.
    pub fn new(
        lengths: &[usize],
        room: usize,
        layers: usize,
        width: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let (rows, lines) = stretches(lengths, room);
        let tables = (0..layers).map(|_| Tensor::zeros((lines, width), dtype, device)).collect::<Result<_>>()?;
        Ok(Self { tables, rows })
    }

    /// The number of tokens of each row.
    pub fn lengths(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.length).collect()
    }

    /// Writes the keys of a row's branch, from among the lines of this pass and those of the past.
    pub fn fill(
        &mut self,
        layer: usize,
        row: usize,
        branch: &Branch,
        fresh: Option<&Tensor>,
        past: Option<&Tensor>,
    ) -> Result<()> {
        for run in &branch.keys {
            let lines = match run.source {
                Source::Fresh => fresh,
                Source::Past => past,
            };
            let Some(lines) = lines else { bail!("keys of a row lie nowhere") };
            self.write(layer, row, run.position, &lines.narrow(0, run.start, run.length)?)?;
        }
        Ok(())
    }

    /// Writes lines of a row, `[lines, width]`, from that position of the row on.
    pub fn write(&mut self, layer: usize, row: usize, position: usize, lines: &Tensor) -> Result<()> {
        let stretch = self.rows[row];
        if position + lines.dim(0)? > stretch.capacity {
            bail!("row {row} of a cache has no room for position {position}");
        }
        self.tables[layer].slice_set(&lines.contiguous()?, 0, stretch.start + position)
    }

    /// Counts one more token of each row, and makes room for the next.
    pub fn advance(&mut self) -> Result<()> {
        self.rows.iter_mut().for_each(|row| row.length += 1);
        if self.rows.iter().any(|row| row.length >= row.capacity) { self.grow() } else { Ok(()) }
    }

    /// Keeps only these rows, in this order, for a batch in which the others have ended.
    pub fn keep(&mut self, rows: &[usize]) {
        self.rows = rows.iter().map(|&row| self.rows[row]).collect();
    }

    /// One new token of each row, as attention sees it: packed in the order of the rows.
    pub fn branches(&self) -> Vec<Branch> {
        let branch = |(index, row): (usize, &Stretch)| {
            let new = Run { source: Source::Fresh, start: index, length: 1, position: row.length };
            let seen = Run { source: Source::Past, start: row.start, length: row.length, position: 0 };
            Branch { queries: vec![new], keys: vec![seen, new] }
        };
        self.rows.iter().enumerate().map(branch).collect()
    }

    /// The table of each layer, `[lines, width]`.
    pub fn tables(&self) -> &[Tensor] {
        &self.tables
    }

    fn grow(&mut self) -> Result<()> {
        let (rows, lines) = stretches(&self.lengths(), GROWTH);
        for table in &mut self.tables {
            let grown = Tensor::zeros((lines, table.dim(1)?), table.dtype(), table.device())?;
            for (old, new) in self.rows.iter().zip(&rows) {
                grown.slice_set(&table.narrow(0, old.start, old.length)?.contiguous()?, 0, new.start)?;
            }
            *table = grown;
        }
        self.rows = rows;
        Ok(())
    }
}

fn stretches(lengths: &[usize], room: usize) -> (Vec<Stretch>, usize) {
    let mut lines = 0;
    let rows = lengths.iter().map(|&length| {
        let start = lines;
        lines += length + room;
        Stretch { start, length, capacity: length + room }
    });
    (rows.collect(), lines)
}
