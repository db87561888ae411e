//! What the parts of a decoder cost: floating-point operations, a multiply-add is two, and numbers in memory.

use crate::model::config::{ModelConfig, Precision};
use crate::plan::passes::{BlockWork, ConstantPass, Depth, Shape, Tokens, Work};
use std::ops::Range;

/// Bytes of one number of that precision.
pub const fn bytes_of(precision: Precision) -> u64 {
    match precision {
        Precision::F32 => 4,
        Precision::F16 | Precision::Bf16 => 2,
    }
}

/// The prices of one model.
#[derive(Clone, Copy, Debug)]
pub struct Price {
    pub shape: Shape,
    /// Operations of a token in a block, attention to other tokens aside; the part of its key and value.
    pub block: f64,
    pub key_value: f64,
    /// Operations of a query that looks at one key and takes in its value.
    pub pair: f64,
    /// Operations of the head on a token.
    pub head: f64,
    /// Numbers of a state, of the query of a token, of its key and value together, and of the inside of the feed-forward part.
    hidden: f64,
    query: f64,
    key_value_numbers: f64,
    inner: f64,
}

impl Price {
    /// The prices of a model of that shape.
    pub fn of(config: &ModelConfig) -> Self {
        let (hidden, inner) = (config.hidden_size as f64, config.intermediate_size as f64);
        let query = (config.heads * config.head_dim) as f64;
        let key_value_numbers = (2 * config.key_value_heads * config.head_dim) as f64;
        let weights = 2.0 * hidden * query + hidden * key_value_numbers + 3.0 * hidden * inner;
        Self {
            shape: Shape::of(config),
            block: 2.0 * weights,
            key_value: 2.0 * hidden * key_value_numbers,
            pair: 4.0 * query,
            head: 2.0 * hidden * config.vocabulary as f64,
            hidden,
            query,
            key_value_numbers,
            inner,
        }
    }

    /// The forward pass of some tokens through their work in one block.
    pub fn forward(&self, block: &BlockWork, tokens: &Tokens) -> f64 {
        let keys = block.input.or(&block.constant_keys);
        self.weights(block, tokens) + self.pair * self.pairs(block, &keys, tokens)
    }

    /// The gradient of what entered: as much for the frozen weights, twice for attention, but constant keys and values get none.
    pub fn backward(&self, block: &BlockWork, tokens: &Tokens) -> f64 {
        let keys = block.input.or(&block.constant_keys);
        let pairs = self.pairs(block, &keys, tokens) + self.pairs(block, &block.input, tokens);
        self.weights(block, tokens) + self.pair * pairs
    }

    fn weights(&self, block: &BlockWork, tokens: &Tokens) -> f64 {
        let whole = block.output.and(tokens).len();
        let keys_only = block.input.and(tokens).len() - whole;
        whole as f64 * self.block + keys_only as f64 * self.key_value
    }

    fn pairs(&self, block: &BlockWork, keys: &Tokens, tokens: &Tokens) -> f64 {
        self.shape.pairs(&block.output.and(tokens), keys) as f64
    }

    /// The pass without gradient that makes the constants of a row.
    pub fn constants(&self, pass: &ConstantPass, prompt: usize, inputs: usize) -> f64 {
        let segment = |Depth { blocks, keys }: Depth, tokens: Range<usize>| {
            let pairs = self.shape.pairs(&Tokens::from(tokens.clone()), &Tokens::from(0..tokens.end)) as f64;
            let count = tokens.len() as f64;
            blocks as f64 * (count * self.block + pairs * self.pair) + (keys - blocks) as f64 * count * self.key_value
        };
        segment(pass.prompt, 0..prompt) + segment(pass.target, prompt..inputs)
    }

    /// Numbers that are kept of the constants of a row.
    pub fn kept(&self, work: &Work, prompt: usize, inputs: usize) -> f64 {
        let segment = |tokens: Range<usize>| {
            let kept = work.kept(tokens.clone());
            let token = kept.keys.len() as f64 * self.key_value_numbers + kept.states.len() as f64 * self.hidden;
            token * tokens.len() as f64
        };
        segment(0..prompt) + segment(prompt..inputs)
    }

    /// Numbers that one block holds for the backward pass: what entered both of its halves, queries, keys and values, what came of
    /// attention, gate, up and their product; and the constant keys and values.
    pub fn saved(&self, block: &BlockWork) -> f64 {
        let whole = 4.0 * self.hidden + 2.0 * self.query + self.key_value_numbers + 3.0 * self.inner;
        let keys_only = (block.input.len() - block.output.len()) as f64 * (self.hidden + self.key_value_numbers);
        block.output.len() as f64 * whole + keys_only + block.constant_keys.len() as f64 * self.key_value_numbers
    }
}
