//! A folder to work in, with a spec that trains in a moment, and processes that can be waited for.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What `spec.reft` of a fresh [`Place`] says: 8 steps on the embedded model.
pub const SPEC: &str = r#"let hidden_rank = 2

model tiny = embedded("tiny")

data reviews {
  train  = jsonl("train.jsonl")
  test   = jsonl("test.jsonl")
  prompt = "Review: {review}\nAnswer:"
  target = " {label}"
}

/// A small one.
experiment small {
  model = tiny
  data  = reviews

  intervene edit = loreft {
    layers    = all
    positions = f1+l1
    rank      = hidden_rank
    dropout   = 0.1
  }

  train {
    epochs = 2
    batch  = 4
    lr     = 1e-3
  }

  eval test {
    on       = reviews.test
    decode   = greedy(max_tokens: 2)
    baseline = true
  }
}
"#;

/// No wait of a test may last longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A temporary folder with `spec.reft`, its data, and caches of its own; processes run in it.
pub struct Place {
    folder: tempfile::TempDir,
}

/// How a process ended.
#[derive(Debug)]
pub struct Done {
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A process under way, whose lines on stderr can be waited for.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    stdout: Option<std::thread::JoinHandle<String>>,
    seen: String,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.write("spec.reft", SPEC);
        place.write("train.jsonl", &rows(16));
        place.write("test.jsonl", &rows(6));
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Writes `spec.reft` with some of its text replaced; each text must be in it.
    pub fn change(&self, changes: &[(&str, &str)]) {
        let mut text = SPEC.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        self.write("spec.reft", &text);
    }

    /// The binary with these arguments; it sees nothing of the user's settings and asks no network.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reftc"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for variable in ["NO_COLOR", "CLICOLOR_FORCE", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_CACHE", "TERM"] {
            command.env_remove(variable);
        }
        command.env("REFTC_CACHE", self.path(".cache")).env("HF_HOME", self.path(".hub")).env("HF_HUB_OFFLINE", "1");
        command
    }

    /// Runs the binary to its end.
    pub fn reftc(&self, arguments: &[&str]) -> Done {
        Done::of(&mut self.command(arguments))
    }

    /// `reftc run spec.reft`, which must go well.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.reftc(&[&RUN, arguments].concat()).expect(0)
    }

    /// Begins the binary.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// The one folder of a run of this experiment, as `runs/small/12345678`.
    pub fn run_folder(&self, runs: &str, experiment: &str) -> String {
        let names = names(&self.path(runs).join(experiment));
        let [only] = names.as_slice() else { panic!("{names:?}") };
        format!("{runs}/{experiment}/{only}")
    }

    /// Every file under a folder, by its path in it, sorted; none where it does not exist.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.path(folder), "", &mut found);
        found.sort();
        found
    }
}

/// `reftc run spec.reft`; one thread, so that tests beside each other do not fight for the processor.
pub const RUN: [&str; 4] = ["run", "spec.reft", "--threads", "1"];

/// So many rows of reviews, half of them with each label.
pub fn rows(count: usize) -> String {
    let adjectives = ["bright", "dull", "quiet", "grim", "sunny"];
    let row = |number: usize| {
        let (adjective, label) = (adjectives[number % 5], if number.is_multiple_of(2) { "yes" } else { "no" });
        format!("{{\"review\": \"The {adjective} room number {number} was fine.\", \"label\": \"{label}\"}}\n")
    };
    (0..count).map(row).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path() {
            path if path.is_dir() => collect(&path, &format!("{name}/"), found),
            _ => found.push(name),
        }
    }
}

impl Done {
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Itself, if it ended with that code and without a panic.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(self.code == Some(code), "exit {:?}, not {code}\n{}\n{}", self.code, self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// The JSON on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }

    /// Itself, if stderr has these words, wherever a message was broken into lines.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let unbroken = self.stderr.replace("\n  │ ", " ");
        for word in words {
            assert!(unbroken.contains(word), "`{word}` is missing in\n{}", self.stderr);
        }
        self
    }
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut stdout = child.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || std::io::read_to_string(&mut stdout).unwrap());
        Self { child, lines, stdout: Some(stdout), seen: String::new() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on stderr with this text in it, and gives all lines from the last wait to that one.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let mut new = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            new.push_str(&format!("{line}\n"));
            if line.contains(text) {
                self.seen.push_str(&new);
                return new;
            }
        }
        panic!("`{text}` never came\n{}{new}", self.seen);
    }

    /// Sends a signal: `INT`, `TERM`, `KILL`.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end of the process; stderr holds all that it wrote.
    pub fn end(mut self) -> Done {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push_str(&format!("{line}\n"));
        }
        let _ = self.child.kill();
        let code = self.child.wait().unwrap().code();
        let stdout = self.stdout.take().unwrap().join().unwrap();
        Done { code, stdout, stderr: std::mem::take(&mut self.seen) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
