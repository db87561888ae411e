//! Commands about specs.

use super::parts::MeansArgs;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Spec files
    #[arg(required = true, value_name = "SPEC")]
    pub specs: Vec<PathBuf>,

    /// First apply every safe fix: only those that leave no doubt about what was meant
    #[arg(long)]
    pub fix: bool,

    /// Make a warning an error, by its name or code, even where the spec allows it; `warnings` means all that are not allowed
    #[arg(long, value_name = "NAME")]
    pub deny: Vec<String>,

    /// Tell what is worth a thought too, though it is often meant
    #[arg(long)]
    pub advice: bool,

    /// Refuse models, data and library files that are not as the lock of the spec has them
    #[arg(long)]
    pub locked: bool,

    /// Set a field, as in train.lr=1e-3; several values, as in seed=42,43, make a run of each
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub settings: Vec<String>,
}

#[derive(Debug, Args)]
pub struct FmtArgs {
    /// Spec files; `-` reads from stdin and writes to stdout
    #[arg(required = true, value_name = "SPEC")]
    pub specs: Vec<PathBuf>,

    /// Change nothing; exit with 1 if a file is not in canonical form
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
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

    #[command(flatten)]
    pub means: MeansArgs,

    /// Folder of runs, in which finished stages are looked for
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// The device that it would run on: stages count as finished on the same kind only
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,

    /// Show each field with the file and line that set it, instead of the plan
    #[arg(long, conflicts_with = "json")]
    pub show_origin: bool,

    /// The whole plan as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A spec, as in x.reft; one of a git revision, as in HEAD~1:specs/x.reft; `HEAD~1:` for the spec on the other side; or a
    /// run folder, `experiment/hash`, or an experiment's name for its newest run
    #[arg(value_name = "BEFORE")]
    pub before: String,

    /// The same
    #[arg(value_name = "AFTER")]
    pub after: String,

    /// Folder of runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// The difference as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct LockArgs {
    /// Spec file; its lock is the file of that name that ends in .lock
    #[arg(value_name = "SPEC")]
    pub spec: PathBuf,

    /// With `--update`, only these: names of models and data in the spec, or entries of the lock
    #[arg(value_name = "WHAT", requires = "update")]
    pub what: Vec<String>,

    /// Take the present state, and look branches of hubs up anew
    #[arg(long)]
    pub update: bool,

    /// Change nothing; exit with 1 if anything is not as the lock has it
    #[arg(long, conflicts_with = "update")]
    pub check: bool,

    /// The lock, or with `--check` what has drifted, as JSON on stdout
    #[arg(long)]
    pub json: bool,
}
