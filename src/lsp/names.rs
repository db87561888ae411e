//! The index of a file: where names are declared and where they are used, found in the tree.

use super::walk::{Node, Place, walk};
use crate::check::schema::{self, is_position};
use crate::check::types::Type;
use crate::intervention::Kind;
use crate::source::Span;
use crate::syntax::tree::{Expr, ExprKind, File, Ident, Item, ItemKind, Path, Section};

/// What a declaration declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// `use "path.reft" as name`
    Module,
    Let,
    Model,
    Data,
    Intervention,
    Experiment,
    /// A block of an experiment: `intervene edit`, `eval dev`.
    Section,
}

impl Sort {
    /// In words, for people.
    pub fn description(self) -> &'static str {
        match self {
            Sort::Module => "a used file",
            Sort::Let => "a `let`",
            Sort::Model => "a model",
            Sort::Data => "data",
            Sort::Intervention => "an intervention",
            Sort::Experiment => "an experiment",
            Sort::Section => "a block of an experiment",
        }
    }
}

/// One declaration.
#[derive(Clone, Debug)]
pub struct Definition {
    pub sort: Sort,
    pub name: Ident,
    pub doc: String,
    /// The whole declaration.
    pub whole: Span,
    /// How the declaration begins, up to its name: `model`, `intervene`.
    pub keyword: String,
    /// The experiment around a section.
    pub experiment: Option<String>,
}

/// What a name in the text means, before it is known whether there is such a thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A declaration of this file, or, behind `ns.`, of the file that is used by that name.
    Name { module: Option<String>, name: String },
    /// A section of an experiment of this file, or of one that it extends.
    Section { experiment: String, keyword: String, name: String },
}

/// One place where a name stands. Declarations are mentions of themselves.
#[derive(Clone, Debug)]
pub struct Mention {
    pub span: Span,
    pub target: Target,
}

/// All names of a file.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub definitions: Vec<Definition>,
    pub mentions: Vec<Mention>,
}

impl Names {
    /// Finds the names of a file.
    pub fn of(file: &File) -> Self {
        let mut names = Self::default();
        file.items.iter().for_each(|item| names.declare(item));
        walk(file, &mut |node, place| names.visit(node, place));
        names.mentions.sort_by_key(|mention| mention.span);
        names
    }

    /// The declaration of that name.
    pub fn find(&self, name: &str) -> Option<&Definition> {
        self.definitions.iter().find(|definition| definition.experiment.is_none() && definition.name.text == name)
    }

    /// The section of an experiment.
    pub fn section(&self, experiment: &str, keyword: &str, name: &str) -> Option<&Definition> {
        self.definitions.iter().find(|definition| {
            definition.experiment.as_deref() == Some(experiment)
                && definition.keyword == keyword
                && definition.name.text == name
        })
    }

    /// The name that stands at a byte.
    pub fn at(&self, byte: usize) -> Option<&Mention> {
        let holds = |span: Span| span.start as usize <= byte && byte <= span.end as usize;
        self.mentions.iter().find(|mention| holds(mention.span))
    }

    fn declare(&mut self, item: &Item) {
        let (sort, keyword, name) = match &item.kind {
            ItemKind::Use { name, .. } => (Sort::Module, "use", name),
            ItemKind::Let { name, .. } => (Sort::Let, "let", name),
            ItemKind::Model { name, .. } => (Sort::Model, "model", name),
            ItemKind::Data { name, .. } => (Sort::Data, "data", name),
            ItemKind::Intervention { name, .. } => (Sort::Intervention, "intervention", name),
            ItemKind::Experiment { name, .. } => (Sort::Experiment, "experiment", name),
            ItemKind::Edition { .. } | ItemKind::Allow(_) | ItemKind::Bad => return,
        };
        self.mention(name, Target::Name { module: None, name: name.text.clone() });
        self.definitions.push(Definition {
            sort,
            name: name.clone(),
            doc: item.doc.clone(),
            whole: item.span,
            keyword: keyword.to_owned(),
            experiment: None,
        });
    }

    fn mention(&mut self, name: &Ident, target: Target) {
        self.mentions.push(Mention { span: name.span, target });
    }

    fn visit(&mut self, node: Node<'_>, place: &Place<'_>) {
        match node {
            Node::Item(Item { kind: ItemKind::Experiment { parent: Some(parent), .. }, .. }) => self.path(parent),
            Node::Section(section) => self.declare_section(section, place),
            Node::Expr(Expr { kind: ExprKind::Word(path), .. }) => self.word(path, place),
            Node::Field(field) if field.name.segments.len() > 1 => self.section_path(&field.name, place),
            Node::Comparison(comparison) => self.section_path(&comparison.left, place),
            Node::Remove(remove) => self.section_mention(&remove.keyword.text, &remove.name, place),
            _ => {}
        }
    }

    fn declare_section(&mut self, section: &Section, place: &Place<'_>) {
        let (Some(name), ItemKind::Experiment { name: experiment, .. }) = (&section.name, &place.item.kind) else {
            return;
        };
        let keyword = section.keyword.text.clone();
        self.section_mention(&keyword, name, place);
        self.definitions.push(Definition {
            sort: Sort::Section,
            name: name.clone(),
            doc: section.doc.clone(),
            whole: section.span,
            keyword,
            experiment: Some(experiment.text.clone()),
        });
    }

    /// A word where a value is wanted: a word of the wanted type comes before any name.
    fn word(&mut self, path: &Path, place: &Place<'_>) {
        if is_word_of(path, place.holds) {
            return;
        }
        match path.segments.as_slice() {
            [keyword, _, ..] if matches!(keyword.text.as_str(), "intervene" | "eval") => self.section_path(path, place),
            _ => self.path(path),
        }
    }

    /// `name`, `name.split` or `ns.name`.
    fn path(&mut self, path: &Path) {
        let Some(first) = path.segments.first() else { return };
        let Some(sort) = self.find(&first.text).map(|found| found.sort) else { return };
        self.mention(first, Target::Name { module: None, name: first.text.clone() });
        if let (Sort::Module, Some(second)) = (sort, path.segments.get(1)) {
            let target = Target::Name { module: Some(first.text.clone()), name: second.text.clone() };
            self.mention(second, target);
        }
    }

    /// `intervene.edit.rank`, `eval.dev.exact_match`
    fn section_path(&mut self, path: &Path, place: &Place<'_>) {
        if let [keyword, name, ..] = path.segments.as_slice() {
            self.section_mention(&keyword.text, name, place);
        }
    }

    fn section_mention(&mut self, keyword: &str, name: &Ident, place: &Place<'_>) {
        if let ItemKind::Experiment { name: experiment, .. } = &place.item.kind {
            let (experiment, keyword) = (experiment.text.clone(), keyword.to_owned());
            self.mention(name, Target::Section { experiment, keyword, name: name.text.clone() });
        }
    }
}

/// Whether a path is a word of the language where that type is wanted.
pub fn is_word_of(path: &Path, holds: Option<Type>) -> bool {
    let [word] = path.segments.as_slice() else { return false };
    match holds {
        Some(Type::Kind) => Kind::find(&word.text).is_some(),
        Some(Type::Positions) if is_position(&word.text) => true,
        Some(holds) => schema::forms(holds).any(|form| form.name == word.text),
        None => false,
    }
}
