//! The command line: the arguments of every command.

mod listing;
mod parts;
mod running;
mod specs;
mod tools;

pub use listing::{CompareArgs, GcArgs, Group, ListArgs, RunsArgs, RunsCommand, ShowArgs, TableFormat};
pub use parts::{CacheArgs, DeviceArgs, FormatArgs, MeansArgs};
pub use running::{EvalArgs, GenerateArgs, ReportArgs, ResumeArgs, RunArgs};
pub use specs::{CheckArgs, DiffArgs, FmtArgs, LockArgs, PlanArgs};
pub use tools::{CompletionsArgs, DescribeArgs, DoctorArgs, ExamplesArgs, ExplainArgs, InitArgs, LspArgs, SchemaArgs};

use clap::{Parser, Subcommand, ValueEnum};

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
