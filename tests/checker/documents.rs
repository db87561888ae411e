//! `docs/`: the reference is what the tables say, and every example of the language's page is checked.

use crate::compile::{compile, machine};
use crate::support::{checked, completed, world};
use reftc::cli::describe::markdown;
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
    let folder = root().join("docs/reference");
    let pages = markdown::pages();
    for page in &pages {
        let path = folder.join(&page.name);
        if std::env::var_os("REFTC_BLESS").is_some() {
            std::fs::write(&path, &page.text).expect("the reference is writable");
        }
        let fresh = std::fs::read_to_string(path).is_ok_and(|text| text == page.text);
        assert!(fresh, "{}: run `reftc describe --markdown --out docs/reference`", page.name);
    }
    for entry in std::fs::read_dir(&folder).expect("the reference is there") {
        let name = entry.expect("a folder entry is readable").file_name();
        assert!(pages.iter().any(|page| page.name.as_str() == name), "{name:?} is no page of the reference");
    }
}

#[test]
fn the_links_of_the_reference_lead_somewhere() {
    let pages = markdown::pages();
    let link = regex::Regex::new(r"\]\(([a-z]*\.md|README\.md)?(?:#([^)]*))?\)").expect("a fixed pattern");
    let anchors = |text: &str| -> Vec<String> {
        let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
        let plain = headings.map(|heading| heading.replace("&lt;", "<").replace(' ', "-"));
        plain.map(|heading| heading.chars().filter(|c| c.is_alphanumeric() || "_-".contains(*c)).collect()).collect()
    };
    for page in &pages {
        for found in link.captures_iter(&page.text) {
            let name = found.get(1).map_or(page.name.as_str(), |name| name.as_str());
            let target = pages.iter().find(|page| page.name == name);
            let target = target.unwrap_or_else(|| panic!("{} links to {name}", page.name));
            if let Some(anchor) = found.get(2) {
                let known = anchors(&target.text);
                assert!(
                    known.iter().any(|known| known == anchor.as_str()),
                    "{}: {} of {known:?}",
                    page.name,
                    &found[0]
                );
            }
        }
    }
}

/// Editors read the document: every type that it names is in it, and what is said of a field agrees.
#[test]
fn the_schema_is_closed() {
    let document = reftc::cli::schema::document();
    assert_eq!(document["version"], 1);
    let list = |value: &serde_json::Value| value.as_array().expect("a list").clone();
    let types: Vec<String> = list(&document["types"]).iter().map(|holds| holds["name"].to_string()).collect();
    let fields = list(&document["blocks"]).into_iter().flat_map(|block| list(&block["fields"]));
    let forms = list(&document["types"]).into_iter().flat_map(|holds| list(&holds["forms"]));
    let parameters = forms.flat_map(|form| list(&form["parameters"]));
    let holders: Vec<serde_json::Value> = fields.chain(parameters).collect();
    assert!(holders.len() > 50);
    for holder in holders {
        assert!(types.contains(&holder["type"].to_string()), "{holder}");
        assert!(holder["required"] == false || holder["default"].is_null(), "{holder}");
        assert!(holder["doc"].as_str().is_some_and(|doc| !doc.is_empty()), "{holder}");
    }
    assert_eq!(list(&document["codes"]).len(), Code::ALL.len());
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
