//! A tensor as it lies in a file, and its way into memory: piece by piece, on all threads, to where it will stay.

use super::mapped::Mapped;
use candle_core::quantized::GgmlDType;
use candle_core::{CpuStorage, Result, WithDType, bail};
use half::{bf16, f16};
use rayon::prelude::*;
use std::borrow::Cow;

/// Numbers of one piece: enough to be worth a thread's while, few enough for the cache of its core. A multiple of every
/// block size of GGUF.
const PIECE: usize = 1 << 18;

/// Numbers that are dequantised at a time, to memory that allocators hand out again at once. As much a multiple.
const BLOCKS: usize = 1 << 14;

/// A tensor of an opened file.
pub struct Stored<'a> {
    pub shape: Vec<usize>,
    pub bytes: &'a Mapped,
    /// Where its first byte lies.
    pub start: u64,
    pub encoding: Encoding,
    /// Where the two halves of a head are interleaved, as llama.cpp's rotation wants queries and keys: the number of heads.
    pub interleaved: Option<usize>,
}

/// How numbers are written in a file, little end first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Encoding {
    F64,
    F32,
    F16,
    Bf16,
    /// Blocks of quantised numbers with their scales.
    Blocks(GgmlDType),
}

/// The numbers of a tensor in memory.
pub trait Element: WithDType + Default {
    fn from_f32(value: f32) -> Self;
}

impl Element for f32 {
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Element for f16 {
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Element for bf16 {
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Encoding {
    /// The encoding of a kind of GGUF tensors.
    pub fn of_gguf(dtype: GgmlDType) -> Self {
        match dtype {
            GgmlDType::F32 => Self::F32,
            GgmlDType::F16 => Self::F16,
            GgmlDType::BF16 => Self::Bf16,
            quantised => Self::Blocks(quantised),
        }
    }

    /// The encoding of a safetensors dtype; `None` for integers and the floats of eight bits and fewer, which mean nothing
    /// without scales of their own.
    pub fn of_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::F64 => Some(Self::F64),
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// The numbers of a block, and its bytes.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F64 => (1, 8),
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Blocks(dtype) => (dtype.block_size(), dtype.type_size()),
        }
    }
}

impl Stored<'_> {
    /// How many numbers the tensor has.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Writes the numbers to `out`, which has room for exactly all of them; heads come with their halves apart.
    ///
    /// # Errors
    /// A file that ends too early, or a shape that cannot be in these blocks.
    pub fn read_into<T: Element>(&self, out: &mut [T]) -> Result<()> {
        let (block, _) = self.encoding.block();
        let head = match self.interleaved {
            Some(heads) => (self.elements() / heads.max(1)).max(1),
            None => 1,
        };
        if out.len() != self.elements()
            || !out.len().is_multiple_of(block)
            || self
                .interleaved
                .is_some_and(|heads| !self.shape.first().is_some_and(|rows| rows.is_multiple_of(2 * heads)))
        {
            bail!("its shape {:?} does not fit how it is stored", self.shape);
        }
        // Whole heads and whole blocks; a tensor whose heads end inside blocks is one piece.
        let piece = head * (PIECE / head).max(1);
        let piece = if piece.is_multiple_of(block) { piece } else { out.len().max(1) };
        out.par_chunks_mut(piece).enumerate().try_for_each(|(number, out)| {
            self.read_piece(number * piece, out)?;
            if self.interleaved.is_some() {
                let width = self.shape.iter().skip(1).product();
                out.chunks_exact_mut(head).for_each(|head| separate_halves(head, width));
            }
            Ok(())
        })
    }

    /// The numbers from `first` on, as they are stored.
    fn read_piece<T: Element>(&self, first: usize, out: &mut [T]) -> Result<()> {
        let (block, bytes) = self.encoding.block();
        let window = self.bytes.window(self.start + (first / block * bytes) as u64, out.len() / block * bytes)?;
        match self.encoding {
            Encoding::F64 => decode(&window, out, |bytes| T::from_f64(f64::from_le_bytes(bytes))),
            Encoding::F32 => decode(&window, out, |bytes| T::from_f32(f32::from_le_bytes(bytes))),
            Encoding::F16 => decode(&window, out, |bytes| T::from_f32(f16::from_le_bytes(bytes).to_f32())),
            Encoding::Bf16 => decode(&window, out, |bytes| T::from_f32(bf16::from_le_bytes(bytes).to_f32())),
            Encoding::Blocks(dtype) => {
                let pieces = window.chunks(BLOCKS / block * bytes).zip(out.chunks_mut(BLOCKS));
                pieces.into_iter().try_for_each(|(blocks, out)| dequantise(dtype, blocks, out))?;
            }
        }
        Ok(())
    }
}

/// The numbers of some blocks, through a copy of candle's.
fn dequantise<T: Element>(dtype: GgmlDType, blocks: &[u8], out: &mut [T]) -> Result<()> {
    // Blocks hold numbers of at most four bytes, and must lie as such.
    let blocks = match blocks.as_ptr().align_offset(4) {
        0 => Cow::Borrowed(blocks),
        _ => Cow::Owned(blocks.to_vec()),
    };
    let CpuStorage::F32(numbers) = dtype.from_data(blocks).dequantize(out.len())? else {
        bail!("{dtype:?} does not become f32");
    };
    out.iter_mut().zip(numbers).for_each(|(out, number)| *out = T::from_f32(number));
    Ok(())
}

fn decode<const SIZE: usize, T>(bytes: &[u8], out: &mut [T], number: impl Fn([u8; SIZE]) -> T) {
    let (numbers, _) = bytes.as_chunks::<SIZE>();
    out.iter_mut().zip(numbers).for_each(|(out, bytes)| *out = number(*bytes));
}

/// Undoes the interleaving in a head of rows of `width` numbers: rows 0, 2, 4, … then 1, 3, 5, ….
fn separate_halves<T: Copy>(head: &mut [T], width: usize) {
    let interleaved = head.to_vec();
    let half = head.len() / width / 2;
    for (row, out) in head.chunks_exact_mut(width).enumerate() {
        let from = 2 * (row % half) + row / half;
        out.copy_from_slice(&interleaved[from * width..][..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::QTensor;
    use candle_core::{Device, Tensor};

    fn stored<'a>(bytes: &'a Mapped, shape: &[usize], encoding: Encoding) -> Stored<'a> {
        Stored { shape: shape.to_vec(), bytes, start: 3, encoding, interleaved: None }
    }

    /// Bytes behind three that put them out of step.
    fn mapped(bytes: &[u8]) -> Mapped {
        Mapped::Memory(Box::leak([&[7, 7, 7], bytes].concat().into()))
    }

    #[test]
    fn halves_are_separated() {
        let mut head: Vec<u32> = (0..12).collect();
        separate_halves(&mut head, 2);
        assert_eq!(head, [0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11]);
    }

    #[test]
    fn plain_numbers_of_every_width_are_read() {
        let values = [0.0f32, -1.5, 3.25, 65504.0];
        let bytes = |encoding: Encoding| -> Vec<u8> {
            let one = |&value: &f32| match encoding {
                Encoding::F64 => f64::from(value).to_le_bytes().to_vec(),
                Encoding::F16 => f16::from_f32(value).to_le_bytes().to_vec(),
                _ => value.to_le_bytes().to_vec(),
            };
            values.iter().flat_map(one).collect()
        };
        for encoding in [Encoding::F64, Encoding::F32, Encoding::F16] {
            let mapped = mapped(&bytes(encoding));
            let stored = stored(&mapped, &[2, 2], encoding);
            let mut wide = [0f32; 4];
            stored.read_into(&mut wide).unwrap();
            assert_eq!(wide, values);
            let mut half = [f16::default(); 4];
            stored.read_into(&mut half).unwrap();
            assert_eq!(half.map(f16::to_f32), values);
        }
        let short = mapped(&bytes(Encoding::F32)[..15]);
        assert!(stored(&short, &[4], Encoding::F32).read_into(&mut [0f32; 4]).is_err());
    }

    /// Pieces of a quantised tensor, on several threads and out of step, are candle's own numbers to the bit.
    #[test]
    fn pieces_make_what_candle_makes_of_the_whole() {
        let (heads, head_dim, width) = (6, 8, 6400);
        let rows = heads * head_dim;
        let values = (0..rows * width).map(|i| ((i * 7919 % 1000) as f32 - 500.0) / 300.0);
        let tensor = Tensor::from_iter(values, &Device::Cpu).unwrap().reshape((rows, width)).unwrap();
        for dtype in [GgmlDType::Q4_1, GgmlDType::Q6K, GgmlDType::F16] {
            let quantised = QTensor::quantize(&tensor, dtype).unwrap();
            let whole = quantised.dequantize(&Device::Cpu).unwrap();
            let mapped = mapped(&quantised.data().unwrap());
            let mut stored = stored(&mapped, &[rows, width], Encoding::of_gguf(dtype));
            let mut out = vec![0f32; rows * width];
            assert!(out.len() > PIECE);
            stored.read_into(&mut out).unwrap();
            assert_eq!(out, whole.flatten_all().unwrap().to_vec1::<f32>().unwrap(), "{dtype:?}");
            stored.interleaved = Some(heads);
            stored.read_into(&mut out).unwrap();
            let pairs = whole.reshape((heads, head_dim / 2, 2, width)).unwrap();
            let apart = pairs.transpose(1, 2).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(out, apart, "{dtype:?}");
        }
    }

    #[test]
    fn shapes_that_blocks_cannot_hold_are_errors() {
        let mapped = mapped(&[0; 200]);
        assert!(stored(&mapped, &[40], Encoding::Blocks(GgmlDType::Q8_0)).read_into(&mut [0f32; 40]).is_err());
        let odd = Stored { interleaved: Some(2), ..stored(&mapped, &[6, 4], Encoding::F32) };
        assert!(odd.read_into(&mut [0f32; 24]).is_err());
        assert!(stored(&mapped, &[3], Encoding::F32).read_into(&mut [0f32; 4]).is_err());
    }
}
