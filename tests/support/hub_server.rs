//! A small Hugging Face hub with the model `org/model` and the dataset `org/data`: HEAD, GET, ranges, redirects to where large files are,
//! lists of files, and faults on demand.

use reftc::model::hub::HubSettings;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The commit of the model that `main` moves to; its files are those that are named `next/NAME`, and the old ones.
pub const NEXT: &str = "fedcba9876543210fedcba9876543210fedcba98";

#[derive(Default)]
struct Faults {
    /// File, bytes of each answer, answers left.
    cut: Option<(String, usize, usize)>,
    /// Once the cuts are spent, this file is answered with 500.
    broken: Option<String>,
    corrupt: Option<String>,
    refuse: Option<(u16, &'static str)>,
    token: Option<&'static str>,
    ignore_ranges: bool,
    forget_commit: bool,
}

struct State {
    address: SocketAddr,
    /// Those of the dataset are named `datasets/COMMIT/NAME`.
    files: BTreeMap<String, Vec<u8>>,
    /// The commits of the dataset's revisions.
    revisions: Mutex<BTreeMap<String, String>>,
    /// The model's `main` is [`NEXT`].
    moved: AtomicBool,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<String>>,
    ranges: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

pub struct HubServer {
    state: Arc<State>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Request {
    method: String,
    path: String,
    range: Option<usize>,
    authorization: Option<String>,
}

impl HubServer {
    pub fn start(files: &[(&str, Vec<u8>)]) -> Self {
        Self::with_data(files, &[])
    }

    /// Serves a dataset too: files, each with the revision that it is in.
    pub fn with_data(model: &[(&str, Vec<u8>)], data: &[(&str, &str, Vec<u8>)]) -> Self {
        let commit = |revision: &str| sha256(revision.as_bytes())[..40].to_owned();
        let mut files: BTreeMap<String, Vec<u8>> =
            model.iter().map(|(name, content)| ((*name).to_owned(), content.clone())).collect();
        let mut revisions = BTreeMap::new();
        for (revision, name, content) in data {
            files.insert(format!("datasets/{}/{name}", commit(revision)), content.clone());
            revisions.insert((*revision).to_owned(), commit(revision));
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(State {
            address: listener.local_addr().unwrap(),
            files,
            revisions: Mutex::new(revisions),
            moved: AtomicBool::new(false),
            faults: Mutex::default(),
            requests: Mutex::default(),
            ranges: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away in the middle is no fault of the server.
                let _ = shared.answer(stream);
            }
        });
        Self { state, thread: Some(thread) }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.state.address)
    }

    pub fn content(&self, file: &str) -> Vec<u8> {
        self.state.files[file].clone()
    }

    /// The names under which files whose names end so are served.
    pub fn files_named(&self, end: &str) -> Vec<String> {
        self.state.files.keys().filter(|file| file.ends_with(end)).cloned().collect()
    }

    /// `METHOD /path` of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Each range of a large file that was asked for so far, as the client wrote it.
    pub fn ranges(&self) -> Vec<String> {
        self.state.ranges.lock().unwrap().clone()
    }

    fn fault(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state.faults.lock().unwrap());
    }

    /// The model's `main` is [`NEXT`] from now on.
    pub fn move_model(&self) {
        self.state.moved.store(true, Ordering::SeqCst);
    }

    /// A branch of the dataset is at the commit of another one from now on.
    pub fn move_data(&self, branch: &str, to: &str) {
        let mut revisions = self.state.revisions.lock().unwrap();
        let commit = revisions[to].clone();
        revisions.insert(branch.to_owned(), commit);
    }

    pub fn cut(&self, file: &str, bytes: usize, times: usize) {
        self.fault(|faults| faults.cut = Some((file.to_owned(), bytes, times)));
    }

    pub fn fail_after_cut(&self, file: &str) {
        self.fault(|faults| faults.broken = Some(file.to_owned()));
    }

    pub fn corrupt(&self, file: &str) {
        self.fault(|faults| faults.corrupt = Some(file.to_owned()));
    }

    pub fn refuse(&self, status: u16, word: &'static str) {
        self.fault(|faults| faults.refuse = Some((status, word)));
    }

    pub fn require_token(&self, token: &'static str) {
        self.fault(|faults| faults.token = Some(token));
    }

    pub fn ignore_ranges(&self) {
        self.fault(|faults| faults.ignore_ranges = true);
    }

    pub fn forget_commit(&self) {
        self.fault(|faults| faults.forget_commit = true);
    }

    pub fn heal(&self) {
        self.fault(|faults| *faults = Faults::default());
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.state.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let mut request =
        Request { method: words.next()?.to_owned(), path: words.next()?.to_owned(), range: None, authorization: None };
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        match name.to_lowercase().as_str() {
            "range" => request.range = value.trim().strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok(),
            "authorization" => request.authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Some(request)
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl State {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(request) = read_request(&stream) else { return Ok(()) };
        self.requests.lock().unwrap().push(format!("{} {}", request.method, request.path));
        if let Some(file) = request.path.strip_prefix("/cdn/") {
            self.ranges.lock().unwrap().extend(request.range.map(|start| format!("bytes={start}-")));
            return self.send(&mut stream, &request, file, "");
        }
        if let Some(rest) = request.path.strip_prefix("/old/name/") {
            let head = format!("HTTP/1.1 307 Moved\r\nLocation: /org/model/{rest}\r\n");
            return write!(stream, "{head}Content-Length: 0\r\nConnection: close\r\n\r\n");
        }
        let (refuse, token, forget) = {
            let faults = self.faults.lock().unwrap();
            (faults.refuse, faults.token, faults.forget_commit)
        };
        let expected = token.map(|token| format!("Bearer {token}"));
        let refuse = refuse.or((expected.is_some() && request.authorization != expected).then_some((401, "GatedRepo")));
        if let (None, Some(revision)) = (refuse, request.path.strip_prefix("/api/datasets/org/data/revision/")) {
            return self.list(&mut stream, &revision.replace("%2F", "/"));
        }
        let data = request.path.strip_prefix("/datasets/org/data/resolve/").and_then(|path| path.split_once('/'));
        let data = data.map(|(commit, file)| (commit, format!("datasets/{commit}/{file}")));
        let path = request.path.strip_prefix("/org/model/resolve/").and_then(|path| path.split_once('/'));
        let main = if self.moved.load(Ordering::SeqCst) { NEXT } else { COMMIT };
        let path = path.map(|(revision, file)| (if revision == "main" { main } else { revision }, file));
        let next = path.map(|(_, file)| format!("next/{file}")).filter(|next| self.files.contains_key(next));
        let (file, commit) = match (refuse, path, &data) {
            (Some((status, word)), ..) => return refusal(&mut stream, status, word),
            (None, Some((COMMIT, file)), _) => (file, COMMIT),
            (None, Some((NEXT, file)), _) => (next.as_deref().unwrap_or(file), NEXT),
            (None, _, Some((commit, file))) => (file.as_str(), *commit),
            _ => return refusal(&mut stream, 404, "RepoNotFound"),
        };
        let Some(content) = self.files.get(file) else { return refusal(&mut stream, 404, "EntryNotFound") };
        let commit = if forget { String::new() } else { format!("X-Repo-Commit: {commit}\r\n") };
        if ![".safetensors", ".parquet"].iter().any(|large| file.ends_with(large)) {
            let etag = &sha256(content)[..40];
            return self.send(&mut stream, &request, file, &format!("ETag: W/\"{etag}\"\r\n{commit}"));
        }
        let (etag, size) = (sha256(content), content.len());
        let linked = format!("X-Linked-ETag: \"{etag}\"\r\nX-Linked-Size: {size}\r\nETag: \"other\"\r\n{commit}");
        let location = format!("Location: http://{}/cdn/{file}\r\n", self.address);
        write!(stream, "HTTP/1.1 302 Found\r\n{location}{linked}Content-Length: 0\r\nConnection: close\r\n\r\n")
    }

    /// The files of a revision of the dataset.
    fn list(&self, stream: &mut TcpStream, revision: &str) -> std::io::Result<()> {
        let revisions = self.revisions.lock().unwrap().clone();
        // A commit stays, whatever branches do.
        let is_commit = self.files.keys().any(|file| file.starts_with(&format!("datasets/{revision}/")));
        let itself = is_commit.then(|| revision.to_owned());
        let Some(commit) = revisions.get(revision).or(itself.as_ref()) else {
            return refusal(stream, 404, if revisions.is_empty() { "RepoNotFound" } else { "RevisionNotFound" });
        };
        let prefix = format!("datasets/{commit}/");
        let names = self.files.keys().filter_map(|file| file.strip_prefix(&prefix));
        let siblings: Vec<String> = names.map(|name| format!("{{\"rfilename\": \"{name}\"}}")).collect();
        let text = format!("{{\"sha\": \"{commit}\", \"siblings\": [{}]}}", siblings.join(", "));
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len())
    }

    fn send(&self, stream: &mut TcpStream, request: &Request, file: &str, headers: &str) -> std::io::Result<()> {
        let mut content = self.files[file].clone();
        let mut faults = self.faults.lock().unwrap();
        let is_broken = faults.broken.as_deref() == Some(file);
        if faults.corrupt.as_deref() == Some(file) {
            content[0] ^= 1;
        }
        let range = request.range.filter(|_| !faults.ignore_ranges);
        let start = range.unwrap_or(0);
        if start >= content.len() && start > 0 {
            return refusal(stream, 416, "");
        }
        let mut sent = content.len();
        match &mut faults.cut {
            Some((cut, bytes, times)) if cut == file && *times > 0 => {
                *times -= 1;
                sent = sent.min(start + *bytes);
            }
            _ if is_broken => return refusal(stream, 500, ""),
            _ => {}
        }
        drop(faults);
        let status = match range {
            Some(_) => format!("206 Part\r\nContent-Range: bytes {start}-{}/{}", content.len() - 1, content.len()),
            None => "200 OK".to_owned(),
        };
        let length = content.len() - start;
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n")?;
        match request.method.as_str() {
            "HEAD" => Ok(()),
            _ => stream.write_all(&content[start..sent]),
        }
    }
}

fn refusal(stream: &mut TcpStream, status: u16, word: &str) -> std::io::Result<()> {
    let word = if word.is_empty() { String::new() } else { format!("X-Error-Code: {word}\r\n") };
    write!(stream, "HTTP/1.1 {status} Refused\r\n{word}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

/// Settings of a client that keeps its files in `home` and does not wait before it tries again.
pub fn settings(home: &Path, endpoint: &str) -> HubSettings {
    let mut settings = HubSettings::from_variables(|name| match name {
        "HF_HOME" => Some(home.to_string_lossy().into_owned()),
        "HF_ENDPOINT" => Some(endpoint.to_owned()),
        _ => None,
    });
    settings.retry_pause = Duration::ZERO;
    settings
}
