//! The command line from outside: the real binary, real files, real signals.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod commands;
mod data;
mod diff;
mod events;
mod failures;
mod fixing;
mod frozen;
mod hub;
#[cfg(unix)]
mod interrupts;
mod keeping;
mod locking;
mod projects;
#[cfg(unix)]
mod reliability;
mod runs;
#[cfg(unix)]
mod stages;
mod starting;
mod streams;
mod support;
mod watching;
