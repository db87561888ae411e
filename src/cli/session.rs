//! What the commands of one process share: the world, the device, Ctrl-C.

use super::args::{CacheArgs, DeviceArgs};
use super::output::Output;
use crate::execute::loaded::Models;
use crate::model::device;
use crate::model::interrupt::Interrupt;
use crate::model::located::Locator;
use crate::store::frozen::{FrozenCache, Settings};
use crate::watch::Waker;
use crate::world::RealWorld;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The door to files and the places of models.
pub struct Session {
    pub world: RealWorld,
    pub locator: Locator,
}

impl Session {
    /// Makes ready for computing: device, Ctrl-C, and the cache of constant states, if one is asked for. What is wrong is shown.
    pub fn models(
        &self,
        arguments: &DeviceArgs,
        cache: Option<&CacheArgs>,
        output: &Output,
    ) -> Result<Models, ExitCode> {
        let chosen = device::pick(&arguments.device).map_err(|diagnostic| {
            output.failure(&diagnostic, &Default::default());
            ExitCode::from(if device::is_name(&arguments.device) { 3 } else { 2 })
        })?;
        if let Some(reason) = chosen.passed_over {
            output.note(&format!(
                "computing on the CPU: {}\n  help: {}",
                reason.message,
                reason.help.join("\n  help: ")
            ));
        }
        on_interrupt(*output);
        let frozen = cache.map_or_else(FrozenCache::off, |arguments| self.frozen_cache(arguments));
        Ok(Models::new(chosen.device, self.locator.clone(), frozen).heeding(Interrupt::new(&STOP)))
    }

    /// Opens the cache of constant states.
    fn frozen_cache(&self, arguments: &CacheArgs) -> FrozenCache {
        let folder = arguments.cache_dir.clone().or_else(|| self.frozen_folder());
        FrozenCache::open(Settings { folder, budget: arguments.cache_budget })
    }

    /// Where constant states are kept unless another folder is named; `None` where the user has no cache.
    pub fn frozen_folder(&self) -> Option<PathBuf> {
        Some(self.locator.cache.folder()?.join("frozen"))
    }
}

/// Set by the first Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Set where the work under way is to stop: by Ctrl-C, or because the spec has changed.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether someone looks at the flag now and then.
static HEEDED: AtomicBool = AtomicBool::new(false);
/// When the first Ctrl-C came.
static FIRST: OnceLock<Instant> = OnceLock::new();
/// Signals that come closer than this are one.
const SAME_WISH: Duration = Duration::from_millis(300);
/// So long may what is under way take to end; then the process ends by itself. What is on disk is whole at any moment.
const GRACE: Duration = Duration::from_millis(4500);
static WAKER: OnceLock<Waker> = OnceLock::new();

/// Work that looks at the flag: until it ends, the first Ctrl-C only sets the flag. Elsewhere Ctrl-C ends the process.
pub fn interruptible<T>(work: impl FnOnce(&'static AtomicBool) -> T) -> T {
    HEEDED.store(true, Ordering::SeqCst);
    let value = work(&STOP);
    HEEDED.store(false, Ordering::SeqCst);
    value
}

/// Whether Ctrl-C was pressed.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Asks the work under way to stop, as Ctrl-C does.
pub fn abandon() {
    STOP.store(true, Ordering::SeqCst);
}

/// Work may begin again after [`abandon`]; after Ctrl-C it may not.
pub fn begin_anew() {
    STOP.store(is_interrupted(), Ordering::SeqCst);
    // Ctrl-C may have come in between.
    STOP.fetch_or(is_interrupted(), Ordering::SeqCst);
}

/// Lets Ctrl-C end the waiting of a watcher too.
pub fn wake_on_interrupt(waker: Waker) {
    let _ = WAKER.set(waker);
}

/// The first Ctrl-C (or termination signal) asks a run to end cleanly, the second ends the process.
pub fn on_interrupt(output: Output) {
    // An error means that a handler is there already, which is as good.
    let _ = ctrlc::set_handler(move || {
        // Some tools signal a process and its group at once, which is one wish and not two.
        let first = FIRST.get_or_init(Instant::now);
        let again = INTERRUPTED.swap(true, Ordering::SeqCst);
        STOP.store(true, Ordering::SeqCst);
        if let Some(waker) = WAKER.get() {
            waker.wake();
        }
        if again && first.elapsed() < SAME_WISH {
            return;
        }
        if again || !HEEDED.load(Ordering::SeqCst) {
            #[allow(clippy::exit, reason = "nothing is under way that could be lost, or the user asked twice")]
            std::process::exit(130);
        }
        output.note("\nending after what is under way; Ctrl-C again ends at once");
        std::thread::spawn(move || {
            std::thread::sleep(GRACE);
            output.note("what is under way takes too long and is abandoned; the same command goes on from what was saved before");
            #[allow(
                clippy::exit,
                reason = "every file is written beside and renamed, so nothing is lost but what is under way"
            )]
            std::process::exit(130);
        });
    });
}
