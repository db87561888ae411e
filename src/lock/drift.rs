//! What has changed since a lock was written.

use super::{Data, Inputs, Lock, Model, Saved};
use crate::model::located::Locator;
use crate::plan::Experiment;
use crate::report::units::short_hash;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::path::Path;

/// What kind of thing has an entry in a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Data,
    Library,
    Model,
    Saved,
}

/// One entry that is no longer as a lock has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    pub kind: Kind,
    /// The name of the entry in the lock.
    pub name: String,
    pub changes: Vec<Change>,
}

/// How it differs. Digests are whole; messages show their first digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The entry itself, or one of its files; `None` where it is not there.
    Content {
        file: Option<String>,
        old: Option<String>,
        new: Option<String>,
    },
    /// The commit on a hub.
    Commit {
        old: Option<String>,
        new: Option<String>,
    },
    Rows {
        old: usize,
        new: usize,
    },
    /// The lock does not have it.
    Unlocked,
    /// It is not there any more.
    Gone,
}

impl Lock {
    /// What is in this lock and asked for now, and differs. What only one of both has is no drift.
    pub fn drift(&self, present: &Self) -> Vec<Drift> {
        let mut found = Vec::new();
        compare(Kind::Model, &self.models, &present.models, model, &mut found);
        compare(Kind::Data, &self.data, &present.data, data, &mut found);
        compare(Kind::Saved, &self.saved, &present.saved, saved, &mut found);
        let library = |old: &String, new: &String| content(None, Some(old), Some(new));
        compare(Kind::Library, &self.library.files, &present.library.files, library, &mut found);
        found
    }

    /// What of this lock, the `lock.json` of a run, is not as it was, or not there any more. `plan` is the `plan.json` beside it.
    pub fn changed_since(&self, plan: &Experiment, locator: &Locator) -> Vec<Drift> {
        let mut gone = Vec::new();
        // Both have absolute paths.
        let inputs = Inputs::of(plan, Path::new(""));
        let present = Self::of_those_there(&inputs, locator, &mut |kind, name, _| {
            gone.push(Drift { kind, name: name.to_owned(), changes: vec![Change::Gone] });
        });
        let mut found = self.drift(&present);
        found.append(&mut gone);
        found
    }

    /// What is asked for now and not in this lock.
    pub fn unlocked(&self, present: &Self) -> Vec<Drift> {
        let mut found = Vec::new();
        lacking(Kind::Model, &self.models, &present.models, &mut found);
        lacking(Kind::Data, &self.data, &present.data, &mut found);
        lacking(Kind::Saved, &self.saved, &present.saved, &mut found);
        lacking(Kind::Library, &self.library.files, &present.library.files, &mut found);
        found
    }
}

fn compare<T>(
    kind: Kind,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    changes: impl Fn(&T, &T) -> Vec<Change>,
    found: &mut Vec<Drift>,
) {
    for (name, new) in new {
        let changes = old.get(name).map(|old| changes(old, new)).unwrap_or_default();
        if !changes.is_empty() {
            found.push(Drift { kind, name: name.clone(), changes });
        }
    }
}

fn lacking<T>(kind: Kind, old: &BTreeMap<String, T>, new: &BTreeMap<String, T>, found: &mut Vec<Drift>) {
    let lacking = new.keys().filter(|name| !old.contains_key(*name));
    found.extend(lacking.map(|name| Drift { kind, name: name.clone(), changes: vec![Change::Unlocked] }));
}

fn model(old: &Model, new: &Model) -> Vec<Change> {
    if old.hub.is_some() && !old.same_commit(new) {
        return commit(old.hub.as_ref(), new.hub.as_ref());
    }
    // Of a commit, some files may not be at hand.
    let names = old.files.keys().chain(new.files.keys().filter(|name| !old.files.contains_key(*name)));
    let names =
        names.filter(|name| old.hub.is_none() || old.files.contains_key(*name) && new.files.contains_key(*name));
    let digest = |model: &'_ Model, name: &String| model.files.get(name).map(|file| file.sha256.clone());
    names.flat_map(|name| content(Some(name), digest(old, name).as_ref(), digest(new, name).as_ref())).collect()
}

fn data(old: &Data, new: &Data) -> Vec<Change> {
    let mut changes = commit(old.hub.as_ref(), new.hub.as_ref());
    changes.extend(content(None, Some(&old.sha256), Some(&new.sha256)));
    if old.rows != new.rows {
        changes.push(Change::Rows { old: old.rows, new: new.rows });
    }
    changes
}

fn saved(old: &Saved, new: &Saved) -> Vec<Change> {
    content(None, Some(&old.sha256), Some(&new.sha256))
}

fn commit(old: Option<&crate::model::hub::Pin>, new: Option<&crate::model::hub::Pin>) -> Vec<Change> {
    let (old, new) = (old.map(|pin| pin.commit.clone()), new.map(|pin| pin.commit.clone()));
    if old == new { Vec::new() } else { vec![Change::Commit { old, new }] }
}

fn content(file: Option<&String>, old: Option<&String>, new: Option<&String>) -> Vec<Change> {
    if old == new {
        return Vec::new();
    }
    vec![Change::Content { file: file.cloned(), old: old.cloned(), new: new.cloned() }]
}

/// `` `train.jsonl`: 1a2b3c4d → 5e6f7a8b, 16 → 18 rows ``
impl Display for Drift {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {}", self.name, self.how())
    }
}

impl Drift {
    /// `1a2b3c4d → 5e6f7a8b, 16 → 18 rows`
    pub fn how(&self) -> String {
        self.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let short = |digest: &Option<String>| digest.as_deref().map_or("none", short_hash).to_owned();
        match self {
            Change::Content { file, old, new } => {
                if let Some(file) = file {
                    write!(f, "{file} ")?;
                }
                write!(f, "{} → {}", short(old), short(new))
            }
            Change::Commit { old, new } => write!(f, "commit {} → {}", short(old), short(new)),
            Change::Rows { old, new } => write!(f, "{old} → {new} rows"),
            Change::Unlocked => write!(f, "not in the lock"),
            Change::Gone => write!(f, "not there any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Library, ModelFile};
    use super::*;
    use crate::model::hub::Pin;

    const SPLIT: &str = "train.jsonl";

    fn lock(rows: usize, sha256: &str) -> Lock {
        let mut lock = Lock::empty(Library::default());
        lock.data.insert(SPLIT.into(), Data { hub: None, rows, sha256: sha256.repeat(8) });
        lock
    }

    fn hub(commit: &str, files: &[(&str, &str)]) -> Lock {
        let pin = Pin { commit: commit.repeat(5), repository: "org/name".into(), revision: "main".into() };
        let files =
            files.iter().map(|(name, sha256)| ((*name).to_owned(), ModelFile { bytes: 1, sha256: sha256.repeat(8) }));
        let mut lock = Lock::empty(Library::default());
        lock.models.insert("hf(\"org/name\")".into(), Model { files: files.collect(), hub: Some(pin) });
        lock
    }

    fn said(old: &Lock, new: &Lock) -> Vec<String> {
        old.drift(new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_differs_is_named_with_both_states() {
        assert_eq!(said(&lock(16, "1a2b3c4d"), &lock(16, "1a2b3c4d")), [""; 0]);
        let drift = said(&lock(16, "1a2b3c4d"), &lock(18, "5e6f7a8b"));
        assert_eq!(drift, ["`train.jsonl`: 1a2b3c4d → 5e6f7a8b, 16 → 18 rows"]);
        let (old, new) = (hub("01234567", &[("config.json", "1a2b3c4d")]), hub("89abcdef", &[]));
        assert_eq!(said(&old, &new), ["`hf(\"org/name\")`: commit 01234567 → 89abcdef"]);
        let mut folder = hub("01234567", &[("config.json", "1a2b3c4d")]);
        folder.models.values_mut().for_each(|model| model.hub = None);
        let mut less = folder.clone();
        less.models.values_mut().for_each(|model| model.files.clear());
        assert_eq!(said(&folder, &less), ["`hf(\"org/name\")`: config.json 1a2b3c4d → none"]);
    }

    #[test]
    fn weights_that_are_not_at_hand_have_not_drifted() {
        let (whole, part) = (
            hub("01234567", &[("config.json", "1"), ("model.safetensors", "2")]),
            hub("01234567", &[("config.json", "1")]),
        );
        assert_eq!((said(&whole, &part), said(&part, &whole)), (vec![], vec![]));
        assert_eq!(part.kept(&whole), whole);
        assert_eq!(whole.kept(&part), whole);
    }

    #[test]
    fn a_lock_follows_its_spec_but_not_what_drifts() {
        let (old, mut new) = (lock(16, "1a2b3c4d"), lock(18, "5e6f7a8b"));
        new.data.insert("test.jsonl".into(), Data { hub: None, rows: 3, sha256: "c".repeat(64) });
        let kept = old.kept(&new);
        assert_eq!(kept.data[SPLIT], old.data[SPLIT]);
        assert_eq!(kept.data["test.jsonl"], new.data["test.jsonl"]);
        assert_eq!(old.unlocked(&new).len(), 1);
        new.data.remove(SPLIT);
        assert_eq!(old.kept(&new).data.keys().collect::<Vec<_>>(), ["test.jsonl"]);
        assert_eq!(said(&old, &new), [""; 0]);
    }
}
