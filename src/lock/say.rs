//! What has drifted, as findings.

use super::{Change, Drift, Kind, Lock};
use crate::diag::{Code, Diagnostic};
use crate::report::units;
use std::path::Path;

impl Lock {
    /// `1 model, 2 data sources, 0 library files`
    pub fn counted(&self) -> String {
        let counts = [
            (self.models.len(), "model"),
            (self.data.len(), "data source"),
            (self.library.files.len(), "library file"),
        ];
        counts.map(|(count, what)| units::counted(count, what)).join(", ")
    }
}

impl Drift {
    /// W0502, or E0510 where nothing may drift: an entry of the lock at `path`, and `accept`, the command that takes its present state.
    pub fn from_lock(&self, code: Code, lock: &Lock, path: &Path, accept: &str) -> Diagnostic {
        let shown = path.display();
        let message = match self.changes.as_slice() {
            [Change::Unlocked] => format!("`{}` is not in `{shown}`", self.name),
            _ => format!("{} is not as `{shown}` has it: {}", self.subject(), self.how()),
        };
        let entry = if self.kind == Kind::Library { "library" } else { &self.name };
        let help = match self.changes.as_slice() {
            [Change::Unlocked] => format!("add it: `{accept}`"),
            _ => format!("put it back as it was, or accept it: `{accept}`"),
        };
        Diagnostic::new(code, message).in_file(path, lock.line_of(entry)).help(help)
    }

    /// W0503, or E0513 where the run cannot go on so: something that the run was made with.
    pub fn from_run(&self, code: Code) -> Diagnostic {
        let message = match self.changes.as_slice() {
            [Change::Gone] => format!("{} is not there any more, which the run was made with", self.subject()),
            _ => format!("{} has changed since the run: {}", self.subject(), self.how()),
        };
        Diagnostic::new(code, message).help("put it back as it was, or run the spec again, which makes a new run")
    }

    fn subject(&self) -> String {
        match self.kind {
            Kind::Library => format!("the library file `{}`", self.name),
            Kind::Model => format!("the model `{}`", self.name),
            Kind::Saved => format!("the saved intervention `{}`", self.name),
            Kind::Data => format!("`{}`", self.name),
        }
    }
}
