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
    /// Train and evaluate; finished stages are not run again
    Run(RunArgs),
    /// Evaluate a finished run
    Eval(EvalArgs),
    /// Write report.html of a run, or of all runs of an experiment: curves, scores, samples, in one file without network
    Report(ReportArgs),
    /// Generate text with a finished run
    Generate(GenerateArgs),
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
            Command::Run(arguments) => arguments.device.threads,
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

    /// Set a field, as in train.lr=1e-3; several values, as in seed=42,43, make a run of each
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub settings: Vec<String>,

    #[command(flatten)]
    pub means: MeansArgs,

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
pub struct RunArgs {
    /// Spec file
    #[arg(value_name = "SPEC")]
    pub spec: PathBuf,

    /// Only this experiment
    #[arg(long, value_name = "NAME")]
    pub experiment: Option<String>,

    /// Set a field, as in train.lr=1e-3; several values, as in seed=42,43, make a run of each
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub settings: Vec<String>,

    /// End a sweep at the first point that fails
    #[arg(long)]
    pub fail_fast: bool,

    /// Run again whenever the spec or a file that it reads is saved
    #[arg(long)]
    pub watch: bool,

    #[command(flatten)]
    pub means: MeansArgs,

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
    #[arg(long)]
    pub json: bool,

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
    #[arg(long)]
    pub json: bool,

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
