//! How many bytes may be kept.

use crate::store::environment::{available_memory, free_space};
use std::path::Path;

/// Taken where the machine does not say how much memory is free.
const UNKNOWN: u64 = 1 << 30;

/// The bytes of all records together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Budget {
    /// A quarter of the memory that is free, since files that are read again and again are held there by the system, and at most a
    /// quarter of the disk space that is free or held by the cache.
    #[default]
    Automatic,
    /// So many.
    Bytes(u64),
}

impl Budget {
    /// Nothing is kept.
    pub const OFF: Self = Self::Bytes(0);

    /// The number of bytes, for a folder that holds `held` bytes already.
    pub(super) fn bytes(self, folder: Option<&Path>, held: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Automatic => quarters(available_memory(), folder.and_then(free_space), held),
        }
    }
}

fn quarters(memory: Option<u64>, disk: Option<u64>, held: u64) -> u64 {
    let memory = memory.map_or(UNKNOWN, |bytes| bytes / 4);
    disk.map_or(memory, |free| memory.min(free.saturating_add(held) / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_what_is_free() {
        assert_eq!(quarters(Some(16 << 30), None, 0), 4 << 30);
        assert_eq!(quarters(Some(16 << 30), Some(6 << 30), 0), 3 << 29);
        assert_eq!(quarters(Some(16 << 30), Some(6 << 30), 2 << 30), 2 << 30, "what the cache holds shrinks it not");
        assert_eq!(quarters(None, Some(64 << 30), 0), UNKNOWN);
        assert_eq!(quarters(None, Some(0), 0), 0, "a full disk turns it off");
        assert_eq!(Budget::Bytes(5).bytes(None, 9), 5);
        assert!(Budget::Automatic.bytes(Some(&std::env::temp_dir()), 0) > 0);
    }
}
