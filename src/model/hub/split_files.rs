//! Which files of a dataset hold the rows of a split, by their names alone.

use crate::data::source::{Format, Separated};
use crate::diag::suggest;
use std::collections::BTreeSet;

/// Files of one split, in the order of their rows.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitFiles {
    pub files: Vec<String>,
    pub format: Format,
}

/// Why a dataset has no such rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// No file of any format that holds rows.
    NoFiles,
    /// The subset that was named is not there; those that are.
    Config(Vec<String>),
    /// None was named, and there are several.
    WhichConfig(Vec<String>),
    /// The split is not there; those that are.
    Split(Vec<String>),
    /// The hub converted only a part of the split.
    Partial,
}

/// One file with rows.
struct DataFile<'f> {
    name: &'f str,
    config: String,
    split: String,
    /// The place of its extension in the order of preference.
    rank: usize,
}

/// What holds rows, the format that is preferred first.
const EXTENSIONS: [&str; 5] = ["parquet", "jsonl", "json", "csv", "tsv"];

/// The names that a split may have in files, each behind its own.
const SPLITS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "val", "dev"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// The files of a split in the branch where the hub keeps what it converted: `CONFIG/SPLIT/0000.parquet`.
///
/// # Errors
/// What is absent, and what is there.
pub fn converted(files: &[String], config: &str, split: &str) -> Result<SplitFiles, Absent> {
    let found = files.iter().filter_map(|name| match name.split('/').collect::<Vec<_>>().as_slice() {
        [config, split, file] if file.ends_with(".parquet") => {
            Some(DataFile { name, config: (*config).to_owned(), split: (*split).to_owned(), rank: 0 })
        }
        _ => None,
    });
    let found = of_config(found.collect(), config, "default")?;
    if found.iter().any(|file| file.split.strip_prefix("partial-") == Some(split)) {
        return Err(Absent::Partial);
    }
    let whole = found.into_iter().filter(|file| !file.split.starts_with("partial-")).collect();
    of_split(whole, split)
}

/// The files of a split among those of the dataset itself.
///
/// A file belongs to the split that its name, or else a folder of it, names as a word, and `NAME-00000-of-00002.parquet` to `NAME`; where no
/// file names a split, all are for training. A folder at the top is a subset, unless it is `data` or names a split.
///
/// # Errors
/// What is absent, and what is there.
pub fn own(files: &[String], config: &str, split: &str) -> Result<SplitFiles, Absent> {
    let named = |name: &str| !name.split('/').any(|part| part.starts_with('.')) && !is_about(name);
    let rank = |name: &str| {
        let (_, extension) = name.rsplit_once('.')?;
        EXTENSIONS.iter().position(|known| *known == extension)
    };
    let mut found: Vec<(DataFile<'_>, bool)> = Vec::new();
    for name in files.iter().filter(|name| named(name)) {
        let Some(rank) = rank(name) else { continue };
        let split = split_of(name);
        let named = split.is_some();
        let split = split.unwrap_or_else(|| "train".to_owned());
        found.push((DataFile { name, config: config_of(name), split, rank }, named));
    }
    let some_named = found.iter().any(|(_, named)| *named);
    let found = found.into_iter().filter(|(_, named)| *named || !some_named).map(|(file, _)| file).collect();
    let config = if config == "default" { "" } else { config };
    of_split(of_config(found, config, "")?, canonical(split))
}

/// Files of one subset: the one that is named, the usual one, or the only one.
fn of_config<'f>(files: Vec<DataFile<'f>>, config: &str, usual: &str) -> Result<Vec<DataFile<'f>>, Absent> {
    let configs: BTreeSet<String> = files.iter().map(|file| file.config.clone()).collect();
    let chosen = match (config, configs.first()) {
        (_, None) => return Err(Absent::NoFiles),
        ("", Some(only)) if configs.len() == 1 => only.clone(),
        ("", _) if configs.contains(usual) => usual.to_owned(),
        ("", _) => return Err(Absent::WhichConfig(configs.into_iter().collect())),
        (named, _) if configs.contains(named) => named.to_owned(),
        _ => return Err(Absent::Config(configs.into_iter().filter(|config| !config.is_empty()).collect())),
    };
    Ok(files.into_iter().filter(|file| file.config == chosen).collect())
}

/// Files of one split, all of the format that comes first.
fn of_split(files: Vec<DataFile<'_>>, split: &str) -> Result<SplitFiles, Absent> {
    let splits: BTreeSet<String> = files.iter().map(|file| file.split.clone()).collect();
    let of_split: Vec<&DataFile<'_>> = files.iter().filter(|file| file.split == split).collect();
    let Some(rank) = of_split.iter().map(|file| file.rank).min() else {
        return Err(Absent::Split(splits.into_iter().collect()));
    };
    let mut files: Vec<String> =
        of_split.into_iter().filter(|file| file.rank == rank).map(|file| file.name.to_owned()).collect();
    files.sort();
    Ok(SplitFiles { files, format: format(rank) })
}

fn format(rank: usize) -> Format {
    let separated = |quote| Separated { header: true, columns: Vec::new(), quote };
    match EXTENSIONS[rank] {
        "parquet" => Format::Parquet,
        "jsonl" => Format::Jsonl,
        "csv" => Format::Csv(separated(Some('"'))),
        "tsv" => Format::Tsv(separated(None)),
        _ => Format::Json,
    }
}

/// JSON files about a dataset, which hold no rows of it.
fn is_about(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    ["dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"].contains(&file)
}

/// The split that a file names, or else one of its folders, the nearest first.
fn split_of(name: &str) -> Option<String> {
    let named = |part: &str| {
        let part = part.to_lowercase();
        let mut words = part.split(|letter: char| !letter.is_alphabetic()).map(canonical);
        words.find(|word| SPLITS.iter().any(|(split, _)| split == word)).map(str::to_owned)
    };
    name.rsplit('/').find_map(named).or_else(|| {
        let file = name.rsplit('/').next()?;
        let (stem, _) = file.rsplit_once('.')?;
        let (stem, parts) = stem.rsplit_once("-of-")?;
        let (split, number) = stem.rsplit_once('-')?;
        let is_number = |text: &str| !text.is_empty() && text.chars().all(|letter| letter.is_ascii_digit());
        (is_number(parts) && is_number(number)).then(|| split.to_owned())
    })
}

/// `validation` for `dev`.
fn canonical(word: &str) -> &str {
    SPLITS.iter().find(|(_, names)| names.contains(&word)).map_or(word, |(split, _)| split)
}

/// The subset that a file belongs to, empty where it names none.
fn config_of(name: &str) -> String {
    match name.split_once('/') {
        Some((top, _)) if top != "data" && split_of(&format!("{top}/")).is_none() => top.to_owned(),
        _ => String::new(),
    }
}

impl Absent {
    /// The sentence about it, of a dataset, and what to do.
    pub fn say(&self, name: &str, config: &str, split: &str) -> (String, String) {
        let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let write = |argument: &str, word: &str, names: &[String]| {
            let near = suggest::near(word, names.iter().map(String::as_str)).first().copied();
            match near.or(names.first().map(String::as_str)) {
                Some(meant) => format!("write `{argument}: \"{meant}\"`"),
                None => format!("leave `{argument}` out"),
            }
        };
        let of = if config.is_empty() { String::new() } else { format!(" (`{config}`)") };
        match self {
            Self::NoFiles => (
                format!("the dataset `{name}` has no files of rows that reftc reads"),
                "take one with parquet, jsonl, json, csv or tsv files, or write its rows as one of them".to_owned(),
            ),
            Self::Config(names) => {
                let there = if names.is_empty() { String::new() } else { format!(": there are {}", list(names)) };
                let message = format!("the dataset `{name}` has no subset `{config}`{there}");
                (message, write("config", config, names))
            }
            Self::WhichConfig(names) => {
                let message = format!("the dataset `{name}` has several subsets: {}", list(names));
                (message, write("config", "", names))
            }
            Self::Split(names) => {
                let message = format!("the dataset `{name}`{of} has no split `{split}`: there are {}", list(names));
                (message, write("split", split, names))
            }
            Self::Partial => (
                format!("the dataset `{name}`{of} is too large for the hub to convert its split `{split}` whole"),
                "download the files of the split, and name them: `parquet(\"file.parquet\")`".to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn files(found: Result<SplitFiles, Absent>) -> Vec<String> {
        found.unwrap().files
    }

    #[test]
    fn converted_files_lie_in_folders_of_subset_and_split() {
        let plain = names(&["default/train/0001.parquet", "default/train/0000.parquet", "default/test/0000.parquet"]);
        assert_eq!(files(converted(&plain, "", "train")), ["default/train/0000.parquet", "default/train/0001.parquet"]);
        assert_eq!(converted(&plain, "", "tset"), Err(Absent::Split(names(&["test", "train"]))));
        assert_eq!(converted(&plain, "main", "test"), Err(Absent::Config(names(&["default"]))));
        let two = names(&["main/train/0000.parquet", "socratic/train/0000.parquet", ".gitattributes"]);
        assert_eq!(converted(&two, "", "train"), Err(Absent::WhichConfig(names(&["main", "socratic"]))));
        assert_eq!(files(converted(&two, "socratic", "train")), ["socratic/train/0000.parquet"]);
        let partial = names(&["default/partial-train/0000.parquet", "default/test/0000.parquet"]);
        assert_eq!(converted(&partial, "", "train"), Err(Absent::Partial));
        assert_eq!(files(converted(&partial, "", "test")), ["default/test/0000.parquet"]);
        assert_eq!(converted(&names(&["README.md"]), "", "train"), Err(Absent::NoFiles));
    }

    #[test]
    fn own_files_name_their_split_as_a_word() {
        let plain = names(&[
            "README.md",
            "data/train-00001-of-00002.parquet",
            "data/train-00000-of-00002.parquet",
            "data/test-00000-of-00001.parquet",
            "data/hard_cases-00000-of-00001.parquet",
            "train.csv",
            "dataset_infos.json",
        ]);
        let train = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"];
        assert_eq!(files(own(&plain, "", "train")), train, "parquet goes before csv");
        assert_eq!(files(own(&plain, "default", "train")), train);
        assert_eq!(files(own(&plain, "", "hard_cases")), ["data/hard_cases-00000-of-00001.parquet"]);
        assert_eq!(own(&plain, "", "dev"), Err(Absent::Split(names(&["hard_cases", "test", "train"]))));
        let subsets = names(&["ARC-Easy/train-00000-of-00001.parquet", "ARC-Challenge/train-00000-of-00001.parquet"]);
        assert_eq!(files(own(&subsets, "ARC-Easy", "train")), ["ARC-Easy/train-00000-of-00001.parquet"]);
        assert_eq!(own(&subsets, "", "train"), Err(Absent::WhichConfig(names(&["ARC-Challenge", "ARC-Easy"]))));
        let folders = names(&["train/part_a.jsonl", "dev/part_a.jsonl", "eval.test.tsv"]);
        assert_eq!(files(own(&folders, "", "validation")), ["dev/part_a.jsonl"]);
        assert_eq!(
            own(&folders, "", "test").unwrap().format,
            Format::Tsv(Separated { header: true, columns: Vec::new(), quote: None })
        );
    }

    #[test]
    fn files_that_name_no_split_are_for_training() {
        let one = names(&["rows.json", ".hidden/train.json"]);
        assert_eq!(files(own(&one, "", "train")), ["rows.json"]);
        assert_eq!(own(&one, "", "test"), Err(Absent::Split(names(&["train"]))));
        assert_eq!(own(&names(&["contested.txt"]), "", "train"), Err(Absent::NoFiles));
        assert_eq!(split_of("contested.json"), None, "a word, not a piece of one");
    }
}
