//! From a path to a checked spec, for every command that compiles, and for editors.

use crate::check::{self, Spec};
use crate::diag::{Code, Diagnostic, Result, Severity, in_order, reason, suggest};
use crate::plan::{self, Means, Plan};
use crate::source::{FileId, Sources};
use crate::syntax;
use crate::syntax::tree::File;
use crate::world::World;
use std::path::Path;

/// A spec after checking, with everything that was found.
pub struct Compiled {
    pub sources: Sources,
    pub spec: Spec,
    /// In the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

impl Compiled {
    /// Whether the spec cannot be run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The plan of the spec, to be run by these means; only of use without errors.
    pub fn plan(&self, means: Means) -> Plan {
        plan::lower(&self.spec, means)
    }

    /// The text of the spec as it was read.
    pub fn text(&self) -> &str {
        self.sources.file(FileId(0)).map_or("", |file| file.text.as_str())
    }
}

/// Reads and checks a spec. A file that cannot be read is a finding too.
pub fn compile(path: &Path, world: &dyn World) -> Compiled {
    let mut sources = Sources::default();
    let (text, unreadable) = match read(path, world) {
        Ok(text) => (text, None),
        Err(diagnostic) => (String::new(), Some(diagnostic)),
    };
    let id = sources.add(path, text);
    if let Some(diagnostic) = unreadable {
        return Compiled { sources, spec: Spec::default(), diagnostics: vec![*diagnostic] };
    }
    let (mut diagnostics, spec) = match sources.file(id) {
        Some(source) => {
            let (file, mut diagnostics): (File, _) = syntax::parse(id, &source.text);
            let (spec, found) = check::check(&file, source, world);
            diagnostics.extend(found);
            (diagnostics, spec)
        }
        None => (Vec::new(), Spec::default()),
    };
    in_order(&mut diagnostics);
    Compiled { sources, spec, diagnostics }
}

/// The text of a spec file.
pub fn read(path: &Path, world: &dyn World) -> Result<String> {
    let unreadable = |message: String, help: String| {
        Box::new(Diagnostic::new(Code::UnreadableSpec, message).in_file(path, None).help(help))
    };
    let bytes = world.read(path).map_err(|error| {
        let message = format!("cannot read `{}`: {}", path.display(), reason(&error));
        unreadable(message, near(path, world))
    })?;
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("`{}` is not UTF-8 text", path.display());
        unreadable(message, "save the file with the encoding UTF-8".to_owned())
    })
}

/// Which spec may have been meant.
fn near(path: &Path, world: &dyn World) -> String {
    let folder = if world.exists(path) { path } else { path.parent().unwrap_or(Path::new("")) };
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = world.list(here).into_iter().filter(|name| name.ends_with(".reft"));
    let specs: Vec<String> = names.map(|name| folder.join(name).display().to_string()).collect();
    let specs = specs.iter().map(String::as_str);
    suggest::did_you_mean(&path.to_string_lossy(), specs).unwrap_or_else(|| "name a .reft file".to_owned())
}
