//! Feeds broken and whole specs to parser, checker, fixes and formatter until the time is up, and keeps what makes one of them fail.
//!
//! `reftc-fuzz [--seconds N] [--seed N] [FILE…]`; with files, only those are tried. Exits with 1 where anything was found.

mod corpus;
mod mutate;
mod shrink;
mod target;
mod watch;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// No text may keep the processor longer.
const SLOW: Duration = Duration::from_secs(1);

struct Arguments {
    seconds: u64,
    seed: u64,
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("error: {message}\n\nusage: reftc-fuzz [--seconds N] [--seed N] [FILE…]");
            return ExitCode::from(2);
        }
    };
    // What fails is told once, by us.
    std::panic::set_hook(Box::new(|_| {}));
    let world = target::world();
    if !arguments.files.is_empty() {
        return try_files(&arguments.files, &world);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("findings");
    let watch = watch::Watch::start(&folder);
    let mut random = ChaCha8Rng::seed_from_u64(arguments.seed);
    let mut corpus = corpus::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let mut known = BTreeSet::new();
    let mut failures = BTreeSet::new();
    let (start, mut tried, mut told) = (Instant::now(), 0_u64, Instant::now());
    println!("{} specs to begin with, seed {}", corpus.len(), arguments.seed);
    while start.elapsed() < Duration::from_secs(arguments.seconds) {
        // What the repository holds comes first, as it is.
        let text = match corpus.get(usize::try_from(tried).unwrap_or(usize::MAX)) {
            Some(text) => text.clone(),
            None => mutate::mutated(&corpus, &mut random),
        };
        tried += 1;
        watch.begin(&text);
        let outcome = target::attempt(&text, &world, SLOW);
        watch.end();
        match outcome {
            // A text that shows findings in a company never seen before is worth changing further.
            Ok(signature) => {
                if known.insert(signature) {
                    corpus.push(text);
                }
            }
            Err(reason) => {
                if failures.insert(reason.clone()) {
                    watch.begin(&text);
                    let small =
                        shrink::shrunk(&text, |text| target::attempt(text, &world, SLOW) == Err(reason.clone()));
                    watch.end();
                    let path = watch::keep(&folder, &small);
                    println!("{reason}\n  {}", path.display());
                }
            }
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            println!(
                "{} s: {tried} texts, {} kept, {} failures",
                start.elapsed().as_secs(),
                corpus.len(),
                failures.len()
            );
        }
    }
    println!("{tried} texts in {} s, {} kept, {} failures", start.elapsed().as_secs(), corpus.len(), failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn try_files(files: &[PathBuf], world: &target::Rows) -> ExitCode {
    let mut clean = true;
    for path in files {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::from(2);
            }
        };
        if let Err(reason) = target::attempt(&text, world, SLOW) {
            println!("{}: {reason}", path.display());
            clean = false;
        }
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { seconds: 60, seed: 1, files: Vec::new() };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let mut number = || given.next().and_then(|text| text.parse().ok()).ok_or(format!("{word} takes a number"));
        match word.as_str() {
            "--seconds" => found.seconds = number()?,
            "--seed" => found.seed = number()?,
            option if option.starts_with("--") => return Err(format!("there is no option {option}")),
            file => found.files.push(file.into()),
        }
    }
    Ok(found)
}
