//! Bytes that weights lie in: a file, looked at through windows, or memory of the binary.

use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file of weights.
pub enum Mapped {
    File { file: File, length: u64 },
    Memory(&'static [u8]),
}

/// Some of these bytes. The pages of a file leave this process with the window, so that a model is never in memory twice.
pub enum Window {
    File(Mmap),
    Memory(&'static [u8]),
}

impl Mapped {
    /// A file. Nothing of it is read yet.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self::File { file, length })
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        match self {
            Self::File { length, .. } => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// All bytes, of which only what is looked at is read: for a header.
    ///
    /// # Errors
    /// Where the system cannot map the file.
    pub fn whole(&self) -> io::Result<Window> {
        match self {
            Self::File { file, .. } => map(file, &MmapOptions::new()).map(Window::File),
            Self::Memory(bytes) => Ok(Window::Memory(bytes)),
        }
    }

    /// `length` bytes from `start` on, all of which will be looked at.
    ///
    /// # Errors
    /// Where they lie beyond the end, or the system cannot map the file.
    pub fn window(&self, start: u64, length: usize) -> io::Result<Window> {
        let end = start.checked_add(length as u64).filter(|&end| end <= self.length());
        let end =
            end.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before its tensors"))?;
        match self {
            Self::File { file, .. } => {
                map(file, MmapOptions::new().offset(start).len(length).populate()).map(Window::File)
            }
            Self::Memory(bytes) => Ok(Window::Memory(&bytes[start as usize..end as usize])),
        }
    }
}

#[allow(unsafe_code, reason = "mapping a file is unsafe by its nature; the condition stands inside")]
fn map(file: &File, options: &MmapOptions) -> io::Result<Mmap> {
    // SAFETY: a mapped file must not be changed by others while it is mapped. Model files are written once, and renamed
    // into place by every downloader; windows live only while their bytes become numbers.
    unsafe { options.map(file) }
}

impl Deref for Window {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::File(mapped) => mapped,
            Self::Memory(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_a_file_and_of_memory_are_alike() {
        let bytes: &'static [u8] = Box::leak((0..9000u32).map(|byte| byte as u8).collect::<Vec<_>>().into());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        std::fs::write(&path, bytes).unwrap();
        for mapped in [Mapped::open(&path).unwrap(), Mapped::Memory(bytes)] {
            assert_eq!(mapped.length(), 9000);
            assert_eq!(&*mapped.whole().unwrap(), bytes);
            for (start, length) in [(0, 9000), (1, 1), (4095, 3), (4097, 4903), (9000, 0)] {
                assert_eq!(*mapped.window(start, length).unwrap(), bytes[start as usize..][..length]);
            }
            for (start, length) in [(9000, 1), (8999, 2), (u64::MAX, 1)] {
                assert!(mapped.window(start, length).is_err());
            }
        }
    }
}
