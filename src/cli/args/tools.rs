//! Commands about reftc itself.

use super::super::projects::{EXAMPLES, Project, TEMPLATES};
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;

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

#[derive(Debug, Args)]
pub struct LspArgs {
    /// Speak over stdin and stdout, the only way there is; editors pass it by habit
    #[arg(long)]
    pub stdio: bool,
}

/// Takes the names of these projects.
fn names(projects: &'static [Project]) -> PossibleValuesParser {
    projects.iter().map(|project| project.name).collect::<Vec<_>>().into()
}
