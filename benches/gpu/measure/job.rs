//! What a peer needs to take the same steps: shapes, places and lengths, as JSON.

use super::shapes::Shape;
use super::workloads::Workload;
use candle_core::{Error, Result};
use reftc::data::encode::EncodedRow;
use reftc::data::positions::Segment;
use reftc::execute::batch::Steps;
use reftc::model::config::RopeScaling;
use reftc::plan::Experiment;
use serde_json::json;
use std::path::Path;

/// Writes the job of `peer.py`. Rows are given by their lengths, `[prompt, prompt and target]`, step by step in the order of one epoch.
pub fn write(
    path: &Path,
    shape: &Shape,
    workload: &Workload,
    plan: &Experiment,
    rows: &[EncodedRow],
    seconds: f64,
) -> Result<()> {
    let config = &shape.config;
    let steps = Steps::of(&plan.train, rows.len());
    let step = |step| {
        let rows = steps.batches(step, plan.seed).concat().into_iter().map(|row| &rows[row]);
        rows.map(|row| [row.prompt_tokens, row.ids.len()]).collect::<Vec<_>>()
    };
    // The recipes name no others.
    let segment = |segment: &Segment| match *segment {
        Segment::First(count) => ("first", count),
        Segment::Last(count) => ("last", count),
        _ => ("all", 0),
    };
    let job = json!({
        "shape": shape.name,
        "workload": workload.name,
        "config": {
            "layers": config.layers,
            "hidden": config.hidden_size,
            "inner": config.intermediate_size,
            "heads": config.heads,
            "key_value_heads": config.key_value_heads,
            "head_dim": config.head_dim,
            "vocabulary": config.vocabulary,
            "epsilon": config.norm_epsilon,
            "theta": config.rope.theta,
            "scaled_rope": config.rope.scaling != RopeScaling::None,
            "tied": config.tied_embeddings,
        },
        "precision": plan.model.precision,
        "layers": workload.layers(config.layers),
        "segments": workload.segments().iter().map(segment).collect::<Vec<_>>(),
        "tied": plan.interventions.iter().all(|block| block.tied),
        "rank": plan.interventions.iter().map(|block| block.rank).max(),
        "rate": plan.train.learning_rate,
        "clip": plan.train.clip,
        "steps": (0..steps.per_epoch()).map(step).collect::<Vec<_>>(),
        "seconds": seconds,
        "seed": plan.seed,
    });
    std::fs::write(path, format!("{job}\n")).map_err(Error::wrap)
}
