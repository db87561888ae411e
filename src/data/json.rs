//! Rows from JSON: an array of objects, or one object a line.

use super::read::unreadable;
use crate::diag::{Diagnostic, Result};
use serde::de::IgnoredAny;
use serde_json::Deserializer;
use std::path::Path;

/// An object of the file: the line that it begins in, and its members in written order.
pub(super) struct Object {
    pub line: usize,
    pub members: Vec<(String, Option<String>)>,
}

/// Reads an array of objects, or JSON lines where the text begins with an object.
pub(super) fn read_document(text: &str, path: &Path) -> Result<Vec<Object>> {
    match text.trim_start().chars().next() {
        Some('[') => read_array(text, path),
        Some('{') => {
            let first = text.trim_start().lines().next().unwrap_or_default();
            let whole: serde_json::Result<IgnoredAny> = serde_json::from_str(text);
            if whole.is_ok() && serde_json::from_str::<IgnoredAny>(first).is_err() {
                let line = line_of(text, text.len() - text.trim_start().len());
                let message = format!("`{}` holds one object, not rows", path.display());
                return Err(Box::new(
                    unreadable(path, Some(line), message).help("write the rows as an array of objects: `[{…}, {…}]`"),
                ));
            }
            read_lines(text, path)
        }
        Some(other) => Err(not_an_object(path, line_of(text, text.find(other).unwrap_or(0)), text.trim_start())),
        None => Ok(Vec::new()),
    }
}

/// Reads one object a line; blank lines are passed over.
pub(super) fn read_lines(text: &str, path: &Path) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = number + 1;
        if !line.trim_start().starts_with('{') {
            return Err(not_an_object(path, number, line.trim_start()));
        }
        serde_json::from_str::<IgnoredAny>(line).map_err(|error| invalid(path, number, Some(0), &error))?;
        objects.push(object(line, number, path)?);
    }
    Ok(objects)
}

fn read_array(text: &str, path: &Path) -> Result<Vec<Object>> {
    let mut cursor = Cursor { text, offset: 0, line: 1 };
    let mut objects = Vec::new();
    cursor.skip_space();
    cursor.advance(1);
    cursor.skip_space();
    if cursor.rest().starts_with(']') {
        cursor.advance(1);
    } else {
        loop {
            cursor.skip_space();
            let rest = cursor.rest();
            if !rest.starts_with('{') {
                return Err(not_an_object(path, cursor.line, rest));
            }
            let mut values = Deserializer::from_str(rest).into_iter::<IgnoredAny>();
            if let Some(Err(error)) = values.next() {
                return Err(invalid(path, cursor.line, Some(cursor.column()), &error));
            }
            let length = values.byte_offset();
            objects.push(object(&rest[..length], cursor.line, path)?);
            cursor.advance(length);
            cursor.skip_space();
            match cursor.rest().chars().next() {
                Some(',') => cursor.advance(1),
                Some(']') => break cursor.advance(1),
                found => return Err(expected(path, cursor.line, "`,` or `]` after a row", found)),
            }
        }
    }
    cursor.skip_space();
    match cursor.rest().chars().next() {
        None => Ok(objects),
        found => Err(expected(path, cursor.line, "nothing after the closing `]`", found)),
    }
}

/// A place in the text that knows its line.
struct Cursor<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    /// Bytes of the line that lie before this place.
    fn column(&self) -> usize {
        self.offset - self.text[..self.offset].rfind('\n').map_or(0, |at| at + 1)
    }

    fn advance(&mut self, bytes: usize) {
        self.line += self.rest()[..bytes].matches('\n').count();
        self.offset += bytes;
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start().len());
    }
}

/// Takes an object apart that is known to be valid JSON. A name that is written twice has its last value.
fn object(text: &str, line: usize, path: &Path) -> Result<Object> {
    let string = |text: &str| serde_json::from_str::<String>(text).map_err(|error| invalid(path, line, None, &error));
    let mut members: Vec<(String, Option<String>)> = Vec::new();
    for (name, value) in split_members(text) {
        let name = string(name)?;
        let value = match value.as_bytes().first() {
            Some(b'"') => Some(string(value)?),
            Some(b'n') => None,
            Some(b'{' | b'[') => Some(without_space(value)),
            _ => Some(value.to_string()),
        };
        match members.iter_mut().find(|(other, _)| *other == name) {
            Some(member) => member.1 = value,
            None => members.push((name, value)),
        }
    }
    Ok(Object { line, members })
}

/// The names and values of an object as they are written: numbers keep their digits.
fn split_members(text: &str) -> Vec<(&str, &str)> {
    let mut members = Vec::new();
    let (mut depth, mut start, mut name) = (0, 0, "");
    for (at, byte) in structure(text) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth == 1 {
                    start = at + 1;
                }
            }
            b':' if depth == 1 => {
                name = text[start..at].trim();
                start = at + 1;
            }
            b',' if depth == 1 => {
                members.push((name, text[start..at].trim()));
                start = at + 1;
            }
            b'}' | b']' => {
                if depth == 1 && !text[start..at].trim().is_empty() {
                    members.push((name, text[start..at].trim()));
                }
                depth -= 1;
            }
            _ => {}
        }
    }
    members
}

/// The bytes of valid JSON that lie outside strings, with their places.
fn structure(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let (mut inside, mut escaped) = (false, false);
    text.bytes().enumerate().filter(move |&(_, byte)| {
        if inside {
            inside = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            return false;
        }
        inside = byte == b'"';
        !inside
    })
}

fn without_space(text: &str) -> String {
    let spaces = structure(text).filter(|(_, byte)| byte.is_ascii_whitespace()).map(|(at, _)| at);
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for at in spaces {
        out.push_str(&text[from..at]);
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// The error of a text that begins in line `first`, `before` bytes into it (not known for a piece of a row).
fn invalid(path: &Path, first: usize, before: Option<usize>, error: &serde_json::Error) -> Box<Diagnostic> {
    let line = first + error.line().saturating_sub(1);
    let reason = error.to_string();
    let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
    let before = before.map(|before| if error.line() == 1 { before } else { 0 });
    let column = before.map(|before| format!(", in column {}", before + error.column())).unwrap_or_default();
    let message = format!("line {line} of `{}` is not valid JSON: {reason}{column}", path.display());
    Box::new(unreadable(path, Some(line), message))
}

fn expected(path: &Path, line: usize, what: &str, found: Option<char>) -> Box<Diagnostic> {
    let found = found.map_or_else(|| "the end of the file".to_string(), |found| format!("`{found}`"));
    let message = format!("line {line} of `{}` is not valid JSON: expected {what}, found {found}", path.display());
    Box::new(unreadable(path, Some(line), message))
}

fn not_an_object(path: &Path, line: usize, rest: &str) -> Box<Diagnostic> {
    let found = match rest.chars().next() {
        None => "the end of the file",
        Some(']') => "the end of the array after a comma",
        Some('[') => "an array",
        Some('"') => "a string",
        Some('-' | '0'..='9') => "a number",
        Some(_) if ["true", "false", "null"].iter().any(|word| rest.starts_with(word)) => "a bare value",
        Some(_) => "text that is not JSON",
    };
    let message = format!("expected a row, an object `{{…}}`, in line {line} of `{}`, found {found}", path.display());
    let help = match found {
        "an array" => "read an array of objects with `json(…)`; `jsonl(…)` takes one object a line",
        _ => "write each row as an object with a name for every value: `{\"question\": \"…\", \"answer\": \"…\"}`",
    };
    Box::new(unreadable(path, Some(line), message).help(help))
}
