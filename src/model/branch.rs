//! Rows as attention sees them in one block: who asks, and which keys answer.
//!
//! A row's keys may lie in several places: behind the row itself, at the shared beginning of several rows, and among keys that were
//! worked out before (constants of the row, or what decoding has seen so far).

/// Where the keys and values of a run lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Among the tokens of this pass, by packed index.
    Fresh,
    /// In the table of earlier keys and values, by line.
    Past,
}

/// Tokens that follow each other both in a row and in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub source: Source,
    /// The packed index, or line of the table, of the first token.
    pub start: usize,
    pub length: usize,
    /// The position of the first token in its row, from 0.
    pub position: usize,
}

/// One row, or the shared beginning of several rows, in one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// The tokens that ask, always fresh, by ascending position. The answers of all branches follow each other in this order.
    pub queries: Vec<Run>,
    /// The keys that the row has, by ascending position, each position at most once. A query sees those at its own position and before, as
    /// far as the window goes; its own key is always there.
    pub keys: Vec<Run>,
}

impl Run {
    /// The position behind the last token.
    pub fn end(&self) -> usize {
        self.position + self.length
    }
}

impl Branch {
    /// The number of tokens that ask.
    pub fn asking(&self) -> usize {
        self.queries.iter().map(|run| run.length).sum()
    }

    /// The number of keys.
    pub fn key_count(&self) -> usize {
        self.keys.iter().map(|run| run.length).sum()
    }
}
