//! From the blocks of an experiment to its checked form.

use super::Checker;
use super::declarations::{DataDeclaration, ModelDeclaration};
use super::evaluate::{Expected, is_split_field};
use super::fields::{Fields, misplaced};
use super::schema::{self, Bound};
use super::scope::{Declared, later};
use super::spec::{CheckedSplit, Eval, Experiment, Optimizer, ScheduleShape, Train, When};
use super::split::{SplitContext, Use, unknown_split};
use super::types::Type;
use super::value::{FormValue, Value};
use crate::data::answer::Extractor;
use crate::data::metric::Metric;
use crate::data::positions::Segment;
use crate::diag::{Code, Diagnostic};
use crate::intervention::{Activation, Intervention};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{self, Ident, Section};
use std::rc::Rc;

/// An `intervene` block with the places of its segments.
struct CheckedIntervention {
    intervention: Intervention,
    segments: Vec<Spanned<Segment>>,
}

impl Checker<'_> {
    /// Checks one experiment; everything wrong in it is reported, and then there is none.
    pub(super) fn experiment(&mut self, name: &Ident, doc: &str, body: &tree::Block) -> Option<Experiment> {
        let mut sections = Vec::new();
        let head = name.span;
        let fields = self.block("experiment", Some(body), head, Some(&mut sections))?;
        let model = fields.get("model").and_then(|value| self.model(value.value.as_text()?));
        let data = fields.get("data").and_then(|value| self.data(value.value.as_text()?));

        let mut interventions = Vec::new();
        let mut train = None;
        let mut evals = Vec::new();
        let mut names: Vec<(&str, &Ident)> = Vec::new();
        let broken = body.entries.iter().any(|entry| matches!(entry, tree::Entry::Bad(_)));
        for section in sections {
            match section.keyword.text.as_str() {
                "intervene" => interventions.push(self.intervention(section, model.as_deref(), &mut names)),
                "train" => match train {
                    None => train = Some((section, self.train_fields(section))),
                    Some((first, _)) => self.second_train(section, first),
                },
                "eval" => evals.push((section, self.eval_fields(section, &mut names))),
                "sweep" => {
                    self.sink.push(later(section.keyword.span, "`sweep`", "write one experiment for each point"))
                }
                "expect" => {
                    self.sink.push(later(section.keyword.span, "`expect`", "read the results table of the run"))
                }
                _ => {
                    if let Some(block) = schema::block("experiment") {
                        self.sink.push(misplaced(section, block));
                    }
                }
            }
        }
        if train.is_none() && !broken {
            self.sink.push(missing_block(head, "train", "train { epochs = 3, lr = 9e-4 }"));
        }
        if interventions.is_empty() && !broken {
            let example = "intervene edit = loreft { layers = all, positions = f3+l3, rank = 4 }";
            self.sink.push(missing_block(head, "intervene", example));
        }

        let checked: Option<Vec<CheckedIntervention>> = interventions.into_iter().collect();
        let segments: Vec<Spanned<Segment>> =
            checked.iter().flatten().flat_map(|checked| checked.segments.iter().copied()).collect();
        let train_fields = train.as_ref().and_then(|(_, fields)| fields.as_ref());
        let max_length = train_fields.and_then(|fields| self.max_length(fields, model.as_deref()));
        let context = match (model.as_deref(), max_length) {
            (Some(model), Some(max_length)) => Some(SplitContext { model, max_length, segments: &segments }),
            _ => None,
        };
        let rows = match (&data, &context, fields.get("data")) {
            (Some(data), Some(context), Some(written)) if train_fields.is_some() => {
                let split = Spanned::new("train".to_owned(), written.span);
                self.split_facts(data, &split, context, Use::Training)
            }
            _ => None,
        };
        let train = train.and_then(|(section, fields)| train_block(section.keyword.span, &fields?, rows?));
        let evals: Vec<Option<Eval>> =
            evals.into_iter().map(|(section, fields)| self.eval_block(section, &fields?, context.as_ref()?)).collect();
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

    fn second_train(&mut self, section: &Section, first: &Section) {
        self.sink.push(
            Diagnostic::at(
                Code::MisplacedBlock,
                section.keyword.span,
                "an experiment has one `train` block",
                "a second one",
            )
            .label(first.keyword.span, "the first one")
            .help("join them, or write a second experiment"),
        );
    }

    /// The name of a section, checked to be there and new.
    fn section_name<'t>(&mut self, section: &'t Section, names: &mut Vec<(&'t str, &'t Ident)>) -> Option<&'t Ident> {
        let keyword = section.keyword.text.as_str();
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

    fn intervention<'t>(
        &mut self,
        section: &'t Section,
        model: Option<&ModelDeclaration>,
        names: &mut Vec<(&'t str, &'t Ident)>,
    ) -> Option<CheckedIntervention> {
        let name = self.section_name(section, names);
        let head = name.map_or(section.keyword.span, |name| name.span);
        let kind = match &section.value {
            Some(value) => {
                let what = "the kind of an intervention";
                self.evaluate(value, Expected { holds: Type::Kind, bound: Bound::Any, what })
            }
            None => {
                let what = "`intervene` without a kind, which overrides an inherited block,";
                self.sink.push(later(head, what, "write the kind: `intervene NAME = loreft { … }`"));
                return None;
            }
        };
        let fields = self.block("intervene", Some(&section.body), head, None)?;
        let (layers, segments) = self.places(&fields, model);
        let rank = fields.count("rank");
        if let (Some(rank), Some(model), Some(value)) = (rank, model, fields.get("rank")) {
            self.check_rank(rank, value.span, model);
        }
        let Some(Value::Kind(kind)) = kind.map(|kind| kind.value) else { return None };
        let entry = kind.entry();
        for field in ["act", "bias", "dropout"] {
            if let (false, Some(span)) = (entry.has_field(field), fields.written(field)) {
                self.sink.push(
                    Diagnostic::at(
                        Code::UnknownField,
                        span,
                        format!("`{}` has no `{field}`", kind.name()),
                        format!("not part of {}", entry.formula),
                    )
                    .help("remove the field, or take another kind"),
                );
                return None;
            }
        }
        let segments = segments?;
        let intervention = Intervention {
            name: name?.text.clone(),
            kind,
            layers: layers?,
            segments: segments.iter().map(|segment| segment.value).collect(),
            tied: fields.flag("tied")?,
            rank: rank?,
            dropout: fields.number("dropout")?,
            activation: match fields.word("act")? {
                "relu" => Activation::Relu,
                "gelu" => Activation::Gelu,
                "silu" => Activation::Silu,
                "tanh" => Activation::Tanh,
                _ => Activation::Linear,
            },
            bias: fields.flag("bias")?,
        };
        fields.word("at")?;
        fields.word("parametrization")?;
        Some(CheckedIntervention { intervention, segments })
    }

    fn places(
        &mut self,
        fields: &Fields,
        model: Option<&ModelDeclaration>,
    ) -> (Option<Vec<usize>>, Option<Vec<Spanned<Segment>>>) {
        let layers = fields.get("layers").and_then(|value| {
            let Value::Layers(layers) = &value.value else { return None };
            self.resolve_layers(layers, value.span, model?)
        });
        let segments = fields.get("positions").and_then(|value| match &value.value {
            Value::Positions(segments) => Some(segments.clone()),
            _ => None,
        });
        (layers, segments)
    }

    fn train_fields(&mut self, section: &Section) -> Option<Fields> {
        self.plain_section(section);
        self.block("train", Some(&section.body), section.keyword.span, None)
    }

    fn eval_fields<'t>(&mut self, section: &'t Section, names: &mut Vec<(&'t str, &'t Ident)>) -> Option<Fields> {
        let name = self.section_name(section, names);
        let head = name.map_or(section.keyword.span, |name| name.span);
        let fields = self.block("eval", Some(&section.body), head, None)?;
        if let Some(value) = &section.value {
            self.sink.push(
                Diagnostic::at(Code::UnexpectedText, value.span, "an `eval` has no kind", "not expected here")
                    .help("write `eval NAME { … }`"),
            );
            return None;
        }
        if let Some(Value::Split { split, data }) = fields.get("on").map(|value| &value.value)
            && !is_split_field(&split.value)
        {
            self.sink.push(unknown_split(split, &data.value));
            return None;
        }
        name.map(|_| fields)
    }

    /// `train` takes neither a name nor a kind.
    fn plain_section(&mut self, section: &Section) {
        let extra = section.name.as_ref().map(|name| name.span).or(section.value.as_ref().map(|value| value.span));
        if let Some(span) = extra {
            self.sink.push(
                Diagnostic::at(Code::UnexpectedText, span, "a `train` block has no name", "not expected here")
                    .help("write `train { … }`"),
            );
        }
    }

    fn max_length(&mut self, fields: &Fields, model: Option<&ModelDeclaration>) -> Option<usize> {
        let max_length = fields.count("max_length")?;
        let (Some(model), Some(written)) = (model, fields.written("max_length")) else { return Some(max_length) };
        let context = model.checked.config.context_length;
        if max_length > context {
            self.sink.push(
                Diagnostic::at(
                    Code::OutOfRange,
                    written,
                    format!("`max_length` of {max_length} is more than the model can read"),
                    format!("`{}` reads {context} tokens at most", model.name.text),
                )
                .label(model.name.span, "the model is declared here")
                .help(format!("write `max_length = {context}` or less")),
            );
            return None;
        }
        Some(max_length)
    }

    fn eval_block(&mut self, section: &Section, fields: &Fields, context: &SplitContext<'_>) -> Option<Eval> {
        let name = section.name.as_ref()?;
        let Value::Split { data, split } = &fields.get("on")?.value else { return None };
        let data = self.data(&data.value)?;
        let metric = match fields.word("metric")? {
            "accuracy" => Metric::Accuracy,
            "perplexity" => Metric::Perplexity,
            _ => Metric::ExactMatch,
        };
        let gold = match fields.get("gold").map(|value| &value.value) {
            Some(Value::Template(value)) => Some(value.clone()),
            _ => None,
        };
        let wanted = if metric == Metric::Perplexity { Use::Loss } else { Use::Generation };
        if let (Some(gold), Some(source)) = (&gold, data.splits.get(&split.value)) {
            self.check_columns(source, gold);
        }
        let split = self.split_facts(&data, split, context, wanted);
        let answer = answer(fields.get("answer")?)?;
        let Value::Form(decode) = &fields.get("decode")?.value else { return None };
        let max_tokens = decode.argument("max_tokens").and_then(|value| usize::try_from(value.value.as_int()?).ok())?;
        let Value::Form(when) = &fields.get("when")?.value else { return None };
        let when = match when.form.name {
            "epoch" => When::Epoch,
            "steps" => When::Steps(usize::try_from(when.argument("count")?.value.as_int()?).ok()?),
            _ => When::End,
        };
        Some(Eval {
            name: name.text.clone(),
            span: name.span,
            split: split?,
            when,
            max_tokens: if metric == Metric::Perplexity { 0 } else { max_tokens },
            answer,
            gold: gold.map(|gold| gold.template),
            metric,
            baseline: fields.flag("baseline")?,
            batch: fields.count("batch")?,
        })
    }

    fn model(&mut self, name: &str) -> Option<Rc<ModelDeclaration>> {
        if let Some(known) = self.models.get(name) {
            return known.clone();
        }
        let entry = self.scope.find(name)?;
        let Declared::Model { value, body } = entry.declared else { return None };
        let model = self.model_declaration(entry.name, value, body).map(Rc::new);
        self.models.insert(name.to_owned(), model.clone());
        model
    }

    fn data(&mut self, name: &str) -> Option<Rc<DataDeclaration>> {
        if let Some(known) = self.data.get(name) {
            return known.clone();
        }
        let entry = self.scope.find(name)?;
        let Declared::Data { body } = entry.declared else { return None };
        let data = self.data_declaration(entry.name, body).map(Rc::new);
        self.data.insert(name.to_owned(), data.clone());
        data
    }

    /// Reads the fields of a block of the table.
    fn block<'t>(
        &mut self,
        name: &str,
        body: Option<&'t tree::Block>,
        head: Span,
        sections: Option<&mut Vec<&'t Section>>,
    ) -> Option<Fields> {
        Some(self.fields(schema::block(name)?, body, head, sections))
    }
}

fn train_block(span: Span, fields: &Fields, split: CheckedSplit) -> Option<Train> {
    let Value::Form(schedule) = &fields.get("schedule")?.value else { return None };
    let Value::Form(optimizer) = &fields.get("optimizer")?.value else { return None };
    let number = |form: &FormValue, name: &str| form.argument(name)?.value.as_number();
    fields.word("keep")?;
    fields.word("base_dropout")?;
    Some(Train {
        span,
        split,
        epochs: fields.count("epochs")?,
        batch: fields.count("batch")?,
        accumulate: fields.count("accumulate")?,
        learning_rate: fields.number("lr")?,
        schedule: match schedule.form.name {
            "cosine" => ScheduleShape::Cosine,
            "constant" => ScheduleShape::Constant,
            _ => ScheduleShape::Linear,
        },
        warmup: number(schedule, "warmup")?,
        optimizer: Optimizer {
            beta1: number(optimizer, "beta1")?,
            beta2: number(optimizer, "beta2")?,
            epsilon: number(optimizer, "epsilon")?,
            weight_decay: number(optimizer, "weight_decay")?,
        },
        clip: fields.get("clip")?.value.as_number(),
    })
}

fn answer(value: &Spanned<Value>) -> Option<Extractor> {
    let Value::Form(form) = &value.value else { return None };
    let text = |name: &str| Some(form.argument(name)?.value.as_text()?.to_owned());
    Some(match form.form.name {
        "after" => Extractor::After(text("trigger")?),
        "regex" => {
            let take = &form.argument("take")?.value;
            Extractor::Regex { pattern: text("pattern")?, last: take.form_name() == Some("last") }
        }
        "last_number" => Extractor::LastNumber,
        "choice" => Extractor::Choice(form.argument("options")?.value.as_texts()?),
        _ => Extractor::Text,
    })
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
