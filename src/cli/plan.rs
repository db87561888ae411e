//! `reftc plan`

use super::args::PlanArgs;
use super::output::Output;
use super::session::Session;
use super::{lock, origins};
use crate::compile::{Compiled, compile};
use crate::diag::suggest;
use crate::digest;
use crate::model::device;
use crate::plan::{Experiment, Means, Plan};
use crate::report;
use crate::report::stages::ExperimentStages;
use crate::store::stages::History;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// Prints the plan of a spec.
pub fn plan(arguments: &PlanArgs, session: &Session, output: &Output) -> ExitCode {
    let compiled = compile(&arguments.spec, &arguments.settings, &session.world);
    let plan = match select(&compiled, arguments.experiment.as_deref(), arguments.means.means(), output) {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    if arguments.locked
        && let Err(code) = lock::refuse_drift(&arguments.spec, &compiled, session, output)
    {
        return code;
    }
    if arguments.show_origin {
        output.data(&origins::text(&plan, output.style()));
        return ExitCode::SUCCESS;
    }
    let stages = stages(&plan, &arguments.runs, &arguments.device);
    if arguments.json {
        output.data(&format!("{}\n", digest::json(&Report { plan: &plan, stages: &stages })));
    } else {
        output.data(&report::plan::whole(&plan, output.style()));
        output.data(&format!("\n{}", report::stages::text(&stages, &arguments.runs, output.style())));
    }
    ExitCode::SUCCESS
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// How far each experiment is, in the order of the plan.
    stages: &'a [ExperimentStages],
}

/// How far every experiment is on that device.
fn stages(plan: &Plan, runs: &Path, device: &str) -> Vec<ExperimentStages> {
    let device = device::pick(device).map_or("cpu", |chosen| device::kind(&chosen.device));
    let mut histories: BTreeMap<&str, History> = BTreeMap::new();
    let of = |experiment: &'_ Experiment, history: &History| ExperimentStages {
        experiment: experiment.name.clone(),
        point: experiment.point.clone(),
        stages: history.stages(experiment, device),
    };
    let experiments = plan.experiments.iter().map(|experiment| {
        let name = experiment.name.as_str();
        of(experiment, histories.entry(name).or_insert_with(|| History::read(runs, name)))
    });
    experiments.collect()
}

/// The plan of all experiments or of one, after its findings are shown; else the exit code.
pub fn select(compiled: &Compiled, experiment: Option<&str>, means: Means, output: &Output) -> Result<Plan, ExitCode> {
    if !compiled.diagnostics.is_empty() {
        output.findings(&compiled.diagnostics, &compiled.sources);
        output.summary(&compiled.diagnostics);
    }
    if compiled.has_errors() {
        return Err(ExitCode::from(1));
    }
    let mut plan = compiled.plan(means);
    if let Some(name) = experiment {
        let names: Vec<String> = plan.experiments.iter().map(|experiment| experiment.name.clone()).collect();
        plan.experiments.retain(|experiment| experiment.name == name);
        plan.sweeps.retain(|sweep| sweep.experiment == name);
        if plan.experiments.is_empty() {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let help = suggest::did_you_mean(name, names).unwrap_or_else(|| "it has none".to_owned());
            output.usage_error(&format!("the spec has no experiment named `{name}`"), &help);
            return Err(ExitCode::from(2));
        }
    }
    Ok(plan)
}
