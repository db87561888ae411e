//! The binary: arguments in, exit code out.

use clap::Parser;
use mimalloc::MiMalloc;
use reftc::cli::{self, args::Cli};
use std::ffi::{c_int, c_long};
use std::process::ExitCode;

/// Training frees and takes the same large blocks at every step. Giving them back in between, as allocators do, costs page faults
/// worth up to a quarter of a step: see [`keep_freed_memory`].
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    keep_freed_memory();
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

/// Lets the allocator keep what is freed; by default it gives memory back after some milliseconds.
#[allow(unsafe_code, reason = "the allocator has no other door to its options")]
fn keep_freed_memory() {
    /// `mi_option_purge_delay` of mimalloc 2 and 3; −1 means never.
    const PURGE_DELAY: c_int = 15;
    unsafe extern "C" {
        fn mi_option_set(option: c_int, value: c_long);
    }
    // SAFETY: a function of the linked allocator, which takes any option and value.
    unsafe { mi_option_set(PURGE_DELAY, -1) };
}
