//! The one decoder of the Llama family: Llama, Mistral and Qwen2 are configs of it.
//!
//! The residual stream is `[tokens, hidden]` over all rows, packed without padding. Between blocks a [`BlockHook`] may
//! change it, with ordinary, differentiable candle code. Each block is one graph node at most, so a graph of 80 layers is
//! some hundreds of nodes deep, far from what candle's recursive backward can take on a thread of 2 MiB.

use super::block::{Block, BlockPass, Pass, Wanted};
use super::branch::{Branch, Run, Source};
use super::cache::Cache;
use super::config::{ModelConfig, Precision};
use super::files::ModelFiles;
use super::head::{Head, Losses};
use super::ops::attention::{Attention, Rows};
use super::ops::frozen;
use super::ops::linear::Linear;
use super::ops::rms_norm::RmsNorm;
use super::ops::rope::Rotary;
use super::packed::{PackedRows, positions, spans};
use super::weights::Weights;
use crate::diag;
use candle_core::{DType, Device, Result, Tensor, bail};
use std::sync::Arc;

/// Sees the residual stream between blocks and may change it.
pub trait BlockHook {
    /// Takes what leaves block `layer` (from 0), `[tokens, hidden]` packed, and returns what goes on, in the same shape
    /// and dtype.
    fn after_block(&self, layer: usize, hidden: Tensor) -> Result<Tensor>;
}

/// Changes nothing: the untouched model.
pub struct NoEdits;

impl BlockHook for NoEdits {
    fn after_block(&self, _: usize, hidden: Tensor) -> Result<Tensor> {
        Ok(hidden)
    }
}

/// A frozen decoder on a device.
pub struct Decoder {
    config: ModelConfig,
    device: Device,
    dtype: DType,
    /// `[vocabulary, hidden]`
    embeddings: Tensor,
    blocks: Vec<Arc<Block>>,
    head: Arc<Head>,
    rotary: Rotary,
}

impl Decoder {
    /// Loads the weights of `files` as `precision` onto `device`.
    ///
    /// Errors: weights that are missing (E0301), unreadable (E0302), or of another shape than `config` says (E0309).
    pub fn load(files: &ModelFiles, config: &ModelConfig, precision: Precision, device: &Device) -> diag::Result<Self> {
        Self::from_weights(&Weights::open(files, config, precision, device)?, config)
    }

    /// Builds the decoder from opened weights.
    pub fn from_weights(weights: &Weights, config: &ModelConfig) -> diag::Result<Self> {
        let (hidden, inner, vocabulary) = (config.hidden_size, config.intermediate_size, config.vocabulary);
        let attention = Attention {
            heads: config.heads,
            key_value_heads: config.key_value_heads,
            head_dim: config.head_dim,
            window: config.sliding_window,
        };
        let (query, key) = (config.heads * config.head_dim, config.key_value_heads * config.head_dim);
        let norm = |name: &str| {
            let weight = weights.tensor(name, &[hidden])?;
            weights.explain(RmsNorm::new(&weight, config.norm_epsilon), name)
        };
        let block = |layer: usize| {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            let projection =
                [(name("self_attn.q_proj"), query), (name("self_attn.k_proj"), key), (name("self_attn.v_proj"), key)];
            let bias = match config.attention_bias {
                true => Some(weights.stacked_biases(&projection)?),
                false => None,
            };
            let output_bias = match config.output_bias() {
                true => Some(weights.tensor(&name("self_attn.o_proj.bias"), &[hidden])?),
                false => None,
            };
            let gate_up = [(name("mlp.gate_proj"), inner), (name("mlp.up_proj"), inner)];
            Ok(Arc::new(Block {
                attention_norm: norm(&name("input_layernorm.weight"))?,
                projection: Linear::new(weights.stacked(&projection, hidden)?, bias),
                attention,
                output: Linear::new(weights.tensor(&name("self_attn.o_proj.weight"), &[hidden, query])?, output_bias),
                feed_forward_norm: norm(&name("post_attention_layernorm.weight"))?,
                gate_up: Linear::new(weights.stacked(&gate_up, hidden)?, None),
                down: Linear::new(weights.tensor(&name("mlp.down_proj.weight"), &[hidden, inner])?, None),
            }))
        };
        let embeddings = weights.tensor("model.embed_tokens.weight", &[vocabulary, hidden])?;
        let projection = match config.tied_embeddings {
            true => embeddings.clone(),
            false => weights.tensor("lm_head.weight", &[vocabulary, hidden])?,
        };
        let head = Head { norm: norm("model.norm.weight")?, projection: Linear::new(projection, None), vocabulary };
        Ok(Self {
            config: config.clone(),
            device: weights.device().clone(),
            dtype: weights.dtype(),
            blocks: (0..config.layers).map(block).collect::<diag::Result<_>>()?,
            embeddings,
            head: Arc::new(head),
            rotary: Rotary::new(&config.rope, config.head_dim),
        })
    }

    /// The shape of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The dtype of weights and of the residual stream.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The residual stream after the last block (before the final norm), `[tokens, hidden]`, in the packed order of
    /// `rows`. `hook` is called after each block.
    ///
    /// With an empty `cache` the rows are prompts and fill it; with a filled one each row of the cache gets exactly one
    /// new token, seen at its true position. With a cache nothing is recorded for a backward pass.
    pub fn forward(&self, rows: &PackedRows, hook: &dyn BlockHook, cache: Option<&mut Cache>) -> Result<Tensor> {
        self.run(rows, Wanted::All, hook, cache)
    }

    /// [`Decoder::forward`] for some tokens alone, `[n, hidden]` in the order of `tokens`, packed indices that differ: the last
    /// block works for nobody else. After that block, `hook` sees 0 in the place of all other tokens.
    pub fn forward_at(
        &self,
        rows: &PackedRows,
        tokens: &[u32],
        hook: &dyn BlockHook,
        cache: Option<&mut Cache>,
    ) -> Result<Tensor> {
        let indices = Tensor::from_slice(tokens, tokens.len(), &self.device)?;
        let all = tokens.len() == rows.tokens().len();
        let wanted = if all { Wanted::All } else { Wanted::Only(indices.clone()) };
        self.run(rows, wanted, hook, cache)?.index_select(&indices, 0)
    }

    fn run(
        &self,
        rows: &PackedRows,
        wanted: Wanted,
        hook: &dyn BlockHook,
        cache: Option<&mut Cache>,
    ) -> Result<Tensor> {
        if (0..rows.rows()).any(|row| rows.length(row) == 0) || rows.rows() == 0 {
            bail!("a forward pass needs at least one row, and one token in each");
        }
        match cache {
            Some(cache) => self.forward_cached(rows, &wanted, hook, cache),
            None => self.forward_recorded(rows, &wanted, hook),
        }
    }

    /// Logits of rows of the residual stream: final norm and head, `[n, hidden]` to `[n, vocabulary]`, always f32.
    /// Nothing is recorded; for training see [`Decoder::losses`].
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.logits(&hidden.detach())
    }

    /// −log p(target) of each row of the residual stream, `[n, hidden]` to `[n]` in f32, differentiable by `hidden`.
    /// Pass only the rows that predict a supervised token: the head is most of a small model's work. Logits are held in
    /// chunks of bounded size.
    pub fn losses(&self, hidden: &Tensor, targets: &[u32]) -> Result<Tensor> {
        frozen::apply(Losses { head: self.head.clone(), targets: targets.to_vec() }, hidden)
    }

    fn forward_recorded(&self, rows: &PackedRows, wanted: &Wanted, hook: &dyn BlockHook) -> Result<Tensor> {
        let pass = Arc::new(self.pass(rows, None)?);
        let mut hidden = self.embed(rows)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            let wanted = self.wanted_of(layer, wanted);
            hidden = frozen::apply(BlockPass { block: block.clone(), pass: pass.clone(), wanted }, &hidden)?;
            hidden = hook.after_block(layer, hidden)?;
        }
        Ok(hidden)
    }

    fn forward_cached(
        &self,
        rows: &PackedRows,
        wanted: &Wanted,
        hook: &dyn BlockHook,
        cache: &mut Cache,
    ) -> Result<Tensor> {
        let past = cache.lengths().to_vec();
        if !past.is_empty() && (rows.rows() != past.len() || rows.longest() != 1) {
            bail!("a filled cache takes one new token for each of its {} rows", past.len());
        }
        let pass = self.pass(rows, Some(cache))?;
        let mut hidden = self.embed(rows)?;
        let mut lines = Vec::new();
        for (layer, block) in self.blocks.iter().enumerate() {
            let past = cache.layers.get(layer).and_then(|layer| layer.0.as_ref());
            let (output, new) = block.forward_cached(&hidden, &pass, past, &self.wanted_of(layer, wanted))?;
            lines.push(new);
            hidden = hook.after_block(layer, output)?.detach();
        }
        cache.append(&lines, &(0..rows.rows()).map(|row| rows.length(row)).collect::<Vec<_>>())?;
        Ok(hidden)
    }

    /// Every token is seen by later blocks, but what leaves the last one only by who asked for it.
    fn wanted_of(&self, layer: usize, of_last: &Wanted) -> Wanted {
        if layer + 1 == self.blocks.len() { of_last.clone() } else { Wanted::All }
    }

    fn embed(&self, rows: &PackedRows) -> Result<Tensor> {
        let tokens = Tensor::from_slice(rows.tokens(), rows.tokens().len(), &self.device)?;
        self.embeddings.index_select(&tokens, 0)
    }

    fn pass(&self, rows: &PackedRows, cache: Option<&Cache>) -> Result<Pass> {
        let past = cache.map(|cache| cache.lengths().to_vec()).unwrap_or_default();
        let spans = spans(rows, &past);
        let branches = match cache {
            Some(cache) if !past.is_empty() => cache.branches(),
            _ => spans
                .iter()
                .map(|span| Run { source: Source::Fresh, start: span.start, length: span.new, position: 0 })
                .map(|run| Branch { queries: vec![run], keys: vec![run] })
                .collect(),
        };
        let angles = self.rotary.angles(&positions(&spans), self.dtype, &self.device)?;
        let lines = cache.map_or(0, |cache| cache.lines());
        let rows =
            Rows::new(branches, rows.tokens().len(), lines, self.config.sliding_window, self.dtype, &self.device)?;
        Ok(Pass { rows, angles })
    }
}
