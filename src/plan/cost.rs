//! Estimates of work and memory, from shapes and mean lengths.

use super::{Cost, Experiment, Precision};
use crate::check::spec::SplitFacts;
use crate::model::config::ModelConfig;

/// Bytes of one number of that precision.
pub const fn bytes_of(precision: Precision) -> u64 {
    match precision {
        Precision::F32 => 4,
        Precision::F16 | Precision::Bf16 => 2,
    }
}

/// Floating-point operations of one block for one token that attends to `context` tokens; a multiply-add is two.
pub fn block_flops(config: &ModelConfig, context: f64) -> f64 {
    let (hidden, inner) = (config.hidden_size as f64, config.intermediate_size as f64);
    let (query, key_value) =
        ((config.heads * config.head_dim) as f64, (config.key_value_heads * config.head_dim) as f64);
    let weights = 2.0 * hidden * query + 2.0 * hidden * key_value + 3.0 * hidden * inner;
    2.0 * weights + 4.0 * context * query
}

/// Numbers that one block keeps for the backward pass of one token.
fn saved_per_token(config: &ModelConfig, context: f64) -> f64 {
    let (query, key_value) =
        ((config.heads * config.head_dim) as f64, (config.key_value_heads * config.head_dim) as f64);
    let attention = 2.0 * query + 2.0 * key_value + config.heads as f64 * context;
    4.0 * config.hidden_size as f64 + attention + 3.0 * config.intermediate_size as f64
}

/// Estimates an experiment. Blocks up to the lowest edited layer run forward only; the gradient of the others is of
/// their input alone, which costs as much as their forward pass.
pub(super) fn estimate(experiment: &Experiment, facts: &SplitFacts) -> Cost {
    let config = &experiment.model.config;
    let train = &experiment.train;
    let lowest = experiment.interventions.iter().flat_map(|block| block.layers.first()).min().copied().unwrap_or(0);
    let (layers, above) = (config.layers as f64, config.layers.saturating_sub(lowest + 1) as f64);
    let context = facts.mean_tokens / 2.0;
    let supervised = (facts.mean_tokens - facts.mean_prompt).max(1.0);
    let head = 2.0 * config.hidden_size as f64 * config.vocabulary as f64;
    let row = facts.mean_tokens * block_flops(config, context) * (layers + above) + 2.0 * supervised * head;
    let bytes = bytes_of(experiment.model.precision);
    let batch_tokens = train.batch.min(train.rows.max(1)) as f64 * facts.mean_tokens;
    let saved = batch_tokens * above * saved_per_token(config, facts.mean_tokens);
    let logits = train.batch as f64 * supervised * config.vocabulary as f64;
    let optimizer = 4 * 4 * experiment.parameters.interventions;
    Cost {
        train_flops: row * train.rows as f64 * train.epochs as f64,
        weight_bytes: bytes * experiment.parameters.model,
        training_bytes: (bytes as f64 * saved + 4.0 * logits) as u64 + optimizer,
        mean_prompt: facts.mean_prompt,
        mean_tokens: facts.mean_tokens,
        longest_tokens: facts.longest_tokens,
    }
}
