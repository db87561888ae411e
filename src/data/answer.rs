//! Extractors: the answer that a generated text gives.

use regex::Regex;
use serde::{Deserialize, Serialize};

/// How the answer is taken from an output, and by default from the rendered target too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extractor {
    /// The text after the first occurrence of the trigger, trimmed; nothing where the trigger is missing. pyreft's scripts cut
    /// the whole decoded text, prompt included; an output here is the new text alone.
    After(String),
    /// The first group of a match (or the whole match), trimmed; the first or the last match.
    Regex { pattern: String, last: bool },
    /// The last number of the text, commas removed first: what pyreft's arithmetic tasks compare.
    LastNumber,
    /// The option that occurs first, as whole words, without regard to case; the longer one where two begin at the
    /// same place. The answer is the option as it is written in the list.
    Choice(Vec<String>),
    /// The whole text, trimmed.
    Text,
}

impl Extractor {
    /// The answer of an output (the new text, without the prompt), or the gold of a rendered target. `None` where the
    /// text gives none; an answer may be empty.
    pub fn extract(&self, output: &str) -> Option<String> {
        match self {
            Extractor::After(trigger) => {
                output.split_once(trigger.as_str()).map(|(_, answer)| answer.trim().to_string())
            }
            Extractor::Regex { pattern, last } => {
                let regex = Regex::new(pattern).ok()?;
                let mut matches = regex.captures_iter(output);
                let found = if *last { matches.last() } else { matches.next() }?;
                found.get(1).or_else(|| found.get(0)).map(|text| text.as_str().trim().to_string())
            }
            Extractor::LastNumber => {
                let text = output.replace(',', "");
                let number = Regex::new(r"-?[0-9]+\.?[0-9]*").ok()?.find_iter(&text).last()?;
                Some(number.as_str().trim_end_matches('.').to_string())
            }
            Extractor::Choice(options) => {
                let mut longest_first: Vec<&String> = options.iter().collect();
                longest_first.sort_by_key(|option| std::cmp::Reverse(option.chars().count()));
                let found = choice_regex(&longest_first).ok()?.captures(output)?;
                let at = (0..longest_first.len()).find(|at| found.get(at + 1).is_some())?;
                longest_first.get(at).map(|option| (*option).clone())
            }
            Extractor::Text => Some(output.trim().to_string()),
        }
    }

    /// What is wrong with the extractor's own text, in one line, lower-case and without a final period.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Extractor::After(trigger) if trigger.is_empty() => Err("the trigger is empty".to_string()),
            Extractor::Regex { pattern, .. } => Regex::new(pattern).map(|_| ()).map_err(|error| reason(&error)),
            Extractor::Choice(options) if options.is_empty() => Err("there are no options".to_string()),
            Extractor::Choice(options) if options.iter().any(|option| option.trim().is_empty()) => {
                Err("an option is blank".to_string())
            }
            Extractor::Choice(options) => {
                choice_regex(&options.iter().collect::<Vec<_>>()).map(|_| ()).map_err(|error| reason(&error))
            }
            _ => Ok(()),
        }
    }
}

/// One group for each option; an edge that is a letter, a digit or `_` must be the edge of a word.
fn choice_regex(options: &[&String]) -> Result<Regex, regex::Error> {
    let is_word =
        |character: Option<char>| character.is_some_and(|character| character.is_alphanumeric() || character == '_');
    let alternatives: Vec<String> = options
        .iter()
        .map(|option| {
            let option = option.trim();
            let start = if is_word(option.chars().next()) { r"\b{start-half}" } else { "" };
            let end = if is_word(option.chars().next_back()) { r"\b{end-half}" } else { "" };
            format!("{start}({}){end}", regex::escape(option))
        })
        .collect();
    Regex::new(&format!("(?i){}", alternatives.join("|")))
}

/// The last line of a message of the regex crate, which draws the pattern above it.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_string()
}
