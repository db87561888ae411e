//! What the commands of one process share: the world, the device, Ctrl-C.

use super::args::DeviceArgs;
use super::output::Output;
use crate::execute::loaded::Models;
use crate::model::device;
use crate::model::located::Locator;
use crate::watch::Stopper;
use crate::world::RealWorld;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The door to files and the places of models.
pub struct Session {
    pub world: RealWorld,
    pub locator: Locator,
}

impl Session {
    /// Makes ready for computing: threads, device, Ctrl-C. What is wrong is shown.
    pub fn models(&self, arguments: &DeviceArgs, output: &Output) -> Result<Models, ExitCode> {
        if let Some(threads) = arguments.threads
            && rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().is_err()
        {
            output.usage_error("the number of threads cannot be set", "write a number of 1 or more: `--threads 2`");
            return Err(ExitCode::from(2));
        }
        let device = device::choose(&arguments.device).map_err(|diagnostic| {
            output.failure(&diagnostic, &Default::default());
            ExitCode::from(2)
        })?;
        on_interrupt();
        Ok(Models::new(device, self.locator.clone()))
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static STOPPER: OnceLock<Stopper> = OnceLock::new();

/// Set by the first Ctrl-C.
pub fn interrupt_flag() -> &'static AtomicBool {
    &INTERRUPTED
}

/// Lets Ctrl-C end the waiting of a watcher too.
pub fn stop_on_interrupt(stopper: Stopper) {
    let _ = STOPPER.set(stopper);
}

/// The first Ctrl-C (or termination signal) asks the run to end cleanly, the second ends the process.
fn on_interrupt() {
    // An error means that a handler is there already, which is as good.
    let _ = ctrlc::set_handler(|| {
        if let Some(stopper) = STOPPER.get() {
            stopper.stop();
        }
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            #[allow(clippy::exit, reason = "the user asked twice")]
            std::process::exit(130);
        }
    });
}
