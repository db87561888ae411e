//! Frozen weights by their Hugging Face names, checked against the shapes that the config asks for.

use super::config::{ModelConfig, Precision};
use super::files::{ModelFiles, WeightFiles};
use super::gguf::Gguf;
use crate::diag::{self, Code, Diagnostic};
use candle_core::safetensors::{MmapedSafetensors, SliceSafetensors};
use candle_core::{DType, Device, Tensor};
use std::path::{Path, PathBuf};

/// Opened weights: nothing is read before it is asked for.
pub struct Weights {
    store: Store,
    /// The file to name in errors.
    path: PathBuf,
    dtype: DType,
    device: Device,
}

enum Store {
    Files(MmapedSafetensors),
    Bytes(SliceSafetensors<'static>),
    Gguf(Box<Gguf>),
}

impl Precision {
    /// The dtype of tensors in this precision.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl Weights {
    /// Opens the weights of a model; tensors come as `precision` on `device`.
    ///
    /// Errors: missing (E0301) or unreadable (E0302) files.
    pub fn open(files: &ModelFiles, config: &ModelConfig, precision: Precision, device: &Device) -> diag::Result<Self> {
        let (store, path) = match files.weights()? {
            WeightFiles::Safetensors(paths) => {
                let path = paths.first().cloned().unwrap_or_default();
                (Store::Files(map_files(&paths)?), path)
            }
            WeightFiles::Bytes(bytes, path) => {
                let opened = SliceSafetensors::new(bytes).map_err(|error| unreadable(&path, &error))?;
                (Store::Bytes(opened), path)
            }
            WeightFiles::Gguf(path) => (Store::Gguf(Box::new(Gguf::open(&path)?.with_heads(config))), path),
        };
        Ok(Self { store, path, dtype: precision.dtype(), device: device.clone() })
    }

    /// The dtype that tensors come in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device that tensors come on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The tensor of this name. Errors: E0309 where it is missing or has another shape, E0302 where it cannot be read.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> diag::Result<Tensor> {
        let found = match &self.store {
            Store::Files(files) => files.get(name).ok().map(|view| view.shape().to_vec()),
            Store::Bytes(bytes) => bytes.get(name).ok().map(|view| view.shape().to_vec()),
            Store::Gguf(gguf) => gguf.shape(name),
        };
        match found {
            Some(found) if found == shape => {}
            Some(found) => return Err(Box::new(self.mismatch(name, shape, Some(&found)))),
            None => return Err(Box::new(self.mismatch(name, shape, None))),
        }
        let tensor = match &self.store {
            Store::Files(files) => files.load(name, &Device::Cpu),
            Store::Bytes(bytes) => bytes.load(name, &Device::Cpu),
            Store::Gguf(gguf) => gguf.tensor(name),
        };
        self.explain(tensor.and_then(|tensor| tensor.to_dtype(self.dtype)?.to_device(&self.device)), name)
    }

    /// The `.weight` tensors of several layers over the same inputs, one above the other: `[sum of outputs, inputs]`.
    pub fn stacked(&self, layers: &[(String, usize)], inputs: usize) -> diag::Result<Tensor> {
        let part = |(name, outputs): &(String, usize)| self.tensor(&format!("{name}.weight"), &[*outputs, inputs]);
        let parts = layers.iter().map(part).collect::<diag::Result<Vec<_>>>()?;
        self.explain(Tensor::cat(&parts, 0), layers.first().map_or("", |(name, _)| name))
    }

    /// The `.bias` tensors of several layers, one after the other.
    pub fn stacked_biases(&self, layers: &[(String, usize)]) -> diag::Result<Tensor> {
        let part = |(name, outputs): &(String, usize)| self.tensor(&format!("{name}.bias"), &[*outputs]);
        let parts = layers.iter().map(part).collect::<diag::Result<Vec<_>>>()?;
        self.explain(Tensor::cat(&parts, 0), layers.first().map_or("", |(name, _)| name))
    }

    /// Turns an engine error about the tensor `name` into a diagnostic (E0302).
    pub fn explain<T>(&self, result: candle_core::Result<T>, name: &str) -> diag::Result<T> {
        result.map_err(|error| {
            let message =
                format!("the tensor `{name}` in {} cannot be loaded: {}", self.path.display(), first_line(&error));
            Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(&self.path, None).help(DOWNLOAD_AGAIN))
        })
    }

    fn mismatch(&self, name: &str, expected: &[usize], found: Option<&[usize]>) -> Diagnostic {
        let message = match found {
            Some(found) => {
                format!("the tensor `{name}` has shape {}, but the config asks for {}", shape(found), shape(expected))
            }
            None => format!("the tensor `{name}` of shape {} is missing", shape(expected)),
        };
        Diagnostic::new(Code::TensorMismatch, message)
            .in_file(&self.path, None)
            .help("use the config and the weights of one and the same model")
    }
}

const DOWNLOAD_AGAIN: &str = "the file may be cut short or damaged: download it again";

fn map_files(paths: &[PathBuf]) -> diag::Result<MmapedSafetensors> {
    for path in paths {
        // Opened one by one first, so that an error names its file.
        map(std::slice::from_ref(path)).map_err(|error| unreadable(path, &error))?;
    }
    let first = paths.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
    map(paths).map_err(|error| unreadable(first, &error))
}

#[allow(unsafe_code, reason = "mapping a file is unsafe by its nature; the condition stands inside")]
fn map(paths: &[PathBuf]) -> candle_core::Result<MmapedSafetensors> {
    // SAFETY: a mapped file must not be changed by others while it is mapped. Model files are written once, and renamed
    // into place by every downloader; weights are mapped only while they are copied to tensors.
    unsafe { MmapedSafetensors::multi(paths) }
}

/// E0302 for a weight file that cannot be opened.
pub fn unreadable(path: &Path, error: &candle_core::Error) -> Box<Diagnostic> {
    let message = format!("the weights in {} cannot be read: {}", path.display(), first_line(error));
    Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(path, None).help(DOWNLOAD_AGAIN))
}

/// candle's message without the backtrace that RUST_BACKTRACE adds to it.
pub fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}

fn shape(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    format!("[{}]", sizes.join(", "))
}
