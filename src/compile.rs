//! From the path of a spec to what it says: every file read, parsed and checked. Commands, editors and tests all go through here.

pub mod expectations;

use crate::check::allowed::Allowed;
use crate::check::modules::{Modules, near_spec};
use crate::check::spec::{Expectation, Promised};
use crate::check::{self, Spec};
use crate::diag::{Code, Diagnostic, Result, Severity, in_order, reason};
use crate::plan::{self, Means, Plan};
use crate::source::{FileId, Sources};
use crate::syntax;
use crate::world::World;
use std::path::Path;

/// A spec after checking, with everything that was found.
#[derive(Default)]
pub struct Compiled {
    /// The spec and the files that it uses; the spec is the first.
    pub sources: Sources,
    pub spec: Spec,
    /// In the order of their places.
    pub diagnostics: Vec<Diagnostic>,
    /// Advice, for who asks for it.
    pub advice: Vec<Diagnostic>,
    /// The warnings and the advice that the spec allows, which are not among them.
    pub allowed: Vec<Diagnostic>,
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

/// Reads and checks a spec, with fields set from outside: `train.lr=1e-3`. A file that cannot be read is a finding too.
pub fn compile(path: &Path, settings: &[String], world: &dyn World) -> Compiled {
    let mut sources = Sources::default();
    match read(path, world) {
        Ok(text) => {
            let id = sources.add(path, text);
            compile_text(id, sources, settings, world)
        }
        Err(diagnostic) => {
            sources.add(path, String::new());
            Compiled { sources, spec: Spec::default(), diagnostics: vec![*diagnostic], ..Compiled::default() }
        }
    }
}

/// Checks a spec whose text is at hand, with the files that it uses and fields set from outside.
pub fn compile_text(id: FileId, mut sources: Sources, settings: &[String], world: &dyn World) -> Compiled {
    let (modules, mut diagnostics) = Modules::load(id, &mut sources, world);
    let mut fields = Vec::new();
    for (number, setting) in settings.iter().enumerate() {
        let id = sources.add(Path::new(&format!("--set[{}]", number + 1)), setting.clone());
        let (field, found) = syntax::parse_setting(id, setting);
        fields.extend(field);
        diagnostics.extend(found);
    }
    let (spec, found) = check::check(&modules, &fields, &sources, world);
    diagnostics.extend(found);
    let planned = |expectation: &Expectation| matches!(expectation.promised, Promised::Planned(_));
    if spec.experiments.iter().flat_map(|experiment| &experiment.expectations).any(planned) {
        diagnostics.extend(expectations::violated(&spec, &plan::lower(&spec, Means::default())));
    }
    let means = Allowed::read(&modules, &mut diagnostics);
    in_order(&mut diagnostics);
    let (allowed, rest): (_, Vec<_>) = diagnostics.into_iter().partition(|diagnostic| means.covers(diagnostic));
    let (advice, diagnostics) = rest.into_iter().partition(|diagnostic| diagnostic.severity == Severity::Advice);
    Compiled { sources, spec, diagnostics, advice, allowed }
}

/// The text of a spec file.
pub fn read(path: &Path, world: &dyn World) -> Result<String> {
    let unreadable = |message: String, help: String| {
        Box::new(Diagnostic::new(Code::UnreadableSpec, message).in_file(path, None).help(help))
    };
    let bytes = world.read(path).map_err(|error| {
        let message = format!("cannot read `{}`: {}", path.display(), reason(&error));
        unreadable(message, near_spec(path, world))
    })?;
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("`{}` is not UTF-8 text", path.display());
        unreadable(message, "save the file with the encoding UTF-8".to_owned())
    })
}
