//! Templates: text with `{column}` places, and chats.

use super::rows::Rows;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What a row's prompt or target is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    Text(Vec<Part>),
    /// `chat([system("…"), user("{q}")])`, through the model's own chat template.
    Chat(Vec<Message>),
}

/// A piece of a text template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Text(String),
    Column(String),
    /// `when("{input}", then, else)`: `then` where the rendered condition is not blank.
    When {
        condition: Vec<Part>,
        then: Vec<Part>,
        otherwise: Vec<Part>,
    },
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`
    pub role: String,
    pub content: Vec<Part>,
}

/// A slip in the text of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The bytes of the template's text that the slip is in.
    pub range: Range<usize>,
    /// Lower-case, without a final period.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// Reads `{column}`, `{"odd name"}`, `{{` and `}}`. All else is text.
///
/// A plain column name is letters, digits and `_`, not beginning with a digit; any other name stands in quotes.
pub fn parse(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(step) = text[at..].find(['{', '}']) {
        plain.push_str(&text[at..at + step]);
        at += step;
        let rest = &text[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            plain.push_str(&rest[..1]);
            at += 2;
        } else if rest.starts_with('}') {
            let message = "a `}` without its `{` stands in the template".to_string();
            return Err(TemplateError {
                range: at..at + 1,
                message,
                help: "write `}}` for a brace in the text".to_string(),
            });
        } else {
            let (name, length) = place(rest).map_err(|error| error.moved(at))?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Column(name.to_string()));
            at += length;
        }
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// The column that a text beginning with `{` names, and the length of the whole place.
fn place(text: &str) -> Result<(&str, usize), TemplateError> {
    let error =
        |range: Range<usize>, message: &str, help: String| TemplateError { range, message: message.to_string(), help };
    if let Some(quoted) = text.strip_prefix("{\"") {
        let closed = quoted.find("\"}").filter(|&end| !quoted[..end].contains('"'));
        return match closed {
            Some(0) => Err(error(0..4, "a place of the template names no column", "write `{column}`".to_string())),
            Some(end) => Ok((&quoted[..end], end + 4)),
            None => {
                let help = "close the name with `\"}`, or write `{{` for a brace in the text".to_string();
                Err(error(0..2, "`{\"` opens a column name that `\"}` does not close", help))
            }
        };
    }
    let Some(end) = text.find('}').filter(|&end| !text[1..end].contains(['{', '\n'])) else {
        return Err(error(
            0..1,
            "a `{` of the template is not closed",
            "close it with `}`, or write `{{` for a brace in the text".to_string(),
        ));
    };
    let name = &text[1..end];
    let trimmed = name.trim();
    if is_plain(name) {
        Ok((name, end + 1))
    } else if trimmed.is_empty() {
        Err(error(
            0..end + 1,
            "a place of the template names no column",
            "write `{column}`, or `{{` and `}}` for braces in the text".to_string(),
        ))
    } else if is_plain(trimmed) {
        Err(error(0..end + 1, "spaces surround the column's name", format!("write `{{{trimmed}}}`")))
    } else {
        let help = format!(
            "write `{{\\\"{trimmed}\\\"}}` for the column of that name, or `{{{{` and `}}}}` for braces in the text"
        );
        Err(error(0..end + 1, "a column name of letters, digits and `_` must stand between the braces", help))
    }
}

/// Whether a column's name stands without quotes: letters, digits and `_`, not beginning with a digit.
pub fn is_plain(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || character == '_')
}

impl TemplateError {
    fn moved(mut self, by: usize) -> Self {
        self.range = self.range.start + by..self.range.end + by;
        self
    }
}

impl Template {
    /// The columns that the template reads, each once, in the order of their first use.
    pub fn columns(&self) -> Vec<&str> {
        let mut found = Vec::new();
        match self {
            Template::Text(parts) => collect_columns(parts, &mut found),
            Template::Chat(messages) => {
                messages.iter().for_each(|message| collect_columns(&message.content, &mut found))
            }
        }
        found
    }

    /// The columns whose text the template writes, each once: those that only decide between texts are not among them.
    pub fn written_columns(&self) -> Vec<&str> {
        let columns = self.written().into_iter().filter_map(|part| match part {
            Part::Column(name) => Some(name.as_str()),
            _ => None,
        });
        each_once(columns)
    }

    /// The constant texts that the template writes, each once.
    pub fn constants(&self) -> Vec<&str> {
        let texts = self.written().into_iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        each_once(texts)
    }

    /// The texts and columns of all branches.
    fn written(&self) -> Vec<&Part> {
        let mut found = Vec::new();
        match self {
            Template::Text(parts) => collect_written(parts, &mut found),
            Template::Chat(messages) => {
                messages.iter().for_each(|message| collect_written(&message.content, &mut found))
            }
        }
        found
    }
}

fn each_once<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    texts.for_each(|text| {
        if !found.contains(&text) {
            found.push(text);
        }
    });
    found
}

fn collect_written<'a>(parts: &'a [Part], found: &mut Vec<&'a Part>) {
    for part in parts {
        match part {
            Part::Text(_) | Part::Column(_) => found.push(part),
            Part::When { then, otherwise, .. } => {
                collect_written(then, found);
                collect_written(otherwise, found);
            }
        }
    }
}

fn collect_columns<'a>(parts: &'a [Part], found: &mut Vec<&'a str>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Column(name) if found.contains(&name.as_str()) => {}
            Part::Column(name) => found.push(name),
            Part::When { condition, then, otherwise } => {
                for parts in [condition, then, otherwise] {
                    collect_columns(parts, found);
                }
            }
        }
    }
}

/// A row lacks the value of this column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

/// The text that a template gives for a row, and the texts and columns that it was put together from.
pub struct Rendered<'a> {
    pub text: String,
    /// Each with its bytes of the text, in their order.
    pub parts: Vec<(&'a Part, Range<usize>)>,
}

/// The text that a template gives for a row.
///
/// # Errors
/// The first column that the row has no value for. In the condition of a `when` a missing value is blank, and the branch
/// that is not taken needs no values.
pub fn render(parts: &[Part], rows: &Rows, row: usize) -> Result<String, Missing> {
    render_parts(parts, rows, row).map(|rendered| rendered.text)
}

/// As [`render`], with the places of the parts.
///
/// # Errors
/// Those of [`render`].
pub fn render_parts<'a>(parts: &'a [Part], rows: &Rows, row: usize) -> Result<Rendered<'a>, Missing> {
    let mut rendered = Rendered { text: String::new(), parts: Vec::new() };
    write(parts, rows, row, &mut rendered)?;
    Ok(rendered)
}

fn write<'a>(parts: &'a [Part], rows: &Rows, row: usize, rendered: &mut Rendered<'a>) -> Result<(), Missing> {
    for part in parts {
        let text = match part {
            Part::Text(plain) => plain,
            Part::Column(name) => rows.value(row, name).ok_or_else(|| Missing(name.clone()))?,
            Part::When { condition, then, otherwise } => {
                let taken = if is_blank(condition, rows, row) { otherwise } else { then };
                write(taken, rows, row, rendered)?;
                continue;
            }
        };
        let start = rendered.text.len();
        rendered.text.push_str(text);
        rendered.parts.push((part, start..rendered.text.len()));
    }
    Ok(())
}

fn is_blank(parts: &[Part], rows: &Rows, row: usize) -> bool {
    parts.iter().all(|part| match part {
        Part::Text(plain) => plain.trim().is_empty(),
        Part::Column(name) => rows.value(row, name).is_none_or(|value| value.trim().is_empty()),
        Part::When { condition, then, otherwise } => {
            is_blank(if is_blank(condition, rows, row) { otherwise } else { then }, rows, row)
        }
    })
}
