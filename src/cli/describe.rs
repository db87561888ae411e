//! `reftc describe`: the language from its own tables.

pub mod markdown;
mod parts;
mod text;

use super::args::DescribeArgs;
use super::output::Output;
use crate::check::schema;
use crate::diag::suggest;
use crate::source::Sources;
use crate::store::atomic;
use std::path::Path;
use std::process::ExitCode;

/// Prints what the arguments ask for; 2 for a name that the language does not have.
pub fn describe(arguments: &DescribeArgs, output: &Output) -> ExitCode {
    if let Some(folder) = &arguments.out {
        return write_pages(folder, output);
    }
    if arguments.markdown {
        output.data(&markdown::pages().into_iter().map(|page| page.text).collect::<Vec<_>>().join("\n"));
        return ExitCode::SUCCESS;
    }
    let Some(name) = &arguments.name else {
        output.data(&text::overview());
        return ExitCode::SUCCESS;
    };
    if let Some(text) = text::text(name) {
        output.data(&text);
        return ExitCode::SUCCESS;
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let block = name.split_once('.').and_then(|(block, _)| schema::block(block));
    let fields = block.into_iter().flat_map(|block| block.fields).map(|field| field.name).collect();
    let near = [fields, text::names(), text::foreign_names()].into_iter().map(|names| suggest::near(last, names));
    let help = match near.into_iter().find(|near| !near.is_empty()) {
        None => "`reftc describe` lists what there is".to_owned(),
        Some(found) => format!("did you mean {}?", suggest::list(&found)),
    };
    output.usage_error(&format!("the language has nothing called `{name}`"), &help);
    ExitCode::from(2)
}

/// Writes the pages of the reference; 3 where that fails.
fn write_pages(folder: &Path, output: &Output) -> ExitCode {
    for page in markdown::pages() {
        if let Err(mut unwritten) = atomic::write(&folder.join(&page.name), page.text.as_bytes()) {
            unwritten.help = vec!["name a folder that can be written".to_owned()];
            output.failure(&unwritten, &Sources::default());
            return ExitCode::from(3);
        }
    }
    ExitCode::SUCCESS
}
