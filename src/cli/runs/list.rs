//! `reftc runs`: the table of runs.

use crate::cli::args::{Group, ListArgs};
use crate::cli::output::Output;
use crate::diag::Diagnostic;
use crate::digest;
use crate::runs::filter::Filter;
use crate::runs::listing::Listing;
use crate::runs::paths::Paths;
use crate::runs::record::Record;
use crate::source::{Sources, Span};
use std::path::Path;
use std::process::ExitCode;

/// Prints the runs that fulfil the condition; 2 where an option names what is not there.
pub fn list(arguments: &ListArgs, output: &Output) -> ExitCode {
    let all = Record::all(&arguments.runs);
    let mut sources = Sources::default();
    match listing(arguments, &all, &mut sources) {
        Ok(listing) => show(arguments, &listing, all.is_empty(), output),
        Err(diagnostics) => {
            output.findings(&diagnostics, &sources);
            output.summary(&diagnostics);
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// The rows and columns that are asked for. The texts of options become sources, so that errors have a place.
fn listing<'r>(arguments: &ListArgs, all: &'r [Record], sources: &mut Sources) -> Result<Listing<'r>, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let mut chosen: Vec<&Record> = all.iter().collect();
    if let Some(text) = arguments.condition.as_deref() {
        let file = sources.add(Path::new("--where"), text.to_owned());
        match Filter::read(file, text, all) {
            Ok(filter) => chosen.retain(|record| filter.holds(record)),
            Err(found) => diagnostics.extend(found),
        }
    }
    let paths = Paths::of(all);
    let mut path = |option: &str, whole: &str, word: &str, at: usize| {
        let file = sources.add(Path::new(option), whole.to_owned());
        let found =
            if all.is_empty() { Ok(word.to_owned()) } else { paths.find(word, Span::new(file, at, at + word.len())) };
        found.map_err(|diagnostic| diagnostics.push(*diagnostic)).ok()
    };
    let columns = arguments.columns.as_deref().map(|text| {
        let words = parts(text).into_iter().filter(|(_, word)| !word.is_empty());
        words.filter_map(|(at, word)| path("--columns", text, word, at)).collect::<Vec<_>>()
    });
    let sort = arguments.sort.as_deref().and_then(|text| {
        let word = text.trim_start_matches('-');
        Some((path("--sort", text, word, text.len() - word.len())?, word.len() < text.len()))
    });
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let mut listing = match arguments.group {
        Some(Group::Seeds) => Listing::grouped(&chosen, paths),
        None => Listing::new(&chosen, paths),
    };
    if let Some(columns) = columns.filter(|columns| !columns.is_empty()) {
        listing.columns = columns;
    }
    match sort {
        Some((path, descending)) => listing.sort(&path, descending != arguments.reverse),
        None if arguments.reverse => listing.rows.reverse(),
        None => {}
    }
    listing.rows.truncate(arguments.limit.unwrap_or(usize::MAX));
    Ok(listing)
}

/// The words of a list with commas, each with its place.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut at = 0;
    let part = |part: &str| {
        let start = at + part.len() - part.trim_start().len();
        at += part.len() + 1;
        start
    };
    let starts: Vec<usize> = text.split(',').map(part).collect();
    starts.into_iter().zip(text.split(',').map(str::trim)).collect()
}

fn show(arguments: &ListArgs, listing: &Listing<'_>, is_empty: bool, output: &Output) {
    let format = &arguments.format;
    if format.json {
        output.data(&format!("{}\n", digest::json(&listing.json(arguments.group.is_some()))));
    } else if format.csv {
        output.data(&listing.plain().csv());
    } else if format.md {
        output.data(&listing.table().markdown());
    } else if format.tex {
        output.data(&listing.table().tex());
    } else if !listing.rows.is_empty() {
        let (table, left_out) = match output.table_width() {
            Some(width) => listing.table().fitted(width, &listing.dispensable()),
            None => (listing.table(), Vec::new()),
        };
        output.data(&table.text(output.style()));
        if !left_out.is_empty() {
            let titles = left_out.join(", ");
            output.note(&format!(
                "left out, as the terminal is too narrow: {titles}; `--columns` chooses, `--csv` has all"
            ));
        }
    }
    if listing.rows.is_empty() {
        output.note(&match is_empty {
            true => format!("{} has no runs: make one with `reftc run SPEC`", arguments.runs.display()),
            false => "no run fulfils the condition".to_owned(),
        });
    }
}
