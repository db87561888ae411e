//! Times parsing, checking and planning of a spec whose files and facts are known already, as in an editor.
//!
//!     cargo bench --bench check                        the spec of the quickstart
//!     cargo bench --bench check -- SPEC.reft
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use reftc::check::check;
use reftc::check::modules::Modules;
use reftc::model::hub::HubSettings;
use reftc::model::located::Locator;
use reftc::plan::{Means, lower};
use reftc::source::Sources;
use reftc::store::cache::Cache;
use reftc::syntax::{format, parse};
use reftc::world::RealWorld;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

const REPETITIONS: usize = 50;

fn main() {
    let path = std::env::args().skip(1).find(|argument| argument != "--bench");
    let path = path.unwrap_or_else(|| "examples/quickstart/quickstart.reft".to_owned());
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().count();
    let mut sources = Sources::default();
    let id = sources.add(Path::new(&path), text);
    let text = sources.file(id).unwrap().text.clone();
    let (tree, findings) = parse(id, &text);
    assert!(findings.is_empty(), "{path} has errors of syntax");
    let world = RealWorld::new(Locator::new(HubSettings::from_env(), Cache::from_env()));
    let begun = Instant::now();
    let (modules, _) = Modules::load(id, &mut sources, &world);
    let (spec, _) = check(&modules, &[], &sources, &world);
    println!("{path}: {lines} lines; first check {:.2} ms", 1e3 * begun.elapsed().as_secs_f64());
    println!("then, least of {REPETITIONS}:");
    print("parse", || parse(id, &text));
    print("format", || format(&tree, &text));
    print("check", || check(&modules, &[], &sources, &world));
    print("plan", || lower(&spec, Means::default()));
}

fn print<T>(name: &str, mut run: impl FnMut() -> T) {
    let mut least = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let begun = Instant::now();
        black_box(run());
        least = least.min(begun.elapsed().as_secs_f64());
    }
    println!("  {name:<8} {:>9.3} ms", 1e3 * least);
}
