//! Causal grouped-query attention over packed rows, and its backward.

use super::attention_cpu;
use super::kernel::{on_cpu, wide};
use crate::model::cache::LayerCache;
use crate::model::packed::{Grid, Span};
use candle_core::{D, Result, Tensor, bail};

/// The shape of attention. A token's query, key and value lie side by side in one row of `projected`,
/// `[tokens, (heads + 2 · key_value_heads) · head_dim]`, queries and keys already rotated.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    pub heads: usize,
    pub key_value_heads: usize,
    pub head_dim: usize,
    /// A token sees itself and at most `window − 1` tokens before it.
    pub window: Option<usize>,
}

/// The rows of a forward pass, as all layers see them.
pub struct Rows {
    pub spans: Vec<Span>,
    /// Absent where no layer needs it: without a cache, the CPU kernels work on packed rows.
    pub grid: Option<Grid>,
}

/// Queries, keys and values as batches of matrices.
struct Batched {
    /// Scaled, `[rows, key_value_heads, group · columns, head_dim]`
    queries: Tensor,
    /// `[rows, key_value_heads, columns, head_dim]`
    keys: Tensor,
    values: Tensor,
}

impl Attention {
    /// Query heads for each key head.
    pub fn group(&self) -> usize {
        self.heads / self.key_value_heads
    }

    /// The width of a row of `projected`.
    pub fn width(&self) -> usize {
        (self.heads + 2 * self.key_value_heads) * self.head_dim
    }

    /// 1/√head_dim
    pub fn scale(&self) -> f64 {
        1.0 / (self.head_dim as f64).sqrt()
    }

    /// softmax(q kᵀ/√d) v within each row: `[tokens, heads · head_dim]`.
    pub fn forward(&self, projected: &Tensor, rows: &Rows) -> Result<Tensor> {
        if on_cpu(projected) {
            return attention_cpu::forward(self, projected, &rows.spans);
        }
        let grid = grid(rows)?;
        let Batched { queries, keys, values } = self.batched(projected, grid)?;
        self.attend(&queries, &keys, &values, grid)
    }

    /// The same for new tokens whose row lies in `cache`, new keys and values included.
    pub fn forward_cached(&self, projected: &Tensor, rows: &Rows, cache: &LayerCache) -> Result<Tensor> {
        let (keys, values) = cache.contents()?;
        if on_cpu(projected) {
            return attention_cpu::forward_cached(self, projected, &rows.spans, &keys, &values);
        }
        let grid = grid(rows)?;
        self.attend(&self.queries(projected, grid)?, &keys, &values, grid)
    }

    /// The gradient of `projected`, from that of the output. With p the softmax and gₚ = g vᵀ:
    /// gₛ = p (gₚ − Σ p gₚ), then gᵥ = pᵀ g, g_q = gₛ k/√d and g_k = gₛᵀ q/√d.
    pub fn backward(&self, projected: &Tensor, rows: &Rows, gradient: &Tensor) -> Result<Tensor> {
        if on_cpu(projected) {
            return attention_cpu::backward(self, projected, &rows.spans, gradient);
        }
        let grid = grid(rows)?;
        let Batched { queries, keys, values } = self.batched(projected, grid)?;
        let slots = gradient.index_select(&grid.slots, 0)?.broadcast_mul(&grid.filled.to_dtype(gradient.dtype())?)?;
        let gradient = self.split_heads(&slots, grid, self.heads)?.reshape(queries.shape())?;
        let shares = self.shares(&queries, &keys, grid)?;
        let values_gradient = shares.t()?.to_dtype(gradient.dtype())?.contiguous()?.matmul(&gradient)?;
        let shares_gradient = gradient.matmul(&values.t()?)?.to_dtype(shares.dtype())?;
        let mean = (&shares_gradient * &shares)?.sum_keepdim(D::Minus1)?;
        let scores = (shares_gradient.broadcast_sub(&mean)? * shares)?.to_dtype(keys.dtype())?;
        let queries_gradient = (scores.matmul(&keys)? * self.scale())?;
        let keys_gradient = scores.t()?.contiguous()?.matmul(&queries)?;
        let parts = [
            self.merge_heads(&queries_gradient, grid, self.heads)?,
            self.merge_heads(&keys_gradient, grid, self.key_value_heads)?,
            self.merge_heads(&values_gradient, grid, self.key_value_heads)?,
        ];
        Tensor::cat(&parts, 1)
    }

    /// The keys and the values of new tokens, in grid order: `[rows, key_value_heads, columns, head_dim]` each.
    pub fn keys_and_values(&self, projected: &Tensor, grid: &Grid) -> Result<(Tensor, Tensor)> {
        let slots = projected.index_select(&grid.slots, 0)?;
        let size = self.key_value_heads * self.head_dim;
        let keys = slots.narrow(1, self.heads * self.head_dim, size)?;
        let values = slots.narrow(1, self.heads * self.head_dim + size, size)?;
        let split = |part: &Tensor| self.split_heads(part, grid, self.key_value_heads);
        Ok((split(&keys)?, split(&values)?))
    }

    fn batched(&self, projected: &Tensor, grid: &Grid) -> Result<Batched> {
        let (keys, values) = self.keys_and_values(projected, grid)?;
        Ok(Batched { queries: self.queries(projected, grid)?, keys, values })
    }

    fn queries(&self, projected: &Tensor, grid: &Grid) -> Result<Tensor> {
        let slots = projected.index_select(&grid.slots, 0)?.narrow(1, 0, self.heads * self.head_dim)?;
        let shape = (grid.rows, self.key_value_heads, self.group() * grid.columns, self.head_dim);
        (self.split_heads(&slots, grid, self.heads)?.reshape(shape)? * self.scale())?.contiguous()
    }

    fn attend(&self, queries: &Tensor, keys: &Tensor, values: &Tensor, grid: &Grid) -> Result<Tensor> {
        let mixed = self.shares(queries, keys, grid)?.to_dtype(values.dtype())?.matmul(values)?;
        self.merge_heads(&mixed, grid, self.heads)
    }

    /// How much each query takes of each key: `[rows, key_value_heads, group · columns, total]`, rows sum to 1.
    fn shares(&self, queries: &Tensor, keys: &Tensor, grid: &Grid) -> Result<Tensor> {
        let scores = queries.matmul(&keys.t()?)?;
        let scores = scores.to_dtype(wide(scores.dtype()))?;
        let shape = (grid.rows, self.key_value_heads, self.group(), grid.columns, scores.dim(D::Minus1)?);
        let masked = scores.reshape(shape)?.broadcast_add(&grid.mask)?;
        let powers = masked.broadcast_sub(&masked.max_keepdim(D::Minus1)?)?.exp()?;
        powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?.reshape(scores.shape())
    }

    /// `[rows · columns, heads · head_dim]` to `[rows, heads, columns, head_dim]`.
    fn split_heads(&self, slots: &Tensor, grid: &Grid, heads: usize) -> Result<Tensor> {
        slots.reshape((grid.rows, grid.columns, heads, self.head_dim))?.transpose(1, 2)?.contiguous()
    }

    /// `[rows, ..., columns, head_dim]` back to packed tokens, `[tokens, heads · head_dim]`.
    fn merge_heads(&self, batched: &Tensor, grid: &Grid, heads: usize) -> Result<Tensor> {
        let slots = batched.reshape((grid.rows, heads, grid.columns, self.head_dim))?.transpose(1, 2)?;
        slots.reshape((grid.rows * grid.columns, heads * self.head_dim))?.index_select(&grid.tokens, 0)
    }
}

fn grid(rows: &Rows) -> Result<&Grid> {
    match &rows.grid {
        Some(grid) => Ok(grid),
        None => bail!("attention on this device needs the grid of its rows"),
    }
}
