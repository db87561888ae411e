//! Interventions: the registry of kinds and the trainable code between blocks.

use serde::{Deserialize, Serialize};

/// The kinds of interventions of pyreft, by the names that the reference gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Loreft,
    Noreft,
    Consreft,
    Lobireft,
    Direft,
    Nodireft,
}
