//! The repository's own rules: what may depend on what, who may print, how long a file may be, explain pages, formatting.

#![allow(clippy::expect_used, clippy::panic)]

use reftc::diag::Code;
use reftc::source::FileId;
use reftc::syntax::{format, parse};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What no file of a module may use, by the arrows of `docs/architecture.md`.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "source",
        &["diag", "syntax", "check", "plan", "data", "model", "intervention", "execute", "store", "report", "cli"],
    ),
    ("diag", &["syntax", "check", "plan", "data", "model", "intervention", "execute", "store", "report", "cli"]),
    ("syntax", &["check", "plan", "data", "model", "intervention", "execute", "store", "report", "cli"]),
    ("check", &["execute", "report", "watch", "lsp", "cli"]),
    ("plan", &["execute", "report", "watch", "lsp", "cli"]),
    ("data", &["check", "execute", "report", "watch", "lsp", "cli"]),
    ("model", &["check", "execute", "report", "watch", "lsp", "cli"]),
    ("intervention", &["check", "execute", "report", "watch", "lsp", "cli"]),
    ("execute", &["check", "syntax", "watch", "lsp", "cli"]),
    ("lock", &["check", "syntax", "execute", "runs", "watch", "lsp", "cli"]),
    ("store", &["lock", "check", "syntax", "execute", "report", "runs", "watch", "lsp", "cli"]),
    ("report", &["check", "syntax", "runs", "watch", "lsp", "cli"]),
    ("compile", &["execute", "runs", "watch", "lsp", "cli"]),
    ("runs", &["execute", "watch", "lsp", "cli"]),
    ("difference", &["check", "syntax", "execute", "store", "report", "runs", "watch", "lsp", "cli"]),
    ("revision", &["check", "syntax", "plan", "execute", "store", "report", "watch", "lsp", "cli"]),
    ("highlight", &["check", "plan", "data", "model", "execute", "store", "report", "watch", "lsp", "cli"]),
    ("watch", &["cli"]),
    ("lsp", &["cli"]),
];

/// The modules that do no arithmetic on tensors.
const WITHOUT_CANDLE: [&str; 5] = ["source", "diag", "syntax", "check", "plan"];

const LONGEST_FILE: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under a folder with this extension; none where the folder does not exist.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder entry is readable").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The source files of a module: `src/NAME.rs` and everything in `src/NAME/`.
fn module_files(module: &str) -> Vec<PathBuf> {
    let single = root().join("src").join(module).with_extension("rs");
    let mut found = files(&root().join("src").join(module), "rs");
    if single.is_file() {
        found.push(single);
    }
    found
}

/// The modules of this crate that a text names, in a `use` or in the middle of code.
fn used_modules(text: &str) -> BTreeSet<String> {
    let name = regex::Regex::new(r"crate::(\w+)|crate::\{([^}]*)\}").expect("a fixed pattern");
    let mut found = BTreeSet::new();
    for captures in name.captures_iter(text) {
        if let Some(one) = captures.get(1) {
            found.insert(one.as_str().to_owned());
        }
        for part in captures.get(2).map_or("", |group| group.as_str()).split(',') {
            found.insert(part.trim().split("::").next().unwrap_or("").to_owned());
        }
    }
    found
}

#[test]
fn arrows_between_modules_point_down() {
    for (module, forbidden) in FORBIDDEN {
        for path in module_files(module) {
            for used in used_modules(&read(&path)) {
                assert!(!forbidden.contains(&used.as_str()), "{} uses `{used}`", path.display());
            }
        }
    }
}

#[test]
fn front_end_and_plan_know_no_tensors() {
    for module in WITHOUT_CANDLE {
        for path in module_files(module) {
            assert!(!read(&path).contains("candle_"), "{} uses candle", path.display());
        }
    }
}

#[test]
fn only_the_command_line_prints() {
    let prints = regex::Regex::new(r"\be?print(ln)?!|\bio::(stdout|stderr)\(").expect("a fixed pattern");
    for path in files(&root().join("src"), "rs") {
        let inside = path.strip_prefix(root().join("src")).expect("a file of src").to_owned();
        let allowed = inside == Path::new("main.rs") || inside.starts_with("cli") || inside == Path::new("cli.rs");
        // A build script speaks to cargo through its output.
        let allowed = allowed || inside.ends_with("build.rs");
        let code = read(&path);
        let code = code.split("#[cfg(test)]").next().unwrap_or("");
        let line = code.lines().find(|line| !line.trim_start().starts_with("//") && prints.is_match(line));
        assert!(allowed || line.is_none(), "{} prints: {}", path.display(), line.unwrap_or(""));
    }
}

#[test]
fn miette_stays_behind_its_renderer() {
    for path in files(&root().join("src"), "rs") {
        let renderer = path.ends_with("diag/render/human.rs");
        assert!(renderer || !read(&path).contains("miette::"), "{} uses miette", path.display());
    }
}

#[test]
fn files_are_not_too_long() {
    for folder in ["src", "tests", "benches", "grammar"] {
        for extension in ["rs", "pest"] {
            for path in files(&root().join(folder), extension) {
                let lines = read(&path).lines().count();
                assert!(lines <= LONGEST_FILE, "{} has {lines} lines", path.display());
            }
        }
    }
}

#[test]
fn specs_are_formatted() {
    for folder in ["examples", "specs"] {
        for path in files(&root().join(folder), "reft") {
            let text = read(&path);
            let (tree, diagnostics) = parse(FileId(0), &text);
            assert_eq!(diagnostics, [], "{}", path.display());
            assert!(format(&tree, &text) == text, "{} is not formatted: run `reftc fmt`", path.display());
        }
    }
}

/// The fenced blocks of a section of a page, each with its language.
fn fenced<'p>(page: &'p str, section: &str) -> Vec<(&'p str, &'p str)> {
    let start = page.find(section).map_or(page.len(), |at| at + section.len());
    let text = page[start..].split("\n## ").next().unwrap_or("");
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').unwrap_or((block, ""))).collect()
}

#[test]
fn every_code_has_a_whole_page() {
    for code in Code::ALL {
        let page = code.page();
        let number = code.as_str();
        assert!(page.starts_with(&format!("# {number}: ")), "{number}.md has no title");
        let mut at = 0;
        for heading in ["\n## What it means\n", "\n## Example\n", "\n## Fixed\n"] {
            let found = page.find(heading).unwrap_or_else(|| panic!("{number}.md has no section{heading}"));
            assert!(found > at, "{number}.md has its sections in another order");
            assert!(
                !page[found + heading.len()..].trim_start().starts_with("##"),
                "{number}.md: empty section{heading}"
            );
            at = found;
        }
        for section in ["## Example", "## Fixed"] {
            assert!(!fenced(page, section).is_empty(), "{number}.md: no block under {section}");
        }
    }
    let pages = files(&root().join("src/diag/explain"), "md").len();
    assert_eq!(pages, Code::ALL.len(), "pages without a code");
}

#[test]
fn examples_of_pages_show_what_they_say() {
    for code in Code::ALL {
        let syntax = *code < Code::UnreadableSpec;
        for (section, wanted) in [("## Example", syntax.then_some(*code)), ("## Fixed", None)] {
            for (language, text) in fenced(code.page(), section) {
                if language != "reft" {
                    continue;
                }
                // A section alone is shown without the experiment around it.
                let fragment = ["train ", "eval ", "intervene "].iter().any(|word| text.starts_with(word));
                let text = if fragment { format!("experiment example {{\n{text}}}\n") } else { text.to_owned() };
                let found: Vec<Code> = parse(FileId(0), &text).1.iter().map(|found| found.code).collect();
                // What the checker reports is tested with the checker.
                assert_eq!(found, Vec::from_iter(wanted), "{}.md, {section}", code.as_str());
            }
        }
    }
}
