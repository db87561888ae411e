//! Attention on the CPU: branch after branch on all threads, without padding.

use super::lane::{Lane, Tables};
use super::matrix::slice;
use super::view::View;
use super::{Attention, Rows};
use crate::model::ops::slices::{Values, widened};
use candle_core::{Error, Result, Tensor};
use rayon::prelude::*;

/// Lines of the gradient that one thread adds up at a time.
const LINES_PER_TASK: usize = 64;

/// See [`Attention::forward`].
pub fn forward(attention: &Attention, projected: &Tensor, past: Option<&Tensor>, rows: &Rows) -> Result<Tensor> {
    let (wide, wide_past) = (widened(projected)?, past.map(widened).transpose()?);
    let tables = Tables::of(&wide, wide_past.as_ref())?;
    let (width, head_dim) = (attention.query_width(), attention.head_dim);
    let mut output = vec![0f32; rows.asking() * width];
    let mut rest = output.as_mut_slice();
    let branches: Vec<(&View, Lines)> = asking(rows)
        .map(|(view, _)| {
            let (values, behind) = std::mem::take(&mut rest).split_at_mut(view.queries.len() * width);
            rest = behind;
            (view, Lines { values, width, first: 0 })
        })
        .collect();
    branches.into_par_iter().try_for_each(|(view, mut lines)| {
        let lanes = Lane::all(attention, view, &tables).map(|lane| lane.mixed()).collect::<Result<Vec<_>>>()?;
        for (head, mixed) in lanes.iter().enumerate() {
            let head =
                Heads { stacked: slice(mixed)?, head_dim, column: head * attention.group() * head_dim, scale: 1.0 };
            lines.add(&head, 0..view.queries.len());
        }
        Ok::<(), Error>(())
    })?;
    Tensor::from_vec(output, (rows.asking(), width), projected.device())?.to_dtype(projected.dtype())
}

/// See [`Attention::backward`]. Each lane first works out gradients of its own; then each line adds up what belongs to it.
pub fn backward(
    attention: &Attention,
    projected: &Tensor,
    past: Option<&Tensor>,
    rows: &Rows,
    gradient: &Tensor,
) -> Result<Tensor> {
    let (wide, wide_past, wide_gradient) = (widened(projected)?, past.map(widened).transpose()?, widened(gradient)?);
    let (tables, gradient) = (Tables::of(&wide, wide_past.as_ref())?, Values::of(&wide_gradient)?);
    let branches: Vec<(&View, usize)> = asking(rows).collect();
    let lanes = branches.par_iter().map(|&(view, first)| {
        let width = attention.query_width();
        let gradient = &gradient[first * width..(first + view.queries.len()) * width];
        let lanes = Lane::all(attention, view, &tables).map(|lane| lane.backward(gradient));
        Ok((view, lanes.collect::<Result<Vec<_>>>()?))
    });
    let branches = lanes.collect::<Result<Vec<_>>>()?;

    let Attention { heads, key_value_heads, head_dim, .. } = *attention;
    let width = attention.width();
    let mut output = vec![0f32; rows.fresh * width];
    let tasks = output.par_chunks_mut(LINES_PER_TASK * width).enumerate();
    tasks.try_for_each(|(task, values)| {
        let mut lines = Lines { values, width, first: task * LINES_PER_TASK };
        for (view, lanes) in &branches {
            if !lines.touch(view) {
                continue;
            }
            for (head, gradients) in lanes.iter().enumerate() {
                let heads_at = |stacked, head, scale| Heads { stacked, head_dim, column: head * head_dim, scale };
                let queries = heads_at(slice(&gradients.queries)?, head * attention.group(), attention.scale() as f32);
                let keys = heads_at(slice(&gradients.keys)?, heads + head, 1.0);
                let values = heads_at(slice(&gradients.values)?, heads + key_value_heads + head, 1.0);
                lines.add(&queries, view.queries.iter().copied());
                lines.add(&keys, view.fresh.iter().copied());
                lines.add(&values, view.fresh.iter().copied());
            }
        }
        Ok::<(), Error>(())
    })?;
    Tensor::from_vec(output, (rows.fresh, width), projected.device())?.to_dtype(projected.dtype())
}

/// The branches that ask, each with the line of its first answer.
fn asking(rows: &Rows) -> impl Iterator<Item = (&View, usize)> {
    let lines = rows.views.iter().scan(0, |next, view| {
        *next += view.queries.len();
        Some(*next - view.queries.len())
    });
    rows.views.iter().zip(lines).filter(|(view, _)| !view.queries.is_empty())
}

/// Some lines of a matrix of `width` columns.
struct Lines<'a> {
    values: &'a mut [f32],
    width: usize,
    /// The number of the first line.
    first: usize,
}

/// Heads of many lines, stacked: `[heads · lines, head_dim]`, and where they belong.
struct Heads<'a> {
    stacked: &'a [f32],
    head_dim: usize,
    /// Where the first head begins in a line.
    column: usize,
    scale: f32,
}

impl Lines<'_> {
    /// Adds the heads to the lines named by `places`, as far as they are among these.
    fn add(&mut self, heads: &Heads, places: impl ExactSizeIterator<Item = usize> + Clone) {
        let end = self.first + self.values.len() / self.width;
        for (head, block) in heads.stacked.chunks_exact(places.len() * heads.head_dim).enumerate() {
            let column = heads.column + head * heads.head_dim;
            let lines = places.clone().zip(block.chunks_exact(heads.head_dim));
            for (place, values) in lines.filter(|(place, _)| (self.first..end).contains(place)) {
                let start = (place - self.first) * self.width + column;
                let output = &mut self.values[start..start + heads.head_dim];
                output.iter_mut().zip(values).for_each(|(output, value)| *output += value * heads.scale);
            }
        }
    }

    /// Whether some of a branch's tokens may be among these lines.
    fn touch(&self, view: &View) -> bool {
        view.span.start < self.first + self.values.len() / self.width && self.first < view.span.end
    }
}
