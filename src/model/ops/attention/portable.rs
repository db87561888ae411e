//! Attention as tensor operations, for every device and dtype: branches side by side in a grid, what is empty masked.

use super::view::View;
use super::{Attention, Rows};
use crate::model::ops::slices::wide;
use candle_core::{D, DType, Device, Result, Tensor};

/// Where the slots of a grid take their queries and keys from. Empty slots name token 0, or the first line.
pub struct Grid {
    branches: usize,
    /// Columns of queries.
    columns: usize,
    /// Columns of keys.
    keys: usize,
    /// The packed index of each query, `[branches · columns]`.
    queries: Tensor,
    /// The line of each key where fresh lines follow the earlier ones, `[branches · keys]`.
    lines: Tensor,
    /// The line of the output for each query, `[branches · columns]`, and 1 where there is one, `[branches · columns, 1]`.
    answers: Tensor,
    filled: Tensor,
    /// The slot of each line of the output, `[asking]`.
    slots: Tensor,
    /// 0 where a query sees a key, −∞ where not, `[branches, 1, 1, columns, keys]`.
    mask: Tensor,
}

/// Queries, keys and values as batches of matrices.
struct Batched {
    /// Scaled, `[branches, key_value_heads, group · columns, head_dim]`
    queries: Tensor,
    /// `[branches, key_value_heads, keys, head_dim]`
    keys: Tensor,
    values: Tensor,
}

impl Grid {
    /// The grid of branches behind `past` earlier lines, for a model of this dtype.
    pub fn new(views: &[View], past: usize, dtype: DType, device: &Device) -> Result<Self> {
        let branches = views.len();
        let columns = views.iter().map(|view| view.queries.len()).max().unwrap_or(0);
        let keys = views.iter().map(View::keys).max().unwrap_or(0);
        let (mut queries, mut answers) = (vec![0u32; branches * columns], vec![0u32; branches * columns]);
        let (mut filled, mut lines) = (vec![0f32; branches * columns], vec![0u32; branches * keys]);
        let (mut slots, mut mask) = (Vec::new(), vec![f32::NEG_INFINITY; branches * columns * keys]);
        for (branch, view) in views.iter().enumerate() {
            let all = view.fresh.iter().map(|token| past + token).chain(view.past.iter().copied());
            lines[branch * keys..].iter_mut().zip(all).for_each(|(slot, line)| *slot = line as u32);
            for column in 0..columns {
                let slot = branch * columns + column;
                let seen = &mut mask[slot * keys..(slot + 1) * keys];
                let Some((query, ranges)) = view.queries.get(column).zip(view.seen.get(column)) else {
                    // An empty slot sees something, so that its softmax stays finite.
                    seen[0] = 0.0;
                    continue;
                };
                (queries[slot], answers[slot], filled[slot]) = (*query as u32, slots.len() as u32, 1.0);
                slots.push(slot as u32);
                ranges.iter().for_each(|range| seen[range.clone()].fill(0.0));
            }
        }
        let asking = slots.len();
        Ok(Self {
            branches,
            columns,
            keys,
            queries: Tensor::from_vec(queries, branches * columns, device)?,
            lines: Tensor::from_vec(lines, branches * keys, device)?,
            answers: Tensor::from_vec(answers, branches * columns, device)?,
            filled: Tensor::from_vec(filled, (branches * columns, 1), device)?.to_dtype(dtype)?,
            slots: Tensor::from_vec(slots, asking, device)?,
            mask: Tensor::from_vec(mask, (branches, 1, 1, columns, keys), device)?.to_dtype(wide(dtype))?,
        })
    }
}

/// See [`Attention::forward`].
pub fn forward(attention: &Attention, projected: &Tensor, past: Option<&Tensor>, rows: &Rows) -> Result<Tensor> {
    let grid = rows.grid()?;
    if rows.asking() == 0 {
        return Tensor::zeros((0, attention.query_width()), projected.dtype(), projected.device());
    }
    let Batched { queries, keys, values } = batched(attention, projected, past, rows)?;
    let mixed = shares(attention, &queries, &keys, grid)?.to_dtype(values.dtype())?.matmul(&values)?;
    let mixed = mixed.reshape((grid.branches, attention.heads, grid.columns, attention.head_dim))?;
    merge_heads(&mixed)?.index_select(&grid.slots, 0)
}

/// See [`Attention::backward`]. With p the softmax and gₚ = g vᵀ:
/// gₛ = p (gₚ − Σ p gₚ), then gᵥ = pᵀ g, g_q = gₛ k/√d and g_k = gₛᵀ q/√d.
pub fn backward(
    attention: &Attention,
    projected: &Tensor,
    past: Option<&Tensor>,
    rows: &Rows,
    gradient: &Tensor,
) -> Result<Tensor> {
    let grid = rows.grid()?;
    if rows.asking() == 0 {
        return projected.zeros_like();
    }
    let Batched { queries, keys, values } = batched(attention, projected, past, rows)?;
    let gradient = gradient.index_select(&grid.answers, 0)?.broadcast_mul(&grid.filled)?;
    let gradient = split_heads(&gradient, grid.branches, attention.heads)?.reshape(queries.shape())?;
    let shares = shares(attention, &queries, &keys, grid)?;
    let values_gradient = shares.t()?.to_dtype(gradient.dtype())?.contiguous()?.matmul(&gradient)?;
    let shares_gradient = gradient.matmul(&values.t()?)?.to_dtype(shares.dtype())?;
    let mean = (&shares_gradient * &shares)?.sum_keepdim(D::Minus1)?;
    let scores = (shares_gradient.broadcast_sub(&mean)? * shares)?.to_dtype(keys.dtype())?;
    let queries_gradient = (scores.matmul(&keys)? * attention.scale())?;
    let keys_gradient = scores.t()?.contiguous()?.matmul(&queries)?;

    // Empty slots add 0 to the token that they name.
    let queries_gradient =
        queries_gradient.reshape((grid.branches, attention.heads, grid.columns, attention.head_dim))?;
    let of_queries = Tensor::zeros((rows.fresh, attention.query_width()), projected.dtype(), projected.device())?
        .index_add(&grid.queries, &merge_heads(&queries_gradient)?, 0)?;
    let lines = Tensor::cat(&[merge_heads(&keys_gradient)?, merge_heads(&values_gradient)?], 1)?;
    let table = (rows.past + rows.fresh, attention.line_width());
    let of_lines = Tensor::zeros(table, projected.dtype(), projected.device())?.index_add(&grid.lines, &lines, 0)?;
    Tensor::cat(&[of_queries, of_lines.narrow(0, rows.past, rows.fresh)?], 1)
}

fn batched(attention: &Attention, projected: &Tensor, past: Option<&Tensor>, rows: &Rows) -> Result<Batched> {
    let grid = rows.grid()?;
    let queries = projected.narrow(1, 0, attention.query_width())?.contiguous()?.index_select(&grid.queries, 0)?;
    let shape = (grid.branches, attention.key_value_heads, attention.group() * grid.columns, attention.head_dim);
    let queries = (split_heads(&queries, grid.branches, attention.heads)?.reshape(shape)? * attention.scale())?;
    let fresh = attention.keys_and_values(projected)?;
    let table = match past {
        Some(past) => Tensor::cat(&[&past.narrow(0, 0, rows.past)?, &fresh], 0)?,
        None => fresh,
    };
    // Keys and values of a line are like twice as many heads.
    let lines = split_heads(&table.index_select(&grid.lines, 0)?, grid.branches, 2 * attention.key_value_heads)?;
    let half = |part| lines.narrow(1, part * attention.key_value_heads, attention.key_value_heads)?.contiguous();
    Ok(Batched { queries: queries.contiguous()?, keys: half(0)?, values: half(1)? })
}

/// How much each query takes of each key: `[branches, key_value_heads, group · columns, keys]`, rows sum to 1.
fn shares(attention: &Attention, queries: &Tensor, keys: &Tensor, grid: &Grid) -> Result<Tensor> {
    let scores = queries.matmul(&keys.t()?)?;
    let scores = scores.to_dtype(wide(scores.dtype()))?;
    let shape = (grid.branches, attention.key_value_heads, attention.group(), grid.columns, grid.keys);
    let masked = scores.reshape(shape)?.broadcast_add(&grid.mask)?;
    let powers = masked.broadcast_sub(&masked.max_keepdim(D::Minus1)?)?.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?.reshape(scores.shape())
}

/// `[branches · columns, heads · head_dim]` to `[branches, heads, columns, head_dim]`.
fn split_heads(slots: &Tensor, branches: usize, heads: usize) -> Result<Tensor> {
    let (slots_count, width) = slots.dims2()?;
    slots.reshape((branches, slots_count / branches, heads, width / heads))?.transpose(1, 2)?.contiguous()
}

/// The way back.
fn merge_heads(batched: &Tensor) -> Result<Tensor> {
    let (branches, heads, columns, head_dim) = batched.dims4()?;
    batched.transpose(1, 2)?.reshape((branches * columns, heads * head_dim))
}
