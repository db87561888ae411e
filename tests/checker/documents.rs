//! `docs/`: the reference is what the tables say, and every example of the language's page is checked.

use crate::compile::{compile, machine};
use crate::support::{checked, completed, world};
use reftc::diag::{Code, Severity};
use reftc::source::Sources;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_reference_is_up_to_date() {
    let path = root().join("docs/reference.md");
    let expected = reftc::cli::describe::markdown();
    if std::env::var_os("REFTC_BLESS").is_some() {
        std::fs::write(&path, &expected).expect("the reference is writable");
    }
    assert!(read(path) == expected, "run `reftc describe --markdown > docs/reference.md`");
}

#[test]
fn examples_of_the_language_are_free_of_errors() {
    let page = read(root().join("docs/language.md"));
    let blocks: Vec<&str> =
        page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("reft\n")).collect();
    assert!(blocks.len() > 5, "the page has its examples");
    for block in blocks {
        let text = completed(block);
        let (found, _) = checked(&text, &world());
        let errors: Vec<_> = found.iter().filter(|found| found.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{text}");
    }
}

#[test]
fn a_spec_that_cannot_be_read_is_a_finding() {
    let output = Command::new(env!("CARGO_BIN_EXE_reftc"))
        .args(["--message-format", "short", "check", "no/such/spec.reft"])
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&format!("error[{}]", Code::UnreadableSpec.as_str())), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn ten_mistakes_are_ten_findings_each_with_its_place_and_a_way_out() {
    // The folder that the paths of the spec are relative to.
    let path = root().join("tests/check/ten_mistakes.reft");
    let mut sources = Sources::default();
    let id = sources.add(&path, read(path.clone()));
    let compiled = compile(&sources, id, &machine());
    let found = compiled.diagnostics;
    assert_eq!(found.len(), 10);
    assert_eq!(compiled.spec.experiments.len(), 0);
    for finding in &found {
        assert!(!finding.labels.is_empty() && !finding.help.is_empty(), "{finding:?}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_reftc")).arg("check").arg(&path).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
}
