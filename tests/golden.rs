//! Golden files: every `tests/FOLDER/NAME.reft` becomes `NAME.out` by the folder's function.
//!
//! `REFTC_BLESS=1 cargo test --test golden` writes the files anew; look at the difference before committing it.

#![allow(clippy::expect_used, clippy::panic)]

#[path = "support/compile.rs"]
mod compile;
#[path = "support/dump.rs"]
mod dump;

use reftc::diag::{Diagnostic, fix, render};
use reftc::plan::Means;
use reftc::plan::Plan;
use reftc::report::{self, table::Style};
use reftc::source::{FileId, Sources};
use reftc::syntax;
use std::path::{Path, PathBuf};

/// Makes the text of a golden output from one of the files.
type Function = fn(&Sources, FileId) -> String;

/// The folders under `tests/` and what is made of each of their files.
const FOLDERS: &[(&str, Function)] = &[
    ("syntax", tree_and_diagnostics),
    ("format", formatted),
    ("check", checked),
    ("advice", advised),
    ("fix", fixed),
    ("plan", planned),
    ("plan_json", planned_as_json),
];

fn tree_and_diagnostics(sources: &Sources, id: FileId) -> String {
    let file = sources.file(id).expect("the file was just added");
    let (tree, diagnostics) = syntax::parse(id, &file.text);
    format!("{}{}", rendered(&diagnostics, sources), dump::dump(&tree, file))
}

fn formatted(sources: &Sources, id: FileId) -> String {
    let text = &sources.file(id).expect("the file was just added").text;
    let (tree, diagnostics) = syntax::parse(id, text);
    assert_eq!(diagnostics, [], "only files without errors are formatted");
    syntax::format(&tree, text)
}

fn checked(sources: &Sources, id: FileId) -> String {
    let found = compile::compile(sources, id, &compile::machine());
    let summary = render::summary(&found.diagnostics);
    format!("{}{summary}\n", rendered(&found.diagnostics, &found.sources))
}

fn advised(sources: &Sources, id: FileId) -> String {
    let found = compile::compile(sources, id, &compile::machine());
    let all = [found.diagnostics, found.advice].concat();
    format!("{}{}\n", rendered(&all, &found.sources), render::summary(&all))
}

fn fixed(sources: &Sources, id: FileId) -> String {
    let file = sources.file(id).expect("the file was just added");
    let find = |text: &str| {
        let mut sources = Sources::default();
        let id = sources.add(&file.path, text.to_owned());
        compile::compile(&sources, id, &compile::machine()).diagnostics
    };
    fix::mend(&file.text, id, find).text
}

fn plan(sources: &Sources, id: FileId) -> Plan {
    let found = compile::compile(sources, id, &compile::machine());
    assert_eq!(rendered(&found.diagnostics, &found.sources), "", "only specs without findings are planned");
    found.plan(Means::default())
}

fn planned(sources: &Sources, id: FileId) -> String {
    report::plan::whole(&plan(sources, id), Style::Unicode)
}

fn planned_as_json(sources: &Sources, id: FileId) -> String {
    serde_json::to_string_pretty(&plan(sources, id)).expect("a plan is plain data") + "\n"
}

fn rendered(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    render::render(diagnostics, sources, render::Format::Human(render::human::Style::PLAIN))
}

#[test]
fn golden_files_are_as_committed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    // What is shown of a path must not depend on where the repository lies.
    std::env::set_current_dir(&root).expect("the folder of the tests is there");
    let bless = std::env::var_os("REFTC_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (folder, function) in FOLDERS {
        for path in specs(&root.join(folder)) {
            seen += 1;
            let text = std::fs::read_to_string(&path).expect("a golden input is readable");
            let mut sources = Sources::default();
            let shown = Path::new(folder).join(path.file_name().expect("a file has a name"));
            let id = sources.add(&shown, text);
            let found = function(&sources, id);
            let expected_path = path.with_extension("out");
            if bless {
                std::fs::write(&expected_path, &found).expect("a golden output is writable");
            } else if std::fs::read_to_string(&expected_path).unwrap_or_default() != found {
                wrong.push(format!("{}\n{found}", shown.display()));
            }
        }
    }
    assert!(seen > 0, "no golden files found");
    assert!(wrong.is_empty(), "{} golden files differ, found:\n\n{}", wrong.len(), wrong.join("\n"));
}

/// The `.reft` files of a folder, in the order of their names.
fn specs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder entry is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "reft"))
        .collect();
    paths.sort();
    paths
}
