//! `hf("org/name", split: "train")`: the rows of a dataset of the hub, in the cache that the hub's own tools share.
//!
//! At `main` the hub's conversion to Parquet is taken (its branch `refs/convert/parquet`), where there is one and the split is whole in it;
//! else, and at any other revision, the files of the dataset itself. Which files those are is asked once and kept beside the snapshots.

use super::failure::{Asked, Failure};
use super::pins::Pin;
use super::repository::{Progress, Repository, Snapshot};
use super::split_files::{self, Absent, SplitFiles};
use super::transfer::Client;
use super::{HubSettings, repository};
use crate::data::source::{Dataset, Source};
use crate::diag::{Code, Diagnostic, Result};
use crate::store::atomic;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The branch where the hub keeps a dataset as Parquet files.
const CONVERTED: &str = "refs/convert/parquet";

/// The files of a repository at one commit.
struct Listing<'a> {
    repository: Repository<'a>,
    snapshot: Snapshot,
    files: Vec<String>,
}

/// The rows of a split, from the cache or else, where `may_fetch`, downloaded into it. A broken download goes on where it stopped, and
/// large files are held against their SHA-256.
///
/// # Errors
/// `E0401` no such dataset, revision, subset, or no files of rows in it, `E0408` no such split, `E0307` no network, `E0308` any other
/// failure.
pub fn find_rows(
    settings: &HubSettings,
    dataset: &Dataset,
    may_fetch: bool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Source> {
    let asked = Asked { settings, name: &dataset.repo, revision: &dataset.revision, is_data: true };
    let own = Repository::new(asked)?;
    let finder = Finder { dataset, may_fetch };
    let pinned = |revision: &str| settings.pins.commit(true, &dataset.repo, revision).is_some();
    // A lock from before the hub had converted the dataset holds to its own files.
    if dataset.revision == "main" && (pinned(CONVERTED) || !pinned("main")) {
        let converted = Repository::new(Asked { revision: CONVERTED, ..asked })?;
        if let Some(listing) = finder.listing(converted)? {
            match split_files::converted(&listing.files, &dataset.config, &dataset.split) {
                Ok(found) => return finder.fetch(&listing, found, progress),
                Err(Absent::Partial | Absent::NoFiles) => {}
                Err(absent) => return Err(finder.absent(&absent)),
            }
        }
    }
    let Some(listing) = finder.listing(own)? else { return Err(asked.no_revision()) };
    let found = split_files::own(&listing.files, &dataset.config, &dataset.split);
    finder.fetch(&listing, found.map_err(|absent| finder.absent(&absent))?, progress)
}

/// The commit that the files of a source lie in, and the branch that it was found by; `None` where they are not from a hub.
pub fn pin_of(settings: &HubSettings, source: &Source) -> Option<Pin> {
    let dataset = source.dataset.as_ref()?;
    let is_snapshot = |folder: &&Path| folder.parent().is_some_and(|above| above.ends_with("snapshots"));
    let commit = source.path.ancestors().find(is_snapshot)?.file_name()?.to_string_lossy().into_owned();
    let asked = Asked { settings, name: &dataset.repo, revision: CONVERTED, is_data: true };
    let converted = Repository::new(asked).ok().and_then(|repository| repository.known_commit());
    let is_converted = dataset.revision == "main" && converted.as_ref() == Some(&commit);
    let revision = if is_converted { CONVERTED } else { &dataset.revision };
    Some(Pin { commit, repository: dataset.repo.clone(), revision: revision.to_owned() })
}

struct Finder<'a> {
    dataset: &'a Dataset,
    may_fetch: bool,
}

impl Finder<'_> {
    /// The files of a repository; `None` where it has no such branch as the converted one.
    fn listing<'a>(&self, repository: Repository<'a>) -> Result<Option<Listing<'a>>> {
        let asked = repository.asked;
        if let Some(commit) = repository.known_commit()
            && let Some(files) = known_files(&repository, &commit)
        {
            let snapshot = repository.snapshot(commit);
            return Ok(Some(Listing { repository, snapshot, files }));
        }
        let is_converted = asked.revision == CONVERTED;
        if asked.settings.offline || !self.may_fetch {
            // Perhaps the files of the dataset itself are there.
            return if is_converted { Ok(None) } else { Err(self.missing(asked)) };
        }
        match self.ask(&repository) {
            Ok((commit, files)) => {
                let snapshot = repository.snapshot(commit);
                Ok(Some(Listing { repository, snapshot, files }))
            }
            Err(Failure::Status { status: 404, reason, .. }) if is_converted && reason != "RepoNotFound" => Ok(None),
            Err(failure) => Err(asked.diagnose(failure)),
        }
    }

    /// Asks the hub for the files, and keeps the answer.
    fn ask(&self, repository: &Repository<'_>) -> std::result::Result<(String, Vec<String>), Failure> {
        let about: About = Client::new(repository.asked.settings).json(&repository.about())?;
        let files: Vec<String> = about.siblings.into_iter().map(|file| file.rfilename).collect();
        let foreign =
            |name: &&String| name.contains('\\') || name.split('/').any(|part| matches!(part, "" | "." | ".."));
        if let Some(name) = files.iter().find(foreign) {
            return Err(Failure::Answer(format!("it names a file outside of the dataset: `{name}`")));
        }
        if !repository::is_commit(&about.sha) {
            return Err(Failure::Answer("it names no commit".into()));
        }
        let path = listing_path(repository, &about.sha);
        let disk = |cause| Failure::disk(&path, cause);
        atomic::replace(&path, &[files.join("\n").as_bytes()]).map_err(disk)?;
        repository.keep_commit(&about.sha)?;
        Ok((about.sha, files))
    }

    /// Brings the files of the split into the snapshot.
    fn fetch(
        &self,
        listing: &Listing<'_>,
        found: SplitFiles,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Source> {
        let Listing { repository, snapshot, .. } = listing;
        let asked = repository.asked;
        let missing: Vec<&String> = found.files.iter().filter(|file| !snapshot.folder.join(file).is_file()).collect();
        if !missing.is_empty() {
            if asked.settings.offline || !self.may_fetch {
                return Err(self.missing(asked));
            }
            let client = Client::new(asked.settings);
            for file in missing {
                let got = repository.download_file(&client, snapshot, file, progress);
                got.map_err(|failure| asked.diagnose(failure))?;
            }
        }
        let (path, files) = match found.files.as_slice() {
            [only] => (snapshot.folder.join(only), Vec::new()),
            _ => (snapshot.folder.clone(), found.files.into_iter().map(PathBuf::from).collect()),
        };
        let dataset = Some(self.dataset.clone());
        Ok(Source { path, files, dataset, format: found.format, steps: Vec::new() })
    }

    fn missing(&self, asked: Asked<'_>) -> Box<Diagnostic> {
        if self.may_fetch { asked.offline() } else { asked.not_fetched() }
    }

    fn absent(&self, absent: &Absent) -> Box<Diagnostic> {
        let (message, help) = absent.say(&self.dataset.repo, &self.dataset.config, &self.dataset.split);
        let code = if matches!(absent, Absent::Split(_)) { Code::UnknownSplit } else { Code::DataNotFound };
        Box::new(Diagnostic::new(code, message).help(help))
    }
}

/// What the hub says about a repository at a revision, as far as it is of use.
#[derive(Deserialize)]
struct About {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// The files at a commit: as the hub said, or those of a snapshot that the hub's own tools made.
fn known_files(repository: &Repository<'_>, commit: &str) -> Option<Vec<String>> {
    if let Ok(text) = std::fs::read_to_string(listing_path(repository, commit)) {
        return Some(text.lines().map(str::to_owned).collect());
    }
    let folder = repository.snapshot(commit.to_owned()).folder;
    let mut files = Vec::new();
    collect(&folder, "", &mut files);
    files.sort();
    (!files.is_empty()).then_some(files)
}

fn listing_path(repository: &Repository<'_>, commit: &str) -> PathBuf {
    repository.folder().join("reftc").join(commit)
}

/// The files under a folder, by their paths in it.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path() {
            path if path.is_dir() => collect(&path, &format!("{name}/"), files),
            path if path.is_file() => files.push(name),
            _ => {}
        }
    }
}
