//! From the tree to a [`Spec`]: names, types, and the facts of model, tokenizer and data.
//!
//! Checking always finishes: what is wrong is reported, and the rest is checked all the same.

pub mod allowed;
mod arithmetic;
mod changes;
mod choices;
mod cycles;
mod data;
mod describe;
mod eval;
mod evaluate;
mod expect;
mod experiment;
mod fields;
mod findings;
pub mod foreign;
mod forms;
mod inherit;
mod intervene;
mod layers;
mod lets;
mod lints;
mod literal_place;
mod mismatch;
mod model;
pub mod modules;
mod names;
mod place;
mod placed;
mod positions;
pub mod schema;
mod scope;
mod selection;
mod source;
pub mod spec;
mod split;
mod substitute;
mod sweep;
mod template;
mod train;
mod trained;
pub mod types;
mod value;

use spec::FieldOrigin;
pub use spec::Spec;

use crate::diag::{Code, Diagnostic, Sink};
use crate::source::{Sources, Span};
use crate::syntax::tree::{ExprKind, Field, File, Ident, ItemKind};
use crate::world::World;
use changes::Changes;
use data::DataDeclaration;
use lints::SpecSeen;
use model::ModelDeclaration;
use modules::Modules;
use scope::{Declared, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The newest edition of the language that this version knows.
pub const EDITION: i64 = 1;

/// The state of checking one file.
struct Checker<'a> {
    scope: &'a Scope<'a>,
    world: &'a dyn World,
    modules: &'a Modules,
    sources: &'a Sources,
    /// Fields that the command line sets, before any sweep.
    settings: &'a [Field],
    sink: Sink,
    /// Where the fields of the blocks were set that were read last.
    origins: Vec<FieldOrigin>,
    /// Names of the `let`s that are being evaluated, outermost first.
    active: Vec<Ident>,
    /// The places of the `let`s with an error of their own: what uses them says nothing more.
    broken: BTreeSet<Span>,
    /// Declarations that were reached, by the places of their names, with `None` for those with errors.
    models: BTreeMap<Span, Option<Rc<ModelDeclaration>>>,
    data: BTreeMap<Span, Option<Rc<DataDeclaration>>>,
    /// Models and data that some experiment uses, as they are declared or changed.
    reached: BTreeSet<Span>,
    /// What the point of a sweep that is checked sets in declarations, and the data that this changes.
    changes: Changes,
    changed_data: BTreeMap<Span, Option<Rc<DataDeclaration>>>,
}

/// Checks a file and what it uses, with fields that the command line sets. The spec holds its experiments that are free of errors.
pub fn check(modules: &Modules, settings: &[Field], sources: &Sources, world: &dyn World) -> (Spec, Vec<Diagnostic>) {
    let mut sink = Sink::default();
    modules.all().iter().for_each(|module| check_edition(&module.tree, &mut sink));
    let scope = Scope::collect(modules, sources, &mut sink);
    let mut checker = Checker {
        scope: &scope,
        world,
        modules,
        sources,
        settings,
        sink,
        origins: Vec::new(),
        active: Vec::new(),
        broken: BTreeSet::new(),
        models: BTreeMap::new(),
        data: BTreeMap::new(),
        reached: BTreeSet::new(),
        changes: Changes::default(),
        changed_data: BTreeMap::new(),
    };
    checker.lets();
    let mut spec = Spec::default();
    let mut experiments = 0;
    for entry in scope.entries() {
        if let Declared::Experiment { parent, body, doc } = entry.declared {
            experiments += 1;
            checker.experiment(entry.name, doc, parent, body, &mut spec);
        }
    }
    let Some(root) = modules.root() else { return (spec, checker.sink.into_sorted()) };
    let broken = root.tree.items.iter().any(|item| matches!(item.kind, ItemKind::Bad));
    if experiments > 0 && !broken {
        checker.unreached_data();
        checker.unreached_models();
    }
    checker.look_at_spec(&SpecSeen { file: root.tree.span, experiments, broken });
    (spec, checker.sink.into_sorted())
}

impl Checker<'_> {
    /// The text of a place.
    fn slice(&self, span: Span) -> &'_ str {
        self.sources.text(span)
    }

    /// Counts the names in a piece of the spec as used: it is not evaluated, and what it meant is not known.
    fn mention(&self, span: Span) {
        self.scope.mention(span);
    }
}

fn check_edition(file: &File, sink: &mut Sink) {
    for item in &file.items {
        let ItemKind::Edition { value } = &item.kind else { continue };
        match value.kind {
            ExprKind::Int(edition) if (1..=EDITION).contains(&edition) => {}
            ExprKind::Bad => {}
            _ => sink.push(
                Diagnostic::at(
                    Code::NewerEdition,
                    value.span,
                    "this file is written for an edition that this reftc does not know",
                    format!("editions up to {EDITION} are known"),
                )
                .help(format!("write `edition = {EDITION}`, or use a newer reftc")),
            ),
        }
    }
}
