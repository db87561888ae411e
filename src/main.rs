//! The binary: arguments in, exit code out.

use clap::Parser;
use mimalloc::MiMalloc;
use reftc::cli::{self, args::Cli};
use std::process::ExitCode;

/// Training frees and takes the same large blocks at every step; the system's allocator gives them back in between, and
/// the page faults cost up to a fifth of the time of a small model.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    set_threads(cli.command.threads());
    cli::run(&cli)
}

/// Tells rayon and candle how many threads to use; both ask the environment.
#[allow(unsafe_code, reason = "no other thread runs yet that could read the environment")]
fn set_threads(threads: usize) {
    // candle's own pool for elementwise work waits by spinning, on the cores that the matrix products need.
    let settings = [("RAYON_NUM_THREADS", threads.to_string()), ("CANDLE_NUM_THREADS", "1".to_owned())];
    for (name, value) in settings {
        // SAFETY: this is the beginning of `main`, before any thread is started.
        unsafe { std::env::set_var(name, value) };
    }
}
