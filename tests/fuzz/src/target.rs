//! What must hold for every text.

use reftc::compile::compile_text;
use reftc::data::source::{Dataset, Source};
use reftc::diag::render::{Format, human, render};
use reftc::diag::{Diagnostic, Result, Severity, fix};
use reftc::model::config::ModelSource;
use reftc::model::hub::HubSettings;
use reftc::model::known::KnownModel;
use reftc::model::located::Locator;
use reftc::plan::{self, Means};
use reftc::source::{FileId, Sources, Span};
use reftc::store::cache::Cache;
use reftc::syntax;
use reftc::world::{MemoryWorld, World};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a text showed: the codes of its findings. Texts that show the same are much alike.
pub type Signature = Vec<&'static str>;

/// Tries a text; the error says what failed, in words that are the same for the same failure.
pub fn attempt(text: &str, world: &Rows, slow: Duration) -> std::result::Result<Signature, String> {
    let before = busy();
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| examined(text, world)));
    let took = busy().saturating_sub(before);
    match outcome {
        Err(panic) => Err(reason(&*panic)),
        Ok(_) if took > slow => Err(format!("takes more than {} s", slow.as_secs())),
        Ok(signature) => Ok(signature),
    }
}

/// The first line of what a panic said, without what differs from text to text.
fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let line = said.unwrap_or("a panic").lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_ascii_digit()).take(80).collect()
}

/// Time that this thread has had the processor; on a busy machine the clock on the wall says little.
fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    nanoseconds.map_or(Duration::ZERO, Duration::from_nanos)
}

fn examined(text: &str, world: &Rows) -> Signature {
    let (tree, slips) = syntax::parse(FileId(0), text);
    if slips.is_empty() {
        formatted(&tree, text);
    } else {
        syntax::format(&tree, text);
    }
    let (found, sources) = checked(text, world);
    for finding in &found {
        sound(finding, &sources);
    }
    render(&found, &sources, Format::Human(human::Style::PLAIN));
    render(&found, &sources, Format::Json);
    if found.iter().any(|finding| finding.fix.is_some()) {
        let mended = fix::mend(text, FileId(0), |text| checked(text, world).0);
        assert!(errors(&mended.left) <= errors(&found), "fixes made more errors");
        let left = mended.left.iter().filter(|finding| finding.fix.is_some()).count();
        assert!(mended.fixed > 0 || left > 0, "fixes were lost");
    }
    let mut codes: Signature = found.iter().map(|finding| finding.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// One form, which is read as the same.
fn formatted(tree: &syntax::tree::File, text: &str) {
    let once = syntax::format(tree, text);
    let (again, slips) = syntax::parse(FileId(0), &once);
    assert!(slips.is_empty(), "the formatter broke the text");
    assert!(syntax::format(&again, &once) == once, "formatted twice is not formatted once");
    assert!(shape(tree) == shape(&again), "what is formatted is read as another text");
}

/// The tree and its comments, without their places.
fn shape(file: &syntax::tree::File) -> String {
    let written = format!("{file:?}");
    let mut pieces = written.split("Span { file");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |shape, piece| shape + piece.split_once(" }").map_or(piece, |(_, rest)| rest))
}

/// The findings for a text, and what it consists of; one without errors is planned.
fn checked(text: &str, world: &Rows) -> (Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let id = sources.add(Path::new("spec.reft"), text.to_owned());
    let compiled = compile_text(id, sources, &[], world);
    if !compiled.has_errors() {
        compiled.plan(Means::default());
    } else {
        plan::lower(&compiled.spec, Means::default());
    }
    (compiled.diagnostics, compiled.sources)
}

fn sound(finding: &Diagnostic, sources: &Sources) {
    assert!(!finding.message.is_empty() && !finding.message.ends_with('.'), "a message is not a sentence");
    let inside = |span: Span| sources.file(span.file).is_some_and(|file| file.text.get(span.range()).is_some());
    let spans = finding.labels.iter().map(|label| label.span).chain(finding.fix.iter().map(|fix| fix.span));
    for span in spans {
        assert!(inside(span), "a place lies outside of its file: {}", finding.code.as_str());
    }
    let placed = !finding.labels.is_empty() || finding.severity == Severity::Warning;
    assert!(placed, "an error without a place: {}", finding.code.as_str());
}

fn errors(found: &[Diagnostic]) -> usize {
    found.iter().filter(|finding| finding.severity == Severity::Error).count()
}

/// Files in memory, and a model that is read once.
pub struct Rows {
    files: MemoryWorld,
    locator: Locator,
}

/// The files that specs of the repository name.
pub fn world() -> Rows {
    let row = |number: usize| {
        let label = if number % 2 == 0 { "yes" } else { "no" };
        let text = format!("The tea room number {number} had a fine cup and a long table by the window.");
        let columns = ["review", "text", "question", "instruction"].map(|name| format!("\"{name}\": \"{text}\""));
        format!("{{{}, \"label\": \"{label}\", \"answer\": \"{label}\", \"odd name\": {number}}}\n", columns.join(", "))
    };
    let rows = |from: usize, to: usize| (from..to).map(row).collect::<String>();
    let mut files = MemoryWorld::default()
        .with("train.csv", "text,label\nA fine cup,yes\nA dull cup,no\n")
        .with("gaps.json", rows(0, 3) + "{\"text\": \"bad\"}\n")
        .with("used.reft", "let rate = 1e-3\nmodel tiny = embedded(\"tiny\")\n");
    for folder in ["", "data/", "../fixtures/"] {
        for ending in ["json", "jsonl"] {
            files = files.with(format!("{folder}train.{ending}"), rows(0, 20));
            files = files.with(format!("{folder}test.{ending}"), rows(20, 24));
        }
    }
    let hub = HubSettings { offline: true, ..HubSettings::from_variables(|_| None) };
    Rows { files, locator: Locator::new(hub, Cache::default()) }
}

impl World for Rows {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.read(path)
    }

    fn digest(&self, path: &Path) -> io::Result<String> {
        self.files.digest(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.exists(path)
    }

    /// Files of the machine do not exist here.
    fn model(&self, source: &ModelSource) -> Result<Box<dyn KnownModel>> {
        match source {
            ModelSource::Embedded(_) => {
                let located = self.locator.locate(source, reftc::model::hub::Wanted::Metadata, &mut |_| {})?;
                Ok(Box::new(located))
            }
            other => self.files.model(other),
        }
    }

    fn dataset(&self, dataset: &Dataset, may_fetch: bool) -> Result<Source> {
        self.files.dataset(dataset, may_fetch)
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        self.files.list(folder)
    }

    fn cached_bytes(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        self.files.cached_bytes(kind, key)
    }

    fn remember_bytes(&self, kind: &str, key: &str, value: &[u8]) {
        self.files.remember_bytes(kind, key, value);
    }

    fn touched(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}
