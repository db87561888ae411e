//! `reftc compare`

use super::args::CompareArgs;
use super::output::Output;
use crate::diag::suggest::did_you_mean;
use crate::diag::{Code, Diagnostic, Result};
use crate::digest;
use crate::runs::comparison::{Comparison, evals};
use crate::runs::comparison_text::Part;
use crate::runs::sides::Side;
use std::process::ExitCode;

/// Prints how runs differ from the first; 2 where there is no such run, or nothing to compare.
pub fn compare(arguments: &CompareArgs, output: &Output) -> ExitCode {
    match comparison(arguments, output) {
        Ok(comparison) => {
            show(arguments, &comparison, output);
            ExitCode::SUCCESS
        }
        Err(diagnostic) => {
            output.failure(&diagnostic, &Default::default());
            ExitCode::from(2)
        }
    }
}

fn comparison(arguments: &CompareArgs, output: &Output) -> Result<Comparison> {
    let sides = Side::find(&arguments.runs, &arguments.names, arguments.seeds)?;
    for side in sides.iter().filter(|side| side.others > 0) {
        let others = crate::report::units::counted(side.others, "other run");
        output.note(&format!("{}: the newest setting; {others} of the experiment left out", side.label));
    }
    if let Some(wanted) = arguments.eval.as_deref() {
        let names = evals(&sides);
        if !names.contains(&wanted) {
            let diagnostic =
                Diagnostic::new(Code::NothingToCompare, format!("none of them has measured an eval `{wanted}`"));
            let help = did_you_mean(wanted, names).unwrap_or_else(|| "finish them with `reftc run SPEC`".to_owned());
            return Err(Box::new(diagnostic.help(help)));
        }
    }
    Ok(Comparison::of(&sides, arguments.eval.as_deref(), arguments.rows))
}

fn show(arguments: &CompareArgs, comparison: &Comparison, output: &Output) {
    if arguments.json {
        return output.data(&format!("{}\n", digest::json(comparison)));
    }
    let tell = |part: Part| match part {
        Part::Table(title, table) if arguments.md => format!("**{title}**\n\n{}", table.markdown()),
        Part::Table(title, table) => {
            let table = output.table_width().map_or_else(|| table.clone(), |width| table.fitted(width, &[]).0);
            format!("{title}\n{}", table.text(output.style()))
        }
        Part::Text(text) => format!("{text}\n"),
    };
    let parts: Vec<String> = comparison.parts().into_iter().map(tell).collect();
    output.data(&parts.join("\n"));
}
