//! `reftc explain`

use super::args::ExplainArgs;
use super::output::Output;
use crate::diag::{Code, suggest};
use std::process::ExitCode;

/// Prints the page of a code, or the list of all; 2 for a code that does not exist.
pub fn explain(arguments: &ExplainArgs, output: &Output) -> ExitCode {
    let Some(text) = &arguments.code else {
        let list: String = Code::ALL.iter().map(|code| format!("{}  {}\n", code.as_str(), code.name())).collect();
        output.data(&list);
        return ExitCode::SUCCESS;
    };
    match Code::find(text) {
        Some(code) => {
            output.data(&format!("{}\n", code.page().trim_end()));
            ExitCode::SUCCESS
        }
        None => {
            let names = Code::ALL.iter().flat_map(|code| [code.as_str(), code.name()]);
            let near = suggest::near(text, names);
            let help = match near.as_slice() {
                [] => "`reftc explain` lists all codes".to_owned(),
                found => format!("did you mean {}?", suggest::list(found)),
            };
            output.usage_error(&format!("there is no code `{text}`"), &help);
            ExitCode::from(2)
        }
    }
}
