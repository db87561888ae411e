//! The rows of a split as tokens: what training or evaluation would stumble over.

use super::Checker;
use super::declarations::{DataDeclaration, ModelDeclaration, SplitSource};
use super::spec::{CheckedSplit, SplitFacts};
use crate::data::encode::{encode_prompts, encode_split};
use crate::data::positions::Segment;
use crate::data::read;
use crate::data::report::{Count, EncodeReport};
use crate::data::source::select;
use crate::data::split::Split;
use crate::data::template::Template;
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::digest;
use crate::source::Spanned;

/// At most this many rows are tokenised by a check.
pub const SCANNED_ROWS: usize = 100_000;

/// What a split is used for, which decides what of it is tokenised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Training,
    /// A loss is taken on the target, as in training.
    Loss,
    /// The prompt is given, text is generated.
    Generation,
}

/// What the experiment around a split says.
pub struct SplitContext<'a> {
    pub model: &'a ModelDeclaration,
    pub max_length: usize,
    /// The segments of all interventions.
    pub segments: &'a [Spanned<Segment>],
}

impl Checker<'_> {
    /// Tokenises a split and reports what is wrong with its rows. `named` is the split and the place that names it.
    pub(super) fn split_facts(
        &mut self,
        data: &DataDeclaration,
        named: &Spanned<String>,
        context: &SplitContext<'_>,
        wanted: Use,
    ) -> Option<CheckedSplit> {
        let Some(source) = data.splits.get(&named.value) else {
            self.sink.push(missing_split(data, named));
            return None;
        };
        let table = source.table.as_ref()?;
        let split = data.split(&source.source.value, context.max_length)?;
        let named_columns = [&data.prompt, &data.target].into_iter().flatten().flat_map(|template| &template.columns);
        if named_columns.into_iter().any(|column| !table.columns.contains(&column.value)) {
            return None;
        }
        let report = match self.report(&split, &table.digest, context, wanted) {
            Ok(report) => report,
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
        self.judge(data, source, named, context, wanted, &report)?;
        let prompts: usize = report.prompt_lengths.values().map(|count| count.rows).sum();
        let prompt_tokens: usize = report.prompt_lengths.iter().map(|(tokens, count)| tokens * count.rows).sum();
        let scanned_share = table.rows as f64 / report.rows.max(1) as f64;
        let facts = SplitFacts {
            digest: table.digest.clone(),
            rows: table.rows,
            usable: (report.kept() as f64 * scanned_share).round() as usize,
            mean_prompt: prompt_tokens as f64 / prompts.max(1) as f64,
            mean_tokens: report.mean(),
            longest_tokens: report.longest,
        };
        Some(CheckedSplit { split, facts })
    }

    /// The report on a split's tokens, remembered by the contents that decide it.
    fn report(&self, split: &Split, data: &str, context: &SplitContext<'_>, wanted: Use) -> Result<EncodeReport> {
        let generation = wanted == Use::Generation;
        let text = digest::json(&(
            env!("CARGO_PKG_VERSION"),
            data,
            &context.model.checked.digests.tokenizer,
            (&split.source.format, &split.source.steps, &split.prompt, &split.target),
            (split.eos, split.overlong, split.max_length, generation, SCANNED_ROWS),
        ));
        let key = digest::of(text);
        if let Some(report) = self.world.cached("tokens", &key).and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(report);
        }
        let path = &split.source.path;
        let bytes = self.world.read(path).map_err(|error| read::cannot_open(path, &error))?;
        let rows = read::read(&bytes, path, &split.source.format)?;
        let mut order = select(rows.len(), &split.source.steps);
        order.truncate(SCANNED_ROWS);
        let rows = rows.pick(&order);
        let tokenizer = context.model.facts.tokenizer()?;
        let chat = match split.prompt {
            Template::Chat(_) => context.model.facts.chat_template()?,
            Template::Text(_) => None,
        };
        let encode = if generation { encode_prompts } else { encode_split };
        let report = encode(&rows, split, &tokenizer, chat.as_ref())?.report;
        self.world.remember("tokens", &key, &digest::json(&report));
        Ok(report)
    }

    /// Turns a report into findings; `None` where the split cannot be used.
    fn judge(
        &mut self,
        data: &DataDeclaration,
        source: &SplitSource,
        named: &Spanned<String>,
        context: &SplitContext<'_>,
        wanted: Use,
        report: &EncodeReport,
    ) -> Option<()> {
        let label = format!("`{}.{}`", data.name.text, named.value);
        let rows_span = source.source.span;
        let file = &source.source.value.path;
        let table_rows = source.table.as_ref().map_or(0, |table| table.rows);
        if table_rows > report.rows {
            self.sink.push(
                Diagnostic::at(
                    Code::RowsSampled,
                    rows_span,
                    format!("{label} has {table_rows} rows, and the first {} were checked", report.rows),
                    "checked in part",
                )
                .help("the rest is checked when the run reads it; a slice keeps to what was checked"),
            );
        }
        if report.empty_targets.rows > 0 && wanted != Use::Generation {
            let target = data.target.as_ref().map_or(rows_span, |target| target.span);
            self.sink.push(
                Diagnostic::at(
                    Code::EmptyTarget,
                    target,
                    format!("the target of {} of {label} makes no token", count(report.empty_targets)),
                    "empty for these rows",
                )
                .in_file(file, None)
                .help("fill the column in, or leave the rows out"),
            );
            return None;
        }
        if report.kept() == 0 {
            let cause = data.prompt.as_ref().map_or(rows_span, |prompt| prompt.span);
            self.sink.push(
                Diagnostic::at(
                    Code::NoRowsLeft,
                    cause,
                    format!("no row of {label} keeps a target token within `max_length = {}`", context.max_length),
                    format!("the shortest rows are longer; the longest has {} tokens", report.longest_uncut),
                )
                .help(format!("write `max_length = {}`, or shorten the prompt", report.longest_uncut)),
            );
            return None;
        }
        if report.cut_prompts.rows > 0 {
            self.sink.push(
                Diagnostic::at(
                    Code::OverlongPrompts,
                    rows_span,
                    format!(
                        "`max_length = {}` cuts the prompt of {} of {label}",
                        context.max_length,
                        count(report.cut_prompts)
                    ),
                    format!("the longest prompt has {} tokens", report.longest_prompt_uncut),
                )
                .help(format!("write `max_length = {}` to keep every row whole", report.longest_uncut)),
            );
        }
        if report.dropped.rows > 0 {
            self.sink.push(
                Diagnostic::at(
                    Code::DroppedRows,
                    rows_span,
                    format!("{} of {label} are left out, as no target token is left of them", count(report.dropped)),
                    format!("{} of {} rows are used", report.kept(), report.rows),
                )
                .help(format!("write `max_length = {}` to keep them", report.longest_uncut)),
            );
        }
        if report.split_tokens.rows > 0 && wanted != Use::Generation {
            let prompt = data.prompt.as_ref().map_or(rows_span, |prompt| prompt.span);
            self.sink.push(
                Diagnostic::at(
                    Code::SplitToken,
                    prompt,
                    format!(
                        "in {} of {label} the prompt's last token runs into the target",
                        count(report.split_tokens)
                    ),
                    "the prompt ends inside a token",
                )
                .help("end the prompt with a newline, or begin the target with the space: `target = \" {answer}\"`"),
            );
        }
        self.judge_positions(&label, context, report)
    }

    fn judge_positions(&mut self, label: &str, context: &SplitContext<'_>, report: &EncodeReport) -> Option<()> {
        let mut sound = true;
        for segment in context.segments {
            let fit = report.fit(segment.value);
            if fit.empty.rows == report.kept() {
                self.sink.push(
                    Diagnostic::at(
                        Code::NoPositions,
                        segment.span,
                        format!("`{}` hits no token in any row of {label}", segment.value),
                        "every prompt is too short",
                    )
                    .help("`fN` and `lN` reach at most half of a prompt; write `all`, or a longer prompt"),
                );
                sound = false;
            } else if fit.clipped.rows > 0 {
                self.sink.push(
                    Diagnostic::at(
                        Code::ClippedPositions,
                        segment.span,
                        format!(
                            "`{}` is clipped to half of the prompt in {} of {label}",
                            segment.value,
                            count(fit.clipped)
                        ),
                        format!("of {} rows", report.kept()),
                    )
                    .help("fewer tokens are edited there, as in the reference; a smaller N avoids it"),
                );
            }
        }
        sound.then_some(())
    }
}

/// `12 rows (the first is row 3)`
fn count(count: Count) -> String {
    let rows = if count.rows == 1 { "row" } else { "rows" };
    match count.first {
        Some(first) => format!("{} {rows} (the first is row {})", count.rows, first + 1),
        None => format!("{} {rows}", count.rows),
    }
}

fn missing_split(data: &DataDeclaration, named: &Spanned<String>) -> Diagnostic {
    let splits: Vec<&str> = data.splits.keys().map(String::as_str).collect();
    let diagnostic = Diagnostic::at(
        Code::UnknownSplit,
        named.span,
        format!("`{}` has no split `{}`", data.name.text, named.value),
        "this split is asked for here",
    )
    .label(data.name.span, "the data is declared here");
    match splits.as_slice() {
        [] => diagnostic.help(format!("add `{} = json(\"…\")` to the data", named.value)),
        _ => diagnostic.help(format!("it has {}; or add `{} = json(\"…\")`", suggest::list(&splits), named.value)),
    }
}

/// A word after `data.` that names no split of the language.
pub fn unknown_split(split: &Spanned<String>, data: &str) -> Diagnostic {
    let names = ["train", "validation", "test"];
    let diagnostic = Diagnostic::at(
        Code::UnknownSplit,
        split.span,
        format!("`{}` is not the name of a split", split.value),
        "unknown split",
    );
    match suggest::near(&split.value, names).as_slice() {
        [only, ..] => diagnostic.help(format!("did you mean `{data}.{only}`?")).fix(split.span, *only),
        [] => diagnostic.help(format!("write {}", suggest::list(&names))),
    }
}
