//! The command line from outside: the real binary, real files, real signals.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod commands;
mod compare;
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
mod runs_gc;
mod runs_list;
mod runs_show;
#[cfg(unix)]
mod stages;
mod starting;
mod streams;
mod support;
mod watching;
