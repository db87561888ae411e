//! Files of named tensors: safetensors with one line of JSON about them, written whole or not at all.

use crate::diag::{Code, Diagnostic, Result};
use crate::store::atomic;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

/// The key of our line in the metadata of a file. More keys would be written in no fixed order.
const ABOUT: &str = "reftc";

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
    let file =
        safetensors::serialize(views, Some(HashMap::from([(ABOUT.to_owned(), about)]))).map_err(|e| unwritable(&e))?;
    atomic::write(path, &file)
}

/// Reads what [`write()`] wrote.
pub fn read<About: DeserializeOwned>(path: &Path) -> Result<(Tensors, About)> {
    let file = std::fs::read(path).map_err(|error| unreadable(path, &format!("cannot be read: {error}")))?;
    let broken = |error: &dyn std::fmt::Display| unreadable(path, &format!("is damaged: {error}"));
    let (_, header) = SafeTensors::read_metadata(&file).map_err(|error| broken(&error))?;
    let about = header.metadata().as_ref().and_then(|about| about.get(ABOUT));
    let about = about.ok_or_else(|| unreadable(path, "was not written by reftc"))?;
    let about = serde_json::from_str(about).map_err(|error| broken(&error))?;
    let views = SafeTensors::deserialize(&file).map_err(|error| broken(&error))?;
    let mut tensors = Tensors::new();
    for (name, view) in views.tensors() {
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

fn unreadable(path: &Path, problem: &str) -> Box<Diagnostic> {
    let message = format!("the saved file `{}` {problem}", path.display());
    let diagnostic = Diagnostic::new(Code::SavedFileUnreadable, message).in_file(path, None);
    Box::new(diagnostic.help("delete the run's folder and run the spec again, or restore the file from a copy"))
}
