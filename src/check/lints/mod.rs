//! What is legal and likely wrong, or worth a thought: a file for each, and [`LINTS`] is the list of them.
//!
//! A lint is asked when what it looks at is known: the rows of a split, a segment on them, an experiment with its points, the whole spec.

mod clipped_positions;
mod constant_positions;
mod dead_intervention;
mod dropped_rows;
mod missing_positions;
mod nothing_to_run;
mod overlapping_rows;
mod overlong_prompts;
mod rows_sampled;
mod selected_on_training;
mod split_token;
mod trailing_space;
mod twin_points;
mod unreached_eval;
pub mod unscorable_gold;
mod unused_name;

use super::Checker;
use super::data::{DataDeclaration, SplitSource};
use super::spec::Experiment;
use super::split::Use;
use crate::data::positions::Segment;
use crate::data::report::{Count, EncodeReport, SegmentFit};
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::syntax::tree::Ident;

/// What a lint looks at.
enum Looks {
    Rows(fn(&RowsSeen<'_>) -> Option<Diagnostic>),
    Position(fn(&PositionSeen<'_>) -> Option<Diagnostic>),
    Experiment(fn(&mut Checker<'_>, &ExperimentSeen<'_>)),
    Spec(fn(&mut Checker<'_>, &SpecSeen)),
    /// At what one pass alone has at hand, which calls it.
    There,
}

/// Every warning and advice about specs, in the order of the codes.
const LINTS: &[(Code, Looks)] = &[
    (Code::UnusedName, Looks::Spec(unused_name::look)),
    (Code::NothingToRun, Looks::Spec(nothing_to_run::look)),
    (Code::TwinPoints, Looks::Experiment(twin_points::look)),
    (Code::SelectedOnTraining, Looks::Experiment(selected_on_training::look)),
    (Code::UnreachedEval, Looks::Experiment(unreached_eval::look)),
    (Code::OverlongPrompts, Looks::Rows(overlong_prompts::look)),
    (Code::ClippedPositions, Looks::Position(clipped_positions::look)),
    (Code::DroppedRows, Looks::Rows(dropped_rows::look)),
    (Code::RowsSampled, Looks::Rows(rows_sampled::look)),
    (Code::SplitToken, Looks::Rows(split_token::look)),
    // By `eval_block`, with the data of training and evaluation.
    (Code::OverlappingRows, Looks::There),
    (Code::UnscorableGold, Looks::There),
    // By the experiment, with the layers of each block.
    (Code::DeadIntervention, Looks::There),
    (Code::MissingPositions, Looks::Position(missing_positions::look)),
    (Code::TrailingSpace, Looks::Spec(trailing_space::look)),
    (Code::ConstantPositions, Looks::Position(constant_positions::look)),
];

/// The rows of a split, used for something.
pub struct RowsSeen<'s> {
    /// `` `reviews.train` ``
    pub label: &'s str,
    pub data: &'s DataDeclaration,
    pub source: &'s SplitSource,
    pub report: &'s EncodeReport,
    pub max_length: usize,
    pub wanted: Use<'s>,
}

/// A segment on the rows of a split, of which it hits some.
pub struct PositionSeen<'s> {
    pub segment: &'s Spanned<Segment>,
    /// `` `reviews.train` ``
    pub label: &'s str,
    pub data: &'s DataDeclaration,
    pub report: &'s EncodeReport,
    pub fit: SegmentFit,
    /// Rows in which it hits nothing.
    pub empty: Count,
    pub max_length: usize,
    pub wanted: Use<'s>,
}

/// A checked experiment.
pub struct ExperimentSeen<'s> {
    pub name: &'s Ident,
    /// Its points that are free of errors; one where it has no sweep.
    pub points: &'s [Experiment],
    /// The evaluations that something is chosen by, the best point of a sweep for one, and where that is written.
    pub choices: Vec<(&'s str, Span)>,
}

/// A file after all its experiments.
pub struct SpecSeen {
    /// The whole file.
    pub file: Span,
    pub experiments: usize,
    /// Whether some of it could not be read.
    pub broken: bool,
}

impl Checker<'_> {
    pub(super) fn look_at_rows(&mut self, seen: &RowsSeen<'_>) {
        for (_, looks) in LINTS {
            if let Looks::Rows(look) = looks {
                self.sink.extend(look(seen));
            }
        }
    }

    pub(super) fn look_at_position(&mut self, seen: &PositionSeen<'_>) {
        for (_, looks) in LINTS {
            if let Looks::Position(look) = looks {
                self.sink.extend(look(seen));
            }
        }
    }

    pub(super) fn look_at_experiment(&mut self, seen: &ExperimentSeen<'_>) {
        for (_, looks) in LINTS {
            if let Looks::Experiment(look) = looks {
                look(self, seen);
            }
        }
    }

    /// Comes after all else, so that a lint can keep silent about what was told already.
    pub(super) fn look_at_spec(&mut self, seen: &SpecSeen) {
        for (_, looks) in LINTS {
            if let Looks::Spec(look) = looks {
                look(self, seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_warning_about_a_spec_is_in_the_list() {
        // What begins with W05 is about this machine.
        let about_specs: Vec<Code> = Code::lints().filter(|code| !code.as_str().starts_with("W05")).collect();
        assert_eq!(LINTS.iter().map(|(code, _)| *code).collect::<Vec<_>>(), about_specs);
    }
}
