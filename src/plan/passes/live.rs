//! Live: what the readers of a row's last states depend on.

use super::{Readers, Shape, Site, Tokens};

/// The states of one row that someone reads.
///
/// A token's query and feed-forward part are needed where its state is needed after the block; its key and value, where a token
/// that asks sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// At each point, the tokens whose states are needed: `layers + 1` sets. Before the last point, their keys and values are.
    pub entering: Vec<Tokens>,
    /// In each block, the tokens whose query and feed-forward part are needed.
    pub asking: Vec<Tokens>,
}

impl Live {
    /// Follows the readers downwards.
    pub fn new(shape: Shape, readers: &Readers) -> Self {
        let decoding = readers.keys_read(shape);
        let mut entering = vec![readers.head.and(&Tokens::from(0..readers.inputs))];
        for _ in 0..shape.layers {
            let asking = entering.last().map(|asking| shape.seen_by(asking)).unwrap_or_default();
            entering.push(asking.or(&decoding));
        }
        entering.reverse();
        let asking = entering[1..].to_vec();
        Self { entering, asking }
    }

    /// Everything is needed: what is taken for granted without the pass.
    pub fn everything(shape: Shape, inputs: usize) -> Self {
        let all = Tokens::from(0..inputs);
        Self { entering: vec![all.clone(); shape.layers + 1], asking: vec![all; shape.layers] }
    }

    /// Whether a reader sees what acts at the site; else its parameters get no gradient.
    pub fn sees(&self, site: &Site) -> bool {
        let needed = match site.point() {
            Some(point) => &self.entering[point],
            None => &self.asking[site.layer],
        };
        !needed.and(&site.tokens).is_empty()
    }
}

impl Readers {
    /// Of a row with a target: the tokens before each target token predict it. `inputs` are all tokens of prompt and target but
    /// the last, which is never an input.
    pub fn training(prompt: usize, inputs: usize) -> Self {
        Self { inputs, head: Tokens::from(prompt.max(1) - 1..inputs), decoding: false }
    }

    /// Of a prompt that text is generated after: its last token predicts the first new one, and every later one reads keys and
    /// values.
    pub fn decoding(prompt: usize) -> Self {
        Self { inputs: prompt, head: Tokens::from(prompt.saturating_sub(1)..prompt), decoding: true }
    }

    /// Tokens whose keys and values are read in every block after the row: those that the first new token sees.
    pub fn keys_read(&self, shape: Shape) -> Tokens {
        match self.decoding {
            true => Tokens::from(shape.first_seen(self.inputs)..self.inputs),
            false => Tokens::none(),
        }
    }
}
