//! `reftc init`

use super::args::InitArgs;
use super::output::Output;
use super::projects::{Obstacle, Project, TEMPLATES};
use crate::source::Sources;
use std::path::Path;
use std::process::ExitCode;

/// Writes a template into a folder; 2 if a file of it is there already, 3 if the folder cannot be written.
pub fn init(arguments: &InitArgs, output: &Output) -> ExitCode {
    match TEMPLATES.iter().find(|template| template.name == arguments.template) {
        Some(template) => write(template, &arguments.folder, output),
        None => ExitCode::from(2),
    }
}

/// Writes a project and says what to do with it.
pub(super) fn write(project: &Project, folder: &Path, output: &Output) -> ExitCode {
    match project.write(folder) {
        Ok(paths) => {
            let written: String = paths.iter().map(|path| format!("  {}\n", shown(path))).collect();
            let spec = folder.join(project.spec().path);
            output.note(&format!("wrote\n{written}next: `reftc run {}`", shown(&spec)));
            ExitCode::SUCCESS
        }
        Err(Obstacle::Taken(path)) => {
            let message = format!("`{}` is there already; nothing was written", shown(&path));
            output.usage_error(&message, "name another folder, or move the file away");
            ExitCode::from(2)
        }
        Err(Obstacle::Unwritable(mut cause)) => {
            cause.help = vec!["name a folder that can be written".to_owned()];
            output.failure(&cause, &Sources::default());
            ExitCode::from(3)
        }
    }
}

/// A path without a `./` before it.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}
