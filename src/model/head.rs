//! The final norm and the output head: logits, and losses that never hold the logits of all rows at once.

use super::ops::cross_entropy;
use super::ops::frozen::Frozen;
use super::ops::linear::Linear;
use super::ops::rms_norm::RmsNorm;
use candle_core::{DType, Result, Tensor, bail};
use std::sync::Arc;

/// Bytes of f32 logits that one chunk of the loss may hold.
const CHUNK_BYTES: usize = 64 << 20;

/// logits(x) = projection(norm(x))
pub struct Head {
    pub norm: RmsNorm,
    pub projection: Linear,
    pub vocabulary: usize,
}

/// −log p(target) of each row of the residual stream: `[rows, hidden]` to `[rows]` in f32.
pub struct Losses {
    pub head: Arc<Head>,
    pub targets: Vec<u32>,
}

impl Head {
    /// `[rows, hidden]` to `[rows, vocabulary]` in f32 (f64 for f64).
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let logits = self.projected(hidden)?;
        if logits.dtype() == DType::F64 { Ok(logits) } else { logits.to_dtype(DType::F32) }
    }

    /// The logits in the dtype of the model.
    fn projected(&self, hidden: &Tensor) -> Result<Tensor> {
        self.projection.forward(&self.norm.forward(hidden)?)
    }
}

impl Losses {
    /// The losses and, where wanted, the gradient of each row's loss by the row, `[rows, hidden]`.
    fn run(&self, hidden: &Tensor, gradient_wanted: bool) -> Result<(Tensor, Option<Tensor>)> {
        let (rows, _) = hidden.dims2()?;
        if rows != self.targets.len() || rows == 0 {
            bail!("{rows} rows of the residual stream for {} targets", self.targets.len());
        }
        let chunk = (CHUNK_BYTES / 4 / self.head.vocabulary).clamp(1, rows);
        let (mut losses, mut gradients) = (Vec::new(), Vec::new());
        for (start, targets) in (0..).step_by(chunk).zip(self.targets.chunks(chunk)) {
            let part = hidden.narrow(0, start, targets.len())?;
            let targets = Tensor::from_slice(targets, targets.len(), hidden.device())?;
            let logits = self.head.projected(&part)?;
            if !gradient_wanted {
                losses.push(cross_entropy::losses(logits, &targets)?);
                continue;
            }
            let (loss, gradient) = cross_entropy::losses_and_gradient(logits, &targets)?;
            let gradient = self.head.projection.backward(&gradient)?;
            losses.push(loss);
            gradients.push(self.head.norm.backward(&part, &gradient)?);
        }
        let gradient = if gradient_wanted { Some(Tensor::cat(&gradients, 0)?) } else { None };
        Ok((Tensor::cat(&losses, 0)?, gradient))
    }
}

impl Frozen for Losses {
    /// The gradient of each row's loss by the row: worked out while the logits are there, so that backward only scales it.
    type Saved = Option<Tensor>;

    const NAME: &'static str = "loss";

    fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self.run(hidden, false)?.0)
    }

    fn forward_saving(&self, hidden: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        self.run(hidden, true)
    }

    fn backward(&self, _: &Tensor, saved: &Option<Tensor>, gradient: &Tensor) -> Result<Tensor> {
        match saved {
            Some(saved) => saved.broadcast_mul(&gradient.to_dtype(saved.dtype())?.unsqueeze(1)?),
            None => bail!("the loss kept no gradient"),
        }
    }
}
