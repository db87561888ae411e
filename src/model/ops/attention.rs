//! Causal grouped-query attention over runs of keys, and its backward.

mod cpu;
mod direct;
mod lane;
mod matrix;
mod portable;
#[cfg(test)]
mod tests;
mod tiles;
mod view;

use super::way::Way;
use crate::model::branch::Branch;
use candle_core::{DType, Device, Result, Tensor, bail};
use portable::Grid;
use std::sync::OnceLock;
use tiles::Tiles;
use view::{View, views};

/// The shape of attention. A token's query, key and value lie side by side in one row of `projected`,
/// `[fresh, (heads + 2 · key_value_heads) · head_dim]`, queries and keys already rotated. Keys and values of earlier tokens lie side by
/// side in a line of a table, `[lines, 2 · key_value_heads · head_dim]`.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    pub heads: usize,
    pub key_value_heads: usize,
    pub head_dim: usize,
    /// A token sees itself and at most `window − 1` positions before it.
    pub window: Option<usize>,
}

/// All branches of one block in one pass, the same for all its heads.
pub struct Rows {
    pub branches: Vec<Branch>,
    views: Vec<View>,
    fresh: usize,
    past: usize,
    /// For tensor operations.
    grid: Option<Grid>,
    /// For kernels; made for the first layer, which is like all others.
    tiles: OnceLock<Tiles>,
    device: Device,
}

impl Rows {
    /// Rows among `fresh` tokens and a table of `past` lines. `window` bounds how far back a token sees, `dtype` is that of the model.
    ///
    /// Errors: runs that lie outside, keys that are not in order, a query without its own key.
    pub fn new(
        branches: Vec<Branch>,
        fresh: usize,
        past: usize,
        window: Option<usize>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let views = views(&branches, fresh, past, window)?;
        let grid = match Way::on(device, dtype) {
            Way::Formulas => Some(Grid::new(&views, past, dtype, device)?),
            Way::Slices | Way::Kernels => None,
        };
        Ok(Self { branches, views, fresh, past, grid, tiles: OnceLock::new(), device: device.clone() })
    }

    /// The number of tokens that ask.
    pub fn asking(&self) -> usize {
        self.views.iter().map(|view| view.queries.len()).sum()
    }

    /// For heads in groups of `group`.
    fn tiles(&self, group: usize) -> Result<&Tiles> {
        if let Some(tiles) = self.tiles.get() {
            return Ok(tiles);
        }
        let tiles = Tiles::new(&self.views, self.fresh, group, &self.device)?;
        Ok(self.tiles.get_or_init(|| tiles))
    }

    fn grid(&self) -> Result<&Grid> {
        match &self.grid {
            Some(grid) => Ok(grid),
            None => bail!("attention on this device needs rows that were made for it"),
        }
    }
}

impl Attention {
    /// Query heads for each key head.
    pub fn group(&self) -> usize {
        self.heads / self.key_value_heads
    }

    /// The width of a row of `projected`.
    pub fn width(&self) -> usize {
        self.query_width() + self.line_width()
    }

    /// The width of a line of keys and values.
    pub fn line_width(&self) -> usize {
        2 * self.key_value_heads * self.head_dim
    }

    /// 1/√head_dim
    pub fn scale(&self) -> f64 {
        1.0 / (self.head_dim as f64).sqrt()
    }

    /// softmax(q kᵀ/√d) v within each branch: `[asking, heads · head_dim]`, branch after branch, each in the order of its queries.
    /// What a branch gets does not depend on the others.
    pub fn forward(&self, projected: &Tensor, past: Option<&Tensor>, rows: &Rows) -> Result<Tensor> {
        self.check(projected, past, rows)?;
        match Way::of(projected) {
            Way::Slices => cpu::forward(self, projected, past, rows),
            Way::Kernels => tiles::forward(self, projected, past, rows),
            Way::Formulas => portable::forward(self, projected, past, rows),
        }
    }

    /// The gradient of `projected`, `[fresh, width]`, from that of the output. The past is constant. Tokens that do not ask have no
    /// gradient of a query, those that nobody sees none at all; where branches share keys, their gradients add up in the order of the
    /// branches, however many threads there are.
    pub fn backward(
        &self,
        projected: &Tensor,
        past: Option<&Tensor>,
        rows: &Rows,
        gradient: &Tensor,
    ) -> Result<Tensor> {
        self.check(projected, past, rows)?;
        match Way::of(projected) {
            Way::Slices => cpu::backward(self, projected, past, rows, gradient),
            Way::Kernels => tiles::backward(self, projected, past, rows, gradient),
            Way::Formulas => portable::backward(self, projected, past, rows, gradient),
        }
    }

    /// Keys and values of all fresh tokens as lines of a table, `[fresh, 2 · key_value_heads · head_dim]`.
    pub fn keys_and_values(&self, projected: &Tensor) -> Result<Tensor> {
        projected.narrow(1, self.query_width(), self.line_width())?.contiguous()
    }

    fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    fn check(&self, projected: &Tensor, past: Option<&Tensor>, rows: &Rows) -> Result<()> {
        let (expected, line) = ((rows.fresh, self.width()), self.line_width());
        if projected.dims2()? != expected {
            bail!("attention over {expected:?} got projections of {:?}", projected.dims());
        }
        match past.map(Tensor::dims2).transpose()? {
            None if rows.past == 0 => Ok(()),
            Some((lines, width)) if lines >= rows.past && width == line => Ok(()),
            found => bail!("attention needs {} earlier lines of {line} values, got {found:?}", rows.past),
        }
    }
}
