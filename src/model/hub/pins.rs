//! Commits that a lock file holds branches to, so that another machine gets the same files.

use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A branch or tag of a repository, and the commit that it stood for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pin {
    /// 40 hexadecimal digits.
    pub commit: String,
    /// `org/name`
    pub repository: String,
    /// Branch, tag or commit.
    pub revision: String,
}

/// The pins that hold at present. Clones share them, for a lock is read after the places of models are known.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Of models, and of datasets, whose repositories may have the same names.
    pins: Vec<(bool, Pin)>,
    /// Pins that do not hold any more, whoever sets them, where branches without a pin are looked up anew.
    released: Option<Vec<(bool, Pin)>>,
    /// What was looked up anew.
    found: Vec<(bool, Pin)>,
}

impl Pins {
    /// From now on these hold, and no others; each says whether it is of a dataset.
    pub fn set(&self, mut pins: Vec<(bool, Pin)>) {
        let mut state = self.state();
        pins.retain(|pin| !state.released.as_ref().is_some_and(|released| released.contains(pin)));
        state.pins = pins;
    }

    /// From now on these hold no more, and branches without a pin are looked up on the hub, each once, whatever the cache remembers of them.
    pub fn look_up_anew(&self, released: Vec<(bool, Pin)>) {
        self.state().released = Some(released);
    }

    /// The commit that a revision is held to.
    pub fn commit(&self, is_data: bool, repository: &str, revision: &str) -> Option<String> {
        let state = self.state();
        let mut pins = state.found.iter().chain(&state.pins).filter(|(of_data, _)| *of_data == is_data);
        let found = pins.find(|(_, pin)| pin.repository == repository && pin.revision == revision);
        found.map(|(_, pin)| pin.commit.clone())
    }

    /// Whether what the cache remembers of branches is not to be believed.
    pub(super) fn are_looked_up_anew(&self) -> bool {
        self.state().released.is_some()
    }

    /// A branch was looked up: it is not looked up again.
    pub(super) fn looked_up(&self, is_data: bool, pin: Pin) {
        let mut state = self.state();
        if state.released.is_some() {
            state.found.push((is_data, pin));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
