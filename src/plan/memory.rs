//! How much of an optimizer step goes through the model at once, and what is kept of it for the backward pass.

use super::cost::bytes_of;
use super::{Fit, Precision};
use crate::model::config::ModelConfig;

/// What a forward pass may keep for its backward pass where no budget is set, or half of what the weights take, if that is more: products
/// of large weights need more tokens to be worth reading them. It follows from no machine, so that a step is split the same way everywhere.
const KEPT: u64 = 2 << 30;

/// What a process holds beside weights and kept states: tokenizer, rows, logits of a chunk, products under way.
const ASIDE: u64 = 256 << 20;

/// A pass is never made of fewer tokens than this, where more are there.
const LEAST_TOKENS: u64 = 512;

/// Decides for a model, within a budget of the whole process in bytes; `asked` recomputes in any case. Where not even the longest
/// row (in tokens) fits with all that its backward pass needs, that is recomputed block by block.
pub fn fit(config: &ModelConfig, precision: Precision, asked: bool, budget: Option<u64>, longest: usize) -> Fit {
    let weights = bytes_of(precision) * config.parameters();
    let kept = budget.map_or(KEPT.max(weights / 2), |bytes| bytes.saturating_sub(weights + ASIDE));
    let tokens = |recompute: bool| kept / (bytes_of(precision) * numbers(config, recompute)).max(1);
    let recompute = asked || (budget.is_some() && tokens(false) < longest as u64);
    let least = if budget.is_some() { longest as u64 } else { LEAST_TOKENS };
    Fit { pass_tokens: tokens(recompute).max(least).max(1) as usize, recompute }
}

impl Fit {
    /// What a forward pass keeps for its backward pass, in bytes, where it has as many tokens as it may.
    pub fn kept_bytes(&self, config: &ModelConfig, precision: Precision) -> u64 {
        self.pass_tokens as u64 * bytes_of(precision) * numbers(config, self.recompute)
    }
}

/// Numbers that one token keeps over all layers: the inputs of both halves of a block, queries, keys and values, gate and up, and the
/// states that an edit copies; with recomputation the input and that copy.
fn numbers(config: &ModelConfig, recompute: bool) -> u64 {
    let attention = (config.heads + 2 * config.key_value_heads) * config.head_dim;
    let one = match recompute {
        true => 2 * config.hidden_size,
        false => 4 * config.hidden_size + attention + 2 * config.intermediate_size,
    };
    (one * config.layers) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::{Rope, RopeScaling};

    /// The shape of SmolLM2-135M: 538 MB in f32, 1 MB of kept states for a token.
    fn config() -> ModelConfig {
        ModelConfig {
            architecture: "llama".to_owned(),
            hidden_size: 576,
            intermediate_size: 1536,
            layers: 30,
            heads: 9,
            key_value_heads: 3,
            head_dim: 64,
            vocabulary: 49152,
            context_length: 8192,
            norm_epsilon: 1e-5,
            rope: Rope { theta: 1e5, scaling: RopeScaling::None },
            attention_bias: false,
            tied_embeddings: true,
            sliding_window: None,
            bos_token: None,
            eos_tokens: Vec::new(),
            attention_dropout: 0.0,
        }
    }

    #[test]
    fn a_budget_makes_passes_small_and_then_recomputes() {
        let fitted = |budget: Option<u64>, longest| fit(&config(), Precision::F32, false, budget, longest);
        let free = fitted(None, 60);
        assert!((2000..4000).contains(&free.pass_tokens) && !free.recompute, "{free:?}");
        assert_eq!(fitted(None, 60), fitted(None, 4000), "without a budget, rows decide nothing");
        let large =
            ModelConfig { hidden_size: 4096, intermediate_size: 11008, heads: 32, key_value_heads: 32, ..config() };
        let large = fit(&ModelConfig { head_dim: 128, ..large }, Precision::Bf16, false, None, 60);
        assert!((2000..3000).contains(&large.pass_tokens), "{large:?}");
        let tight = fitted(Some(1200 << 20), 60);
        assert!((300..700).contains(&tight.pass_tokens) && !tight.recompute, "{tight:?}");
        let long_rows = fitted(Some(1200 << 20), 1000);
        assert!(long_rows.recompute && long_rows.pass_tokens >= 1000, "{long_rows:?}");
        // A budget that nothing fits in: one row at a time.
        assert_eq!(fitted(Some(1 << 20), 60), Fit { pass_tokens: 60, recompute: true });
        assert!(fit(&config(), Precision::F32, true, None, 60).pass_tokens > free.pass_tokens);
    }
}
