//! Sources: which files, and which of their rows in which order.

use crate::diag::{Code, Diagnostic};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A file of rows, or several, and what is done to them before anything else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The file; where there are several, the folder that they lie in.
    pub path: PathBuf,
    /// Their names in the folder, in the order of their rows; empty where `path` is the one file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// The dataset of a hub that they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Dataset>,
    pub format: Format,
    /// Applied in written order.
    pub steps: Vec<Step>,
}

/// A split of a dataset, as `hf("org/name", split: "train")` names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// `org/name`
    pub repo: String,
    /// The subset; empty where the dataset has one, or one named `default`.
    pub config: String,
    pub split: String,
    /// Branch, tag or commit.
    pub revision: String,
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
    Parquet,
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

/// The numbers of the rows that the steps leave of `rows` rows, in their order.
///
/// Bounds of a slice outside the rows are moved to the nearest end, as in Python, so that `[..2000]` of 1500 rows is all of them.
pub fn select(rows: usize, steps: &[Step]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    for step in steps {
        match step {
            Step::Slice { start, end } => {
                let start = start.map_or(0, |bound| from_end(bound, order.len()));
                let end = end.map_or(order.len(), |bound| from_end(bound, order.len()));
                order = order.get(start..end).unwrap_or_default().to_vec();
            }
            Step::Shuffle { seed } => shuffle(&mut order, *seed),
        }
    }
    order
}

fn from_end(bound: i64, rows: usize) -> usize {
    let distance = usize::try_from(bound.unsigned_abs()).unwrap_or(usize::MAX);
    if bound < 0 { rows.saturating_sub(distance) } else { distance.min(rows) }
}

/// Fisher–Yates from the last place down: place i swaps with a place drawn evenly from 0..=i.
///
/// The draws are 64-bit words of ChaCha8 keyed by the seed (eight little-endian bytes, then zeros), taken modulo i + 1; words
/// of the last, incomplete round of the modulus are passed over. Written out here because the order is part of what a
/// spec means, and no library promises to keep its own way of drawing.
fn shuffle(order: &mut [usize], seed: u64) {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(key);
    for place in (1..order.len()).rev() {
        let choices = place as u64 + 1;
        let limit = u64::MAX - u64::MAX % choices;
        let word = loop {
            let word = random.next_u64();
            if word < limit {
                break word;
            }
        };
        order.swap(place, (word % choices) as usize);
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Slice { start, end } => {
                let text = |bound: &Option<i64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
                write!(f, "[{}..{}]", text(start), text(end))
            }
            Step::Shuffle { seed } => write!(f, ".shuffle({seed})"),
        }
    }
}

/// `org/name (config), train`
impl std::fmt::Display for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.repo)?;
        if !self.config.is_empty() {
            write!(f, " ({})", self.config)?;
        }
        write!(f, ", {}", self.split)
    }
}

impl Source {
    /// One file, all its rows.
    pub fn file(path: impl Into<PathBuf>, format: Format) -> Self {
        Self { path: path.into(), files: Vec::new(), dataset: None, format, steps: Vec::new() }
    }

    /// The paths of its files, in the order of their rows.
    pub fn paths(&self) -> Vec<PathBuf> {
        match self.files.as_slice() {
            [] => vec![self.path.clone()],
            files => files.iter().map(|file| self.path.join(file)).collect(),
        }
    }

    /// E0404: the split has no rows, of the `rows` rows of its file. The caller adds the place in the spec.
    pub fn nothing_left(&self, split: &str, rows: usize) -> Diagnostic {
        let file = self.path.display();
        let message = if rows == 0 {
            format!("`{split}` has no rows: `{file}` is empty")
        } else {
            let steps: String = self.steps.iter().map(Step::to_string).collect();
            format!("`{split}` has no rows: `{steps}` leaves nothing of the {rows} rows of `{file}`")
        };
        let diagnostic = Diagnostic::new(Code::EmptySplit, message).in_file(&self.path, None);
        let turned = self.steps.iter().any(|step| {
            matches!(step, Step::Slice { start: Some(start), end: Some(end) } if start >= end && (*start < 0) == (*end < 0))
        });
        match (rows, turned) {
            (0, _) => diagnostic,
            (_, true) => diagnostic.help("write the earlier row first: `[2..8]`"),
            _ => diagnostic.help(format!("write bounds between 0 and {rows}")),
        }
    }
}
