//! Commands about several runs.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Paths of columns and conditions are fields (`train.lr`), measures (`eval.test.accuracy`,
`eval.test.baseline`), and name, experiment, state, when, parameters, share, steps, loss,
seconds, seed, device, git. Their ends will do: `rank`.

  reftc runs --where 'rank > 4 and eval.boolq.accuracy > 60%' --sort -eval.boolq.accuracy
  reftc runs --where 'state != finished and train.schedule == linear'
  reftc runs --group seeds --columns experiment,train.lr,seed,test.exact_match --tex")]
pub struct RunsArgs {
    #[command(subcommand)]
    pub command: Option<RunsCommand>,

    #[command(flatten)]
    pub list: ListArgs,
}

/// What is done with runs, other than listing them.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Show all about one run
    Show(ShowArgs),
    /// Remove runs that no spec denotes; first it shows what would go
    Gc(GcArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Always kept: the last finished run of every training that a spec denotes, all runs of experiments whose spec does not
compile, runs that a process holds, and unfinished runs younger than a day. What killed processes have left is removed too.

  reftc runs gc --older-than 30d --keep 3
  reftc runs gc --spec specs --yes")]
pub struct GcArgs {
    /// Specs in this folder, and in those below it, say which runs are needed
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub spec: PathBuf,

    /// Keep younger runs: 30d, 12h, 2w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,

    /// Keep this many of the newest runs of each experiment
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep: usize,

    /// Remove without asking
    #[arg(long)]
    pub yes: bool,

    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// As JSON; without `--yes` nothing is removed
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A run folder, `experiment/hash`, or an experiment's name for its newest run
    #[arg(value_name = "RUN")]
    pub run: String,

    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// Only runs that fulfil a condition: comparisons of paths with values, joined by `and`, `or`, `not` and parentheses
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,

    /// Sort by a path, upwards; downwards with a `-` before it (default: the newest first)
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub sort: Option<String>,

    /// The other way round
    #[arg(long)]
    pub reverse: bool,

    /// Paths to show, with commas between them (default: fields in which the runs differ, and what was measured)
    #[arg(long, value_name = "PATHS")]
    pub columns: Option<String>,

    /// Rows at most
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// One row for runs that differ by their seed alone, with mean ± standard deviation
    #[arg(long, value_enum, value_name = "BY")]
    pub group: Option<Group>,

    #[command(flatten)]
    pub format: TableFormat,
}

/// What runs are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Group {
    Seeds,
}

/// How a table is written; for people without any of them.
#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
pub struct TableFormat {
    /// Everything about each run as JSON
    #[arg(long)]
    pub json: bool,

    /// CSV, with whole paths and all digits
    #[arg(long)]
    pub csv: bool,

    /// Markdown
    #[arg(long)]
    pub md: bool,

    /// LaTeX, with the lines of booktabs
    #[arg(long)]
    pub tex: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Rows are the same where prompt and gold are. Two runs are compared on their rows: shares by the exact McNemar test with
Tango's interval, perplexities by sign flips of the losses with a bootstrap interval. Over several seeds that both sides
have, scores are compared by a paired t test.

  reftc compare small/136fda95 small/64ee2981 --eval test --rows 10
  reftc compare loreft noreft direft              experiments, over all seeds of their newest setting
  reftc compare small/136fda95 small/64ee2981 --seeds")]
pub struct CompareArgs {
    /// Run folders, `experiment/hash`, or experiments; all are compared with the first
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    pub names: Vec<String>,

    /// Take with each run those that differ from it by the seed alone
    #[arg(long)]
    pub seeds: bool,

    /// Only this evaluation
    #[arg(long, value_name = "NAME")]
    pub eval: Option<String>,

    /// Rows that flipped to show, at most, for each direction
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub rows: usize,

    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// As JSON
    #[arg(long)]
    pub json: bool,

    /// As Markdown
    #[arg(long, conflicts_with = "json")]
    pub md: bool,
}

fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and its unit, `30d`, `12h` or `2w`".to_owned();
    let (at, unit) = text.char_indices().next_back().ok_or_else(wrong)?;
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        'w' => 24 * 7,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..at].parse().map_err(|_| wrong())?;
    count.checked_mul(hours * 3600).map(Duration::from_secs).ok_or_else(wrong)
}
