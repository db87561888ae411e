//! One key head of one branch, with the query heads that share it.

use super::matrix::{Matrix, slice, slice_mut};
use super::view::View;
use super::{Attention, direct};
use crate::model::ops::arithmetic::{dot, exponentials, maximum, scale, widest};
use crate::model::ops::slices::Values;
use candle_core::{CpuStorage, Result, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// Branches with so few queries are served without matrix products.
const DIRECT_QUERIES: usize = 4;

/// Where queries, keys and values lie, in f32.
pub struct Tables<'a> {
    projected: Values<'a>,
    past: Option<Values<'a>>,
}

#[derive(Clone, Copy)]
pub struct Lane<'a> {
    pub attention: &'a Attention,
    pub view: &'a View,
    tables: &'a Tables<'a>,
    /// The key head.
    head: usize,
}

/// Which half of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Keys,
    Values,
}

/// The gradients of one lane.
pub struct Gradients {
    /// `[group · queries, head_dim]`
    pub queries: CpuStorage,
    /// Of the fresh keys, `[fresh, head_dim]`.
    pub keys: CpuStorage,
    pub values: CpuStorage,
}

/// Keys or values of a lane, `[keys, head_dim]`.
enum Lines<'a> {
    InPlace(Matrix<'a>),
    Gathered(CpuStorage),
}

impl<'a> Tables<'a> {
    /// Borrows tensors that come from `widened`.
    pub fn of(projected: &'a Tensor, past: Option<&'a Tensor>) -> Result<Self> {
        Ok(Self { projected: Values::of(projected)?, past: past.map(Values::of).transpose()? })
    }
}

impl<'a> Lane<'a> {
    /// The lanes of a branch, in the order of their heads.
    pub fn all(
        attention: &'a Attention,
        view: &'a View,
        tables: &'a Tables<'a>,
    ) -> impl IndexedParallelIterator<Item = Self> {
        (0..attention.key_value_heads).into_par_iter().map(move |head| Self { attention, view, tables, head })
    }

    /// The mixed values of the group's heads, `[group · queries, head_dim]`.
    pub fn mixed(&self) -> Result<CpuStorage> {
        if self.view.queries.len() <= DIRECT_QUERIES {
            return Ok(CpuStorage::F32(direct::mixed(self)));
        }
        let (keys, values) = (self.lines(Part::Keys)?, self.lines(Part::Values)?);
        let shares = self.shares(&self.stacked(&CpuStorage::F32(self.queries())), self.matrix(&keys))?;
        Matrix::whole(&shares, self.stack(), self.view.keys()).times(self.matrix(&values))
    }

    /// The gradients, from that of the output's lines of this branch, `[queries, heads · head_dim]`.
    pub fn backward(&self, gradient: &[f32]) -> Result<Gradients> {
        let (keys, fresh) = (self.view.keys(), self.view.fresh.len());
        let (key_lines, value_lines) = (self.lines(Part::Keys)?, self.lines(Part::Values)?);
        let queries = CpuStorage::F32(self.queries());
        let shares = self.shares(&self.stacked(&queries), self.matrix(&key_lines))?;
        let width = self.attention.query_width();
        let gradient = CpuStorage::F32(self.stack_heads(gradient.chunks_exact(width), 1.0));
        let gradient = self.stacked(&gradient);

        let values = Matrix::whole(&shares, self.stack(), keys).first(fresh).t().times(gradient)?;
        let mut scores = gradient.times(self.matrix(&value_lines).t())?;
        for (line, shares) in slice_mut(&mut scores)?.chunks_exact_mut(keys).zip(slice(&shares)?.chunks_exact(keys)) {
            widest!(scores_gradient(line, shares));
        }
        let scores = Matrix::whole(&scores, self.stack(), keys);
        Ok(Gradients {
            queries: scores.times(self.matrix(&key_lines))?,
            keys: scores.first(fresh).t().times(self.stacked(&queries))?,
            values,
        })
    }

    /// The scaled queries of the group, `[group · queries, head_dim]`.
    pub fn queries(&self) -> Vec<f32> {
        let width = self.attention.width();
        let lines = self.view.queries.iter().map(|query| &self.tables.projected[query * width..(query + 1) * width]);
        self.stack_heads(lines, self.attention.scale() as f32)
    }

    /// The key or the value of one of the branch's keys.
    #[inline(always)]
    pub fn line(&self, key: usize, part: Part) -> &[f32] {
        let Attention { heads, key_value_heads, head_dim, .. } = *self.attention;
        let head = if part == Part::Keys { self.head } else { key_value_heads + self.head };
        let (table, line, head) = match (self.view.past.get(key.wrapping_sub(self.view.fresh.len())), &self.tables.past)
        {
            (Some(line), Some(past)) => (&**past, line * 2 * key_value_heads, head),
            _ => (&*self.tables.projected, self.view.fresh[key] * (heads + 2 * key_value_heads), heads + head),
        };
        &table[(line + head) * head_dim..(line + head + 1) * head_dim]
    }

    /// softmax(q kᵀ), `[group · queries, keys]`, 0 where a query does not see a key.
    fn shares(&self, queries: &Matrix, keys: Matrix) -> Result<CpuStorage> {
        let mut scores = queries.times(keys.t())?;
        let seen = self.view.seen.iter().cycle();
        for (scores, seen) in slice_mut(&mut scores)?.chunks_exact_mut(keys.rows).zip(seen) {
            widest!(softmax(scores, seen));
        }
        Ok(scores)
    }

    fn lines(&self, part: Part) -> Result<Lines<'a>> {
        let Attention { heads, key_value_heads, head_dim, .. } = *self.attention;
        if let Some(first) = self.view.in_place() {
            let head = heads + self.head + if part == Part::Keys { 0 } else { key_value_heads };
            let (storage, start) = self.tables.projected.storage()?;
            let stride = self.attention.width();
            let offset = start + first * stride + head * head_dim;
            let whole = Matrix::whole(storage, self.view.keys(), head_dim);
            return Ok(Lines::InPlace(Matrix { offset, stride, ..whole }));
        }
        let mut gathered = Vec::with_capacity(self.view.keys() * head_dim);
        (0..self.view.keys()).for_each(|key| gathered.extend_from_slice(self.line(key, part)));
        Ok(Lines::Gathered(CpuStorage::F32(gathered)))
    }

    fn matrix<'b>(&self, lines: &'b Lines<'b>) -> Matrix<'b> {
        match lines {
            Lines::InPlace(matrix) => *matrix,
            Lines::Gathered(storage) => Matrix::whole(storage, self.view.keys(), self.attention.head_dim),
        }
    }

    /// The number of stacked queries.
    fn stack(&self) -> usize {
        self.attention.group() * self.view.queries.len()
    }

    fn stacked<'b>(&self, storage: &'b CpuStorage) -> Matrix<'b> {
        Matrix::whole(storage, self.stack(), self.attention.head_dim)
    }

    /// Stacks the heads of the group out of lines of many heads, `[group · lines, head_dim]`.
    fn stack_heads<'b>(&self, lines: impl Iterator<Item = &'b [f32]> + Clone, scale: f32) -> Vec<f32> {
        let (group, head_dim) = (self.attention.group(), self.attention.head_dim);
        let mut stacked = Vec::with_capacity(self.stack() * head_dim);
        for head in self.head * group..(self.head + 1) * group {
            for line in lines.clone() {
                stacked.extend(line[head * head_dim..(head + 1) * head_dim].iter().map(|value| value * scale));
            }
        }
        stacked
    }
}

/// The softmax over what is seen, 0 elsewhere.
#[inline(always)]
pub fn softmax<const FUSED: bool>(scores: &mut [f32], [fresh, past]: &[Range<usize>; 2]) {
    let highest = maximum::<FUSED>(&scores[fresh.clone()]).max(maximum::<FUSED>(&scores[past.clone()]));
    let sum = exponentials::<FUSED>(&mut scores[fresh.clone()], highest)
        + exponentials::<FUSED>(&mut scores[past.clone()], highest);
    scores[..fresh.start].fill(0.0);
    scale::<FUSED>(&mut scores[fresh.clone()], 1.0 / sum);
    scores[fresh.end..past.start].fill(0.0);
    scale::<FUSED>(&mut scores[past.clone()], 1.0 / sum);
    scores[past.end..].fill(0.0);
}

/// From the gradient of the shares g to that of the scores: p (g − Σ p g).
#[inline(always)]
fn scores_gradient<const FUSED: bool>(gradient: &mut [f32], shares: &[f32]) {
    let mean = dot::<FUSED>(gradient, shares);
    for (gradient, share) in gradient.iter_mut().zip(shares) {
        *gradient = share * (*gradient - mean);
    }
}
