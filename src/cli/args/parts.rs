//! What several commands take.

use crate::plan::Means;
use crate::plan::passes::Passes;
use crate::store::frozen::Budget;
use crate::syntax::parse_size;
use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;

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

/// How what happens is told.
#[derive(Clone, Copy, Debug, Args)]
pub struct FormatArgs {
    /// What happens, on stdout: as tables for people, or as one line of JSON for each stage, step, row and file
    #[arg(long, value_enum, default_value_t = EventFormat::Human, value_name = "FORMAT")]
    pub format: EventFormat,
}

impl FormatArgs {
    /// Whether stdout has a line for each event.
    pub fn is_json(self) -> bool {
        self.format == EventFormat::Json
    }
}

/// For whom events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    Human,
    Json,
}

fn budget(text: &str) -> Result<Budget, String> {
    if text == "auto" {
        return Ok(Budget::Automatic);
    }
    parse_size(text).map(Budget::Bytes)
}

pub(super) fn number(text: &str, allowed: impl Fn(f64) -> bool) -> Option<f64> {
    text.parse().ok().filter(|value| allowed(*value))
}
