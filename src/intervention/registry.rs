//! The one registry of kinds of interventions: checker, planner, docs and engine all read it.
//!
//! The six kinds are those of pyreft (`interventions.py`), by the names that the reference gives them. They are one formula with
//! three switches, h ↦ h + (source(h) − erased(h))·D: whether D is orthonormal, whether the source sees h, and whether D·h is erased.

use serde::{Deserialize, Serialize};

/// The kinds of interventions.
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

/// All that is known about one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// As written in a spec: `intervene edit = loreft { … }`.
    pub name: &'static str,
    /// R has orthonormal rows here, as in the paper; f is the field `act`.
    pub formula: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
    /// The fields of an `intervene` block that this kind has.
    pub fields: &'static [&'static str],
    /// The edit lies in the span of an orthonormal R, not of a free matrix.
    pub orthonormal: bool,
    /// The source is f(W h + b), not only b.
    pub conditioned: bool,
    /// What h has in the edited directions is removed.
    pub erases: bool,
}

/// One trainable tensor of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The end of the tensor's name in a saved intervention.
    pub name: &'static str,
    /// `[columns]` where `rows` is 1 and the tensor is a vector, else `[rows, columns]`.
    pub rows: usize,
    pub columns: usize,
}

const ENTRIES: [Entry; 6] = [
    Entry {
        kind: Kind::Loreft,
        name: "loreft",
        formula: "h + Rᵀ(f(W h + b) − R h)",
        doc: "low-rank linear subspace edit: sets the rotated coordinates R h to a learned function of h",
        fields: &["layers", "positions", "rank", "at", "tied", "dropout", "act"],
        orthonormal: true,
        conditioned: true,
        erases: true,
    },
    Entry {
        kind: Kind::Noreft,
        name: "noreft",
        formula: "h + W₂ᵀ(f(W₁ h + b) − (W₂ h + b₂))",
        doc: "loreft with a free projection W₂ in the place of the orthonormal R",
        fields: &["layers", "positions", "rank", "at", "tied", "dropout", "act", "bias"],
        orthonormal: false,
        conditioned: true,
        erases: true,
    },
    Entry {
        kind: Kind::Consreft,
        name: "consreft",
        formula: "h + Rᵀ(b − R h)",
        doc: "sets the rotated coordinates to a learned constant",
        fields: &["layers", "positions", "rank", "at", "tied"],
        orthonormal: true,
        conditioned: false,
        erases: true,
    },
    Entry {
        kind: Kind::Lobireft,
        name: "lobireft",
        formula: "h + Rᵀb",
        doc: "adds a learned bias in the span of R",
        fields: &["layers", "positions", "rank", "at", "tied", "dropout"],
        orthonormal: true,
        conditioned: false,
        erases: false,
    },
    Entry {
        kind: Kind::Direft,
        name: "direft",
        formula: "h + Rᵀf(W h + b)",
        doc: "adds a learned function of h in the span of an orthonormal R (an ablation in the paper, not its DiReFT)",
        fields: &["layers", "positions", "rank", "at", "tied", "dropout", "act"],
        orthonormal: true,
        conditioned: true,
        erases: false,
    },
    Entry {
        kind: Kind::Nodireft,
        name: "nodireft",
        formula: "h + W₂ᵀf(W₁ h + b)",
        doc: "adds a learned function of h through a free projection: the DiReFT of the paper",
        fields: &["layers", "positions", "rank", "at", "tied", "dropout", "act", "bias"],
        orthonormal: false,
        conditioned: true,
        erases: false,
    },
];

impl Kind {
    /// Every kind, in the order of the registry.
    pub const ALL: [Kind; 6] =
        [Kind::Loreft, Kind::Noreft, Kind::Consreft, Kind::Lobireft, Kind::Direft, Kind::Nodireft];

    /// What the registry says about this kind.
    pub const fn entry(self) -> &'static Entry {
        &ENTRIES[self as usize]
    }

    /// The word that names the kind in a spec.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// Finds a kind by its word.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Entry {
    /// Whether an `intervene` block of this kind may have the field.
    pub fn has_field(&self, name: &str) -> bool {
        self.fields.contains(&name)
    }

    /// The trainable tensors of one unit, for states of `hidden` coordinates.
    ///
    /// With `bias`, W₂ has a bias b₂; in `nodireft` the reference creates it and never uses it, and it is counted here too.
    pub fn parameters(&self, hidden: usize, rank: usize, bias: bool) -> Vec<Shape> {
        let mut shapes = Vec::new();
        if self.orthonormal {
            shapes.push(Shape { name: "rotate_layer", rows: hidden, columns: rank });
        } else {
            shapes.push(Shape { name: "projection.weight", rows: rank, columns: hidden });
            if bias {
                shapes.push(Shape { name: "projection.bias", rows: 1, columns: rank });
            }
        }
        if self.conditioned {
            shapes.push(Shape { name: "weight", rows: rank, columns: hidden });
        }
        shapes.push(Shape { name: "bias", rows: 1, columns: rank });
        shapes
    }

    /// The number of trainable parameters of one unit, as the reference counts them: all of R, not its degrees of freedom.
    pub fn parameter_count(&self, hidden: usize, rank: usize, bias: bool) -> u64 {
        self.parameters(hidden, rank, bias).iter().map(|shape| (shape.rows * shape.columns) as u64).sum()
    }
}

/// The number of units, each with parameters of its own, that an `intervene` block becomes.
pub const fn unit_count(layers: usize, segments: usize, tied: bool) -> usize {
    if tied { layers } else { layers * segments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_in_the_order_of_the_kinds() {
        for kind in Kind::ALL {
            assert_eq!(kind.entry().kind, kind);
            assert_eq!(Kind::find(kind.name()), Some(kind));
        }
    }

    #[test]
    fn parameters_are_counted_as_in_the_paper() {
        let loreft = Kind::Loreft.entry();
        assert_eq!(unit_count(30, 2, false) as u64 * loreft.parameter_count(576, 4, false), 276_720);
        assert_eq!(unit_count(32, 2, true) as u64 * loreft.parameter_count(4096, 8, false), 2_097_408);
        assert_eq!(unit_count(4, 2, false) as u64 * loreft.parameter_count(4096, 4, false), 262_176);
        assert_eq!(unit_count(1, 1, false) as u64 * loreft.parameter_count(4096, 4, false), 32_772);
        assert_eq!(Kind::Nodireft.entry().parameter_count(4096, 4, false), 32_772);
        assert_eq!(Kind::Noreft.entry().parameter_count(32, 4, true), 2 * 32 * 4 + 8);
        assert_eq!(Kind::Consreft.entry().parameter_count(32, 4, false), 32 * 4 + 4);
    }
}
