//! Commands that compute, and those about one run.

use super::parts::{CacheArgs, DeviceArgs, FormatArgs, MeansArgs, number};
use crate::plan::passes::Passes;
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Spec file
    #[arg(value_name = "SPEC")]
    pub spec: PathBuf,

    /// Only this experiment
    #[arg(long, value_name = "NAME")]
    pub experiment: Option<String>,

    /// Refuse models, data and library files that are not as the lock of the spec has them
    #[arg(long)]
    pub locked: bool,

    /// Set a field, as in train.lr=1e-3; several values, as in seed=42,43, make a run of each
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub settings: Vec<String>,

    /// End a sweep at the first point that fails
    #[arg(long)]
    pub fail_fast: bool,

    /// Run again whenever the spec or a file that it reads is saved; a run under way is left for what the save changed
    #[arg(long)]
    pub watch: bool,

    /// With --watch: let the run under way finish first
    #[arg(long)]
    pub queue: bool,

    /// With --watch: look at the files every so many seconds instead of waiting for events, which network disks do not send
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = seconds)]
    pub poll: Option<Duration>,

    #[command(flatten)]
    pub means: MeansArgs,

    /// Wait where another process works on the same run, and then go on with what it has left
    #[arg(long)]
    pub wait: bool,

    /// Run finished stages again
    #[arg(long)]
    pub force: bool,

    /// Write event files of TensorBoard into the folder `tensorboard` of each run
    #[arg(long)]
    pub tensorboard: bool,

    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// The results as JSON on stdout
    #[arg(long, conflicts_with = "format")]
    pub json: bool,

    #[command(flatten)]
    pub format: FormatArgs,

    #[command(flatten)]
    pub device: DeviceArgs,

    #[command(flatten)]
    pub cache: CacheArgs,
}

impl RunArgs {
    /// Whether it goes on until Ctrl-C.
    pub fn is_watching(&self) -> bool {
        self.watch || self.queue || self.poll.is_some()
    }
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// A run folder, `experiment/hash`, or an experiment's name for its newest run
    #[arg(value_name = "RUN")]
    pub run: String,

    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// The results as JSON on stdout
    #[arg(long, conflicts_with = "format")]
    pub json: bool,

    #[command(flatten)]
    pub format: FormatArgs,

    #[command(flatten)]
    pub device: DeviceArgs,

    #[command(flatten)]
    pub cache: CacheArgs,
}

#[derive(Debug, Args)]
pub struct EvalArgs {
    /// A run folder, `experiment/hash`, or an experiment's name for its newest run
    #[arg(value_name = "RUN")]
    pub run: String,

    /// Only this evaluation
    #[arg(long, value_name = "NAME")]
    pub eval: Option<String>,

    /// Passes of the plan that are on, as for `run` (default: those of the run)
    #[arg(long, value_name = "LIST")]
    pub passes: Option<Passes>,

    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// The results as JSON on stdout
    #[arg(long, conflicts_with = "format")]
    pub json: bool,

    #[command(flatten)]
    pub format: FormatArgs,

    #[command(flatten)]
    pub device: DeviceArgs,

    #[command(flatten)]
    pub cache: CacheArgs,
}

#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// A run folder, `experiment/hash`, or an experiment's name for its newest run
    #[arg(value_name = "RUN")]
    pub run: String,

    /// What stands in the place of the template's column, or the whole prompt with `--raw`; `-` reads it from stdin
    #[arg(value_name = "PROMPT")]
    pub prompt: String,

    /// Take the prompt as it is, without the run's template
    #[arg(long)]
    pub raw: bool,

    /// New tokens at most
    #[arg(long, value_name = "N", default_value = "64")]
    pub max_tokens: NonZeroUsize,

    /// Draw tokens at random, more evenly the higher it is; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = temperature)]
    pub temperature: f64,

    /// Draw from the likeliest tokens that hold this share of the probability
    #[arg(long, value_name = "P", value_parser = share)]
    pub top_p: Option<f64>,

    /// Decides what is drawn
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,

    /// Show the untouched model's text too
    #[arg(long)]
    pub baseline: bool,

    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    #[command(flatten)]
    pub device: DeviceArgs,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run folder, `experiment/hash`, or an experiment: the report is then over all its runs
    #[arg(value_name = "RUN")]
    pub run: String,

    /// Where the page goes (default: `report.html` in the run folder, or in the folder of the experiment's runs)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Write it again whenever the run changes; the page loads itself anew while the run is unfinished
    #[arg(long)]
    pub watch: bool,

    /// Write event files of TensorBoard into this folder instead; of several runs each into a folder of its own
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "watch"])]
    pub tensorboard: Option<PathBuf>,

    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = number(text, |value| (0.01..=86_400.0).contains(&value));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "write seconds, as in 2 or 0.5".to_owned())
}

fn temperature(text: &str) -> Result<f64, String> {
    number(text, |value| value.is_finite() && value >= 0.0).ok_or_else(|| "write 0 or more".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    number(text, |value| value > 0.0 && value <= 1.0).ok_or_else(|| "write more than 0 and at most 1".to_owned())
}
