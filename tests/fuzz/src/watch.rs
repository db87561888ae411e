//! What becomes of a text that never ends, or takes the process with it: it is on disk before it is tried.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A text that has not ended by then hangs, however busy the machine is. Shrinking a failure takes many attempts.
const HANGS: Duration = Duration::from_secs(300);

/// The text that is being tried.
pub struct Watch {
    /// Milliseconds since the start at which it began, 0 while nothing is tried.
    began: Arc<AtomicU64>,
    text: Arc<Mutex<String>>,
    start: Instant,
    current: PathBuf,
}

impl Watch {
    /// Begins to watch; `folder` gets `current.reft`, which a crash leaves behind.
    pub fn start(folder: &Path) -> Self {
        let _ = std::fs::create_dir_all(folder);
        let watch = Self {
            began: Arc::default(),
            text: Arc::default(),
            start: Instant::now(),
            current: folder.join("current.reft"),
        };
        let (began, text, start, folder) = (watch.began.clone(), watch.text.clone(), watch.start, folder.to_owned());
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let since = began.load(Ordering::SeqCst);
                if since != 0 && start.elapsed() > Duration::from_millis(since) + HANGS {
                    let path = keep(&folder, &text.lock().unwrap_or_else(PoisonError::into_inner));
                    println!("hangs\n  {}", path.display());
                    std::process::exit(1);
                }
            }
        });
        watch
    }

    /// A text is about to be tried.
    pub fn begin(&self, text: &str) {
        let _ = std::fs::write(&self.current, text);
        text.clone_into(&mut self.text.lock().unwrap_or_else(PoisonError::into_inner));
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began.store(now.max(1), Ordering::SeqCst);
    }

    /// It came to an end.
    pub fn end(&self) {
        self.began.store(0, Ordering::SeqCst);
    }
}

/// Keeps a text under a name of its own.
pub fn keep(folder: &Path, text: &str) -> PathBuf {
    let name = &reftc::digest::of(text.as_bytes())[..12];
    let path = folder.join(format!("{name}.reft"));
    if let Err(error) = std::fs::write(&path, text) {
        println!("{}: {error}", path.display());
    }
    path
}
