//! A plan for people: what will be trained, on what, at which cost.

use super::grid::Picture;
use super::table::{self, Style};
use super::{grid, sweep, units};
use crate::data::metric::Metric;
use crate::data::positions::{RowTokens, Segment};
use crate::data::source::Source;
use crate::model::config::{ModelSource, Precision};
use crate::plan::passes::{Passes, Shape};
use crate::plan::{
    Activation, At, Cost, Eval, Experiment, Intervention, Keep, Optimizer, Plan, ScheduleShape, Train, TrainSplit, When,
};
use std::fmt::Write;

/// The description of every experiment; of a sweep its points, and the description of the first.
pub fn whole(plan: &Plan, style: Style) -> String {
    let mut texts = Vec::new();
    let mut rest = plan.experiments.as_slice();
    while let Some(first) = rest.first() {
        let swept = plan.sweeps.iter().any(|sweep| sweep.experiment == first.name);
        let count = if swept { rest.iter().take_while(|point| point.name == first.name).count() } else { 1 };
        if swept {
            let points: Vec<&Experiment> = rest.iter().take(count).collect();
            texts.push(sweep::planned(&points, style));
            texts.push(format!("The first of them, {}:\n\n{}", sweep::label(&first.point), text(first, style)));
        } else {
            texts.push(text(first, style));
        }
        rest = rest.get(count..).unwrap_or_default();
    }
    texts.join("\n")
}

/// The description of one experiment, with the layer × token picture.
pub fn text(experiment: &Experiment, style: Style) -> String {
    let mut out = format!("experiment {}\n", experiment.name);
    for line in experiment.doc.lines() {
        let _ = writeln!(out, "  {line}");
    }
    for (name, text) in lines(experiment) {
        let _ = writeln!(out, "  {name:14}{text}");
    }
    let _ = write!(out, "\n{}", grid::draw(&picture(experiment), style));
    out
}

/// What a plan says, line by line; a line without a name belongs to the one above.
pub(super) fn lines(experiment: &Experiment) -> Vec<(&'static str, String)> {
    let config = &experiment.model.config;
    let mut lines = Vec::new();
    let mut line = |name: &'static str, text: String| lines.push((name, text));
    line("model", model(experiment));
    line(
        "",
        format!(
            "{} layers × {} hidden, {} weights, {}",
            config.layers,
            config.hidden_size,
            units::count(experiment.parameters.model),
            precision(experiment.model.precision)
        ),
    );
    for block in &experiment.interventions {
        line("intervention", intervention(block));
        if let Some(start) = experiment.starts.iter().find(|start| start.intervention == block.name) {
            line("", format!("starts from `{}` of {}", start.block, start.folder.display()));
        }
    }
    line(
        "parameters",
        format!(
            "{}, {} of the model",
            units::count(experiment.parameters.interventions),
            units::small_percent(experiment.parameters.share)
        ),
    );
    let train = &experiment.train;
    line("training", training_rows(train));
    line("", steps(train));
    line("", rate(train));
    if let Keep::Best { eval, metric, patience } = &train.keep {
        line("", kept(eval, *metric, *patience));
    }
    if train.fit.recompute {
        line("", "activations recomputed in the backward pass".to_owned());
    }
    let cost = &experiment.cost;
    line(
        "tokens",
        format!(
            "{:.1} a row ({:.1} of the prompt), {} in the longest",
            cost.mean_tokens, cost.mean_prompt, cost.longest_tokens
        ),
    );
    for eval in &experiment.evals {
        line("eval", eval_text(eval));
    }
    line("compute", compute(experiment));
    line("", work_text(experiment));
    line(
        "memory",
        format!(
            "{} of weights, {} more in a training step, cache {}",
            units::bytes(cost.weight_bytes),
            units::bytes(cost.training_bytes),
            units::bytes(cost.cache_bytes)
        ),
    );
    let hashes = &experiment.hashes;
    let provisional = if hashes.provisional { " (provisional: the weights are not at hand)" } else { "" };
    line(
        "hashes",
        format!(
            "training {}{provisional}, tokens {}",
            units::short_hash(&hashes.training),
            units::short_hash(&hashes.tokens)
        ),
    );
    for (name, hash) in &hashes.evals {
        line("", format!("eval {name} {}", units::short_hash(hash)));
    }
    lines
}

/// The picture of a typical training row.
pub(super) fn picture(experiment: &Experiment) -> Picture<'_> {
    let cost = &experiment.cost;
    let mean = || {
        let prompt = (cost.mean_prompt.round() as usize).max(1);
        RowTokens::new(prompt, prompt + ((cost.mean_tokens - cost.mean_prompt).round() as usize).max(1))
    };
    Picture {
        shape: Shape::of(&experiment.model.config),
        interventions: &experiment.interventions,
        passes: experiment.passes,
        row: experiment.example.clone().unwrap_or_else(mean),
    }
}

/// `12.3 TFLOP as written, 1.9 TFLOP planned, 6.5 times fewer`
fn compute(experiment: &Experiment) -> String {
    let Cost { written_flops: written, planned_flops: planned, .. } = experiment.cost;
    let ratio = written / planned.max(1.0);
    let ratio = match ratio {
        1.05.. => format!(", {ratio:.1} times fewer"),
        _ => String::new(),
    };
    let passes =
        if experiment.passes == Passes::ALL { String::new() } else { format!(" (passes: {})", experiment.passes) };
    format!("{} as written, {} planned{ratio}{passes}", units::flops(written), units::flops(planned))
}

/// `6.4 % of the grid is worked in every step; 312 GFLOP of the plan make constants, once`
fn work_text(experiment: &Experiment) -> String {
    let Cost { worked_share, constant_flops, .. } = experiment.cost;
    let often = if experiment.passes.hoist { "once" } else { "in every epoch" };
    let constants = match constant_flops > 0.0 {
        true => format!("; {} of the plan make constants, {often}", units::flops(constant_flops)),
        false => String::new(),
    };
    format!("{} of the grid is worked in every step{constants}", units::percent(worked_share))
}

fn model(experiment: &Experiment) -> String {
    match &experiment.model.source {
        ModelSource::Hub { repo, revision } => format!("{repo} at {revision}"),
        ModelSource::Folder(path) | ModelSource::Gguf(path) => path.display().to_string(),
        ModelSource::Embedded(name) => format!("{name}, embedded"),
    }
}

fn precision(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::F16 => "f16",
        Precision::Bf16 => "bf16",
    }
}

fn intervention(block: &Intervention) -> String {
    let segments: Vec<String> = block.segments.iter().map(Segment::to_string).collect();
    let tied = if block.tied { ", tied" } else { "" };
    let dropout = if block.dropout > 0.0 { format!(", dropout {}", block.dropout) } else { String::new() };
    let (name, kind, rank, segments) = (&block.name, block.kind.name(), block.rank, segments.join("+"));
    let place = if block.at == At::BlockOutput { String::new() } else { format!(" in {}", block.at.name()) };
    let act = match block.activation {
        Activation::Linear => "",
        Activation::Relu => ", act relu",
        Activation::Gelu => ", act gelu",
        Activation::Silu => ", act silu",
        Activation::Tanh => ", act tanh",
    };
    let bias = if block.bias { ", with a bias" } else { "" };
    let layers = layers(&block.layers);
    format!("{name}: {kind} of rank {rank} at {segments}{place} of {layers}{tied}{dropout}{act}{bias}")
}

/// `layers 0–29`, `layers 15, 20, 25`, `layer 3`
fn layers(layers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &layer in layers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == layer => *last = layer,
            _ => runs.push((layer, layer)),
        }
    }
    let run = |&(first, last): &(usize, usize)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}–{last}"),
    };
    let word = if layers.len() == 1 { "layer" } else { "layers" };
    format!("{word} {}", runs.iter().map(run).collect::<Vec<_>>().join(", "))
}

fn source(source: &Source) -> String {
    let steps: String = source.steps.iter().map(ToString::to_string).collect();
    match &source.dataset {
        Some(dataset) => format!("{dataset}{steps}"),
        None => format!("{}{steps}", source.path.display()),
    }
}

/// `12 rows of a.json`, `20 rows: 12 of a.json, then 8 of b.json`
fn training_rows(train: &Train) -> String {
    let rows = units::counted(train.rows, "row");
    match train.splits.as_slice() {
        [only] => format!("{rows} of {}", source(&only.split.source)),
        several => {
            let part =
                |part: &TrainSplit| format!("{} of {}", units::count(part.rows as u64), source(&part.split.source));
            format!("{rows}: {}", several.iter().map(part).collect::<Vec<_>>().join(", then "))
        }
    }
}

fn steps(train: &Train) -> String {
    let accumulate = if train.accumulate > 1 { format!(" × {} accumulated", train.accumulate) } else { String::new() };
    let (epochs, steps) = (units::counted(train.epochs, "epoch"), units::counted(train.steps, "step"));
    format!("{epochs}, batches of {}{accumulate}, {steps}", train.batch)
}

fn rate(train: &Train) -> String {
    let shape = match train.schedule.shape {
        ScheduleShape::Linear => "linear",
        ScheduleShape::Cosine => "cosine",
        ScheduleShape::Constant => "constant",
    };
    let clip = train.clip.map_or_else(|| "no clipping".to_owned(), |norm| format!("clipped at norm {norm}"));
    let warmup = match train.schedule.warmup {
        0 => "without warm-up".to_owned(),
        steps => format!("after {} of warm-up", units::counted(steps, "step")),
    };
    let Optimizer { beta1, beta2, epsilon, weight_decay } = train.optimizer;
    let moments = match (beta1, beta2, epsilon) {
        (0.9, 0.999, 1e-8) => String::new(),
        _ => format!(", betas {beta1} and {beta2}, epsilon {epsilon:e}"),
    };
    format!("rate {:e}, {shape} {warmup}, weight decay {weight_decay}{moments}, {clip}", train.learning_rate)
}

/// `kept as they were at the best exact match of dev, stopped after 3 measurements without a better one`
fn kept(eval: &str, metric: Metric, patience: Option<usize>) -> String {
    let stopped = patience.map_or_else(String::new, |patience| {
        format!(", stopped after {} without a better one", units::counted(patience, "measurement"))
    });
    format!("kept as they were at the best {} of {eval}{stopped}", table::name(metric))
}

fn eval_text(eval: &Eval) -> String {
    let when = match eval.when {
        When::End => "at the end".to_owned(),
        When::Epoch => "after every epoch".to_owned(),
        When::Steps(count) => format!("every {}", units::counted(count, "step")),
    };
    let baseline = if eval.baseline { ", and of the untouched model" } else { "" };
    let choices = eval.choices.as_ref().map_or_else(String::new, |choices| {
        format!(", {} by likelihood ({})", units::counted(choices.texts.len(), "choice"), choices.likelihood.name())
    });
    let decode = match eval.max_tokens {
        0 => String::new(),
        most => format!(", of at most {}", units::counted(most, "token")),
    };
    let (metric, rows) = (table::name(eval.metric), units::counted(eval.rows, "row"));
    format!("{}: {metric} on {rows} {when}{decode}{choices}{baseline}", eval.name)
}
