//! The files of a source as one table, and as one digest. Callers say how a file is read.

use super::read::{cannot_open, read};
use super::rows::{Row, Rows, Unread};
use super::source::Source;
use crate::diag::Result;
use crate::digest;
use std::io;
use std::path::Path;

/// The SHA-256 of the contents: of one file its own, of several that of theirs.
///
/// # Errors
/// Where a file is not there (E0401) or cannot be opened (E0402).
pub fn digest_of(source: &Source, digest: &dyn Fn(&Path) -> io::Result<String>) -> Result<String> {
    let digests = source.paths().into_iter().map(|path| digest(&path).map_err(|error| cannot_open(&path, &error)));
    Ok(joined(digests.collect::<Result<_>>()?))
}

/// The key under which the shape of a source's rows is remembered, by the digest of its files.
pub fn shape_key(digest: &str, source: &Source) -> String {
    digest::of(format!("{digest}{}", digest::json(&(&source.format, &source.steps))))
}

/// All rows, one file after the other, and the digest of what was read.
///
/// # Errors
/// As [`digest_of`], and those of [`read`].
pub fn rows_of(source: &Source, open: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Result<(Rows, String)> {
    let (mut all, mut digests) = (Rows::default(), Vec::new());
    for path in source.paths() {
        let bytes = open(&path).map_err(|error| cannot_open(&path, &error))?;
        digests.push(digest::of(&bytes));
        let rows = read(&bytes, &path, &source.format)?;
        if source.files.is_empty() {
            all = rows;
        } else {
            append(&mut all, rows);
        }
    }
    Ok((all, joined(digests)))
}

fn joined(mut digests: Vec<String>) -> String {
    match digests.len() {
        1 => digests.remove(0),
        _ => digest::of(digest::json(&digests)),
    }
}

/// Adds rows whose columns may be others, or in another order. Lines are those of one file, and are forgotten.
fn append(all: &mut Rows, more: Rows) {
    let places: Vec<usize> = more.columns.iter().map(|name| place_of(name, &mut all.columns)).collect();
    all.unread.extend(more.unread.into_iter().filter(|column| !all.unread.contains(column)).collect::<Vec<Unread>>());
    for row in more.rows {
        let mut values = vec![None; all.columns.len()];
        places.iter().zip(row.values).for_each(|(&place, value)| values[place] = value);
        all.rows.push(Row { line: None, values });
    }
    let width = all.columns.len();
    all.rows.iter_mut().for_each(|row| row.values.resize(width, None));
}

/// Where the column stands, or is added.
fn place_of(name: &str, columns: &mut Vec<String>) -> usize {
    columns.iter().position(|column| column == name).unwrap_or_else(|| {
        columns.push(name.to_owned());
        columns.len() - 1
    })
}
