//! The bridge between frozen functions and candle's autograd.
//!
//! candle computes and keeps a gradient for every operand of a recorded operation, frozen weights and constants included,
//! and silently drops the gradient of its fused operations. So nothing frozen is ever recorded: a [`Frozen`] function runs
//! on detached tensors, and the graph sees one node with one input, whose backward is written by hand.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, MetalStorage, Result, Shape, Storage, Tensor, bail};
use std::sync::Mutex;

/// A function of one tensor with frozen weights.
pub trait Frozen: Send + Sync + 'static {
    /// What the backward pass needs beside the input.
    type Saved: Send + Sync + 'static;

    /// Names the operation in candle's messages.
    const NAME: &'static str;

    /// The output; nothing is kept.
    fn forward(&self, input: &Tensor) -> Result<Tensor>;

    /// The output, and what [`Frozen::backward`] needs.
    fn forward_saving(&self, input: &Tensor) -> Result<(Tensor, Self::Saved)>;

    /// The gradient of the input, given the gradient of the output.
    fn backward(&self, input: &Tensor, saved: &Self::Saved, gradient: &Tensor) -> Result<Tensor>;
}

/// Applies a frozen function: as one graph node where a gradient must flow to `input`, else plainly.
pub fn apply<F: Frozen>(function: F, input: &Tensor) -> Result<Tensor> {
    if !input.track_op() {
        return function.forward(input);
    }
    let (output, saved) = function.forward_saving(&input.detach())?;
    input.apply_op1(Node { function, saved, output: Output::new(F::NAME, &output)? })
}

struct Node<F: Frozen> {
    function: F,
    saved: F::Saved,
    output: Output,
}

/// An output that was worked out before its node was made; the node's forward pass only hands it on.
pub struct Output {
    name: &'static str,
    tensor: Mutex<Option<Tensor>>,
}

impl Output {
    /// The output of the operation with this name.
    pub fn new(name: &'static str, output: &Tensor) -> Result<Self> {
        Ok(Self { name, tensor: Mutex::new(Some(output.contiguous()?)) })
    }

    fn take(&self) -> Result<Tensor> {
        match self.tensor.lock().ok().and_then(|mut output| output.take()) {
            Some(output) => Ok(output),
            None => bail!("{} ran forward twice", self.name),
        }
    }

    /// For `cpu_fwd`.
    pub fn cpu(&self) -> Result<(CpuStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("{} gave an output on another device", self.name),
        }
    }

    /// For `cuda_fwd`.
    pub fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("{} gave an output on another device", self.name),
        }
    }

    /// For `metal_fwd`.
    pub fn metal(&self) -> Result<(MetalStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Metal(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("{} gave an output on another device", self.name),
        }
    }
}

impl<F: Frozen> CustomOp1 for Node<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.output.cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.output.cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.output.metal()
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.detach().contiguous()?;
        self.function.backward(&input.detach(), &self.saved, &gradient).map(Some)
    }
}
