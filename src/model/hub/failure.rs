//! What can go wrong with the hub, and what to do then.

use super::HubSettings;
use crate::diag::{Code, Diagnostic, reason};
use std::path::{Path, PathBuf};

/// A failure of one request or file.
#[derive(Debug)]
pub(super) enum Failure {
    /// The hub answered, and refused.
    Status {
        status: u16,
        /// The hub's own word for it, empty where it gave none.
        reason: String,
        file: Option<String>,
    },
    /// No answer, or half of one.
    Network(String),
    /// An answer that no hub gives.
    Answer(String),
    Checksum {
        expected: String,
        found: String,
        file: String,
    },
    Disk {
        path: PathBuf,
        cause: std::io::Error,
    },
}

impl Failure {
    pub fn network(cause: ureq::Error) -> Self {
        Self::Network(match cause {
            ureq::Error::HostNotFound => "no such host".into(),
            ureq::Error::ConnectionFailed => "the connection failed".into(),
            ureq::Error::Io(cause) => reason(&cause),
            ureq::Error::Timeout(_) => "no answer in time".into(),
            other => other.to_string(),
        })
    }

    pub fn disk(path: &Path, cause: std::io::Error) -> Self {
        Self::Disk { path: path.to_path_buf(), cause }
    }

    /// Says which file it was.
    pub fn of_file(mut self, name: &str) -> Self {
        match &mut self {
            Self::Status { file, .. } => *file = Some(name.to_owned()),
            Self::Checksum { file, .. } => name.clone_into(file),
            _ => {}
        }
        self
    }

    /// Whether the same request may succeed a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Network(_) => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Nothing, where only this one file does not exist.
    pub fn allow_missing(self) -> Result<Option<()>, Self> {
        match &self {
            Self::Status { status: 404, reason, file: Some(_) } if reason.is_empty() || reason == "EntryNotFound" => {
                Ok(None)
            }
            _ => Err(self),
        }
    }
}

/// What the spec asked the hub for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub settings: &'a HubSettings,
    pub name: &'a str,
    pub revision: &'a str,
    /// A dataset, not a model.
    pub is_data: bool,
}

impl Asked<'_> {
    /// `model` or `dataset`.
    fn what(self) -> &'static str {
        if self.is_data { "dataset" } else { "model" }
    }

    fn not_found(self) -> Code {
        if self.is_data { Code::DataNotFound } else { Code::ModelNotFound }
    }

    /// The page of the model or dataset.
    fn page(self) -> String {
        let folder = if self.is_data { "datasets/" } else { "" };
        format!("{}/{folder}{}", self.settings.endpoint, self.name)
    }

    pub fn bad_name(self) -> Box<Diagnostic> {
        let message = format!("`{}` cannot be the name of a {}", self.name, self.what());
        let help = match self.is_data {
            true => "write `hf(\"organisation/name\", split: \"train\")`, as the dataset's page says",
            false => "write `hf(\"organisation/name\")`, as the model's page says",
        };
        self.error(self.not_found(), message, &[help])
    }

    pub fn no_revision(self) -> Box<Diagnostic> {
        let what = self.what();
        let message = format!("the {what} `{}` has no revision `{}`", self.name, self.revision);
        let help = format!("write a branch, a tag or a commit of the {what}: `rev: \"main\"`, or leave `rev` out");
        self.error(self.not_found(), message, &[&help])
    }

    pub fn offline(self) -> Box<Diagnostic> {
        let message =
            format!("the {} `{}` is not in the cache, and reftc is told to stay offline", self.what(), self.name);
        self.no_network(message, "to let reftc download it: leave out `--offline`, and unset HF_HUB_OFFLINE")
    }

    /// The failure as the reader of the spec sees it.
    pub fn diagnose(self, failure: Failure) -> Box<Diagnostic> {
        let (name, endpoint, what) = (self.name, &self.settings.endpoint, self.what());
        match failure {
            Failure::Network(cause) => {
                let message =
                    format!("the {what} `{name}` is not in the cache, and {endpoint} is out of reach: {cause}");
                let help = "check the network; behind a proxy set HTTPS_PROXY, for a mirror set HF_ENDPOINT. \
                            A broken download goes on where it stopped";
                self.no_network(message, help)
            }
            Failure::Status { status, reason, file } => self.refused(status, &reason, file.as_deref()),
            Failure::Answer(what) => {
                let message = format!("{endpoint} does not answer as a Hugging Face hub: {what}");
                self.error(Code::DownloadFailed, message, &["check HF_ENDPOINT, and unset it for the hub itself"])
            }
            Failure::Checksum { expected, found, file } => {
                let message = format!("the download of `{file}` of `{name}` is damaged, and was deleted");
                let help = "run again to download it anew; if that fails too, a proxy or mirror changes the content";
                let note = format!("expected SHA-256 {expected}, found {found}");
                Box::new(self.error(Code::DownloadFailed, message, &[help]).note(note))
            }
            Failure::Disk { path, cause } => {
                let message = format!("cannot keep `{name}` in the cache: {}", reason(&cause));
                let help = "make room or make the folder writable, or set HF_HOME to another folder";
                Box::new(self.error(Code::DownloadFailed, message, &[help]).in_file(path, None))
            }
        }
    }

    /// Rows that would have to be fetched, where nothing is fetched: while one types.
    pub fn not_fetched(self) -> Box<Diagnostic> {
        let message = format!("the {} `{}` is not in the cache", self.what(), self.name);
        self.error(Code::NoNetwork, message, &["fetch it once with `reftc check`: an editor downloads no data"])
    }

    /// Without a token, the hub answers 401 for a model that does not exist, so as not to tell which private ones do.
    fn refused(self, status: u16, reason: &str, file: Option<&str>) -> Box<Diagnostic> {
        let (name, endpoint, what, page) = (self.name, &self.settings.endpoint, self.what(), self.page());
        let has_token = self.settings.token.is_some();
        match (status, reason) {
            // Some mirrors give no word, but a file is asked for only of a commit that exists.
            (404, "EntryNotFound" | "") if file.is_some() || !reason.is_empty() => {
                self.no_file(file.unwrap_or("config.json"))
            }
            (404, "RevisionNotFound") => self.no_revision(),
            (404, _) | (401, "RepoNotFound") => {
                let message = format!("there is no {what} `{name}` at {endpoint}");
                let private = match has_token {
                    true => "if it is private, use a token that may read it in HF_TOKEN",
                    false => "if it is private, set HF_TOKEN to a token that may read it",
                };
                self.error(self.not_found(), message, &[&format!("check the name at {page}"), private])
            }
            (401 | 403, _) => {
                let message = format!("access to the {what} `{name}` is denied ({status})");
                let help = match has_token {
                    true => {
                        format!("accept the terms at {page}, and use a token that may read it in HF_TOKEN")
                    }
                    false => format!(
                        "accept the terms at {page}, make a token at {endpoint}/settings/tokens, \
                         and set HF_TOKEN to it"
                    ),
                };
                self.error(Code::DownloadFailed, message, &[&help])
            }
            _ => {
                let message = format!("{endpoint} failed to send the {what} `{name}` (status {status})");
                self.error(
                    Code::DownloadFailed,
                    message,
                    &["run again a little later: a download goes on where it stopped"],
                )
            }
        }
    }

    fn no_file(self, file: &str) -> Box<Diagnostic> {
        if self.is_data {
            let message = format!("the dataset `{}` has no file `{file}`", self.name);
            return self.error(Code::DataNotFound, message, &[&format!("look at its files at {}", self.page())]);
        }
        let message = format!("the model `{}` has no file `{file}`", self.name);
        let help = "reftc needs config.json, tokenizer.json and weights in safetensors: \
                    choose a model that has them, or a GGUF file by `gguf(\"file.gguf\")`";
        self.error(Code::UnsupportedModel, message, &[help])
    }

    fn no_network(self, message: String, first: &str) -> Box<Diagnostic> {
        let (name, cache) = (self.name, self.settings.cache.display());
        let revision = if self.revision == "main" { String::new() } else { format!(" --revision {}", self.revision) };
        let folder = format!("{}s--{}", self.what(), name.replace('/', "--"));
        let kind = if self.is_data { " --repo-type dataset" } else { "" };
        let carry = format!(
            "or fetch it where there is a network with `hf download {name}{kind}{revision}`, and copy \
             `~/.cache/huggingface/hub/{folder}` from there to `{cache}/{folder}` here (HF_HOME moves that folder)"
        );
        let other = match self.is_data {
            true => "or write `parquet(\"file.parquet\")` or `json(\"file.json\")` for rows that are here",
            false => {
                "or write `path(\"folder\")` or `gguf(\"file.gguf\")` for a model that is here; \
                 `embedded(\"tiny\")` comes with reftc"
            }
        };
        self.error(Code::NoNetwork, message, &[first, &carry, other])
    }

    fn error(self, code: Code, message: String, help: &[&str]) -> Box<Diagnostic> {
        Box::new(help.iter().fold(Diagnostic::new(code, message), |diagnostic, line| diagnostic.help(*line)))
    }
}
