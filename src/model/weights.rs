//! Frozen weights by their Hugging Face names, checked against the shapes that the config asks for.

use super::config::{ModelConfig, Precision};
use super::files::{ModelFiles, WeightFiles};
use super::gguf::Gguf;
use super::interrupt::Interrupt;
use super::safetensors_file::SafetensorsFile;
use super::stored::{Element, Stored};
use crate::diag::{self, Code, Diagnostic};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opened weights: nothing is read before it is asked for, and then straight to where it stays.
pub struct Weights {
    store: Store,
    /// The file to name in errors.
    path: PathBuf,
    precision: Precision,
    device: Device,
    /// Heeded while they are loaded, and by the decoder that is made of them.
    pub interrupt: Interrupt,
}

enum Store {
    /// One file, or shards.
    Safetensors(Vec<SafetensorsFile>),
    Gguf {
        gguf: Arc<Gguf>,
        /// Attention heads and key heads, where the rows of their projections are interleaved.
        interleaved: Option<(usize, usize)>,
    },
    /// No file: a function gives the tensor of a name and shape.
    Made(Box<Make>),
}

/// Gives the tensor of a name and shape.
type Make = dyn Fn(&str, &[usize]) -> candle_core::Result<Tensor>;

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
                let open = |path: &PathBuf| SafetensorsFile::open(path).map_err(|error| unreadable(path, &error));
                let shards = paths.iter().map(open).collect::<diag::Result<_>>()?;
                (Store::Safetensors(shards), paths.into_iter().next().unwrap_or_default())
            }
            WeightFiles::Bytes(bytes, path) => {
                let opened = SafetensorsFile::in_memory(bytes).map_err(|error| unreadable(&path, &error))?;
                (Store::Safetensors(vec![opened]), path)
            }
            WeightFiles::Gguf(file) => {
                // llama.cpp's converter interleaves the query and key rows of Llama files.
                let interleaved = (config.architecture == "llama").then_some((config.heads, config.key_value_heads));
                (Store::Gguf { gguf: file.open()?, interleaved }, file.path().to_path_buf())
            }
        };
        Ok(Self { store, path, precision, device: device.clone(), interrupt: Interrupt::default() })
    }

    /// Weights that no file holds: `make` gives each tensor by its name and shape, in any dtype and on any device. For shapes that are
    /// to be measured, and for models that lie in memory.
    pub fn made(
        make: impl Fn(&str, &[usize]) -> candle_core::Result<Tensor> + 'static,
        precision: Precision,
        device: &Device,
    ) -> Self {
        let (store, path, interrupt) = (Store::Made(Box::new(make)), "memory".into(), Interrupt::default());
        Self { store, path, precision, device: device.clone(), interrupt }
    }

    /// The dtype that tensors come in.
    pub fn dtype(&self) -> DType {
        self.precision.dtype()
    }

    /// The device that tensors come on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The tensor of this name. Errors: E0309 where it is missing or has another shape, E0302 where it cannot be read, E0303
    /// where it holds no floats.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> diag::Result<Tensor> {
        if let Store::Made(make) = &self.store {
            return self.make(make, name, shape);
        }
        let stored = self.find(name, shape)?;
        self.explain(self.load(&[stored], shape), name)
    }

    /// The `.weight` tensors of several layers over the same inputs, one above the other: `[sum of outputs, inputs]`.
    pub fn stacked(&self, layers: &[(String, usize)], inputs: usize) -> diag::Result<Tensor> {
        self.stack(layers, "weight", &[inputs])
    }

    /// The `.bias` tensors of several layers, one after the other.
    pub fn stacked_biases(&self, layers: &[(String, usize)]) -> diag::Result<Tensor> {
        self.stack(layers, "bias", &[])
    }

    /// Tensors of the shape `[outputs, …inner]`, each read to its place in the one that they make.
    fn stack(&self, layers: &[(String, usize)], kind: &str, inner: &[usize]) -> diag::Result<Tensor> {
        let shape = |outputs: usize| [&[outputs], inner].concat();
        let first = layers.first().map_or("", |(name, _)| name);
        if let Store::Made(make) = &self.store {
            let part = |(name, outputs): &(String, usize)| self.make(make, &format!("{name}.{kind}"), &shape(*outputs));
            let parts = layers.iter().map(part).collect::<diag::Result<Vec<_>>>()?;
            return self.explain(Tensor::cat(&parts, 0), first);
        }
        let part = |(name, outputs): &(String, usize)| self.find(&format!("{name}.{kind}"), &shape(*outputs));
        let parts = layers.iter().map(part).collect::<diag::Result<Vec<_>>>()?;
        let outputs = layers.iter().map(|(_, outputs)| outputs).sum();
        self.explain(self.load(&parts, &shape(outputs)), first)
    }

    /// The tensor that `make` gives, if it has this shape.
    fn make(&self, make: &Make, name: &str, shape: &[usize]) -> diag::Result<Tensor> {
        let tensor = self.explain(make(name, shape), name)?;
        if tensor.dims() != shape {
            return Err(Box::new(self.mismatch(name, shape, Some(tensor.dims()))));
        }
        self.explain(tensor.to_device(&self.device).and_then(|tensor| tensor.to_dtype(self.dtype())), name)
    }

    /// The stored tensor of this name, if it has this shape.
    fn find(&self, name: &str, shape: &[usize]) -> diag::Result<Stored<'_>> {
        let found = match &self.store {
            // Where two shards have a name, the later one counts.
            Store::Safetensors(shards) => shards.iter().rev().find_map(|shard| shard.find(name)),
            Store::Gguf { gguf, interleaved } => gguf.find(name, *interleaved).map(Ok),
            Store::Made(_) => None,
        };
        match found {
            Some(Ok(stored)) if stored.shape == shape => Ok(stored),
            Some(Ok(stored)) => Err(Box::new(self.mismatch(name, shape, Some(&stored.shape)))),
            Some(Err(dtype)) => Err(self.not_floats(name, dtype)),
            None => Err(Box::new(self.mismatch(name, shape, None))),
        }
    }

    /// Tensors one after the other as one of this shape, converted on the way.
    fn load(&self, parts: &[Stored<'_>], shape: &[usize]) -> candle_core::Result<Tensor> {
        let tensor = match self.precision {
            Precision::F32 => read_all::<f32>(parts, shape),
            Precision::F16 => read_all::<f16>(parts, shape),
            Precision::Bf16 => read_all::<bf16>(parts, shape),
        };
        tensor?.to_device(&self.device)
    }

    /// Turns an engine error about the tensor `name` into a diagnostic (E0302).
    pub fn explain<T>(&self, result: candle_core::Result<T>, name: &str) -> diag::Result<T> {
        result.map_err(|error| {
            let message =
                format!("the tensor `{name}` in {} cannot be loaded: {}", self.path.display(), first_line(&error));
            Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(&self.path, None).help(DOWNLOAD_AGAIN))
        })
    }

    fn not_floats(&self, name: &str, dtype: safetensors::Dtype) -> Box<Diagnostic> {
        let message = format!("the tensor `{name}` in {} holds {dtype:?}, which is not supported", self.path.display());
        let help = "use the model's weights as bf16, f16 or f32, not quantised ones";
        Box::new(Diagnostic::new(Code::UnsupportedModel, message).in_file(&self.path, None).help(help))
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

fn read_all<T: Element>(parts: &[Stored<'_>], shape: &[usize]) -> candle_core::Result<Tensor> {
    let mut numbers = vec![T::default(); shape.iter().product()];
    let (mut rest, mut places) = (numbers.as_mut_slice(), Vec::with_capacity(parts.len()));
    for part in parts {
        let (place, others) = rest.split_at_mut(part.elements());
        places.push((part, place));
        rest = others;
    }
    places.into_par_iter().try_for_each(|(part, place)| part.read_into(place))?;
    Tensor::from_vec(numbers, shape, &Device::Cpu)
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
