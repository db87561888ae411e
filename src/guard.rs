//! Code of others that panics where its input is bad: here that is an answer like any other, and nothing is printed.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What the work gives; `None` where it panics. It must leave nothing behind that others look at.
pub fn attempt<T>(work: impl FnOnce() -> T) -> Option<T> {
    let outer = GUARDED.replace(true);
    let found = catch_unwind(AssertUnwindSafe(work)).ok();
    GUARDED.set(outer);
    found
}

/// Keeps panics inside of [`attempt`] from being printed, from now on in the whole process.
pub fn keep_quiet() {
    let usual = take_hook();
    set_hook(Box::new(move |panic| {
        if !GUARDED.get() {
            usual(panic);
        }
    }));
}
