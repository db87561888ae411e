//! The files that are open, and those they use: names across all of them.

use super::library::Library;
use super::names::{Definition, Names, Sort, Target};
use super::position::Text;
use super::workspace::Workspace;
use crate::source::{FileId, Span};
use crate::syntax;
use crate::syntax::tree::{ExprKind, File, ItemKind};
use lsp_types::Location;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One file and its names.
pub struct Module {
    pub text: Text,
    pub file: File,
    pub names: Names,
}

/// Modules by their paths.
pub struct Modules {
    found: BTreeMap<PathBuf, Module>,
    library: Library,
}

/// What a name means: the file of its declaration, and the name within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub path: PathBuf,
    pub target: Target,
}

impl Modules {
    /// All open texts, and what they use.
    pub fn load(workspace: &Workspace) -> Self {
        let mut waiting: Vec<PathBuf> = workspace.documents.iter().map(|document| document.path.clone()).collect();
        let mut found = BTreeMap::new();
        while let Some(path) = waiting.pop() {
            if found.contains_key(&path) {
                continue;
            }
            let Some(module) = read(workspace, &path) else { continue };
            waiting.extend(uses(&path, &module.file, &workspace.library).map(|(_, used)| used));
            found.insert(path, module);
        }
        Self { found, library: workspace.library.clone() }
    }

    /// The module of a path.
    pub fn get(&self, path: &Path) -> Option<&Module> {
        self.found.get(path)
    }

    /// What the name at a byte means; `None` where no name stands or nothing declares it.
    pub fn key_at(&self, path: &Path, byte: usize) -> Option<(Key, Span)> {
        let mention = self.get(path)?.names.at(byte)?;
        Some((self.resolve(path, &mention.target)?, mention.span))
    }

    /// The declaration behind a key.
    pub fn definition(&self, key: &Key) -> Option<&Definition> {
        let names = &self.get(&key.path)?.names;
        match &key.target {
            Target::Name { name, .. } => names.find(name),
            Target::Section { experiment, keyword, name } => names.section(experiment, keyword, name),
        }
    }

    /// What a target means that is written in the file of that path.
    pub fn resolve(&self, path: &Path, target: &Target) -> Option<Key> {
        let module = self.get(path)?;
        match target {
            Target::Name { module: None, name } => {
                module.names.find(name)?;
                Some(Key { path: path.to_path_buf(), target: target.clone() })
            }
            Target::Name { module: Some(alias), name } => {
                let used = self.used(path, alias)?;
                self.resolve(&used, &Target::Name { module: None, name: name.clone() })
            }
            Target::Section { experiment, keyword, name } => self.section(path, experiment, keyword, name),
        }
    }

    /// The section that a name in an experiment means: the one of the farthest ancestor that has it, so that an override and what
    /// it overrides are one name.
    fn section(&self, path: &Path, experiment: &str, keyword: &str, name: &str) -> Option<Key> {
        let (mut path, mut experiment) = (path.to_path_buf(), experiment.to_owned());
        let mut found = None;
        let mut passed = Vec::new();
        loop {
            if self.get(&path)?.names.section(&experiment, keyword, name).is_some() {
                let (keyword, name) = (keyword.to_owned(), name.to_owned());
                let target = Target::Section { experiment: experiment.clone(), keyword, name };
                found = Some(Key { path: path.clone(), target });
            }
            passed.push((path.clone(), experiment.clone()));
            match self.parent(&path, &experiment) {
                Some(parent) if !passed.contains(&parent) => (path, experiment) = parent,
                _ => return found,
            }
        }
    }

    /// The experiment that an experiment extends, and its file.
    pub fn parent(&self, path: &Path, experiment: &str) -> Option<(PathBuf, String)> {
        let parent = self.get(path)?.file.items.iter().find_map(|item| match &item.kind {
            ItemKind::Experiment { name, parent: Some(parent), .. } if name.text == experiment => Some(parent),
            _ => None,
        })?;
        match parent.segments.as_slice() {
            [name] => Some((path.to_path_buf(), name.text.clone())),
            [alias, name] => Some((self.used(path, &alias.text)?, name.text.clone())),
            _ => None,
        }
    }

    /// The files that a module uses, by the names it gives them.
    pub fn uses(&self, path: &Path) -> impl Iterator<Item = (&str, PathBuf)> {
        let module = self.found.get_key_value(path);
        module.into_iter().flat_map(|(path, module)| uses(path, &module.file, &self.library))
    }

    /// The file that is used by a name.
    pub fn used(&self, path: &Path, alias: &str) -> Option<PathBuf> {
        self.uses(path).find(|(name, _)| *name == alias).map(|(_, used)| used)
    }

    /// Every place that means the same, declarations included, by file.
    pub fn places(&self, key: &Key) -> Vec<(&Path, &Text, Span)> {
        let mut places = Vec::new();
        for (path, module) in &self.found {
            let same = |target: &Target| self.resolve(path, target).as_ref() == Some(key);
            let mentions = module.names.mentions.iter().filter(|mention| same(&mention.target));
            places.extend(mentions.map(|mention| (path.as_path(), &module.text, mention.span)));
        }
        places
    }

    /// Where a declaration's name stands.
    pub fn location(&self, workspace: &Workspace, key: &Key) -> Option<Location> {
        // The name of a used file leads to that file.
        let definition = self.definition(key)?;
        if definition.sort == Sort::Module {
            let used = self.used(&key.path, &definition.name.text)?;
            return Some(Location { uri: workspace.uri(&used)?, range: lsp_types::Range::default() });
        }
        let range = self.get(&key.path)?.text.range(definition.name.span);
        Some(Location { uri: workspace.uri(&key.path)?, range })
    }
}

fn read(workspace: &Workspace, path: &Path) -> Option<Module> {
    if let Some(document) = workspace.documents.at(path) {
        let file = document.tree().clone();
        return Some(Module { text: document.text.clone(), names: Names::of(&file), file });
    }
    let content = workspace.read(path)?;
    let (file, _) = syntax::parse(FileId(0), &content);
    Some(Module { text: Text::new(content, workspace.documents.encoding), names: Names::of(&file), file })
}

fn uses<'f>(path: &Path, file: &'f File, library: &Library) -> impl Iterator<Item = (&'f str, PathBuf)> {
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    file.items.iter().filter_map(move |item| match &item.kind {
        ItemKind::Use { path: written, name } => match &written.kind {
            ExprKind::String(text) => Some((name.text.as_str(), library.locate(&folder, text))),
            _ => None,
        },
        _ => None,
    })
}
