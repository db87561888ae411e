//! From the blocks of an experiment to its checked form.

use super::Checker;
use super::eval::EvalFields;
use super::fields::{Fields, misplaced};
use super::intervene::CheckedIntervention;
use super::model::ModelDeclaration;
use super::schema;
use super::scope::later;
use super::spec::{CheckedSplit, Eval, Experiment};
use super::split::{SplitContext, Use, missing_split};
use super::train::train_block;
use crate::data::positions::Segment;
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{self, Ident, Section};

/// The blocks of an experiment.
const SECTIONS: [&str; 3] = ["intervene", "train", "eval"];

/// The names of the sections of an experiment so far, each with its keyword.
pub type Names<'t> = Vec<(&'static str, &'t Ident)>;

/// The sections of an experiment after a look at their fields.
#[derive(Default)]
struct Sections<'t> {
    interventions: Vec<Option<CheckedIntervention>>,
    train: Option<(&'t Section, Option<Fields>)>,
    evals: Vec<Option<EvalFields<'t>>>,
}

impl Checker<'_> {
    /// Checks one experiment; everything wrong in it is reported, and then there is none.
    pub(super) fn experiment(&mut self, name: &Ident, doc: &str, body: &tree::Block) -> Option<Experiment> {
        let mut inner = Vec::new();
        let head = name.span;
        let fields = self.block("experiment", Some(body), head, Some(&mut inner))?;
        let model = fields.get("model").and_then(|value| self.model(value.value.as_text()?));
        let data = fields.get("data").and_then(|value| self.data(value.value.as_text()?));
        if let (Some(data), Some(written)) = (&data, fields.get("data"))
            && !data.splits.contains_key("train")
        {
            self.sink.extend(missing_split(data, &Spanned::new("train".to_owned(), written.span)));
        }
        let broken = body.entries.iter().any(|entry| matches!(entry, tree::Entry::Bad(_)));
        let Sections { interventions, train, evals } = self.sections(&inner, model.as_deref());
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
        let rows: Option<CheckedSplit> = match (&data, &context, fields.get("data")) {
            (Some(data), Some(context), Some(written)) => {
                let split = Spanned::new("train".to_owned(), written.span);
                self.split_facts(data, &split, None, context, Use::Training)
            }
            _ => None,
        };
        if let (Some(rows), Some(model), Some(checked)) = (&rows, &model, &checked) {
            checked.iter().for_each(|block| self.dead_segments(block, &rows.facts.shapes, model));
        }
        let train = train.and_then(|(section, fields)| train_block(section.keyword.span, &fields?, rows?));
        let evals: Vec<Option<Eval>> =
            evals.into_iter().map(|eval| self.eval_block(eval?, data.as_ref(), context.as_ref()?)).collect();
        Some(Experiment {
            name: name.text.clone(),
            doc: doc.to_owned(),
            span: head,
            seed: u64::try_from(fields.get("seed")?.value.as_int()?).ok()?,
            model: model?.checked.clone(),
            interventions: checked?.into_iter().map(|checked| checked.intervention).collect(),
            train: train?,
            evals: evals.into_iter().collect::<Option<_>>()?,
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
                    Some((first, _)) => self.second_train(section, first),
                },
                Some("eval") => sections.evals.push(self.eval_fields(section, &mut names)),
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
        match word {
            "sweep" => self.sink.push(later(section.keyword.span, "`sweep`", "write one experiment for each point")),
            "expect" => self.sink.push(later(section.keyword.span, "`expect`", "read the results table of the run")),
            _ => {
                let meant = match word {
                    "intervention" | "reft" | "loreft" => Some("intervene"),
                    "training" | "trainer" | "optimizer" => Some("train"),
                    "evaluate" | "evaluation" | "test" | "validation" => Some("eval"),
                    _ => suggest::near(word, SECTIONS).first().copied(),
                };
                let diagnostic = schema::block("experiment").map(|block| misplaced(section, block));
                self.sink.extend(diagnostic.map(|diagnostic| match meant {
                    Some(meant) => diagnostic.help(format!("write `{meant}`")).fix(section.keyword.span, meant),
                    None => diagnostic.help(format!("its blocks are {}", suggest::list(&SECTIONS))),
                }));
                return meant;
            }
        }
        None
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

fn missing_block(head: Span, name: &str, example: &str) -> Diagnostic {
    Diagnostic::at(
        Code::MissingField,
        head,
        format!("this experiment has no `{name}` block"),
        format!("`{name}` is missing"),
    )
    .help(format!("add `{example}`"))
}
