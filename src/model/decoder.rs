//! The one decoder of the Llama family: Llama, Mistral and Qwen2 are configs of it.
//!
//! The residual stream is `[tokens, hidden]` over the tokens of a [`Pass`], packed without padding. A [`BlockHook`] may change it
//! between blocks and inside them, with ordinary, differentiable candle code. Each block is one graph node at most, so a graph of 80 layers is
//! some hundreds of nodes deep, far from what candle's recursive backward can take on a thread of 2 MiB.

use super::block::{AttentionPass, Block, BlockPass, FeedForwardPass};
use super::branch::{Branch, Run, Source};
use super::cache::Cache;
use super::config::{ModelConfig, Precision};
use super::files::ModelFiles;
use super::head::{Head, Losses};
use super::interrupt::Interrupt;
use super::ops::attention::{Attention, Rows};
use super::ops::frozen;
use super::ops::linear::Linear;
use super::ops::rms_norm::RmsNorm;
use super::ops::rope::Rotary;
use super::pass::{Constants, Join, Leaving, Pass, Stage};
use super::place::At;
use super::weights::Weights;
use crate::diag::{self, Code, Diagnostic};
use candle_core::{DType, Device, Result, Tensor, bail};
use std::sync::Arc;

/// Changes values on their way through the blocks.
pub trait BlockHook {
    /// Takes the values at a place of block `layer` (from 0), `[tokens, hidden]` packed, and returns what goes on, in the same shape and
    /// dtype: for the block's input and output the tokens of a point of the pass, inside the block those that leave it.
    fn edit(&self, layer: usize, at: At, values: Tensor) -> Result<Tensor>;

    /// Whether it changes anything between the input and the output of the block.
    fn edits_inside(&self, layer: usize) -> bool;
}

/// Sees what goes through the blocks, where nothing is recorded.
pub trait Watch {
    /// The keys and values of the tokens that enter a block, `[entering, 2 · key_value_heads · head_dim]`, and of earlier ones.
    fn keys(&mut self, layer: usize, fresh: &Tensor, past: Option<&Tensor>) -> Result<()>;

    /// The residual stream at a point, after its edits, `[tokens, hidden]`.
    fn stream(&mut self, _point: usize, _states: &Tensor) -> Result<()> {
        Ok(())
    }
}

/// Changes nothing: the untouched model.
pub struct NoEdits;

impl BlockHook for NoEdits {
    fn edit(&self, _: usize, _: At, values: Tensor) -> Result<Tensor> {
        Ok(values)
    }

    fn edits_inside(&self, _: usize) -> bool {
        false
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
    interrupt: Interrupt,
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
            if weights.interrupt.is_set() {
                return Err(Box::new(Diagnostic::new(Code::EngineFailed, "the loading of the model was interrupted")));
            }
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
            interrupt: weights.interrupt,
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

    /// Runs a pass: the residual stream at its last point (before the final norm), `[tokens, hidden]` packed, and what `hook` does to
    /// it on the way.
    ///
    /// Blocks are recorded for a backward pass from where the stream first depends on a parameter. With a `watch` nothing is recorded.
    pub fn run(&self, pass: &Pass, hook: &dyn BlockHook, mut watch: Option<&mut dyn Watch>) -> Result<Tensor> {
        let layers = self.blocks.len();
        if pass.stages.len() != layers || pass.joins.len() != layers + 1 || pass.past.len() != layers {
            bail!("a pass over {} layers cannot run in a decoder of {layers}", pass.stages.len());
        }
        let mut stream: Option<Tensor> = None;
        for point in 0..=layers {
            self.interrupt.check()?;
            stream = self.join(pass.joins[point].as_ref(), stream)?;
            if let Some(mut hidden) = stream {
                if point > 0 {
                    hidden = hook.edit(point - 1, At::BlockOutput, hidden)?;
                }
                if point < layers {
                    hidden = hook.edit(point, At::BlockInput, hidden)?;
                }
                if let Some(watch) = &mut watch {
                    hidden = hidden.detach();
                    watch.stream(point, &hidden)?;
                }
                stream = Some(hidden);
            }
            if point < layers {
                stream = match (stream, &pass.stages[point]) {
                    (Some(hidden), Some(stage)) => {
                        let (block, past) = (self.blocks[point].clone(), pass.past[point].clone());
                        let (stage, recompute, interrupt) = (stage.clone(), pass.recompute, self.interrupt);
                        let block = BlockPass { block, stage, past, recompute, interrupt };
                        self.block(point, block, &hidden, hook, &mut watch)?
                    }
                    // Nobody needs it any more.
                    (_, None) => None,
                    (None, Some(_)) => bail!("no stream enters block {point}, whose tokens wait for it"),
                };
            }
        }
        match stream {
            Some(hidden) => Ok(hidden),
            None => Tensor::zeros((0, self.config.hidden_size), self.dtype, &self.device),
        }
    }

    /// One block, with the edits inside it: what leaves it, before the edits of its output.
    fn block(
        &self,
        layer: usize,
        pass: BlockPass,
        hidden: &Tensor,
        hook: &dyn BlockHook,
        watch: &mut Option<&mut dyn Watch>,
    ) -> Result<Option<Tensor>> {
        let rotated = match watch {
            Some(watch) => {
                let rotated = pass.block.rotated(hidden, &pass.stage)?;
                watch.keys(layer, &pass.block.attention.keys_and_values(&rotated)?, pass.past.as_ref())?;
                Some(rotated)
            }
            None => None,
        };
        if let Leaving::Nobody = pass.stage.leaving {
            return Ok(None);
        }
        if !hook.edits_inside(layer) {
            return match rotated {
                Some(rotated) => pass.finish(hidden, &rotated),
                None => frozen::apply(pass, hidden),
            }
            .map(Some);
        }
        let (block, stage, recompute) = (pass.block.clone(), pass.stage.clone(), pass.recompute);
        let mixed = match rotated {
            Some(rotated) => pass.attention_output(&rotated)?,
            None => frozen::apply(AttentionPass(pass), hidden)?,
        };
        let mixed = hook.edit(layer, At::AttentionOutput, mixed)?;
        let middle = (stage.leaving.pick(hidden)? + mixed)?;
        let added = frozen::apply(FeedForwardPass { block, recompute, interrupt: self.interrupt }, &middle)?;
        (middle + hook.edit(layer, At::MlpOutput, added)?).map(Some)
    }

    /// The stream at a point, from what leaves the block before and the constants that join.
    fn join(&self, join: Option<&Join>, stream: Option<Tensor>) -> Result<Option<Tensor>> {
        let Some(Join { constants, order }) = join else { return Ok(stream) };
        let constants = match constants {
            Some(Constants::Embeddings(tokens)) => Some(self.embeddings.index_select(tokens, 0)?),
            Some(Constants::States(states)) => Some(states.clone()),
            None => None,
        };
        let all = match (stream, constants) {
            (Some(stream), Some(constants)) => Tensor::cat(&[stream, constants], 0)?,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return Ok(None),
        };
        match order {
            Some(order) if order.is_empty() => Ok(None),
            Some(order) => order.take(&all).map(Some),
            None => Ok(Some(all)),
        }
    }

    /// What a block does on tokens at these positions of their rows, packed, where `past` lines of earlier keys lie beside.
    pub fn stage(&self, branches: Vec<Branch>, positions: &[usize], past: usize, leaving: Leaving) -> Result<Stage> {
        let rows = Rows::new(branches, positions.len(), past, self.config.sliding_window, self.dtype, &self.device)?;
        let angles = self.rotary.angles(positions, self.dtype, &self.device)?;
        Ok(Stage { rows, angles, leaving, apart: Vec::new() })
    }

    /// A pass in which every token of these rows goes through every block.
    ///
    /// # Errors
    /// Where there is no row, or one without tokens.
    pub fn whole_pass<R: AsRef<[u32]>>(&self, rows: &[R]) -> Result<Pass> {
        let (mut tokens, mut positions, mut branches) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows.iter().map(AsRef::as_ref) {
            let run = Run { source: Source::Fresh, start: tokens.len(), length: row.len(), position: 0 };
            tokens.extend_from_slice(row);
            positions.extend(0..row.len());
            branches.push(Branch { queries: vec![run], keys: vec![run] });
        }
        if branches.is_empty() || branches.iter().any(|branch| branch.asking() == 0) {
            bail!("a forward pass needs at least one row, and one token in each");
        }
        let stage = Arc::new(self.stage(branches, &positions, 0, Leaving::All)?);
        let count = tokens.len();
        let tokens = Tensor::from_vec(tokens, count, &self.device)?;
        Ok(self.uniform_pass(stage, tokens, vec![None; self.blocks.len()]))
    }

    /// One new token for each row of a cache, in its order.
    pub fn decoding_pass(&self, tokens: &[u32], cache: &Cache) -> Result<Pass> {
        let positions = cache.lengths();
        if tokens.len() != positions.len() {
            bail!("{} new tokens for a cache of {} rows", tokens.len(), positions.len());
        }
        let lines = cache.tables().first().map_or(Ok(0), |table| table.dim(0))?;
        let stage = Arc::new(self.stage(cache.branches(), &positions, lines, Leaving::All)?);
        let tokens = Tensor::from_slice(tokens, tokens.len(), &self.device)?;
        Ok(self.uniform_pass(stage, tokens, cache.tables().iter().cloned().map(Some).collect()))
    }

    fn uniform_pass(&self, stage: Arc<Stage>, tokens: Tensor, past: Vec<Option<Tensor>>) -> Pass {
        let mut joins: Vec<Option<Join>> = (0..=self.blocks.len()).map(|_| None).collect();
        joins[0] = Some(Join { constants: Some(Constants::Embeddings(tokens)), order: None });
        Pass { stages: vec![Some(stage); self.blocks.len()], joins, past, recompute: false }
    }

    /// The numbers of a line of keys and values: keys of all heads, then values.
    pub fn key_width(&self) -> usize {
        2 * self.config.key_value_heads * self.config.head_dim
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
}
