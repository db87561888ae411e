//! From the checked spec to the plan: defaults written out, steps and costs counted, stages hashed.

use super::{
    Cost, Eval, Experiment, Means, Model, Parameters, Plan, Schedule, Train, TrainSplit, cost, hash, memory,
    optimizer_steps,
};
use crate::check::spec::{self, CheckedSplit, Spec, SplitFacts};
use crate::data::positions::RowTokens;

/// Lowers every experiment of a spec, to be run by these means.
pub fn lower(spec: &Spec, means: Means) -> Plan {
    let experiments = spec.experiments.iter().map(|checked| experiment(checked, means)).collect();
    Plan { experiments, sweeps: spec.sweeps.clone() }
}

fn experiment(checked: &spec::Experiment, means: Means) -> Experiment {
    let hidden = checked.model.config.hidden_size;
    let interventions = checked.interventions.iter().map(|block| block.parameter_count(hidden)).sum();
    let model = checked.model.config.parameters();
    let parameters = Parameters { interventions, model, share: interventions as f64 / model as f64 };
    let mut experiment = Experiment {
        name: checked.name.clone(),
        doc: checked.doc.clone(),
        point: checked.point.clone(),
        seed: checked.seed,
        model: Model {
            source: checked.model.source.clone(),
            weights: (!checked.model.digests.provisional).then(|| checked.model.digests.weights.clone()),
            precision: checked.model.precision,
            config: checked.model.config.clone(),
        },
        interventions: checked.interventions.clone(),
        starts: checked.starts.clone(),
        train: train(checked, means),
        evals: checked.evals.iter().map(eval).collect(),
        passes: means.passes,
        parameters,
        cost: Cost::default(),
        example: example(&checked.train.facts),
        hashes: hash::hashes(checked),
    };
    experiment.cost = cost::estimate(&experiment, &checked.train.facts);
    experiment
}

/// The row with texts whose length is nearest to the mean.
fn example(facts: &SplitFacts) -> Option<RowTokens> {
    let rows = facts.shapes.iter().map(|shape| &shape.row).filter(|row| !row.texts.is_empty());
    let far =
        |row: &RowTokens| (row.prompt as f64 - facts.mean_prompt).abs() + (row.all as f64 - facts.mean_tokens).abs();
    rows.min_by(|a, b| far(a).total_cmp(&far(b))).cloned()
}

fn train(experiment: &spec::Experiment, means: Means) -> Train {
    let (checked, model) = (&experiment.train, &experiment.model);
    let longest = checked.facts.longest_tokens;
    let split = |part: &CheckedSplit| TrainSplit { split: part.split.clone(), rows: part.facts.usable };
    let mut train = Train {
        splits: checked.splits.iter().map(split).collect(),
        epochs: checked.epochs,
        batch: checked.batch,
        accumulate: checked.accumulate,
        learning_rate: checked.learning_rate,
        schedule: Schedule { shape: checked.schedule, warmup_share: checked.warmup, warmup: 0 },
        optimizer: checked.optimizer,
        clip: checked.clip,
        keep: checked.keep.clone(),
        fit: memory::fit(&model.config, model.precision, checked.recompute, means.memory_budget, longest),
        steps: 0,
        rows: 0,
    };
    train.count_steps(checked.facts.usable);
    train
}

impl Train {
    /// Sets the number of rows, and what follows from it: optimizer steps and warm-up steps.
    ///
    /// The warm-up is rounded up, as `TrainingArguments.get_warmup_steps` of transformers does.
    pub fn count_steps(&mut self, rows: usize) {
        self.rows = rows;
        self.steps = optimizer_steps(rows, self.batch, self.accumulate) * self.epochs;
        self.schedule.warmup = (self.schedule.warmup_share * self.steps as f64).ceil() as usize;
    }
}

fn eval(checked: &spec::Eval) -> Eval {
    Eval {
        name: checked.name.clone(),
        split: checked.split.split.clone(),
        when: checked.when,
        max_tokens: checked.max_tokens,
        answer: checked.answer.clone(),
        gold: checked.gold.clone(),
        choices: checked.choices.clone(),
        metric: checked.metric,
        baseline: checked.baseline,
        batch: checked.batch,
        rows: checked.split.facts.rows,
    }
}
