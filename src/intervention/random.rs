//! Randomness by counting: a draw depends on what it is for, never on what was drawn before.
//!
//! Regrouping rows, caching and resuming therefore change no number. Each tuple keys a ChaCha8 stream of its own.

use super::At;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a draw is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// First values of parameters.
    Start = 1,
    /// The order of rows in an epoch.
    Order = 2,
    /// Dropped coordinates.
    Dropout = 3,
}

/// The key of one stream of random numbers; a part that a purpose does not need is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The seed of the experiment.
    pub seed: u64,
    pub purpose: Purpose,
    pub epoch: usize,
    /// The number of the row in its split.
    pub row: usize,
    /// Where the intervention is, see [`site`].
    pub site: u64,
    /// A token of the row, or a parameter of the site.
    pub position: usize,
}

/// The number of the `ordinal`th unit at a place of a layer, in written order. Names of blocks are not in it: renaming changes
/// no result.
pub const fn site(layer: usize, at: At, ordinal: usize) -> u64 {
    // The usual place is 0, so that what was trained before there were others has the same numbers.
    let place = match at {
        At::BlockOutput => 0,
        At::BlockInput => 1,
        At::AttentionOutput => 2,
        At::MlpOutput => 3,
    };
    ((layer as u64) << 32) | (place << 30) | ordinal as u64
}

impl Key {
    /// The second number of the key.
    pub fn purpose_and_epoch(self) -> u64 {
        ((self.purpose as u64) << 48) | self.epoch as u64
    }

    /// The stream of this key.
    pub fn stream(self) -> ChaCha8Rng {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.purpose_and_epoch().to_le_bytes());
        bytes[16..24].copy_from_slice(&(self.row as u64).to_le_bytes());
        bytes[24..].copy_from_slice(&self.site.to_le_bytes());
        let mut stream = ChaCha8Rng::from_seed(bytes);
        stream.set_stream(self.position as u64);
        stream
    }
}

/// The order of rows `0..rows` in an epoch, each order as likely as any other.
pub fn row_order(rows: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let draw = |row| Key { seed, purpose: Purpose::Order, epoch, row, site: 0, position: 0 }.stream().next_u64();
    let mut drawn: Vec<(u64, usize)> = (0..rows).map(|row| (draw(row), row)).collect();
    drawn.sort_unstable();
    drawn.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_key_matters() {
        let key = Key { seed: 1, purpose: Purpose::Start, epoch: 0, row: 0, site: 0, position: 0 };
        let mut draws: Vec<u64> = [
            key,
            Key { seed: 2, ..key },
            Key { purpose: Purpose::Order, ..key },
            Key { epoch: 1, ..key },
            Key { row: 1, ..key },
            Key { site: site(1, At::BlockOutput, 0), ..key },
            Key { site: site(0, At::BlockOutput, 1), ..key },
            Key { site: site(0, At::BlockInput, 0), ..key },
            Key { site: site(0, At::AttentionOutput, 0), ..key },
            Key { site: site(0, At::MlpOutput, 0), ..key },
            Key { position: 1, ..key },
        ]
        .map(|key| key.stream().next_u64())
        .to_vec();
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 11);
    }

    #[test]
    fn an_order_has_every_row_and_differs_between_epochs() {
        let (first, second) = (row_order(100, 42, 0), row_order(100, 42, 1));
        assert_ne!(first, second);
        assert_eq!(first, row_order(100, 42, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }
}
