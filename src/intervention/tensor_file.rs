//! Files of named tensors: safetensors with one line of JSON about them, written whole or not at all.

use crate::diag::{Code, Diagnostic, Result};
use crate::digest;
use crate::store::atomic;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::path::Path;

/// The key of our line in the metadata of a file. More keys would be written in no fixed order.
const ABOUT: &str = "reftc";

/// No header of ours is longer, in bytes.
const HEADER_LIMIT: u64 = 1 << 26;

/// Tensors by name, all f32 on the CPU.
pub type Tensors = BTreeMap<String, Tensor>;

/// Writes tensors (f32) and what `about` says of them; equal input makes equal bytes.
pub fn write(path: &Path, tensors: &Tensors, about: &impl Serialize) -> Result<()> {
    let unwritable = |error: &dyn std::fmt::Display| atomic::unwritable(path, &io::Error::other(error.to_string()));
    let mut bytes: Vec<(&str, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, tensor) in tensors {
        let values = tensor.flatten_all().and_then(|tensor| tensor.to_vec1::<f32>()).map_err(|e| unwritable(&e))?;
        bytes.push((name, tensor.dims().to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect()));
    }
    let mut views = Vec::new();
    for (name, shape, bytes) in &bytes {
        views.push((*name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|e| unwritable(&e))?));
    }
    let about = serde_json::to_string(about).map_err(|e| unwritable(&e))?;
    let checksum =
        checksum(&about, bytes.iter().map(|(name, shape, bytes)| (*name, shape.as_slice(), bytes.as_slice())));
    let about = format!("{about}\n{checksum}");
    let file =
        safetensors::serialize(views, Some(HashMap::from([(ABOUT.to_owned(), about)]))).map_err(|e| unwritable(&e))?;
    atomic::write(path, &file)
}

/// SHA-256 over all that a file says; tensors come in the order of their names.
fn checksum<'a>(about: &str, tensors: impl Iterator<Item = (&'a str, &'a [usize], &'a [u8])>) -> String {
    let parts: Vec<_> = tensors.map(|(name, shape, bytes)| (name, shape, digest::of(bytes))).collect();
    digest::of(digest::json(&(about, parts)))
}

/// What is said about the tensors, and the checksum; files from before there was one have none.
fn apart(about: &str) -> (&str, Option<&str>) {
    about.split_once('\n').map_or((about, None), |(about, checksum)| (about, Some(checksum)))
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// E0508 where the file cannot be read, was not written by reftc, or is not as it was written.
pub fn read<About: DeserializeOwned>(path: &Path) -> Result<(Tensors, About)> {
    let file = std::fs::read(path).map_err(|error| unreadable(path, &format!("cannot be read: {error}")))?;
    let broken = |error: &dyn std::fmt::Display| unreadable(path, &format!("is damaged: {error}"));
    let (_, header) = SafeTensors::read_metadata(&file).map_err(|error| broken(&error))?;
    let about = header.metadata().as_ref().and_then(|about| about.get(ABOUT));
    let (about, noted) = apart(about.ok_or_else(|| unreadable(path, "was not written by reftc"))?);
    let views = SafeTensors::deserialize(&file).map_err(|error| broken(&error))?;
    let by_name: BTreeMap<String, TensorView<'_>> = views.tensors().into_iter().collect();
    let content = by_name.iter().map(|(name, view)| (name.as_str(), view.shape(), view.data()));
    if noted.is_some_and(|noted| noted != checksum(about, content)) {
        return Err(broken(&"it is not what its checksum says"));
    }
    let about = serde_json::from_str(about).map_err(|error| broken(&error))?;
    let mut tensors = Tensors::new();
    for (name, view) in by_name {
        if view.dtype() != Dtype::F32 {
            return Err(unreadable(path, &format!("has a tensor `{name}` that is not f32")));
        }
        let values: Vec<f32> = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(unreadable(path, &format!("has the value {value} in the tensor `{name}`")));
        }
        let tensor = Tensor::from_vec(values, view.shape(), &Device::Cpu).map_err(|error| broken(&error))?;
        tensors.insert(name, tensor);
    }
    Ok((tensors, about))
}

/// What is said about the tensors of a file, without reading them.
///
/// # Errors
/// E0508 where the file cannot be read or was not written by reftc.
pub fn about<About: DeserializeOwned>(path: &Path) -> Result<About> {
    let failed = |error: io::Error| unreadable(path, &format!("cannot be read: {error}"));
    let damaged = || unreadable(path, "is damaged");
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut length = [0; size_of::<u64>()];
    file.read_exact(&mut length).map_err(failed)?;
    // A damaged length must not make us ask for all memory.
    let length = u64::from_le_bytes(length).min(HEADER_LIMIT);
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(failed)?;
    let header: serde_json::Value = serde_json::from_slice(&header).map_err(|_| damaged())?;
    let about = header.get("__metadata__").and_then(|about| about.get(ABOUT)).and_then(|about| about.as_str());
    let about = about.ok_or_else(|| unreadable(path, "was not written by reftc"))?;
    serde_json::from_str(apart(about).0).map_err(|_| damaged())
}

fn unreadable(path: &Path, problem: &str) -> Box<Diagnostic> {
    let message = format!("the saved file `{}` {problem}", path.display());
    let diagnostic = Diagnostic::new(Code::SavedFileUnreadable, message).in_file(path, None);
    Box::new(diagnostic.help("delete the run's folder and run the spec again, or restore the file from a copy"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors() -> Tensors {
        let values = [0.5f32, -1.25, 3.0, 1e-9, 7.5, -0.0];
        let tensor = |values: &[f32], shape: (usize, usize)| Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
        Tensors::from([
            ("a.weight".to_owned(), tensor(&values, (2, 3))),
            ("b.weight".to_owned(), tensor(&values[..2], (1, 2))),
        ])
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saved.safetensors");
        write(&path, &tensors(), &("rank", 4)).unwrap();
        let (read_back, about) = read::<(String, u32)>(&path).unwrap();
        assert_eq!((read_back.len(), about), (2, ("rank".to_owned(), 4)));
        assert_eq!(self::about::<(String, u32)>(&path).unwrap().1, 4);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in [0, 3, 7] {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                std::fs::write(&path, &damaged).unwrap();
                match read::<(String, u32)>(&path) {
                    Err(diagnostic) => assert_eq!(diagnostic.code, Code::SavedFileUnreadable),
                    Ok(_) => panic!("bit {bit} of byte {at} was flipped unseen: {:?}", whole[at] as char),
                }
            }
        }
    }

    #[test]
    fn files_from_before_there_was_a_checksum_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saved.safetensors");
        let bytes = 1.5f32.to_le_bytes();
        let view = TensorView::new(Dtype::F32, vec![1], &bytes).unwrap();
        let about = HashMap::from([(ABOUT.to_owned(), "[\"rank\",4]".to_owned())]);
        std::fs::write(&path, safetensors::serialize([("a", view)], Some(about)).unwrap()).unwrap();
        assert_eq!(read::<(String, u32)>(&path).unwrap().1, ("rank".to_owned(), 4));
    }
}
