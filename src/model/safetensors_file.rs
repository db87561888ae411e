//! A safetensors file, its header read.

use super::mapped::Mapped;
use super::stored::{Encoding, Stored};
use candle_core::Result;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use std::path::Path;

/// An opened file, or one in memory.
pub struct SafetensorsFile {
    bytes: Mapped,
    metadata: Metadata,
    /// Where the tensors begin.
    start: u64,
}

impl SafetensorsFile {
    /// Reads the header of a file. Errors: a file that cannot be read, is cut short, or is none of this kind.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(Mapped::open(path)?)
    }

    /// Reads the header of a file in memory. Errors: as [`SafetensorsFile::open`].
    pub fn in_memory(bytes: &'static [u8]) -> Result<Self> {
        Self::read(Mapped::Memory(bytes))
    }

    fn read(bytes: Mapped) -> Result<Self> {
        let (header, metadata) = SafeTensors::read_metadata(&bytes.whole()?)?;
        // Eight bytes before the header say how long it is.
        Ok(Self { bytes, metadata, start: header as u64 + 8 })
    }

    /// The tensor of this name; for numbers that we cannot read, their dtype in its place.
    pub fn find(&self, name: &str) -> Option<std::result::Result<Stored<'_>, Dtype>> {
        let info = self.metadata.info(name)?;
        let Some(encoding) = Encoding::of_safetensors(info.dtype) else { return Some(Err(info.dtype)) };
        let start = self.start + info.data_offsets.0 as u64;
        Some(Ok(Stored { shape: info.shape.clone(), bytes: &self.bytes, start, encoding, interleaved: None }))
    }
}
