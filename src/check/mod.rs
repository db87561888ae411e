//! From the tree to a [`Spec`]: names, types, and the facts of model, tokenizer and data.
//!
//! Checking always finishes: what is wrong is reported, and the rest is checked all the same.

mod choices;
mod cycles;
mod data;
mod dead;
mod eval;
mod evaluate;
mod experiment;
mod fields;
mod findings;
mod forms;
mod gold;
mod intervene;
mod layers;
mod lets;
mod literal_place;
mod mismatch;
mod model;
mod names;
mod overlap;
mod placed;
mod positions;
pub mod schema;
mod scope;
mod source;
pub mod spec;
mod split;
mod template;
mod train;
pub mod types;
mod value;

pub use spec::Spec;

use crate::diag::{Code, Diagnostic, Sink};
use crate::source::{SourceFile, Span};
use crate::syntax::tree::{ExprKind, File, Ident, ItemKind};
use crate::world::World;
use data::DataDeclaration;
use model::ModelDeclaration;
use scope::{Declared, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The newest edition of the language that this version knows.
pub const EDITION: i64 = 1;

/// The state of checking one file.
struct Checker<'a> {
    scope: &'a Scope<'a>,
    world: &'a dyn World,
    /// The text of the spec, for places inside strings.
    text: &'a str,
    /// The folder that paths are relative to.
    folder: PathBuf,
    sink: Sink,
    /// Names of the `let`s that are being evaluated, outermost first.
    active: Vec<Ident>,
    /// Names of the `let`s with an error of their own: what uses them says nothing more.
    broken: BTreeSet<String>,
    /// Declarations that were reached, with `None` for those with errors.
    models: BTreeMap<String, Option<Rc<ModelDeclaration>>>,
    data: BTreeMap<String, Option<Rc<DataDeclaration>>>,
}

/// Checks a file. The spec holds the experiments that are free of errors.
pub fn check(file: &File, source: &SourceFile, world: &dyn World) -> (Spec, Vec<Diagnostic>) {
    let mut sink = Sink::default();
    check_edition(file, &mut sink);
    let scope = Scope::collect(file, &source.text, &mut sink);
    let folder = source.path.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut checker = Checker {
        scope: &scope,
        world,
        text: &source.text,
        folder,
        sink,
        active: Vec::new(),
        broken: BTreeSet::new(),
        models: BTreeMap::new(),
        data: BTreeMap::new(),
    };
    checker.lets();
    let mut spec = Spec::default();
    let mut experiments = 0;
    for entry in scope.entries() {
        if let Declared::Experiment { body, doc } = entry.declared {
            experiments += 1;
            spec.experiments.extend(checker.experiment(entry.name, doc, body));
        }
    }
    let broken = file.items.iter().any(|item| matches!(item.kind, ItemKind::Bad));
    if experiments == 0 && !broken {
        checker.sink.push(
            Diagnostic::at(Code::NothingToRun, file.span, "this file has no experiment", "nothing to run")
                .help("add `experiment NAME { … }`"),
        );
    }
    if experiments > 0 && !broken {
        checker.unreached_data();
        checker.unreached_models();
        scope.report_unused(&mut checker.sink);
    }
    (spec, checker.sink.into_sorted())
}

impl Checker<'_> {
    /// The text of a place.
    fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// Counts the names in a piece of the spec as used: it is not evaluated, and what it meant is not known.
    fn mention(&self, span: Span) {
        self.scope.mention(self.slice(span));
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
