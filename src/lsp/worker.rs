//! Checks on a thread of its own, so that no answer waits for one.
//!
//! A text that has changed again is never checked: jobs that queue up are one job.

use super::facts::Gatherer;
use super::overlay::{Overlay, Texts};
use super::server::Event;
use crate::compile::{Compiled, compile};
use crate::world::World;
use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

/// Deeply nested text is parsed and checked by recursion, as on the main thread.
const STACK: usize = 16 << 20;

/// What is to be checked.
#[derive(Default)]
pub struct Job {
    /// Every open text as it is now.
    pub texts: Texts,
    /// The specs to check, each with the revision of its text.
    pub stale: BTreeMap<PathBuf, u64>,
}

/// A spec as it was checked last.
pub struct Checked {
    pub revision: u64,
    pub compiled: Compiled,
}

/// Starts the thread; it ends when the sender of jobs or the receiver of events is gone.
///
/// # Errors
/// Where the system gives no thread.
pub fn start(world: Arc<dyn World + Send>, jobs: Receiver<Job>, events: Sender<Event>) -> io::Result<()> {
    let work = move || Worker { world: &*world, jobs, events, pending: Job::default(), unseen: BTreeMap::new() }.run();
    thread::Builder::new().name("check".to_owned()).stack_size(STACK).spawn(work).map(drop)
}

struct Worker<'w> {
    world: &'w dyn World,
    jobs: Receiver<Job>,
    events: Sender<Event>,
    pending: Job,
    /// Specs that were checked and whose rows were not looked at since.
    unseen: BTreeMap<PathBuf, Arc<Checked>>,
}

impl Worker<'_> {
    fn run(mut self) {
        let mut gatherer = Gatherer::default();
        loop {
            if self.pending.stale.is_empty() && self.unseen.is_empty() {
                match self.jobs.recv() {
                    Ok(job) => self.absorb(job),
                    Err(_) => return,
                }
            }
            while let Ok(job) = self.jobs.try_recv() {
                self.absorb(job);
            }
            let event = if let Some((path, revision)) = self.pending.stale.pop_first() {
                self.check(path, revision)
            } else if let Some((path, checked)) = self.unseen.pop_first() {
                self.gather(&mut gatherer, path, &checked)
            } else {
                continue;
            };
            if self.events.send(event).is_err() {
                return;
            }
        }
    }

    fn absorb(&mut self, job: Job) {
        self.pending.texts = job.texts;
        self.pending.stale.extend(job.stale);
        let open = &self.pending.texts;
        self.pending.stale.retain(|path, _| open.contains_key(path));
        self.unseen.retain(|path, _| open.contains_key(path));
    }

    fn check(&mut self, path: PathBuf, revision: u64) -> Event {
        let overlay = Overlay { world: self.world, texts: &self.pending.texts };
        match guarded(|| compile(&path, &[], &overlay)) {
            Ok(compiled) => {
                let checked = Arc::new(Checked { revision, compiled });
                self.unseen.insert(path.clone(), Arc::clone(&checked));
                Event::Checked(path, checked)
            }
            Err(reason) => Event::Failed(failure("checking", &path, &reason)),
        }
    }

    fn gather(&self, gatherer: &mut Gatherer, path: PathBuf, checked: &Checked) -> Event {
        let overlay = Overlay { world: self.world, texts: &self.pending.texts };
        match guarded(|| gatherer.facts(&path, checked, &overlay)) {
            Ok(facts) => Event::Facts(path, facts),
            Err(reason) => Event::Failed(failure("looking at the rows of", &path, &reason)),
        }
    }
}

/// Does work that must not take the server down with it; the text of a panic otherwise.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| reason(&*panic))
}

fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it gave no reason").to_owned()
}

fn failure(what: &str, path: &Path, reason: &str) -> String {
    format!("{what} {} failed, which is an error of reftc: {reason}", path.display())
}
