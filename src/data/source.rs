//! Rows of data: files, slices, shuffles.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A file of rows and what is done to them before anything else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub path: PathBuf,
    pub format: Format,
    /// Applied in written order.
    pub steps: Vec<Step>,
}

/// How rows lie in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One array of objects; a file of JSON lines is read too, as task data often has that under `.json`.
    Json,
    Jsonl,
    Csv(Separated),
    Tsv(Separated),
}

/// The options of `csv(…)` and `tsv(…)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Separated {
    /// The first line names the columns.
    pub header: bool,
    /// Names of the columns, where there is no header or other names are wanted.
    pub columns: Vec<String>,
    /// The quote character; `None` where quotes are ordinary characters.
    pub quote: Option<char>,
}

/// One thing done to the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// `[start..end]`; a negative bound counts from the end.
    Slice { start: Option<i64>, end: Option<i64> },
    /// `.shuffle(seed)`
    Shuffle { seed: u64 },
}
