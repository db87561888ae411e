//! Bytes from the hub: what a file is (HEAD), and its content (GET), picked up again where it broke off.
//!
//! `hf-hub` has transfers of its own, but without time limits or checksums, and it appends to half a file whatever the
//! server answers; so only its cache layout is used.

use super::HubSettings;
use super::failure::Failure;
use super::repository::is_commit;
use crate::diag::reason;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

/// Attempts in a row that bring no byte.
const ATTEMPTS: usize = 4;
const CONNECT: Duration = Duration::from_secs(10);
/// A server that is silent for this long is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// What the hub says of a file before it is sent.
#[derive(Debug)]
pub(super) struct Remote {
    /// The commit that the asked revision stands for.
    pub commit: String,
    /// Names the blob: the SHA-256 of a large file, the git hash of a small one.
    pub etag: String,
    /// Bytes, where the hub says.
    pub size: Option<u64>,
}

impl Remote {
    fn sha256(&self) -> Option<&str> {
        (self.etag.len() == 64).then_some(&self.etag)
    }
}

pub(super) struct Client {
    agent: Agent,
    authorization: Option<String>,
    retry_pause: Duration,
}

impl Client {
    pub fn new(settings: &HubSettings) -> Self {
        let config = Agent::config_builder()
            .user_agent(concat!("reftc/", env!("CARGO_PKG_VERSION")))
            // Compression would make lengths and ranges those of other bytes.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build();
        let authorization = settings.token.as_ref().map(|token| format!("Bearer {token}"));
        Self { agent: config.into(), authorization, retry_pause: settings.retry_pause }
    }

    /// Asks what a file is. Redirects inside the hub (a renamed model) are followed, those to where the bytes are not:
    /// the facts stand in the hub's own answer.
    pub fn head(&self, url: &str) -> Result<Remote, Failure> {
        let mut url = url.to_owned();
        for _ in 0..5 {
            let request = self.agent.head(&url).config().max_redirects(0).build();
            let answer = self.authorized(request).call().map_err(Failure::network)?;
            match header(&answer, "location") {
                Some(path) if answer.status().is_redirection() && path.starts_with('/') => url = join(&url, path),
                _ => return remote(&answer),
            }
        }
        Err(Failure::Answer("the hub redirects without end".into()))
    }

    /// What the hub says about a repository: JSON.
    pub fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, Failure> {
        let mut attempts = ATTEMPTS;
        loop {
            let found = self.get(url);
            attempts -= 1;
            match found {
                Err(failure) if failure.may_pass() && attempts > 0 => std::thread::sleep(self.retry_pause),
                Err(failure) => return Err(failure),
                Ok(text) => {
                    let foreign = |_| Failure::Answer("it does not say which files a repository has".into());
                    return serde_json::from_str(&text).map_err(foreign);
                }
            }
        }
    }

    fn get(&self, url: &str) -> Result<String, Failure> {
        let answer = self.authorized(self.agent.get(url)).call().map_err(Failure::network)?;
        if !answer.status().is_success() {
            return Err(refusal(&answer));
        }
        answer.into_body().read_to_string().map_err(Failure::network)
    }

    /// Whether anything answers at that address.
    pub fn reach(&self, url: &str) -> Result<(), Failure> {
        self.agent.head(url).call().map_err(Failure::network).map(|_| ())
    }

    /// Downloads a file to `blob`, by way of `<blob>.incomplete`; `progress` hears of the bytes there and in all.
    pub fn download(
        &self,
        url: &str,
        remote: &Remote,
        blob: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Failure> {
        let mut part = Part::open(blob)?;
        let mut attempts = ATTEMPTS;
        loop {
            let before = part.size;
            match self.receive(url, remote, &mut part, progress) {
                Ok(()) => return part.finish(remote),
                Err(failure) if failure.may_pass() => {
                    attempts = if part.size > before { ATTEMPTS } else { attempts - 1 };
                    if attempts == 0 {
                        return Err(failure);
                    }
                    std::thread::sleep(self.retry_pause);
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// One attempt at all that is missing of a file.
    fn receive(
        &self,
        url: &str,
        remote: &Remote,
        part: &mut Part,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Failure> {
        if remote.size.is_some_and(|size| part.size > size) {
            part.restart()?;
        }
        if remote.size == Some(part.size) && part.size > 0 {
            return Ok(());
        }
        let mut request = self.authorized(self.agent.get(url));
        if part.size > 0 {
            request = request.header("Range", format!("bytes={}-", part.size));
        }
        let answer = request.call().map_err(Failure::network)?;
        let begins = format!("bytes {}-", part.size);
        match answer.status() {
            StatusCode::OK => part.restart()?,
            StatusCode::PARTIAL_CONTENT if header(&answer, "content-range").is_some_and(|r| r.starts_with(&begins)) => {
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                part.restart()?;
                return Err(Failure::Network("the server sent another part of the file than was asked for".into()));
            }
            _ => return Err(refusal(&answer)),
        }
        let total = remote.size.or_else(|| Some(part.size + answer.body().content_length()?)).unwrap_or(0);
        part.append(&mut answer.into_body().into_reader(), &mut |done| progress(done, total))?;
        match remote.size {
            Some(size) if part.size != size => Err(Failure::Network("the connection ended early".into())),
            _ => Ok(()),
        }
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        }
    }
}

fn header<'a>(answer: &'a Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

fn refusal(answer: &Response<Body>) -> Failure {
    Failure::Status {
        status: answer.status().as_u16(),
        reason: header(answer, "x-error-code").unwrap_or_default().to_owned(),
        file: None,
    }
}

fn remote(answer: &Response<Body>) -> Result<Remote, Failure> {
    if !answer.status().is_success() && !answer.status().is_redirection() {
        return Err(refusal(answer));
    }
    let first = |names: [&str; 2]| names.into_iter().find_map(|name| header(answer, name));
    let etag = first(["x-linked-etag", "etag"]).map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
    // Both become names of files.
    let is_plain = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let commit = header(answer, "x-repo-commit").filter(|commit| is_commit(commit));
    let (Some(etag), Some(commit)) = (etag.filter(is_plain), commit) else {
        return Err(Failure::Answer("the answer names no commit or no etag, as a hub's does".into()));
    };
    // The length of a redirect is that of its own text.
    let size = if answer.status().is_success() {
        first(["x-linked-size", "content-length"])
    } else {
        header(answer, "x-linked-size")
    };
    Ok(Remote { commit: commit.to_owned(), etag: etag.to_owned(), size: size.and_then(|size| size.parse().ok()) })
}

/// The address of an absolute path on the server of `url`.
fn join(url: &str, path: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    format!("{}{path}", &url[..end])
}

/// A file that is on its way, and the digest of what is there.
struct Part {
    blob: PathBuf,
    path: PathBuf,
    file: File,
    size: u64,
    hasher: Sha256,
}

impl Part {
    /// Takes up what an earlier download left.
    fn open(blob: &Path) -> Result<Self, Failure> {
        let path = blob.with_extension("incomplete");
        let disk = |cause| Failure::disk(&path, cause);
        if let Some(folder) = blob.parent() {
            std::fs::create_dir_all(folder).map_err(disk)?;
        }
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(disk)?;
        let mut hasher = Sha256::new();
        let mut size = 0;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = file.read(&mut buffer).map_err(disk)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            size += count as u64;
        }
        Ok(Self { blob: blob.to_path_buf(), path, file, size, hasher })
    }

    fn restart(&mut self) -> Result<(), Failure> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|cause| Failure::disk(&self.path, cause))?;
        self.size = 0;
        self.hasher = Sha256::new();
        Ok(())
    }

    fn append(&mut self, reader: &mut impl Read, progress: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = reader.read(&mut buffer).map_err(|cause| Failure::Network(reason(&cause)))?;
            if count == 0 {
                return Ok(());
            }
            self.file.write_all(&buffer[..count]).map_err(|cause| Failure::disk(&self.path, cause))?;
            self.hasher.update(&buffer[..count]);
            self.size += count as u64;
            progress(self.size);
        }
    }

    /// Gives the file its name, if it is what the hub said it would be; else deletes it.
    fn finish(self, remote: &Remote) -> Result<(), Failure> {
        let found: String = self.hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let mismatch = remote.sha256().filter(|expected| *expected != found);
        if let Some(expected) = mismatch {
            let _ = std::fs::remove_file(&self.path);
            return Err(Failure::Checksum { expected: expected.to_owned(), found, file: String::new() });
        }
        let disk = |cause| Failure::disk(&self.path, cause);
        self.file.sync_all().map_err(disk)?;
        std::fs::rename(&self.path, &self.blob).map_err(disk)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_is_joined_to_its_server() {
        assert_eq!(super::join("http://host:80/a/b", "/c?d"), "http://host:80/c?d");
        assert_eq!(super::join("http://host", "/c"), "http://host/c");
    }
}
