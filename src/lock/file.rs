//! Lock files: pretty JSON whose keys are sorted, so that git shows one fact a line; every entry has a checksum, and all of them a digest.

use super::Lock;
use crate::diag::{Code, Diagnostic, Result, reason};
use crate::digest;
use crate::store::atomic;
use serde_json::{Map, Value};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The version of the form of a lock; a file of a later one is not read.
const FORMAT: u64 = 1;

/// Fields that hold entries by name, and the one that is an entry itself.
const SECTIONS: [&str; 3] = ["data", "models", "saved"];
const LIBRARY: &str = "library";

/// The lock that belongs to a spec: `spec.lock` beside `spec.reft`.
pub fn path_of(spec: &Path) -> PathBuf {
    spec.with_extension("lock")
}

impl Lock {
    /// As it stands in a file; equal locks have equal text.
    pub fn text(&self) -> String {
        // Maps of serde_json are sorted.
        let mut fields = match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        each_entry(&mut fields, |name, entry| {
            let check = check_of(name, entry);
            entry.insert("check".to_owned(), check.into());
        });
        fields.insert("format".to_owned(), FORMAT.into());
        fields.insert("digest".to_owned(), digest::of(digest::json(&fields)).into());
        format!("{:#}\n", Value::Object(fields))
    }

    /// Writes it beside its place and renames it; a file that says the same is left alone.
    ///
    /// # Errors
    /// E0501 with the path and the cause.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = self.text();
        if std::fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        atomic::write(path, text.as_bytes())
    }

    /// Reads a lock; `None` where there is none.
    ///
    /// # Errors
    /// E0511 where the file cannot be read, is no lock, is of a later version, or was edited by hand.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path).map(Some),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(unreadable(path, None, &format!("cannot be read: {}", reason(&cause)))),
        }
    }

    /// Reads the text of a lock; `path` is named in errors.
    ///
    /// # Errors
    /// As [`Lock::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let conflict = text.lines().position(|line| line.starts_with("<<<<<<< "));
            match conflict {
                Some(line) => unreadable(path, Some(line + 1), "has conflicts of a merge"),
                None => unreadable(path, Some(error.line()), &format!("is not JSON: {error}")),
            }
        })?;
        let no_lock = || unreadable(path, None, "is no lock of reftc");
        let Value::Object(mut fields) = value else { return Err(no_lock()) };
        let format = fields.get("format").and_then(Value::as_u64).ok_or_else(no_lock)?;
        if format > FORMAT {
            let problem = format!("has the format {format}, and this reftc reads formats up to {FORMAT}");
            let mut diagnostic = unreadable(path, line_of(text, "format", 1), &problem);
            diagnostic.help.insert(0, "install the reftc that wrote it, or a later one".to_owned());
            return Err(diagnostic);
        }
        let edited = |line: Option<usize>, what: &str| {
            Err(unreadable(path, line, &format!("was edited by hand: {what} is not as reftc wrote it")))
        };
        let noted = fields.remove("digest");
        let whole = digest::of(digest::json(&fields));
        let mut damaged = None;
        each_entry(&mut fields, |name, entry| {
            let check = entry.remove("check");
            if check.as_ref().and_then(Value::as_str) != Some(&check_of(name, entry)) {
                damaged.get_or_insert_with(|| name.to_owned());
            }
        });
        if noted.as_ref().and_then(Value::as_str) != Some(&whole) {
            return match damaged {
                Some(name) => edited(line_of(text, &name, 1), &format!("`{name}`")),
                None => edited(line_of(text, "digest", 1), "the list of its entries"),
            };
        }
        serde_json::from_value(Value::Object(fields)).map_err(|_| no_lock())
    }

    /// The line of a lock's text that an entry begins in, from 1.
    pub fn line_of(&self, name: &str) -> Option<usize> {
        line_of(&self.text(), name, 1)
    }
}

/// Calls `see` with every entry and its name.
fn each_entry(fields: &mut Map<String, Value>, mut see: impl FnMut(&str, &mut Map<String, Value>)) {
    for section in SECTIONS {
        let entries = fields.get_mut(section).and_then(Value::as_object_mut);
        for (name, entry) in entries.into_iter().flatten() {
            if let Value::Object(entry) = entry {
                see(name, entry);
            }
        }
    }
    if let Some(Value::Object(entry)) = fields.get_mut(LIBRARY) {
        see(LIBRARY, entry);
    }
}

/// A few digits that tell whether an entry is as it was written.
fn check_of(name: &str, entry: &Map<String, Value>) -> String {
    digest::of(digest::json(&(name, entry))).chars().take(8).collect()
}

/// The line that the field of that name begins in.
fn line_of(text: &str, name: &str, first: usize) -> Option<usize> {
    let key = format!("{}:", Value::from(name));
    text.lines().position(|line| line.trim_start().starts_with(&key)).map(|line| line + first)
}

fn unreadable(path: &Path, line: Option<usize>, problem: &str) -> Box<Diagnostic> {
    let message = format!("the lock `{}` {problem}", path.display());
    let help = match path.extension().is_some_and(|extension| extension == "lock") {
        true => format!(
            "write it anew from what is there now: `reftc lock {} --update`",
            path.with_extension("reft").display()
        ),
        false => "run the spec again, which writes it anew".to_owned(),
    };
    Box::new(Diagnostic::new(Code::LockUnreadable, message).in_file(path, line).help(help))
}

#[cfg(test)]
mod tests {
    use super::super::{Data, Library, Model, ModelFile};
    use super::*;
    use crate::model::hub::Pin;
    use std::collections::BTreeMap;

    fn lock() -> Lock {
        let pin = |revision: &str| Pin {
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            repository: "org/name".into(),
            revision: revision.into(),
        };
        let mut lock = Lock::empty(Library {
            edition: digest::of("library"),
            files: BTreeMap::from([("std/recipes.reft".to_owned(), digest::of("recipes"))]),
        });
        lock.data.insert("data/train \"1\".jsonl".into(), Data { hub: None, rows: 16, sha256: digest::of("rows") });
        let data = Data { hub: Some(pin("refs/convert/parquet")), rows: 3, sha256: digest::of("split") };
        lock.data.insert("hf(\"org/name\", split: \"train\")".into(), data);
        let file = ModelFile { bytes: 123, sha256: digest::of("config") };
        let files = BTreeMap::from([("config.json".to_owned(), file)]);
        lock.models.insert("hf(\"org/name\")".into(), Model { files, hub: Some(pin("main")) });
        lock
    }

    #[test]
    fn a_lock_comes_back_and_its_keys_are_sorted() {
        let text = lock().text();
        assert_eq!(Lock::parse(&text, Path::new("spec.lock")).unwrap(), lock());
        assert_eq!(
            Lock::parse(&text.replace('\n', "\r\n"), Path::new("spec.lock")).unwrap(),
            lock(),
            "as git on Windows"
        );
        let keys: Vec<&str> = text.lines().filter(|line| line.starts_with("  \"")).collect();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        assert_eq!(keys, sorted, "{text}");
        assert!(text.contains("\n      \"rows\": 16,\n"), "{text}");
    }

    /// The message without the path, and the line.
    fn problem(text: &str) -> (String, Option<usize>) {
        let diagnostic = Lock::parse(text, Path::new("spec.lock")).unwrap_err();
        assert_eq!(diagnostic.code, Code::LockUnreadable);
        assert!(diagnostic.help.last().unwrap().contains("`reftc lock spec.reft --update`"));
        let message = diagnostic.message.strip_prefix("the lock `spec.lock` ").unwrap().to_owned();
        (message, diagnostic.place.unwrap().line)
    }

    #[test]
    fn every_changed_value_is_found_with_its_place() {
        let text = lock().text();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let Some((key, value)) = line.split_once(": ") else { continue };
            // The format is looked at first.
            if value.ends_with('{') || value.starts_with('{') || key.contains("format") {
                continue;
            }
            let changed = if value.starts_with('"') {
                value.replacen('"', "\"x", 1)
            } else {
                value.replacen(char::is_numeric, "9", 1)
            };
            let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            lines[number] = format!("{key}: {changed}");
            let (message, place) = problem(&lines.join("\n"));
            assert!(message.starts_with("was edited by hand: ") && place.is_some(), "{line}: {message}");
        }
        let (message, line) = problem(&text.replace("\"rows\": 16", "\"rows\": 17"));
        assert_eq!(message, "was edited by hand: `data/train \"1\".jsonl` is not as reftc wrote it");
        assert!(lines[line.unwrap() - 1].contains("data/train"));
        let without = |name: &str| {
            let mut value: Value = serde_json::from_str(&text).unwrap();
            value["data"].as_object_mut().unwrap().remove(name).unwrap();
            format!("{value:#}")
        };
        let (message, _) = problem(&without("data/train \"1\".jsonl"));
        assert_eq!(message, "was edited by hand: the list of its entries is not as reftc wrote it");
    }

    #[test]
    fn what_is_no_lock_is_told() {
        let text = lock().text();
        assert_eq!(problem("").0, "is not JSON: EOF while parsing a value at line 1 column 0");
        assert_eq!(problem("{\"version\": 3}").0, "is no lock of reftc");
        assert_eq!(problem("[]").0, "is no lock of reftc");
        assert_eq!(problem("{\n<<<<<<< HEAD\n"), ("has conflicts of a merge".into(), Some(2)));
        let newer = text.replace("\"format\": 1", "\"format\": 2");
        assert_eq!(problem(&newer).0, "has the format 2, and this reftc reads formats up to 1");
    }
}
