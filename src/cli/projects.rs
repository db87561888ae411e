//! The templates and examples that are part of the binary.

use crate::diag::Result;
use crate::source::FileId;
use crate::store::atomic;
use crate::syntax;
use std::path::{Path, PathBuf};

/// A small folder of files around a spec.
#[derive(Debug)]
pub struct Project {
    pub name: &'static str,
    /// The first is the spec to begin with.
    pub files: &'static [File],
    /// The project's folder in the repository, as its own texts name it.
    folder: &'static str,
}

/// A file of a project.
#[derive(Debug)]
pub struct File {
    /// Relative to the project's folder.
    pub path: &'static str,
    pub content: &'static str,
}

macro_rules! projects {
    ($folder:literal: $($name:literal => [$($path:literal),* $(,)?];)*) => {
        &[$(Project {
            name: $name,
            folder: concat!($folder, $name, "/"),
            files: &[$(File { path: $path, content: include_str!(concat!("../../", $folder, $name, "/", $path)) }),*],
        }),*]
    };
}

/// What `reftc init` begins with, the simplest first.
pub const TEMPLATES: &[Project] = projects! { "examples/templates/":
    "quickstart" => ["quickstart.reft", "data/train.jsonl", "data/test.jsonl"];
    "classification-by-choices" => ["classification.reft", "data/train.jsonl", "data/test.jsonl"];
    "instruct" => ["instruct.reft", "data/train.jsonl", "data/test.jsonl"];
};

/// What `reftc examples` lists, the simplest first.
pub const EXAMPLES: &[Project] = projects! { "examples/":
    "quickstart" => ["quickstart.reft", "README.md", "data/train.jsonl", "data/test.jsonl", "make_data.py"];
    "sentiment" => ["sentiment.reft", "last_token.reft", "README.md", "data/train.json", "data/test.json", "fetch.sh"];
};

/// What keeps the folder of runs out of git.
const IGNORE: (&str, &str) = (".gitignore", "runs/\n");

impl Project {
    /// The spec to begin with.
    pub fn spec(&self) -> &'static File {
        &self.files[0]
    }

    /// The first line of the spec's documentation.
    pub fn doc(&self) -> String {
        let (tree, _) = syntax::parse(FileId(0), self.spec().content);
        tree.doc.lines().next().unwrap_or_default().to_owned()
    }

    /// Writes the project into a folder, and a `.gitignore` where there is none; gives the paths, as they were written.
    ///
    /// # Errors
    /// The path of a file that is there already, and then nothing is written; or why a file cannot be written, and then those
    /// that were are removed again.
    pub fn write(&self, folder: &Path) -> std::result::Result<Vec<PathBuf>, Obstacle> {
        let mut files: Vec<(PathBuf, String)> =
            self.files.iter().map(|file| (folder.join(file.path), self.text(file))).collect();
        if let Some((taken, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
            return Err(Obstacle::Taken(taken.clone()));
        }
        let ignore = folder.join(IGNORE.0);
        if ignore.symlink_metadata().is_err() {
            files.push((ignore, IGNORE.1.to_owned()));
        }
        let mut written = Vec::new();
        for (path, text) in files {
            if let Err(cause) = atomic::write(&path, text.as_bytes()).and_then(|()| make_executable(&path)) {
                written.iter().for_each(|path| drop(std::fs::remove_file(path)));
                return Err(Obstacle::Unwritable(cause));
            }
            written.push(path);
        }
        Ok(written)
    }

    /// A file's text, with paths that begin in its new folder.
    fn text(&self, file: &File) -> String {
        match file.path.ends_with(".md") || file.path.ends_with(".reft") {
            true => file.content.replace(self.folder, ""),
            false => file.content.to_owned(),
        }
    }
}

/// Why a project was not written.
#[derive(Debug)]
pub enum Obstacle {
    /// This file is there already.
    Taken(PathBuf),
    Unwritable(Box<crate::diag::Diagnostic>),
}

/// Scripts can be run; other files and other systems need nothing.
fn make_executable(path: &Path) -> Result<()> {
    #[cfg(unix)]
    if path.extension().is_some_and(|extension| extension == "sh") {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o755);
        return std::fs::set_permissions(path, mode).map_err(|cause| atomic::unwritable(path, &cause));
    }
    Ok(())
}
