//! The command line: one file for each command, and the only code that prints.
