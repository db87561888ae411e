//! The tree of stage hashes: over what decides a stage, and nothing else.
//!
//! Not in it: comments, layout, names, documentation, paths, devices, how many rows an evaluation takes at a time, and whether
//! activations are computed again in the backward pass.

use super::{Hashes, Outputs};
use crate::check::spec::{CheckedSplit, Eval, Experiment, Keep, When};
use crate::data::metric::Metric;
use crate::data::positions::Segment;
use crate::digest;
use crate::intervention::saved::Start;
use crate::intervention::{At, Intervention};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// The version of our numerics; a change that moves results moves this number, and old runs are then done anew.
pub const NUMERICS: u32 = 2;

/// The hashes of an experiment's stages.
pub(super) fn hashes(experiment: &Experiment) -> Hashes {
    let train = &experiment.train;
    let tokens = all_tokens(experiment, &train.splits);
    let interventions = edits(&experiment.interventions);
    // Names of blocks are in no hash.
    let place_of = |start: &Start| experiment.interventions.iter().position(|block| block.name == start.intervention);
    let trained = (
        &tokens,
        (&experiment.model.digests.weights, experiment.model.precision),
        (experiment.seed, interventions),
        (train.epochs, train.batch, train.accumulate, train.learning_rate),
        (train.schedule, train.warmup, train.optimizer, train.clip),
    );
    let training = match &train.keep {
        Keep::Last => stage("training", &trained),
        Keep::Best { eval, patience, .. } => {
            // What the choice depends on, but not the name of the eval that makes it.
            let chooses = experiment.evals.iter().find(|other| other.name == *eval);
            stage("kept", &(trained, patience, chooses.map(|eval| self::eval(experiment, eval, ""))))
        }
    };
    let starts: Vec<_> = experiment.starts.iter().map(|start| (place_of(start), &start.block, &start.digest)).collect();
    let training = if starts.is_empty() { training } else { stage("started", &(training, &starts)) };
    let evals = experiment.evals.iter().map(|eval| (eval.name.clone(), self::eval(experiment, eval, &training)));
    let outputs = experiment.evals.iter().filter(|eval| generates(eval));
    let outputs = outputs.map(|eval| (eval.name.clone(), self::outputs(experiment, eval, &training)));
    Hashes {
        evals: evals.collect(),
        outputs: outputs.collect(),
        provisional: experiment.model.digests.provisional,
        course: course(experiment, &tokens, &starts),
        tokens,
        training,
    }
}

/// What a longer training must have in common with a shorter one to go on where that ended. What is measured along the way is in it, for
/// the record of a training tells of it.
fn course(experiment: &Experiment, tokens: &str, starts: &impl Serialize) -> String {
    let train = &experiment.train;
    let along = experiment.evals.iter().filter(|eval| eval.when != When::End);
    let along: Vec<(&str, String)> = along.map(|eval| (eval.name.as_str(), self::eval(experiment, eval, ""))).collect();
    let kept = match &train.keep {
        Keep::Last => None,
        Keep::Best { eval, patience, .. } => Some((eval, patience)),
    };
    stage(
        "course",
        &(
            (tokens, &experiment.model.digests.weights, experiment.model.precision),
            (experiment.seed, edits(&experiment.interventions), starts),
            (train.batch, train.accumulate, train.learning_rate, train.optimizer, train.clip),
            (kept, along),
        ),
    )
}

fn generates(eval: &Eval) -> bool {
    eval.choices.is_none() && eval.metric != Metric::Perplexity
}

fn outputs(experiment: &Experiment, eval: &Eval, training: &str) -> Outputs {
    let tokens = tokens(experiment, &eval.split);
    let untouched = (&experiment.model.digests.weights, experiment.model.precision);
    Outputs {
        tuned: stage("outputs", &(training, &tokens, eval.max_tokens)),
        untouched: stage("untouched outputs", &(untouched, &tokens, eval.max_tokens)),
    }
}

/// Where units act one after another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    layer: usize,
    at: At,
}

impl Serialize for Place {
    /// `3`, or `3.attention_output`: the usual place has no word, as in hashes from before there were others.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.at {
            At::BlockOutput => serializer.collect_str(&self.layer),
            at => serializer.collect_str(&format_args!("{}.{}", self.layer, at.name())),
        }
    }
}

/// What is done at each place, in its order: blocks, split into what has parameters of its own.
///
/// Blocks at different places may be written in any order without a change of any number, as randomness is keyed by the place
/// and the number of the unit there. Segments that share parameters are a set.
fn edits(blocks: &[Intervention]) -> BTreeMap<Place, Vec<impl Serialize + '_>> {
    let mut places: BTreeMap<Place, Vec<_>> = BTreeMap::new();
    for block in blocks {
        let groups: Vec<Vec<String>> = match block.tied {
            true => vec![BTreeSet::from_iter(block.segments.iter().map(Segment::to_string)).into_iter().collect()],
            false => block.segments.iter().map(|segment| vec![segment.to_string()]).collect(),
        };
        for &layer in &block.layers {
            let edits = places.entry(Place { layer, at: block.at }).or_default();
            edits.extend(groups.iter().map(|segments| {
                let block = (block.kind, block.rank, block.dropout, block.activation, block.bias);
                (segments.clone(), block)
            }));
        }
    }
    places
}

/// Of one split its own hash, of several that of theirs in their order.
fn all_tokens(experiment: &Experiment, splits: &[CheckedSplit]) -> String {
    match splits {
        [only] => tokens(experiment, only),
        several => stage("several", &several.iter().map(|split| tokens(experiment, split)).collect::<Vec<_>>()),
    }
}

fn tokens(experiment: &Experiment, split: &CheckedSplit) -> String {
    let CheckedSplit { split, digest, .. } = split;
    stage(
        "tokens",
        &(
            (&experiment.model.digests.tokenizer, digest),
            (&split.source.format, &split.source.steps, &split.prompt, &split.target),
            (split.eos, split.overlong, split.max_length),
        ),
    )
}

fn eval(experiment: &Experiment, eval: &Eval, training: &str) -> String {
    let tokens = tokens(experiment, &eval.split);
    let measured = (eval.when, eval.max_tokens, &eval.answer, &eval.gold, eval.metric, eval.baseline);
    match &eval.choices {
        None => stage("eval", &(training, tokens, measured)),
        Some(choices) => stage("choices", &(training, tokens, measured, choices)),
    }
}

fn stage(name: &str, decides: &impl Serialize) -> String {
    digest::of(digest::json(&(name, NUMERICS, decides)))
}
