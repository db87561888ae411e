//! From the blocks of an experiment to its checked form.

use super::Checker;
use super::changes::Changes;
use super::eval::EvalFields;
use super::fields::{Fields, misplaced};
use super::intervene::CheckedIntervention;
use super::lints::ExperimentSeen;
use super::model::ModelDeclaration;
use super::schema;
use super::spec::{Eval, Experiment, Keep, Spec, SplitFacts, Sweep, Train, point_text};
use super::split::SplitContext;
use super::sweep::SweptPoint;
use super::train::train_block;
use crate::data::positions::Segment;
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{self, Ident, Path, Section};

/// The blocks of an experiment.
const SECTIONS: [&str; 5] = ["intervene", "train", "eval", "sweep", "expect"];

/// The names of the sections of an experiment so far, each with its keyword.
pub type Names<'t> = Vec<(&'static str, &'t Ident)>;

/// The sections of an experiment after a look at their fields.
#[derive(Default)]
struct Sections<'t> {
    interventions: Vec<Option<CheckedIntervention>>,
    train: Option<(&'t Section, Option<Fields>)>,
    evals: Vec<Option<EvalFields<'t>>>,
    expect: Option<&'t Section>,
}

impl<'a> Checker<'a> {
    /// Checks one experiment; everything wrong in it is reported, and then there is none.
    pub(super) fn experiment(
        &mut self,
        name: &'a Ident,
        doc: &str,
        parent: Option<&'a Path>,
        body: &'a tree::Block,
        spec: &mut Spec,
    ) {
        let first = self.sink.len();
        let Some(whole) = self.whole(name, parent, body) else { return };
        if let Some(sweep) = self.points(name, whole.body.clone()) {
            let before = spec.experiments.len();
            for (number, point) in sweep.points.iter().enumerate() {
                let found = self.sink.len();
                self.change(point.changes.clone());
                let checked = self.whole_experiment(name, doc, &point.body);
                if number > 0 {
                    self.note_point(found, point);
                }
                spec.experiments.extend(checked.map(|checked| at_point(checked, point)));
            }
            self.change(Changes::default());
            let points = spec.experiments.get(before..).unwrap_or_default();
            let select = sweep.select.as_ref().and_then(|select| self.selection(select, points.first()?));
            let choice = select.as_ref().zip(sweep.select.as_ref().map(|select| select.span));
            let choice = choice.map(|(selection, place)| (selection.eval.as_str(), place));
            let choices = choice.into_iter().chain(points.iter().filter_map(kept_by)).collect();
            self.look_at_experiment(&ExperimentSeen { name, points, choices });
            if points.iter().any(|point| !point.point.is_empty()) {
                spec.sweeps.push(Sweep { experiment: name.text.clone(), select });
            }
        }
        self.label_origins(first, &whole, name, parent);
    }

    /// Says of findings from number `first` on, which an earlier point of the sweep did not have, at which point they are.
    fn note_point(&mut self, first: usize, point: &SweptPoint) {
        for at in first..self.sink.len() {
            let within = |place: Span| point.places.iter().any(|outer| outer.contains(place));
            if !self.sink.place(at).is_some_and(within) {
                self.sink.note(at, &format!("at the point {}", point_text(&point.values)));
            }
        }
    }

    /// One experiment, or one point of it, from a block with all that it inherits.
    fn whole_experiment(&mut self, name: &Ident, doc: &str, body: &tree::Block) -> Option<Experiment> {
        self.origins.clear();
        let mut inner = Vec::new();
        let head = name.span;
        let fields = self.block("experiment", Some(body), head, Some(&mut inner))?;
        let model = fields.get("model").and_then(|value| self.changed_model(&value.value.as_name()?.clone()));
        let trained = self.trained(&fields);
        let broken = body.entries.iter().any(|entry| matches!(entry, tree::Entry::Bad(_)));
        let Sections { interventions, train, evals, expect } = self.sections(&inner, model.as_deref());
        if train.is_none() && !broken && !schema::block("train").is_some_and(|train| fields.has_stray_of(train)) {
            self.sink.push(missing_block(head, "train", "train { epochs = 3, lr = 9e-4 }"));
        }
        if interventions.is_empty() && !broken {
            let example = "intervene edit = loreft { layers = all, positions = f3+l3, rank = 4 }";
            self.sink.push(missing_block(head, "intervene", example));
        }

        let checked: Option<Vec<CheckedIntervention>> = interventions.into_iter().collect();
        let segments: Vec<Spanned<Segment>> =
            checked.iter().flatten().flat_map(|checked| checked.segments.iter().cloned()).collect();
        let train_fields = train.as_ref().and_then(|(_, fields)| fields.as_ref());
        let max_length = train_fields.and_then(|fields| self.max_length(fields, model.as_deref()?));
        let context = match (model.as_deref(), max_length) {
            (Some(model), Some(max_length)) => Some(SplitContext { model, max_length, segments: &segments }),
            _ => None,
        };
        let rows = match (&trained, &context) {
            (Some(trained), Some(context)) => self.training_rows(trained, context),
            _ => None,
        };
        let facts = rows.as_deref().map(SplitFacts::joined);
        if let (Some(facts), Some(model), Some(checked)) = (&facts, &model, &checked) {
            checked.iter().for_each(|block| self.dead_segments(block, &facts.shapes, model));
        }
        let dropout = train_fields.and_then(|fields| self.base_dropout(fields, model.as_deref()?));
        let keep = train_fields.and_then(|fields| fields.get("keep").cloned());
        let train = train.and_then(|(section, fields)| train_block(section.keyword.span, &fields?, rows?, facts?));
        let trained = trained.unwrap_or_default();
        let evals: Vec<Option<Eval>> =
            evals.into_iter().map(|eval| self.eval_block(eval?, &trained, context.as_ref()?)).collect();
        let mut origins = std::mem::take(&mut self.origins);
        origins.extend(model.iter().flat_map(|model| model.origins.iter().cloned()));
        origins.extend(trained.iter().flat_map(|trained| trained.data.origins.iter().cloned()));
        let expectations = match expect {
            Some(section) => self.expectations(section, &evals),
            None => Some(Vec::new()),
        };
        let evals = evals.into_iter().collect::<Option<Vec<Eval>>>();
        let keep = match (&keep, &train, &evals, &expectations) {
            (Some(keep), Some(train), Some(evals), Some(expectations)) => self.keep(keep, train, evals, expectations),
            _ => None,
        };
        dropout?;
        Some(Experiment {
            name: name.text.clone(),
            doc: doc.to_owned(),
            span: head,
            seed: u64::try_from(fields.get("seed")?.value.as_int()?).ok()?,
            model: model?.checked.clone(),
            starts: checked.iter().flatten().filter_map(|checked| checked.start.clone()).collect(),
            interventions: checked?.into_iter().map(|checked| checked.intervention).collect(),
            train: Train { keep: keep?, ..train? },
            evals: evals?,
            point: Vec::new(),
            expectations: expectations?,
            origins,
        })
    }

    /// Checks the fields of every section.
    fn sections<'t>(&mut self, inner: &[&'t Section], model: Option<&ModelDeclaration>) -> Sections<'t> {
        let mut sections = Sections::default();
        let mut names = Names::new();
        for section in inner {
            match self.keyword(section) {
                Some("intervene") => sections.interventions.push(self.intervention(section, model, &mut names)),
                Some("train") => match sections.train {
                    None => sections.train = Some((section, self.train_fields(section))),
                    Some((first, _)) => self.second_block(section, first, "join them, or write a second experiment"),
                },
                Some("eval") => sections.evals.push(self.eval_fields(section, &mut names)),
                Some("expect") => match sections.expect {
                    None => sections.expect = Some(section),
                    Some(first) => self.second_block(section, first, "join them"),
                },
                _ => self.mention(section.span),
            }
        }
        sections
    }

    /// What a section is; a wrong word is reported, and the section then read as what it was meant to be.
    fn keyword(&mut self, section: &Section) -> Option<&'static str> {
        let word = section.keyword.text.as_str();
        if let Some(known) = SECTIONS.iter().find(|known| **known == word) {
            return Some(known);
        }
        let meant = match word {
            "intervention" | "reft" | "loreft" => Some("intervene"),
            "training" | "trainer" | "optimizer" => Some("train"),
            "evaluate" | "evaluation" | "test" | "validation" => Some("eval"),
            "grid" | "search" => Some("sweep"),
            "assert" | "require" => Some("expect"),
            _ => suggest::near(word, SECTIONS).first().copied(),
        };
        let diagnostic = schema::block("experiment").map(|block| misplaced(section, block));
        self.sink.extend(diagnostic.map(|diagnostic| match meant {
            Some(meant) => {
                // `optimizer { … }` may be a part of `train` as well as all of it.
                let sure = suggest::slip_of(word, SECTIONS).is_some()
                    || matches!(word, "intervention" | "training" | "evaluate" | "evaluation");
                let fix = sure.then_some(meant);
                diagnostic.help(format!("write `{meant}`")).maybe_fix(section.keyword.span, fix)
            }
            None => diagnostic.help(format!("its blocks are {}", suggest::list(&SECTIONS))),
        }));
        meant
    }

    /// A block that an experiment may have once.
    pub(super) fn second_block(&mut self, second: &Section, first: &Section, help: &str) {
        let keyword = &second.keyword;
        self.sink.push(
            Diagnostic::at(
                Code::MisplacedBlock,
                keyword.span,
                format!("an experiment has one `{}` block", keyword.text),
                "a second one",
            )
            .label(first.keyword.span, "the first one")
            .help(help),
        );
        self.mention(second.span);
    }

    /// The name of a section, checked to be there and new.
    pub(super) fn section_name<'t>(
        &mut self,
        section: &'t Section,
        keyword: &'static str,
        names: &mut Names<'t>,
    ) -> Option<&'t Ident> {
        let Some(name) = &section.name else {
            self.sink.push(
                Diagnostic::at(
                    Code::MissingField,
                    section.keyword.span,
                    format!("this `{keyword}` has no name"),
                    "a name is missing after it",
                )
                .help(match keyword {
                    "eval" => "write `eval test { … }`",
                    _ => "write `intervene edit = loreft { … }`",
                }),
            );
            return None;
        };
        if let Some((_, first)) = names.iter().find(|(word, ident)| *word == keyword && ident.text == name.text) {
            self.sink.push(
                Diagnostic::at(
                    Code::DuplicateName,
                    name.span,
                    format!("there are two `{keyword}` blocks named `{}`", name.text),
                    "named again here",
                )
                .label(first.span, "first named here")
                .help("give one of them another name"),
            );
            return None;
        }
        names.push((keyword, name));
        Some(name)
    }

    /// Reads the fields of a block of the table.
    pub(super) fn block<'t>(
        &mut self,
        name: &str,
        body: Option<&'t tree::Block>,
        head: Span,
        sections: Option<&mut Vec<&'t Section>>,
    ) -> Option<Fields> {
        Some(self.fields(schema::block(name)?, body, head, sections))
    }
}

/// A point of a sweep with its values, which stand in their origins too: a computed one is nowhere written.
fn at_point(mut checked: Experiment, point: &SweptPoint) -> Experiment {
    checked.point.clone_from(&point.values);
    for value in &point.values {
        if let Some(origin) = checked.origins.iter_mut().find(|origin| origin.path == value.path) {
            origin.value.clone_from(&value.value);
        }
    }
    checked
}

/// The evaluation that decides which parameters a training ends with, and where that is written.
fn kept_by(experiment: &Experiment) -> Option<(&str, Span)> {
    let Keep::Best { eval, .. } = &experiment.train.keep else { return None };
    let written = experiment.origins.iter().find(|origin| origin.path == "train.keep").and_then(|origin| origin.place);
    Some((eval, written.unwrap_or(experiment.train.span)))
}

fn missing_block(head: Span, name: &str, example: &str) -> Diagnostic {
    Diagnostic::at(
        Code::MissingField,
        head,
        format!("this experiment has no `{name}` block"),
        format!("`{name}` is missing"),
    )
    .help(format!("add `{example}`"))
}
