//! Matrices inside f32 buffers, multiplied by candle's GEMM.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, Layout, Result, Shape, bail};

/// `rows` lines of `columns` values, `stride` apart.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub storage: &'a CpuStorage,
    pub offset: usize,
    pub rows: usize,
    pub columns: usize,
    pub stride: usize,
    pub transposed: bool,
}

impl<'a> Matrix<'a> {
    /// The matrix that fills a buffer.
    pub fn whole(storage: &'a CpuStorage, rows: usize, columns: usize) -> Self {
        Self { storage, offset: 0, rows, columns, stride: columns, transposed: false }
    }

    /// The first `columns` columns.
    pub fn first(self, columns: usize) -> Self {
        Self { columns, ..self }
    }

    /// The transposed matrix, in place.
    pub fn t(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// The product, contiguous.
    pub fn times(self, right: Self) -> Result<CpuStorage> {
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

/// The values of a buffer.
pub fn slice(storage: &CpuStorage) -> Result<&[f32]> {
    storage.as_slice::<f32>()
}

/// The values of a buffer, to be changed.
pub fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [f32]> {
    match storage {
        CpuStorage::F32(values) => Ok(values),
        _ => bail!("a CPU kernel got values that are not f32"),
    }
}
