//! Keys and values of the tokens seen so far, so that a decoding step only computes its new tokens.

use candle_core::{Result, Tensor, bail};

/// Columns that the buffers grow by.
const GROWTH: usize = 64;

/// The cache of a batch of rows, over all layers. All rows end in the same column; a shorter row begins later.
#[derive(Default)]
pub struct Cache {
    pub(super) layers: Vec<LayerCache>,
    lengths: Vec<usize>,
}

/// Keys and values of one layer.
#[derive(Default)]
pub struct LayerCache {
    /// Keys and values, `[rows, key_value_heads, capacity, head_dim]` each.
    buffers: Option<(Tensor, Tensor)>,
    /// Columns in use.
    columns: usize,
}

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
        let indices: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        for layer in &mut self.layers {
            if let Some((keys, values)) = &mut layer.buffers {
                let indices = Tensor::from_slice(&indices, indices.len(), keys.device())?;
                *keys = keys.index_select(&indices, 0)?;
                *values = values.index_select(&indices, 0)?;
            }
        }
        Ok(())
    }

    /// The columns in use, the same in all layers.
    pub(super) fn columns(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.columns)
    }

    /// Counts the new tokens of each row, after all layers have appended them.
    pub(super) fn advance(&mut self, totals: Vec<usize>) {
        self.lengths = totals;
    }
}

impl LayerCache {
    /// Appends new columns, `[rows, key_value_heads, columns, head_dim]` each.
    pub fn append(&mut self, keys: &Tensor, values: &Tensor) -> Result<()> {
        let (rows, heads, new, head_dim) = keys.dims4()?;
        let needed = self.columns + new;
        let capacity = self.buffers.as_ref().map_or(Ok(0), |(keys, _)| keys.dim(2))?;
        if needed > capacity {
            let grown = |old: Option<&Tensor>, new: &Tensor| {
                let buffer = Tensor::zeros((rows, heads, needed + GROWTH, head_dim), new.dtype(), new.device())?;
                if let Some(old) = old {
                    buffer.slice_set(&old.narrow(2, 0, self.columns)?.contiguous()?, 2, 0)?;
                }
                Ok::<_, candle_core::Error>(buffer)
            };
            let old = self.buffers.as_ref();
            self.buffers =
                Some((grown(old.map(|(keys, _)| keys), keys)?, grown(old.map(|(_, values)| values), values)?));
        }
        if let Some((key_buffer, value_buffer)) = &self.buffers {
            key_buffer.slice_set(&keys.contiguous()?, 2, self.columns)?;
            value_buffer.slice_set(&values.contiguous()?, 2, self.columns)?;
        }
        self.columns = needed;
        Ok(())
    }

    /// Keys and values in use, `[rows, key_value_heads, columns, head_dim]` each, views into the buffers.
    pub fn contents(&self) -> Result<(Tensor, Tensor)> {
        match &self.buffers {
            Some((keys, values)) => Ok((keys.narrow(2, 0, self.columns)?, values.narrow(2, 0, self.columns)?)),
            None => bail!("the cache is empty"),
        }
    }
}
