//! Runs compared with the first of them: settings, scores, tests on the same rows, and the rows that flipped.

use super::record::Record;
use super::rows::{EvalRow, Pairs};
use super::sides::Side;
use crate::data::metric::{Metric, perplexity};
use crate::difference::{Varying, varying};
use crate::plan::Field;
use crate::report::sweep::mean_and_deviation;
use crate::statistics::flips::sign_flip;
use crate::statistics::resampling::bootstrap;
use crate::statistics::seeds::paired_t;
use crate::statistics::shares::Verdicts;
use crate::statistics::{Interval, holm};
use crate::store::result::EvalRecord;
use serde::Serialize;

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub sides: Vec<Compared>,
    /// The fields in which they differ, seeds of several runs aside.
    pub fields: Vec<Varying>,
    pub evals: Vec<EvalComparison>,
}

/// A side, and its runs.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    pub label: String,
    pub runs: Vec<String>,
    pub seeds: Vec<Option<u64>>,
}

/// One eval of all sides.
#[derive(Clone, Debug, Serialize)]
pub struct EvalComparison {
    pub eval: String,
    pub metric: Metric,
    /// One for each side; `None` where a side has not measured it.
    pub scores: Vec<Option<Score>>,
    /// One for each side that is compared with the first; none where the first has not measured it.
    pub contrasts: Vec<Contrast>,
}

/// The scores of a side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    pub mean: f64,
    /// Over seeds, for two or more.
    pub deviation: Option<f64>,
    pub values: Vec<f64>,
}

/// A side less the first.
#[derive(Clone, Debug, Serialize)]
pub struct Contrast {
    /// The number of the side.
    pub side: usize,
    /// Of scores: over the pairs that are tested, else of the means.
    pub difference: f64,
    /// 95 %.
    pub interval: Option<Interval>,
    pub test: Test,
    pub p: Option<f64>,
    /// Corrected for all tests of the comparison, where more than two sides are compared.
    pub corrected: Option<f64>,
    /// Pairs of runs with the same seed.
    pub runs: usize,
    /// Pairs of rows with the same prompt and the same gold, over all pairs of runs.
    pub rows: usize,
    /// Rows without a partner.
    pub unpaired: usize,
    /// Wrong in the first and right here, over all pairs of runs.
    pub improved: usize,
    /// Right in the first and wrong here.
    pub worsened: usize,
    /// The first of them.
    pub flips: Vec<Flip>,
}

/// Which test was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum Test {
    /// Exact, on right and wrong rows.
    Mcnemar,
    /// Sign flips of the losses of rows, with a bootstrap interval.
    SignFlip,
    /// Over seeds.
    PairedT,
    None {
        why: String,
    },
}

/// A row that is right on one side and wrong on the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flip {
    pub row: usize,
    pub seed: Option<u64>,
    pub improved: bool,
    pub prompt: String,
    pub gold: String,
    /// What the first gave, and what this side gave.
    pub outputs: [String; 2],
}

impl Comparison {
    /// Compares all sides with the first: all evals or one, with up to `shown` flipped rows for each direction.
    pub fn of(sides: &[Side], eval: Option<&str>, shown: usize) -> Self {
        let compared = |side: &Side| Compared {
            label: side.label.clone(),
            runs: side.members.iter().map(Record::name).collect(),
            seeds: side.members.iter().map(|record| record.plan.seed).collect(),
        };
        let names = evals(sides).into_iter().filter(|name| eval.is_none_or(|eval| eval == *name));
        let evals = names.filter_map(|name| EvalComparison::of(sides, name, shown)).collect();
        let mut comparison = Self { sides: sides.iter().map(compared).collect(), fields: fields(sides), evals };
        if sides.len() > 2 {
            comparison.correct();
        }
        comparison
    }

    /// How many tests were made.
    pub fn tests(&self) -> usize {
        self.evals.iter().flat_map(|eval| &eval.contrasts).filter(|contrast| contrast.p.is_some()).count()
    }

    fn correct(&mut self) {
        let mut contrasts: Vec<&mut Contrast> = self.evals.iter_mut().flat_map(|eval| &mut eval.contrasts).collect();
        contrasts.retain(|contrast| contrast.p.is_some());
        let values: Vec<f64> = contrasts.iter().filter_map(|contrast| contrast.p).collect();
        for (contrast, corrected) in contrasts.into_iter().zip(holm(&values)) {
            contrast.corrected = Some(corrected);
        }
    }
}

/// The names of the evals of all sides, in the order of the first that has each.
pub fn evals(sides: &[Side]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for eval in sides.iter().flat_map(|side| &side.members).flat_map(Record::evals) {
        if !names.contains(&eval.name.as_str()) {
            names.push(&eval.name);
        }
    }
    names
}

/// The fields in which the first runs of the sides differ. Promises decide nothing, and over several seeds the seed does not either.
fn fields(sides: &[Side]) -> Vec<Varying> {
    let first: Vec<&[Field]> =
        sides.iter().filter_map(Side::first).map(|record| record.plan.fields.as_slice()).collect();
    let over_seeds = sides.iter().any(|side| side.members.len() > 1);
    let told = |path: &str| !(path.starts_with("expect.") || over_seeds && path == "seed");
    varying(&first).into_iter().filter(|varying| told(&varying.path)).collect()
}

impl EvalComparison {
    fn of(sides: &[Side], eval: &str, shown: usize) -> Option<Self> {
        let all = sides.iter().flat_map(|side| &side.members);
        let metric = all.flat_map(Record::evals).find(|record| record.name == eval)?.metric;
        let measured: Vec<Vec<Measured<'_>>> = sides.iter().map(|side| measured(side, eval, metric)).collect();
        let score = |measured: &Vec<Measured<'_>>| {
            let values: Vec<f64> = measured.iter().map(|(_, eval)| eval.tuned).collect();
            mean_and_deviation(&values).map(|(mean, deviation)| Score { mean, deviation, values })
        };
        let scores = measured.iter().map(score).collect();
        let (first, others) = measured.split_first()?;
        let compared = others.iter().enumerate().filter(|(_, other)| !first.is_empty() && !other.is_empty());
        let contrasts = compared.map(|(at, other)| contrast(at + 1, first, other, metric, shown)).collect();
        Some(Self { eval: eval.to_owned(), metric, scores, contrasts })
    }
}

/// A run and its record of the eval.
type Measured<'s> = (&'s Record, &'s EvalRecord);

fn measured<'s>(side: &'s Side, eval: &str, metric: Metric) -> Vec<Measured<'s>> {
    let own = |record: &'s Record| {
        let eval = record.evals().find(|own| own.name == eval && own.metric == metric)?;
        Some((record, eval))
    };
    side.members.iter().filter_map(own).collect()
}

fn contrast(side: usize, first: &[Measured<'_>], other: &[Measured<'_>], metric: Metric, shown: usize) -> Contrast {
    let runs = run_pairs(first, other);
    let rows: Vec<Pairs> = runs
        .iter()
        .map(|((left, eval), (right, _))| Pairs::of(left.rows(&eval.name), right.rows(&eval.name)))
        .collect();
    let mean = |measured: &[Measured<'_>]| {
        measured.iter().map(|(_, eval)| eval.tuned).sum::<f64>() / measured.len().max(1) as f64
    };
    let mut contrast = Contrast {
        side,
        difference: mean(other) - mean(first),
        interval: None,
        test: Test::None { why: String::new() },
        p: None,
        corrected: None,
        runs: runs.len(),
        rows: rows.iter().map(|pairs| pairs.pairs.len()).sum(),
        unpaired: rows.iter().map(|pairs| pairs.unpaired).sum(),
        improved: 0,
        worsened: 0,
        flips: Vec::new(),
    };
    if metric.compares_answers() {
        for (pairs, ((left, _), _)) in rows.iter().zip(&runs) {
            contrast.count_flips(pairs, left.plan.seed, shown);
        }
    }
    match (runs.as_slice(), rows.as_slice()) {
        ([], _) => contrast.test = Test::None { why: "no seed is on both sides".to_owned() },
        ([_], [pairs]) => contrast.test_rows(&pairs.pairs, metric),
        _ => {
            let differences: Vec<f64> = runs.iter().map(|((_, left), (_, right))| right.tuned - left.tuned).collect();
            contrast.test_seeds(&differences);
        }
    }
    contrast
}

/// Runs with the same seed; two that stand alone whatever their seeds.
fn run_pairs<'s>(first: &[Measured<'s>], other: &[Measured<'s>]) -> Vec<(Measured<'s>, Measured<'s>)> {
    if let ([left], [right]) = (first, other) {
        return vec![(*left, *right)];
    }
    let partner = |left: &Measured<'s>| {
        let same = |right: &&Measured<'s>| left.0.plan.seed.is_some() && right.0.plan.seed == left.0.plan.seed;
        Some((*left, *other.iter().find(same)?))
    };
    first.iter().filter_map(partner).collect()
}

impl Contrast {
    fn count_flips(&mut self, pairs: &Pairs, seed: Option<u64>, shown: usize) {
        let flipped = pairs.pairs.iter().filter(|(left, right)| left.correct != right.correct);
        for (left, right) in flipped {
            let improved = right.correct;
            let count = if improved { &mut self.improved } else { &mut self.worsened };
            *count += 1;
            if *count <= shown {
                let outputs = [left.output.clone(), right.output.clone()];
                let (prompt, gold) = (right.prompt.clone(), right.gold.clone());
                self.flips.push(Flip { row: right.row, seed, improved, prompt, gold, outputs });
            }
        }
    }

    fn test_rows(&mut self, pairs: &[(EvalRow, EvalRow)], metric: Metric) {
        if pairs.is_empty() {
            self.test = Test::None { why: "they have no row in common".to_owned() };
        } else if metric.compares_answers() {
            let verdicts = Verdicts { pairs: pairs.len(), improved: self.improved, worsened: self.worsened };
            self.test = Test::Mcnemar;
            self.difference = verdicts.difference();
            self.interval = verdicts.interval();
            self.p = Some(verdicts.mcnemar());
        } else {
            self.test_losses(pairs);
        }
    }

    fn test_losses(&mut self, pairs: &[(EvalRow, EvalRow)]) {
        let losses: Option<Vec<_>> = pairs.iter().map(|(left, right)| left.loss.zip(right.loss)).collect();
        let Some(losses) = losses else {
            self.test = Test::None { why: "the losses of their rows are not recorded".to_owned() };
            return;
        };
        let difference = |rows: &mut dyn Iterator<Item = usize>| {
            let (mut left, mut right) = ((0.0, 0), (0.0, 0));
            for (first, second) in rows.filter_map(|row| losses.get(row)) {
                left = (left.0 + first.sum, left.1 + first.tokens);
                right = (right.0 + second.sum, right.1 + second.tokens);
            }
            perplexity(right.0, right.1) - perplexity(left.0, left.1)
        };
        self.test = Test::SignFlip;
        self.difference = difference(&mut (0..losses.len()));
        self.interval = bootstrap(losses.len(), |rows| difference(&mut rows.iter().copied()));
        self.p = Some(sign_flip(&losses.iter().map(|(left, right)| right.sum - left.sum).collect::<Vec<_>>()));
    }

    fn test_seeds(&mut self, differences: &[f64]) {
        if let Some((mean, _)) = mean_and_deviation(differences) {
            self.difference = mean;
        }
        match paired_t(differences) {
            Some(test) => {
                self.test = Test::PairedT;
                self.interval = Some(test.interval);
                self.p = Some(test.p);
            }
            None => self.test = Test::None { why: "the difference is the same for every seed".to_owned() },
        }
    }
}
