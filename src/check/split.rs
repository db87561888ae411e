//! The rows of a split as tokens: what training or evaluation would stumble over.

use super::Checker;
use super::choices::WrittenChoices;
use super::data::DataDeclaration;
use super::model::ModelDeclaration;
use super::schema;
use super::spec::{CheckedSplit, Model, SplitFacts};
use super::value::TemplateValue;
use crate::data::encode::Encoded;
use crate::data::files::rows_of;
use crate::data::form::Form;
use crate::data::positions::Segment;
use crate::data::report::EncodeReport;
use crate::data::row_bytes::{self, Decides};
use crate::data::source::select;
use crate::data::split::Split;
use crate::data::template::Template;
use crate::data::text_report::TextReport;
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::digest;
use crate::source::Spanned;

/// At most this many rows are tokenised by a check.
pub const SCANNED_ROWS: usize = 100_000;

/// What a split is used for, which decides what of it is tokenised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Use<'a> {
    Training,
    /// A loss is taken on the target, as in training.
    Loss,
    /// The prompt is given, text is generated.
    Generation,
    /// Choices are scored after the prompt.
    Choices(&'a WrittenChoices),
}

/// What the experiment around a split says.
pub struct SplitContext<'a> {
    pub model: &'a ModelDeclaration,
    pub max_length: usize,
    /// The segments of all interventions.
    pub segments: &'a [Spanned<Segment>],
}

impl Checker<'_> {
    /// Tokenises a split and reports what is wrong with its rows. `named` is the split and the place that names it; an
    /// evaluation with a `gold` renders that in the place of the target.
    pub(super) fn split_facts(
        &mut self,
        data: &DataDeclaration,
        named: &Spanned<String>,
        gold: Option<&TemplateValue>,
        context: &SplitContext<'_>,
        wanted: Use<'_>,
    ) -> Option<CheckedSplit> {
        let source = data.splits.get(&named.value)?.as_ref()?;
        let table = &source.table;
        let split = data.split(&source.source.value, context.max_length)?;
        let choices = match wanted {
            Use::Choices(written) => written.texts.as_slice(),
            _ => &[],
        };
        let templates = [&data.prompt, &data.target].into_iter().flatten().chain(gold).chain(choices);
        if templates.flat_map(|template| &template.columns).any(|column| !table.columns.contains(&column.value)) {
            return None;
        }
        let rendered = match gold {
            Some(gold) => Split { target: gold.template.clone(), ..split.clone() },
            None => split.clone(),
        };
        if wanted == Use::Training {
            self.named_texts(data, table, context.segments)?;
        }
        let scan = Scan::new(&rendered, &table.digest, context.model, wanted);
        let reports = self.report(&scan).and_then(|report| Ok((report, self.text_report(&scan, context.segments)?)));
        let (report, texts) = match reports {
            Ok(reports) => reports,
            Err(diagnostic) => {
                let place = match diagnostic.code {
                    Code::NoChatTemplate => data.prompt.as_ref().map_or(source.source.span, |prompt| prompt.span),
                    Code::MissingValue | Code::DataNotFound | Code::DataUnreadable => source.source.span,
                    _ => context.model.source,
                };
                self.blame(diagnostic, place);
                return None;
            }
        };
        if let Use::Choices(written) = wanted {
            let label = format!("`{}.{}`", data.name.text, named.value);
            let gold = gold.or(data.target.as_ref());
            self.judge_choices(written, gold, &report, &label, &source.source.value.path)?;
        }
        self.judge(data, source, named, context, wanted, &report)?;
        self.judge_positions(data, &named.value, context, wanted, (&report, &texts))?;
        let shapes = report.shapes();
        let prompt_tokens: usize = shapes.iter().map(|shape| shape.row.prompt * shape.rows).sum();
        let scanned_share = table.rows as f64 / report.rows.max(1) as f64;
        let facts = SplitFacts {
            rows: table.rows,
            usable: (report.kept() as f64 * scanned_share).round() as usize,
            mean_prompt: prompt_tokens as f64 / report.kept().max(1) as f64,
            mean_tokens: report.mean(),
            longest_tokens: report.longest,
            shapes: if texts.empty.is_empty() { shapes } else { texts.shapes },
            shared_start: report.shared_start,
        };
        Some(CheckedSplit { split, digest: table.digest.clone(), facts })
    }

    /// The report on a split's tokens, remembered by the contents that decide it. So are the rows, for the run.
    fn report(&self, scan: &Scan<'_>) -> Result<EncodeReport> {
        let key = scan.key(&format!("report {}", EncodeReport::VERSION));
        if let Some(report) = self.world.cached("tokens", &key).and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(report);
        }
        let (Encoded { report, .. }, is_certain) = self.encoded(scan)?;
        if is_certain {
            self.world.remember("tokens", &key, &digest::json(&report));
        }
        Ok(report)
    }

    /// The report on the segments that name texts, remembered as well; it says nothing where none does.
    fn text_report(&self, scan: &Scan<'_>, segments: &[Spanned<Segment>]) -> Result<TextReport> {
        let segments = segments.iter().map(|segment| &segment.value).filter(|segment| !segment.texts().is_empty());
        let segments: Vec<Segment> = segments.cloned().collect();
        if segments.is_empty() {
            return Ok(TextReport::default());
        }
        let key = scan.key(&digest::json(&segments));
        if let Some(report) = self.world.cached("texts", &key).and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(report);
        }
        let known = self.world.cached_bytes(row_bytes::KIND, &scan.rows).and_then(|bytes| row_bytes::read(&bytes));
        let (rows, is_certain) = match known {
            Some(rows) => (rows, true),
            None => self.encoded(scan).map(|(encoded, is_certain)| (encoded.rows, is_certain))?,
        };
        let report = TextReport::of(&rows, &segments);
        if is_certain {
            self.world.remember("texts", &key, &digest::json(&report));
        }
        Ok(report)
    }

    /// The first rows of a split as tokens, and whether they are those of the digest: the file may have changed since it was taken.
    fn encoded(&self, scan: &Scan<'_>) -> Result<(Encoded, bool)> {
        let Scan { split, data, form, model, rows: rows_key } = scan;
        let (rows, digest) = rows_of(&split.source, &|path| self.world.read(path))?;
        let mut order = select(rows.len(), &split.source.steps);
        let all = order.len() <= SCANNED_ROWS;
        order.truncate(SCANNED_ROWS);
        let rows = rows.pick(&order);
        let tokenizer = model.facts.tokenizer()?;
        let chat = match split.prompt {
            Template::Chat(_) => model.facts.chat_template()?,
            Template::Text(_) => None,
        };
        let encoded = form.encode(&rows, split, &tokenizer, chat.as_ref())?;
        let is_certain = digest == *data;
        if is_certain && all && !encoded.rows.is_empty() {
            self.world.remember_bytes(row_bytes::KIND, rows_key, &row_bytes::write(&encoded.rows));
        }
        Ok((encoded, is_certain))
    }
}

/// Rows that are looked at, in one form.
struct Scan<'a> {
    split: &'a Split,
    /// The digest of the data file.
    data: &'a str,
    form: Form<'a>,
    model: &'a ModelDeclaration,
    /// What the rows are called in the cache.
    rows: String,
}

impl<'a> Scan<'a> {
    fn new(split: &'a Split, data: &'a str, model: &'a ModelDeclaration, wanted: Use<'a>) -> Self {
        let form = match wanted {
            Use::Training | Use::Loss => Form::Targets,
            Use::Generation => Form::Prompts,
            Use::Choices(written) => Form::Choices(&written.choices),
        };
        let Model { config, digests, .. } = &model.checked;
        let (begins, ends) = (config.bos_token, config.eos_tokens.as_slice());
        let decides = Decides { tokenizer: &digests.tokenizer, data, begins, ends, form };
        Self { split, data, form, model, rows: row_bytes::key(split, decides) }
    }

    /// What a report on the rows is called.
    fn key(&self, report: &str) -> String {
        digest::of(format!("{}, the first {SCANNED_ROWS}, {report}", self.rows))
    }
}

/// A split that the data does not set; `None` where a wrong field of it may have been meant, or it has no rows at all.
pub fn missing_split(data: &DataDeclaration, named: &Spanned<String>) -> Option<Diagnostic> {
    if data.has_stray || data.splits.is_empty() {
        return None;
    }
    let splits: Vec<&str> = data.splits.keys().map(String::as_str).collect();
    let diagnostic = Diagnostic::at(
        Code::UnknownSplit,
        named.span,
        format!("`{}` has no split `{}`", data.name.text, named.value),
        "this split is asked for here",
    )
    .label(data.name.span, "the data is declared here");
    let add = format!("add `{} = json(\"data/{}.json\")` to `{}`", named.value, named.value, data.name.text);
    Some(diagnostic.help(format!("{add}, or take {}", suggest::list(&splits))))
}

/// A word after `data.` that names no split of the language.
pub fn unknown_split(split: &Spanned<String>) -> Diagnostic {
    let names = ["train", "validation", "test"];
    let diagnostic = Diagnostic::at(
        Code::UnknownSplit,
        split.span,
        format!("`{}` is not the name of a split", split.value),
        "unknown split",
    );
    let alias = schema::block("data").and_then(|block| block.known_as(&split.value)).map(|field| field.name);
    let alias = alias.filter(|name| names.contains(name));
    let diagnostic = diagnostic.maybe_fix(split.span, alias.or_else(|| suggest::slip_of(&split.value, names)));
    match alias.or(suggest::near(&split.value, names).first().copied()) {
        Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")),
        None => diagnostic.help(format!("write {}", suggest::list(&names))),
    }
}
