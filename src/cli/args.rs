//! The command line.

use super::projects::{EXAMPLES, Project, TEMPLATES};
use crate::plan::Means;
use crate::plan::passes::Passes;
use crate::store::frozen::Budget;
use crate::syntax::parse_size;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

const GLOBAL: &str = "Options of every command";

/// A compiler for representation finetuning: trains low-rank edits of a frozen language model as a .reft file says.
#[derive(Debug, Parser)]
#[command(name = "reftc", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "\
Begin with `reftc init hello` and `reftc run hello/quickstart.reft`; it needs no network.

Exit codes: 0 good, 1 findings in a spec, 2 wrong usage, 3 the run failed, 130 interrupted.
Variables: REFTC_CACHE, NO_COLOR; and HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE as
the tools of Hugging Face read them.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// How findings are written: for people, in one line each, as JSON lines on stdout, or for GitHub's annotations
    #[arg(long, global = true, value_enum, default_value_t = MessageFormat::Human, value_name = "FORMAT", help_heading = GLOBAL)]
    pub message_format: MessageFormat,

    /// Colours and progress bars
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN", help_heading = GLOBAL)]
    pub color: Color,

    /// Fetch nothing over the network
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub offline: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check specs: syntax, names, types, model facts, data. Needs no weights
    Check(CheckArgs),
    /// Write specs in their canonical form
    Fmt(FmtArgs),
    /// Show what a run would do: parameters, steps, costs, the layer × token picture, hashes
    Plan(PlanArgs),
    /// Show which fields differ between two specs, git revisions of a spec, or runs; exits with 1 if any do
    Diff(DiffArgs),
    /// Write down what a spec's models, data and library are, or hold them against what is written
    Lock(LockArgs),
    /// Train and evaluate; finished stages are not run again
    Run(RunArgs),
    /// Run, and run again whenever the spec or a file that it reads is saved; the same as `run --watch`
    Watch(RunArgs),
    /// Go on with an unfinished run by its name, as its plan says
    Resume(ResumeArgs),
    /// Evaluate a finished run
    Eval(EvalArgs),
    /// Write report.html of a run, or of all runs of an experiment: curves, scores, samples, in one file without network
    Report(ReportArgs),
    /// Generate text with a finished run
    Generate(GenerateArgs),
    /// List runs: where they differ and what they scored
    Runs(RunsArgs),
    /// Compare runs: fields that differ, scores, tests on the same rows, and the rows that flipped
    Compare(CompareArgs),
    /// Make a small project to begin with; nothing is overwritten
    Init(InitArgs),
    /// List the examples, or copy one
    Examples(ExamplesArgs),
    /// Explain a code such as E0201
    Explain(ExplainArgs),
    /// Describe blocks, fields, types and kinds of the language
    Describe(DescribeArgs),
    /// Print the tables of the language for other programs
    Schema(SchemaArgs),
    /// Show what reftc finds on this machine
    Doctor(DoctorArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Serve editors: diagnostics, hover, completion, rename and more, by the language server protocol over stdio
    Lsp(LspArgs),
}

impl Command {
    /// Threads of the CPU: as the arguments say, else `RAYON_NUM_THREADS`, else every core.
    pub fn threads(&self) -> usize {
        let asked = match self {
            Command::Run(arguments) | Command::Watch(arguments) => arguments.device.threads,
            Command::Resume(arguments) => arguments.device.threads,
            Command::Eval(arguments) => arguments.device.threads,
            Command::Generate(arguments) => arguments.device.threads,
            _ => None,
        };
        let set = || std::env::var("RAYON_NUM_THREADS").ok()?.parse().ok();
        let threads = asked.map(usize::from).or_else(set).filter(|&threads| threads > 0);
        threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// Where the numbers are computed.
#[derive(Clone, Debug, Args)]
pub struct DeviceArgs {
    /// cpu, cuda, cuda:N, metal, or auto
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,

    /// Threads of the CPU (default: all cores)
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// Where constant states of rows are kept.
#[derive(Clone, Debug, Args)]
pub struct CacheArgs {
    /// Folder of constant states, shared by runs (default: `frozen` in the user's cache)
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// What they may take: `4GiB`; `auto`, as memory and disk allow; or `0`, nothing is kept
    #[arg(long, value_name = "SIZE", default_value = "auto", value_parser = budget)]
    pub cache_budget: Budget,
}

/// By what means a plan is run. Results depend on it by rounding only.
#[derive(Clone, Copy, Debug, Args)]
pub struct MeansArgs {
    /// Passes of the plan that are on: all, none, or some, as in reach,live,hoist,pack,share
    #[arg(long, value_name = "LIST", default_value_t = Passes::ALL)]
    pub passes: Passes,

    /// What the process may hold in training, as in 2GiB: forward passes get smaller, and if need be their states are
    /// computed again for the backward pass
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory_budget: Option<u64>,
}

impl MeansArgs {
    /// As the plan takes them.
    pub fn means(self) -> Means {
        Means { passes: self.passes, memory_budget: self.memory_budget }
    }
}

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

/// How what happens is told.
#[derive(Clone, Copy, Debug, Args)]
pub struct FormatArgs {
    /// What happens, on stdout: as tables for people, or as one line of JSON for each stage, step, row and file
    #[arg(long, value_enum, default_value_t = EventFormat::Human, value_name = "FORMAT")]
    pub format: EventFormat,
}

/// For whom events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    Human,
    Json,
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
pub struct InitArgs {
    /// What to begin with
    #[arg(long, value_name = "NAME", default_value = "quickstart", value_parser = names(TEMPLATES))]
    pub template: String,

    /// Where; it is made if need be
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct ExamplesArgs {
    /// Copy this one; without a name, all are listed
    #[arg(value_name = "NAME", value_parser = names(EXAMPLES))]
    pub name: Option<String>,

    /// Where to (default: a folder of that name)
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A code or its name; without one, all codes are listed
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}

#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// A block (`train`), field (`train.lr`, `lr`), type (`schedule`), word (`cosine`) or kind (`loreft`), also as other tools
    /// call it (`learning_rate`); without one, all blocks are listed
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// The whole reference of the language in Markdown
    #[arg(long, conflicts_with = "name")]
    pub markdown: bool,

    /// Write the pages of the reference into this folder
    #[arg(long, value_name = "DIR", requires = "markdown")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// As JSON, the only form there is
    #[arg(long, required = true)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    Human,
    Short,
    Json,
    Github,
}

/// When colours and bars are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// Takes the names of these projects.
fn names(projects: &'static [Project]) -> PossibleValuesParser {
    projects.iter().map(|project| project.name).collect::<Vec<_>>().into()
}

fn budget(text: &str) -> Result<Budget, String> {
    if text == "auto" {
        return Ok(Budget::Automatic);
    }
    parse_size(text).map(Budget::Bytes)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = number(text, |value| (0.01..=86_400.0).contains(&value));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "write seconds, as in 2 or 0.5".to_owned())
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

fn temperature(text: &str) -> Result<f64, String> {
    number(text, |value| value.is_finite() && value >= 0.0).ok_or_else(|| "write 0 or more".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    number(text, |value| value > 0.0 && value <= 1.0).ok_or_else(|| "write more than 0 and at most 1".to_owned())
}

fn number(text: &str, allowed: impl Fn(f64) -> bool) -> Option<f64> {
    text.parse().ok().filter(|value| allowed(*value))
}

#[derive(Debug, Args)]
pub struct LspArgs {
    /// Speak over stdin and stdout, the only way there is; editors pass it by habit
    #[arg(long)]
    pub stdio: bool,
}
