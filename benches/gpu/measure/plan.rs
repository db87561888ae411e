//! The plan of a workload, as `reftc plan` makes it of a spec: how steps are fitted into memory, and what they cost.

use super::shapes::Shape;
use super::workloads::Workload;
use reftc::check::spec::{self, CheckedSplit, Keep, Spec, SplitFacts};
use reftc::data::encode::EncodedRow;
use reftc::data::positions::RowTokens;
use reftc::data::report::RowShape;
use reftc::data::source::{Format, Source};
use reftc::data::template::Template;
use reftc::model::config::{ModelConfig, ModelSource, Precision};
use reftc::model::known::ModelDigests;
use reftc::plan::passes::Passes;
use reftc::plan::{Experiment, Means, Optimizer, Overlong, ScheduleShape, Split, lower};
use reftc::source::{FileId, Span};
use std::collections::BTreeMap;

/// What a spec would say of a workload on a shape.
pub struct Written<'a> {
    pub shape: &'a Shape,
    pub workload: &'a Workload,
    pub precision: Precision,
    pub batch: usize,
    pub seed: u64,
}

impl Written<'_> {
    /// The plan over these rows.
    pub fn plan(&self, rows: &[EncodedRow], passes: Passes, memory_budget: Option<u64>) -> Experiment {
        self.lowered(rows.iter(), self.workload.epochs, passes, memory_budget)
    }

    /// The floating-point operations of steps over these rows, in their order: constants are computed when a row comes first, and again only
    /// where they are not kept.
    pub fn flops(&self, rows: &[EncodedRow], taken: &[usize], passes: Passes) -> f64 {
        let cost = |count: usize| self.lowered(taken[..count].iter().map(|&row| &rows[row]), 1, passes, None).cost;
        let all = cost(taken.len());
        let first = cost(taken.len().min(rows.len()));
        let constant = if passes.hoist { first.constant_flops } else { all.constant_flops };
        all.planned_flops - all.constant_flops + constant
    }

    fn lowered<'r>(
        &self,
        rows: impl Iterator<Item = &'r EncodedRow>,
        epochs: usize,
        passes: Passes,
        memory_budget: Option<u64>,
    ) -> Experiment {
        let facts = facts(rows);
        let span = Span::new(FileId(0), 0, 0);
        let layers = self.shape.config.layers;
        let train = spec::Train {
            span,
            splits: vec![CheckedSplit { split: split(), digest: String::new(), facts: facts.clone() }],
            facts,
            epochs,
            batch: self.batch,
            accumulate: 1,
            learning_rate: self.workload.rate,
            schedule: ScheduleShape::Linear,
            warmup: 0.1,
            optimizer: Optimizer { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 },
            clip: Some(1.0),
            recompute: false,
            keep: Keep::Last,
        };
        let model = spec::Model {
            source: ModelSource::Embedded(self.shape.name.to_owned()),
            precision: self.precision,
            config: self.shape.config.clone(),
            digests: ModelDigests { tokenizer: String::new(), weights: self.shape.name.to_owned(), provisional: false },
        };
        let experiment = spec::Experiment {
            name: self.workload.name.to_owned(),
            doc: String::new(),
            span,
            seed: self.seed,
            model,
            interventions: vec![self.workload.block(layers)],
            starts: Vec::new(),
            train,
            evals: Vec::new(),
            point: Vec::new(),
            expectations: Vec::new(),
            origins: Vec::new(),
        };
        let mut plan =
            lower(&Spec { experiments: vec![experiment], ..Spec::default() }, Means { passes, memory_budget });
        plan.experiments.swap_remove(0)
    }
}

/// Bytes of the frozen weights.
pub fn weight_bytes(config: &ModelConfig, precision: Precision) -> u64 {
    config.parameters() * precision.dtype().size_in_bytes() as u64
}

fn facts<'r>(rows: impl Iterator<Item = &'r EncodedRow>) -> SplitFacts {
    let mut lengths: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for row in rows {
        *lengths.entry((row.prompt_tokens, row.ids.len())).or_default() += 1;
    }
    let shape = |(&(prompt, tokens), &rows)| RowShape { row: RowTokens::new(prompt, tokens), rows };
    let shapes: Vec<RowShape> = lengths.iter().map(shape).collect();
    let count: usize = shapes.iter().map(|shape| shape.rows).sum();
    let mean = |length: fn(&RowShape) -> usize| {
        shapes.iter().map(|shape| (length(shape) * shape.rows) as f64).sum::<f64>() / count.max(1) as f64
    };
    SplitFacts {
        rows: count,
        usable: count,
        mean_prompt: mean(|shape| shape.row.prompt),
        mean_tokens: mean(|shape| shape.row.all),
        longest_tokens: shapes.iter().map(|shape| shape.row.all).max().unwrap_or(0),
        shapes,
        // Random tokens have nothing in common.
        shared_start: 0,
    }
}

/// Rows are made in memory: nothing reads this.
fn split() -> Split {
    Split {
        source: Source::file("rows.json", Format::Json),
        prompt: Template::Text(Vec::new()),
        target: Template::Text(Vec::new()),
        eos: true,
        overlong: Overlong::CutRight,
        max_length: 512,
    }
}
