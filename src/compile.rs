//! From the path of a spec to what it says: every file read, parsed and checked. Commands, editors and tests all go through here.

pub mod expectations;
pub mod outline;

use crate::check::allowed::Allowed;
use crate::check::modules::{LIBRARY, Modules, near_spec};
use crate::check::spec::{Expectation, Experiment, FieldOrigin, Promised};
use crate::check::{self, Spec};
use crate::diag::{Code, Diagnostic, Result, Severity, in_order, reason};
use crate::digest;
use crate::lock::{Inputs, Library, Lock};
use crate::plan::{self, Field, Means, Plan};
use crate::source::{FileId, Sources};
use crate::syntax;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
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
        let mut plan = plan::lower(&self.spec, means);
        for (planned, checked) in plan.experiments.iter_mut().zip(&self.spec.experiments) {
            let weights = planned.model.weights.as_deref();
            planned.fields = checked.origins.iter().map(|origin| Field::new(origin, weights, &self.sources)).collect();
        }
        plan
    }

    /// What the experiments read; paths are told from the folder of the spec.
    pub fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::new(self.library());
        self.spec.experiments.iter().for_each(|experiment| self.add_inputs(experiment, &mut inputs));
        inputs
    }

    fn add_inputs(&self, experiment: &Experiment, inputs: &mut Inputs) {
        let folder = self.sources.file(FileId(0)).and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
        let splits = experiment.train.splits.iter().chain(experiment.evals.iter().map(|eval| &eval.split));
        inputs.add(folder, &experiment.model.source, splits.map(|split| &split.split.source), &experiment.starts);
    }

    /// The names in a lock of what the spec declares: of `tiny` that of its model, of `reviews` and `reviews.train` those of rows.
    pub fn locked_names(&self, lock: &Lock) -> BTreeMap<String, BTreeSet<String>> {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for experiment in &self.spec.experiments {
            let mut own = Inputs::default();
            self.add_inputs(experiment, &mut own);
            for FieldOrigin { path, content, .. } in &experiment.origins {
                match path.split('.').collect::<Vec<_>>().as_slice() {
                    ["model", name] => names.entry((*name).to_owned()).or_default().extend(own.models.keys().cloned()),
                    ["data", name, split] if content.is_some() => {
                        let same =
                            |locked: &&String| lock.data.get(*locked).map(|data| &data.sha256) == content.as_ref();
                        let found: Vec<String> = own.data.keys().filter(same).cloned().collect();
                        names.entry(format!("{name}.{split}")).or_default().extend(found.iter().cloned());
                        names.entry((*name).to_owned()).or_default().extend(found);
                    }
                    _ => {}
                }
            }
        }
        names
    }

    /// The library, with those of its files that the spec uses.
    pub fn library(&self) -> Library {
        let texts: Vec<&str> = LIBRARY.iter().map(|(_, text)| *text).collect();
        let is_used = |(name, text): &&(&str, &str)| {
            self.sources.all().iter().any(|file| file.path == Path::new(name) && file.text == *text)
        };
        let used = LIBRARY.iter().filter(is_used).map(|(name, text)| ((*name).to_owned(), digest::of(text)));
        Library { edition: digest::of(digest::json(&texts)), files: used.collect() }
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
    if let Some(file) = sources.file(id) {
        world.follow_lock(&file.path);
    }
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
