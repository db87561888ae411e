//! Rows: what every file format becomes.

use crate::diag::{Code, Diagnostic};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A table of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// In the order of the file's header, or of their first appearance in the rows.
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// Columns of the file that are passed over.
    pub unread: Vec<Unread>,
}

/// A column that does not become text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unread {
    pub name: String,
    /// `lists`, `timestamps`
    pub holds: String,
}

/// One row, its values in the order of [`Rows::columns`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The 1-based line of the file that the row begins in; `None` where files have no lines, or there are several.
    pub line: Option<usize>,
    /// `None` where the row has no such value, or `null`. Numbers and booleans are as the file writes them,
    /// nested values are JSON text without spaces.
    pub values: Vec<Option<String>>,
}

impl Rows {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The value of a row; `None` where the row has none, or no row has that column.
    pub fn value(&self, row: usize, column: &str) -> Option<&str> {
        let column = self.columns.iter().position(|name| name == column)?;
        self.rows.get(row)?.values.get(column)?.as_deref()
    }

    /// The line that a row begins in, where the file has lines.
    pub fn line(&self, row: usize) -> Option<usize> {
        self.rows.get(row)?.line
    }

    /// The rows of these numbers, in that order; numbers outside the table are passed over.
    #[must_use]
    pub fn pick(&self, numbers: &[usize]) -> Rows {
        let rows = numbers.iter().filter_map(|&number| self.rows.get(number).cloned()).collect();
        Rows { rows, columns: self.columns.clone(), unread: self.unread.clone() }
    }

    /// E0405: rows without a value for a column that a template uses. `row` is the first of the `count` rows.
    pub fn missing_value(&self, path: &Path, column: &str, row: usize, count: usize) -> Box<Diagnostic> {
        let line = self.line(row);
        let place = line.map_or_else(|| format!("row {}", row + 1), |line| format!("the row in line {line}"));
        let message = format!("{place} of `{}` has no value for `{column}`", path.display());
        let verb = if count == 1 { "row has" } else { "rows have" };
        Box::new(
            Diagnostic::new(Code::MissingValue, message)
                .in_file(path, line)
                .note(format!("{count} of {} {verb} none", self.len()))
                .help(format!("fill in `{column}`, take the rows out, or write `when(\"{{{column}}}\", …, …)` where it may be missing")),
        )
    }
}
