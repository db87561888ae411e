//! The file of a spec and the files that it uses, read and parsed.

use crate::diag::{Code, Diagnostic, Sink, reason, suggest};
use crate::source::{FileId, Sources, Span, without_detours};
use crate::syntax;
use crate::syntax::tree::{ExprKind, File, Ident, ItemKind};
use crate::world::World;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files of the library that is part of the binary: `use "std/recipes.reft" as recipes`.
pub const LIBRARY: &[(&str, &str)] = &[
    ("std/recipes.reft", include_str!("../../specs/std/recipes.reft")),
    ("std/templates.reft", include_str!("../../specs/std/templates.reft")),
];

/// One parsed file.
pub struct Module {
    pub id: FileId,
    pub tree: File,
    /// The folder that paths in the file are relative to.
    pub folder: PathBuf,
    /// The files behind its `use`s, by the names that they have here; `None` for one that is reported.
    pub uses: Vec<(Ident, Option<FileId>)>,
}

/// The file of a spec, and every file that it uses, each once.
pub struct Modules {
    /// The spec itself comes first.
    modules: Vec<Module>,
}

/// A file on the way from the spec to the one that is being read.
struct Step {
    key: PathBuf,
    id: FileId,
    /// Where the file before it uses it; `None` for the spec.
    place: Option<Span>,
}

struct Loader<'a> {
    sources: &'a mut Sources,
    world: &'a dyn World,
    sink: Sink,
    modules: Vec<Module>,
    /// Files that were read, by their path without detours; `None` for those that could not be.
    known: BTreeMap<PathBuf, Option<FileId>>,
    /// From the spec to the file that is being read.
    way: Vec<Step>,
}

impl Modules {
    /// Parses the file `root` of `sources`, and every file that it uses, which are added there. What cannot be read is
    /// reported at its `use` (E0013), and so is a cycle (E0104).
    pub fn load(root: FileId, sources: &mut Sources, world: &dyn World) -> (Self, Vec<Diagnostic>) {
        let path = sources.file(root).map(|file| file.path.clone()).unwrap_or_default();
        let mut loader = Loader {
            sources,
            world,
            sink: Sink::default(),
            modules: Vec::new(),
            known: BTreeMap::new(),
            way: Vec::new(),
        };
        let key = without_detours(&path);
        loader.known.insert(key.clone(), Some(root));
        loader.way.push(Step { key, id: root, place: None });
        loader.module(root, path.parent().unwrap_or(Path::new("")).to_path_buf());
        let Loader { mut modules, sink, .. } = loader;
        modules.sort_by_key(|module| module.id != root);
        (Self { modules }, sink.into_sorted())
    }

    /// The spec itself.
    pub fn root(&self) -> Option<&Module> {
        self.modules.first()
    }

    /// All files, the spec first.
    pub fn all(&self) -> &[Module] {
        &self.modules
    }

    /// The file of that number. Text from elsewhere, such as `--set`, is read as part of the spec.
    pub fn of(&self, id: FileId) -> Option<&Module> {
        self.modules.iter().find(|module| module.id == id).or(self.root())
    }

    /// Where a path that is written at `place` leads.
    pub fn locate(&self, place: Span, path: &str) -> PathBuf {
        self.of(place.file).map_or_else(|| PathBuf::from(path), |module| module.folder.join(path))
    }
}

impl Loader<'_> {
    fn module(&mut self, id: FileId, folder: PathBuf) {
        let text = self.sources.file(id).map(|file| file.text.clone()).unwrap_or_default();
        let (tree, found) = syntax::parse(id, &text);
        self.sink.extend(found);
        let mut uses = Vec::new();
        for item in &tree.items {
            if let ItemKind::Use { path, name } = &item.kind {
                let used = match &path.kind {
                    ExprKind::String(written) => self.used(written, path.span, &folder),
                    _ => None,
                };
                uses.push((name.clone(), used));
            }
        }
        self.modules.push(Module { id, tree, folder, uses });
    }

    /// The file behind one `use`; `None` where it is reported, now or at an earlier `use`.
    fn used(&mut self, written: &str, place: Span, folder: &Path) -> Option<FileId> {
        let library = written.starts_with("std/");
        let path = if library { PathBuf::from(written) } else { folder.join(written) };
        let key = if library { path.clone() } else { without_detours(&path) };
        if let Some(first) = self.way.iter().position(|step| step.key == key) {
            self.cycle(first, place);
            return None;
        }
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let text = if library { self.library(written, place) } else { self.read(&path, place) };
        let id = text.map(|text| self.sources.add(&key, text));
        self.known.insert(key.clone(), id);
        let id = id?;
        self.way.push(Step { key, id, place: Some(place) });
        self.module(id, path.parent().unwrap_or(Path::new("")).to_path_buf());
        self.way.pop();
        Some(id)
    }

    fn library(&mut self, written: &str, place: Span) -> Option<String> {
        let found = LIBRARY.iter().find(|(name, _)| *name == written);
        if found.is_none() {
            let names: Vec<&str> = LIBRARY.iter().map(|(name, _)| *name).collect();
            let help = suggest::did_you_mean(written, names.iter().copied())
                .unwrap_or_else(|| format!("it holds {}", suggest::list(&names)));
            self.sink.push(
                Diagnostic::at(
                    Code::UnreadableSpec,
                    place,
                    format!("the library of reftc has no file `{written}`"),
                    "not part of the library",
                )
                .help(help),
            );
        }
        found.map(|(_, text)| (*text).to_owned())
    }

    fn read(&mut self, path: &Path, place: Span) -> Option<String> {
        let fail = |cause: String, help: String| {
            Diagnostic::at(
                Code::UnreadableSpec,
                place,
                format!("cannot read `{}`: {cause}", without_detours(path).display()),
                "used here",
            )
            .help(help)
        };
        let bytes = match self.world.read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.sink.push(fail(reason(&error), near_spec(path, self.world)));
                return None;
            }
        };
        let text = String::from_utf8(bytes).ok();
        if text.is_none() {
            self.sink.push(fail("it is not UTF-8 text".to_owned(), "save the file with the encoding UTF-8".to_owned()));
        }
        text
    }

    /// A file that uses itself, over the files of the way from number `first` on; `last` is the `use` that leads back.
    fn cycle(&mut self, first: usize, last: Span) {
        let steps = self.way.get(first..).unwrap_or_default();
        let name = |id: FileId| self.sources.file(id).map(|file| file.path.display().to_string()).unwrap_or_default();
        let names: Vec<String> = steps.iter().chain(steps.first()).map(|step| format!("`{}`", name(step.id))).collect();
        let start = names.first().cloned().unwrap_or_default();
        let mut diagnostic = Diagnostic::at(
            Code::CyclicDefinition,
            last,
            format!("{start} uses itself: {}", names.join(" → ")),
            format!("leads back to {start}"),
        );
        for (step, name) in steps.iter().zip(&names).skip(1) {
            if let Some(place) = step.place {
                diagnostic = diagnostic.label(place, format!("{name} is used here"));
            }
        }
        self.sink.push(diagnostic.help("move what both need into a file of its own"));
    }
}

/// Which spec may have been meant by a path that leads nowhere.
pub fn near_spec(path: &Path, world: &dyn World) -> String {
    let folder = if world.exists(path) { path } else { path.parent().unwrap_or(Path::new("")) };
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = world.list(here).into_iter().filter(|name| name.ends_with(".reft"));
    let specs: Vec<String> = names.map(|name| folder.join(name).display().to_string()).collect();
    let specs = specs.iter().map(String::as_str);
    suggest::did_you_mean(&path.to_string_lossy(), specs).unwrap_or_else(|| "name a .reft file".to_owned())
}
