//! `env.json`: what made a run, besides the spec.

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};

/// The program, the source tree and the machine of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The version of reftc.
    pub reftc: String,
    /// The git tree that holds the spec, where there is one.
    pub git: Option<Git>,
    /// As the engine names it: `cpu`, `cuda:0`.
    pub device: String,
    /// Its card, where it is a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<GraphicsCard>,
    pub threads: usize,
    /// `linux`, `macos`, `windows`
    pub os: String,
    /// `x86_64`, `aarch64`
    pub architecture: String,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphicsCard {
    /// `NVIDIA H200`
    pub name: String,
    /// Bytes.
    pub memory: u64,
}

/// The state of a git tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The full hash of HEAD.
    pub revision: String,
    /// A tracked file differs from HEAD.
    pub dirty: bool,
}

impl Environment {
    /// The environment of a run of the spec in `folder`, on a device with this name and this card.
    pub fn capture(folder: &Path, device: &str, card: Option<GraphicsCard>, threads: usize) -> Self {
        Self {
            reftc: env!("CARGO_PKG_VERSION").to_owned(),
            git: git(folder),
            device: device.to_owned(),
            card,
            threads,
            os: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
        }
    }
}

/// The git tree around `folder`; `None` where there is none, no commit in it, or no `git` to ask.
pub fn git(folder: &Path) -> Option<Git> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let ask = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(["-c", "core.fsmonitor=false"]).args(arguments);
        // A look must not write: `git status` would refresh the index.
        command.env("GIT_OPTIONAL_LOCKS", "0").stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let revision = ask(&["rev-parse", "--verify", "HEAD"])?;
    let dirty = !ask(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(Git { revision, dirty })
}

/// The bytes that are free on the disk of `folder`, as `df` says; `None` where there is no such program.
pub fn free_space(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    let output = Command::new("df").arg("-Pk").arg(there).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Name, size, used, free, share and place; a name may hold spaces, so the columns are counted from the share on.
    let words: Vec<&str> = text.lines().nth(1)?.split_whitespace().collect();
    let share = words.iter().position(|word| word.ends_with('%'))?;
    words.get(share.checked_sub(1)?)?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// The bytes of memory that new work may take without anything being swapped out; `None` where the system does not say (only Linux does).
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_told_of_a_folder_to_come() {
        if Command::new("df").arg("-Pk").output().is_err() {
            return eprintln!("skipped: no df here");
        }
        assert!(free_space(&std::env::temp_dir().join("not/there/yet")).is_some());
    }

    fn run(folder: &Path, arguments: &[&str]) -> bool {
        let identity = ["-c", "user.name=reftc", "-c", "user.email=reftc@example.org"];
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(identity).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    #[test]
    fn a_tree_is_dirty_when_a_tracked_file_changed() {
        let folder = tempfile::tempdir().unwrap();
        if !run(folder.path(), &["init", "-q"]) {
            return eprintln!("skipped: no git here");
        }
        assert_eq!(git(folder.path()), None, "no commit yet");
        std::fs::write(folder.path().join("spec.reft"), "let a = 1\n").unwrap();
        assert!(run(folder.path(), &["add", "."]) && run(folder.path(), &["commit", "-qm", "One"]));
        let clean = git(folder.path()).unwrap();
        assert_eq!((clean.revision.len(), clean.dirty), (40, false));
        std::fs::write(folder.path().join("new"), "").unwrap();
        assert_eq!(git(folder.path()).unwrap(), clean);
        std::fs::write(folder.path().join("spec.reft"), "let a = 2\n").unwrap();
        assert!(git(folder.path()).unwrap().dirty);
    }
}
