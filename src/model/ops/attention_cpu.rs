//! Attention on the CPU: row after row on all threads, without padding, the matrix products through candle's GEMM.

use super::attention::Attention;
use super::kernel::{Values, dot, exponentials, maximum, widened};
use crate::model::packed::Span;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

/// A matrix inside a buffer: `rows` lines of `columns` values, `stride` apart.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    storage: &'a CpuStorage,
    offset: usize,
    rows: usize,
    columns: usize,
    stride: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    fn whole(storage: &'a CpuStorage, rows: usize, columns: usize) -> Self {
        Self { storage, offset: 0, rows, columns, stride: columns, transposed: false }
    }

    /// The transposed matrix, in place.
    fn t(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// The product, contiguous.
    fn times(self, right: Self) -> Result<CpuStorage> {
        let (left_layout, right_layout) = (self.layout(), right.layout());
        let (m, k) = left_layout.shape().dims2()?;
        let n = right_layout.shape().dims2()?.1;
        self.storage.matmul(right.storage, (1, m, n, k), &left_layout, &right_layout)
    }

    fn layout(self) -> Layout {
        let (shape, strides) = match self.transposed {
            false => ((self.rows, self.columns), vec![self.stride, 1]),
            true => ((self.columns, self.rows), vec![1, self.stride]),
        };
        Layout::new(Shape::from(shape), strides, self.offset)
    }
}

/// See [`Attention::forward`].
pub fn forward(attention: &Attention, projected: &Tensor, spans: &[Span]) -> Result<Tensor> {
    let wide = widened(projected)?;
    with_storage(&wide, |storage, base| {
        let mut output = vec![0f32; wide.dim(0)? * attention.heads * attention.head_dim];
        let rows = split_rows(&mut output, spans, attention.heads * attention.head_dim);
        rows.into_par_iter().try_for_each(|(span, output)| {
            for head in 0..attention.key_value_heads {
                let lane = Lane { attention, span, head, base };
                let keys = lane.matrix(storage, attention.heads + head);
                let values = lane.matrix(storage, attention.heads + attention.key_value_heads + head);
                lane.attend(storage, keys, values, output)?;
            }
            Ok::<(), candle_core::Error>(())
        })?;
        finish(output, attention.heads * attention.head_dim, projected)
    })
}

/// See [`Attention::forward_cached`]; `keys` and `values` are `[rows, key_value_heads, columns, head_dim]`, with rows of
/// the cache perhaps further apart than `columns`.
pub fn forward_cached(
    attention: &Attention,
    projected: &Tensor,
    spans: &[Span],
    keys: &Tensor,
    values: &Tensor,
) -> Result<Tensor> {
    let (wide, keys, values) = (widened(projected)?, wide_cache(keys)?, wide_cache(values)?);
    let (columns, strides) = (keys.dim(2)?, keys.layout().stride());
    let (row_stride, head_stride) = (strides[0], strides[1]);
    with_storage(&wide, |storage, base| {
        with_storage(&keys, |key_storage, key_base| {
            with_storage(&values, |value_storage, value_base| {
                let mut output = vec![0f32; wide.dim(0)? * attention.heads * attention.head_dim];
                let rows = split_rows(&mut output, spans, attention.heads * attention.head_dim);
                rows.into_par_iter().enumerate().try_for_each(|(row, (span, output))| {
                    let first = (columns - span.total()) * attention.head_dim;
                    for head in 0..attention.key_value_heads {
                        let lane = Lane { attention, span, head, base };
                        let offset = row * row_stride + head * head_stride + first;
                        let cached = |storage, base| Matrix {
                            offset: base + offset,
                            ..Matrix::whole(storage, span.total(), attention.head_dim)
                        };
                        lane.attend(storage, cached(key_storage, key_base), cached(value_storage, value_base), output)?;
                    }
                    Ok::<(), candle_core::Error>(())
                })?;
                finish(output, attention.heads * attention.head_dim, projected)
            })
        })
    })
}

/// See [`Attention::backward`].
pub fn backward(attention: &Attention, projected: &Tensor, spans: &[Span], gradient: &Tensor) -> Result<Tensor> {
    let (wide, wide_gradient) = (widened(projected)?, widened(gradient)?);
    let gradient = Values::of(&wide_gradient)?;
    with_storage(&wide, |storage, base| {
        let mut output = vec![0f32; wide.elem_count()];
        let rows = split_rows(&mut output, spans, attention.width());
        rows.into_par_iter().try_for_each(|(span, output)| {
            for head in 0..attention.key_value_heads {
                Lane { attention, span, head, base }.backward(storage, &gradient, output)?;
            }
            Ok::<(), candle_core::Error>(())
        })?;
        finish(output, attention.width(), projected)
    })
}

/// One key head of one row: the queries of its group, stacked.
#[derive(Clone, Copy)]
struct Lane<'a> {
    attention: &'a Attention,
    span: Span,
    head: usize,
    /// Where packed rows begin in their buffer.
    base: usize,
}

impl Lane<'_> {
    /// The columns of one head of the row, in the buffer of `projected`.
    fn matrix<'a>(&self, storage: &'a CpuStorage, head: usize) -> Matrix<'a> {
        let (width, head_dim) = (self.attention.width(), self.attention.head_dim);
        let offset = self.base + self.span.start * width + head * head_dim;
        Matrix { storage, offset, rows: self.span.new, columns: head_dim, stride: width, transposed: false }
    }

    /// Writes the mixed values of the group's heads into the row's output, `[new, heads · head_dim]`.
    fn attend(&self, storage: &CpuStorage, keys: Matrix, values: Matrix, output: &mut [f32]) -> Result<()> {
        let shares = self.shares(&self.queries(storage)?, keys)?;
        let stacked = self.attention.group() * self.span.new;
        let mixed = Matrix::whole(&shares, stacked, self.span.total()).times(values)?;
        self.place(&mixed, output, self.attention.heads, self.head * self.attention.group(), 1.0)
    }

    fn backward(&self, storage: &CpuStorage, gradient: &[f32], output: &mut [f32]) -> Result<()> {
        let Attention { heads, key_value_heads, head_dim, .. } = *self.attention;
        let (new, stacked) = (self.span.new, self.attention.group() * self.span.new);
        let first_head = self.head * self.attention.group();
        let keys = self.matrix(storage, heads + self.head);
        let values = self.matrix(storage, heads + key_value_heads + self.head);
        let queries = self.queries(storage)?;
        let shares = self.shares(&queries, keys)?;
        let gradient = self.gather(&gradient[self.span.start * heads * head_dim..], heads * head_dim, 1.0);

        let gradient = Matrix::whole(&gradient, stacked, head_dim);
        let shares_matrix = Matrix::whole(&shares, stacked, new);
        let values_gradient = shares_matrix.t().times(gradient)?;
        let mut scores = gradient.times(values.t())?;
        let (scores_slice, shares_slice) = (slice_mut(&mut scores)?, slice(&shares)?);
        for (line, shares) in scores_slice.chunks_exact_mut(new).zip(shares_slice.chunks_exact(new)) {
            let mean = dot(line, shares);
            for (score, share) in line.iter_mut().zip(shares) {
                *score = share * (*score - mean);
            }
        }
        let scores = Matrix::whole(&scores, stacked, new);
        let queries_gradient = scores.times(keys)?;
        let keys_gradient = scores.t().times(Matrix::whole(&queries, stacked, head_dim))?;

        let all_heads = heads + 2 * key_value_heads;
        self.place(&queries_gradient, output, all_heads, first_head, self.attention.scale() as f32)?;
        self.place(&keys_gradient, output, all_heads, heads + self.head, 1.0)?;
        self.place(&values_gradient, output, all_heads, heads + key_value_heads + self.head, 1.0)
    }

    /// The scaled queries of the group, `[group · new, head_dim]`.
    fn queries(&self, storage: &CpuStorage) -> Result<CpuStorage> {
        let row = &slice(storage)?[self.base + self.span.start * self.attention.width()..];
        Ok(self.gather(row, self.attention.width(), self.attention.scale() as f32))
    }

    /// softmax(q kᵀ), `[group · new, total]`, 0 where a query does not see a key.
    fn shares(&self, queries: &CpuStorage, keys: Matrix) -> Result<CpuStorage> {
        let (new, total) = (self.span.new, self.span.total());
        let stacked = Matrix::whole(queries, self.attention.group() * new, self.attention.head_dim);
        let mut scores = stacked.times(keys.t())?;
        for (line, scores) in slice_mut(&mut scores)?.chunks_exact_mut(total).enumerate() {
            let position = self.span.past + line % new;
            let first = self.attention.window.map_or(0, |window| (position + 1).saturating_sub(window));
            let (before, seen) = scores[..=position].split_at_mut(first);
            before.fill(0.0);
            let highest = maximum(seen);
            let inverse = 1.0 / exponentials(seen, highest);
            seen.iter_mut().for_each(|share| *share *= inverse);
            scores[position + 1..].fill(0.0);
        }
        Ok(scores)
    }

    /// Stacks the heads of the group out of a row of lines, `[group · new, head_dim]`.
    fn gather(&self, row: &[f32], width: usize, scale: f32) -> CpuStorage {
        let (group, head_dim) = (self.attention.group(), self.attention.head_dim);
        let mut stacked = Vec::with_capacity(group * self.span.new * head_dim);
        for head in self.head * group..(self.head + 1) * group {
            for line in row.chunks(width).take(self.span.new) {
                stacked.extend(line[head * head_dim..(head + 1) * head_dim].iter().map(|value| value * scale));
            }
        }
        CpuStorage::F32(stacked)
    }

    /// Writes stacked heads to where they belong in lines of `heads` heads, from `first_head` on.
    fn place(
        &self,
        stacked: &CpuStorage,
        output: &mut [f32],
        heads: usize,
        first_head: usize,
        scale: f32,
    ) -> Result<()> {
        let head_dim = self.attention.head_dim;
        for (head, block) in slice(stacked)?.chunks_exact(self.span.new * head_dim).enumerate() {
            let columns = (first_head + head) * head_dim..(first_head + head + 1) * head_dim;
            for (line, values) in output.chunks_exact_mut(heads * head_dim).zip(block.chunks_exact(head_dim)) {
                line[columns.clone()].iter_mut().zip(values).for_each(|(output, value)| *output = value * scale);
            }
        }
        Ok(())
    }
}

/// The output lines of each row, beside the row's span; rows without tokens are left out.
fn split_rows<'a>(mut output: &'a mut [f32], spans: &[Span], width: usize) -> Vec<(Span, &'a mut [f32])> {
    let mut rows = Vec::with_capacity(spans.len());
    for &span in spans {
        let (row, rest) = output.split_at_mut(span.new * width);
        output = rest;
        rows.push((span, row));
    }
    rows
}

fn finish(output: Vec<f32>, width: usize, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(output, (like.dim(0)?, width), like.device())?.to_dtype(like.dtype())
}

/// The cache in f32; f32 caches are used in place.
fn wide_cache(cache: &Tensor) -> Result<Tensor> {
    cache.to_dtype(candle_core::DType::F32)
}

fn with_storage<T>(tensor: &Tensor, work: impl FnOnce(&CpuStorage, usize) -> Result<T>) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => work(storage, layout.start_offset()),
        _ => bail!("a CPU kernel got a tensor of another device"),
    }
}

fn slice(storage: &CpuStorage) -> Result<&[f32]> {
    storage.as_slice::<f32>()
}

fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [f32]> {
    match storage {
        CpuStorage::F32(values) => Ok(values),
        _ => bail!("a CPU kernel got values that are not f32"),
    }
}
