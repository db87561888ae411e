//! Keys and values of the tokens that decoding has seen, so that a step only computes its new tokens.

use super::branch::{Branch, Run, Source};
use super::kernels::{self, Launch};
use candle_core::{DType, Device, Result, Tensor, bail};

/// Lines that a full row gets when it grows.
const GROWTH: usize = 64;

/// The keys and values of rows that are being decoded, over all layers. Each row has a stretch of lines to itself.
pub struct Cache {
    /// For each layer `[lines, 2 · key_value_heads · head_dim]`: keys, then values.
    tables: Vec<Tensor>,
    rows: Vec<Stretch>,
    uploaded: Option<Uploaded>,
}

/// Lines that follow each other, on their way from one table to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Copy {
    from: usize,
    to: usize,
    lines: usize,
}

/// Copies as a kernel reads them: a line for each.
struct Uploaded {
    copies: Vec<Copy>,
    from: Tensor,
    to: Tensor,
}

impl Uploaded {
    fn new(copies: Vec<Copy>, device: &Device) -> Result<Self> {
        let lines = |start: fn(&Copy) -> usize| {
            let lines = copies.iter().flat_map(|copy| (start(copy)..start(copy) + copy.lines).map(|line| line as u32));
            Tensor::from_iter(lines, device)
        };
        let (from, to) = (lines(|copy| copy.from)?, lines(|copy| copy.to)?);
        Ok(Self { copies, from, to })
    }
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
        Ok(Self { tables, rows, uploaded: None })
    }

    /// The number of tokens of each row.
    pub fn lengths(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.length).collect()
    }

    /// Writes the keys of rows, each as its branch says, from among the lines of this pass and those of the past.
    ///
    /// # Errors
    /// A branch with keys that lie nowhere, or behind the room of its row.
    pub fn fill(
        &mut self,
        layer: usize,
        branches: &[Option<&Branch>],
        fresh: Option<&Tensor>,
        past: Option<&Tensor>,
    ) -> Result<()> {
        for (source, lines) in [(Source::Fresh, fresh), (Source::Past, past)] {
            let mut copies = Vec::new();
            for (row, branch) in branches.iter().enumerate() {
                for run in branch.iter().flat_map(|branch| &branch.keys).filter(|run| run.source == source) {
                    copies.push(Copy {
                        from: run.start,
                        to: self.line(row, run.position, run.length)?,
                        lines: run.length,
                    });
                }
            }
            match lines {
                Some(lines) => self.copy(layer, lines, copies)?,
                None if copies.is_empty() => {}
                None => bail!("keys of a row lie nowhere"),
            }
        }
        Ok(())
    }

    /// Writes one new line of each row behind those that it has, `[rows, width]`.
    pub fn append(&mut self, layer: usize, lines: &Tensor) -> Result<()> {
        let copy = |row: usize| Ok(Copy { from: row, to: self.line(row, self.rows[row].length, 1)?, lines: 1 });
        let copies = (0..self.rows.len()).map(copy).collect::<Result<_>>()?;
        self.copy(layer, lines, copies)
    }

    /// The line of a row's position, if there is room for `lines` from there on.
    fn line(&self, row: usize, position: usize, lines: usize) -> Result<usize> {
        let stretch = self.rows[row];
        if position + lines > stretch.capacity {
            bail!("row {row} of a cache has no room for position {position}");
        }
        Ok(stretch.start + position)
    }

    fn copy(&mut self, layer: usize, lines: &Tensor, copies: Vec<Copy>) -> Result<()> {
        if copies.is_empty() {
            return Ok(());
        }
        let table = &self.tables[layer];
        if !kernels::serve(table.device(), table.dtype()) {
            for Copy { from, to, lines: count } in copies {
                table.slice_set(&lines.narrow(0, from, count)?.contiguous()?, 0, to)?;
            }
            return Ok(());
        }
        // All layers do the same, but for those whose constants were there before.
        if self.uploaded.as_ref().is_none_or(|uploaded| uploaded.copies != copies) {
            self.uploaded = Some(Uploaded::new(copies, table.device())?);
        }
        let Some(Uploaded { from, to, .. }) = &self.uploaded else { return Ok(()) };
        let ((count, width), lines) = ((from.dim(0)?, table.dim(1)?), lines.contiguous()?);
        let launch = Launch::packed("copy_rows", table, width)?.thread_for_each_pack(count, width);
        launch.tensor(&lines)?.tensor(from)?.tensor(to)?.tensor(table)?.number(width)?.run()
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
