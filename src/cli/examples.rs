//! `reftc examples`

use super::args::ExamplesArgs;
use super::init;
use super::output::Output;
use super::projects::EXAMPLES;
use std::path::Path;
use std::process::ExitCode;

/// Lists the examples, or copies one; 2 if a file of it is there already, 3 if the folder cannot be written.
pub fn examples(arguments: &ExamplesArgs, output: &Output) -> ExitCode {
    let Some(name) = &arguments.name else {
        let width = EXAMPLES.iter().map(|example| example.name.len()).max().unwrap_or(0);
        let lines = EXAMPLES.iter().map(|example| format!("{:width$}  {}\n", example.name, example.doc()));
        output.data(&lines.collect::<String>());
        output.note("`reftc examples NAME` copies one");
        return ExitCode::SUCCESS;
    };
    match EXAMPLES.iter().find(|example| example.name == name) {
        Some(example) => init::write(example, arguments.folder.as_deref().unwrap_or(Path::new(name)), output),
        None => ExitCode::from(2),
    }
}
