//! Files of a git revision, read through the `git` of the machine.

use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::source::without_detours;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A commit of the repository around the working folder. Paths are relative to the repository's root.
#[derive(Clone, Debug)]
pub struct Revision {
    /// As it was written: `HEAD~1`
    name: String,
    commit: String,
    root: PathBuf,
    /// From the root to the working folder.
    prefix: PathBuf,
}

impl Revision {
    /// The revision of that name.
    ///
    /// # Errors
    /// E0013 where there is no git, no repository, or no such revision.
    pub fn find(name: &str) -> Result<Self> {
        let root = asked(Path::new("."), &["rev-parse", "--show-toplevel"])
            .map_err(|reason| unreadable(format!("cannot read the revision `{name}`: {reason}"), OUTSIDE))?;
        let prefix = asked(Path::new("."), &["rev-parse", "--show-prefix"]).unwrap_or_default();
        let wanted = format!("{name}^{{commit}}");
        let commit = asked(Path::new("."), &["rev-parse", "--verify", "--quiet", &wanted]).map_err(|_| {
            let help = "write a commit, branch or tag that `git log` knows, as in `HEAD~1:specs/x.reft`";
            unreadable(format!("git knows no revision `{name}`"), help)
        })?;
        Ok(Self { name: name.to_owned(), commit, root: root.into(), prefix: prefix.into() })
    }

    /// The path in `REV:PATH` as git reads it: from the root, or with a leading `./` or `../` from the working folder.
    ///
    /// # Errors
    /// E0013 where the revision has no such file.
    pub fn written(&self, path: &str) -> Result<PathBuf> {
        let path = Path::new(path);
        let here = matches!(path.components().next(), Some(Component::CurDir | Component::ParentDir));
        self.present(if here { self.here(path) } else { without_detours(path) })
    }

    /// A path of the working folder, from the root of the repository.
    ///
    /// # Errors
    /// E0013 where the revision has no such file.
    pub fn beside(&self, path: &Path) -> Result<PathBuf> {
        self.present(self.here(path))
    }

    fn here(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix(&self.root).map(Path::to_path_buf);
        inside.unwrap_or_else(|_| without_detours(&self.prefix.join(path)))
    }

    fn present(&self, path: PathBuf) -> Result<PathBuf> {
        if self.read(&path).is_ok() {
            return Ok(path);
        }
        let listed = self.git(&["ls-tree", "-r", "-z", "--name-only", &self.commit]);
        let listed = String::from_utf8_lossy(&listed.map(|output| output.stdout).unwrap_or_default()).into_owned();
        let specs: Vec<&str> = listed.split('\0').filter(|name| name.ends_with(".reft")).collect();
        let named = |path: &str| format!("write `{}:{path}`", self.name);
        let nearer = self.here(&path).to_string_lossy().into_owned();
        let help = match suggest::near(&slashes(&path), specs.iter().copied()).first() {
            _ if specs.contains(&nearer.as_str()) => {
                format!("{}: paths begin at the root of the repository", named(&nearer))
            }
            Some(near) => named(near),
            None => "name a .reft file by its path from the root of the repository".to_owned(),
        };
        Err(unreadable(format!("the revision `{}` has no file `{}`", self.name, path.display()), help))
    }

    /// A path in the repository as it is on disk.
    pub fn on_disk(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// `HEAD~1:specs/x.reft`
    pub fn name_of(&self, path: &Path) -> String {
        format!("{}:{}", self.name, slashes(path))
    }

    /// The content of a file in the revision.
    ///
    /// # Errors
    /// Where it has no such file, or git does not run.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = format!("{}:{}", self.commit, slashes(&without_detours(path)));
        let output = self.git(&["cat-file", "blob", &name])?;
        if output.status.success() { Ok(output.stdout) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// The names in a folder of the revision, sorted; empty where there is none.
    pub fn list(&self, folder: &Path) -> Vec<String> {
        let name = format!("{}:{}", self.commit, slashes(&without_detours(folder)));
        let output = self.git(&["ls-tree", "-z", "--name-only", &name]);
        let text = String::from_utf8_lossy(&output.map(|output| output.stdout).unwrap_or_default()).into_owned();
        let mut names: Vec<String> = text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort();
        names
    }

    fn git(&self, arguments: &[&str]) -> io::Result<Output> {
        git(&self.root, arguments)
    }
}

const OUTSIDE: &str = "run it inside the repository, with `git` on the PATH, or name two files";

fn git(folder: &Path, arguments: &[&str]) -> io::Result<Output> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments).env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
    command.stdin(Stdio::null()).output()
}

/// What git answers, or why it does not.
fn asked(folder: &Path, arguments: &[&str]) -> std::result::Result<String, String> {
    let output = git(folder, arguments).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no `git` on the PATH".to_owned(),
        _ => format!("git does not run: {}", crate::diag::reason(&error)),
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(['\n', '\r']).to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(said.trim_start_matches("fatal: ").to_owned())
}

fn slashes(path: &Path) -> String {
    let parts = path.components().filter(|part| !matches!(part, Component::CurDir));
    parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn unreadable(message: String, help: impl Into<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Code::UnreadableSpec, message).help(help.into()))
}
