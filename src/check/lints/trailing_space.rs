//! Prompts that end in a space before the target.

use super::super::Checker;
use super::super::data::DataDeclaration;
use super::super::value::TemplateValue;
use super::SpecSeen;
use crate::data::template::{Part, Template};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;
use std::rc::Rc;

/// Warns of prompts whose text ends in a space: most tokenizers write a space as the first letter of a word's token, so that a model has
/// hardly seen a text that goes on behind a lone one. Where rows showed that the space melts into the target, that is told instead.
pub(super) fn look(checker: &mut Checker<'_>, _: &SpecSeen) {
    checker.trailing_spaces();
}

impl Checker<'_> {
    fn trailing_spaces(&mut self) {
        let reached: Vec<Rc<DataDeclaration>> = self.data.values().flatten().cloned().collect();
        for data in reached {
            let Some(prompt) = data.prompt.as_ref().filter(|prompt| ends_in_space(prompt)) else { continue };
            if self.sink.has(Code::SplitToken, prompt.span) {
                continue;
            }
            let help = match data.target.as_ref().map(|target| (self.slice(target.span), target)) {
                Some((_, target)) if begins_with_space(target) => {
                    "remove the space: the target begins with one".to_owned()
                }
                Some((written, _)) if written.starts_with('"') && !written.starts_with("\"\"\"") => {
                    format!(
                        "move the space to the target: `target = \" {}`, or end the prompt with a newline",
                        &written[1..]
                    )
                }
                _ => "move the space to the target, or end the prompt with a newline".to_owned(),
            };
            let name = &data.name.text;
            self.sink.push(
                Diagnostic::at(
                    Code::TrailingSpace,
                    self.last_letter(prompt.span),
                    format!("the prompt of `{name}` ends in a space"),
                    "a lone space right before the target",
                )
                .help(help),
            );
        }
    }

    /// The space in front of the closing quote, or the whole template where the space is not the last letter that is written.
    fn last_letter(&self, span: Span) -> Span {
        let inner = self.slice(span).trim_end_matches('"');
        let end = span.start + inner.len() as u32;
        if inner.ends_with([' ', '\t']) { Span { start: end - 1, end, ..span } } else { span }
    }
}

fn ends_in_space(prompt: &TemplateValue) -> bool {
    matches!(&prompt.template, Template::Text(parts) if last_is_space(parts))
}

fn last_is_space(parts: &[Part]) -> bool {
    match parts.last() {
        Some(Part::Text(text)) => text.ends_with([' ', '\t']),
        Some(Part::When { then, otherwise, .. }) => last_is_space(then) || last_is_space(otherwise),
        _ => false,
    }
}

fn begins_with_space(target: &TemplateValue) -> bool {
    matches!(&target.template, Template::Text(parts) if matches!(parts.first(), Some(Part::Text(text)) if text.starts_with([' ', '\t'])))
}
