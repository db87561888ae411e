//! Models of real shapes with random weights that no file holds: made on the device, the same for the same seed.

use crate::told;
use candle_core::{DType, Device, Result, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use reftc::model::config::{ModelConfig, Precision, Rope, RopeScaling};
use reftc::model::decoder::Decoder;
use reftc::model::weights::Weights;

/// Numbers drawn on the host, the largest prime below 2²²: a tensor repeats them, and with a prime length no two rows of a matrix are
/// alike. To draw all of 7 billion would take the host minutes.
const DRAWN: usize = 4_194_301;

/// The deviation of weights in a fresh Llama.
pub const SPREAD: f64 = 0.02;

/// Normal numbers in f64 on the CPU.
pub fn numbers(shape: &[usize], seed: u64) -> Result<Tensor> {
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| stream.sample(StandardNormal)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// A decoder with normal weights of this deviation; what is added to the residual stream is divided by √(2·layers), as in a model that has
/// been made ready for training, and norms are 1.
pub fn decoder(config: &ModelConfig, precision: Precision, device: &Device, seed: u64, spread: f64) -> Result<Decoder> {
    let drawn = Drawn::new(precision.dtype(), device, seed)?;
    let branch = spread / (2.0 * config.layers as f64).sqrt();
    let make = move |name: &str, shape: &[usize]| {
        if name.ends_with("norm.weight") {
            return Tensor::ones(shape, drawn.0.dtype(), drawn.0.device());
        }
        let into_stream = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
        drawn.tensor(name, shape, if into_stream { branch } else { spread })
    };
    Decoder::from_weights(&Weights::made(make, precision, device), config).map_err(told)
}

/// [`DRAWN`] standard normal numbers on the device.
struct Drawn(Tensor);

impl Drawn {
    fn new(dtype: DType, device: &Device, seed: u64) -> Result<Self> {
        let mut stream = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..DRAWN).map(|_| stream.sample(StandardNormal)).collect();
        Ok(Self(Tensor::from_vec(values, DRAWN, device)?.to_dtype(dtype)?))
    }

    /// The numbers again and again, from a place that the name decides.
    fn tensor(&self, name: &str, shape: &[usize], spread: f64) -> Result<Tensor> {
        let (mut parts, mut left) = (Vec::new(), shape.iter().product::<usize>());
        let mut start = place(name);
        while left > 0 {
            let length = left.min(DRAWN - start);
            parts.push(self.0.narrow(0, start, length)?);
            (left, start) = (left - length, 0);
        }
        (Tensor::cat(&parts, 0)? * spread)?.reshape(shape)
    }
}

/// A place among the drawn numbers (FNV-1a of the name).
fn place(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash % DRAWN as u64) as usize
}

/// A Llama of these widths; what is rarer is as in most of them.
pub fn llama(layers: usize, hidden: usize, inner: usize, heads: [usize; 3], vocabulary: usize) -> ModelConfig {
    let [heads, key_value_heads, head_dim] = heads;
    ModelConfig {
        architecture: "llama".to_owned(),
        hidden_size: hidden,
        intermediate_size: inner,
        layers,
        heads,
        key_value_heads,
        head_dim,
        vocabulary,
        context_length: 4096,
        norm_epsilon: 1e-5,
        rope: Rope { theta: 1e4, scaling: RopeScaling::None },
        attention_bias: false,
        tied_embeddings: false,
        sliding_window: None,
        bos_token: None,
        eos_tokens: Vec::new(),
        attention_dropout: 0.0,
    }
}
