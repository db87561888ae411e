//! The renderers on spans at the edges: several files, empty files, ends of files, tabs, text of several bytes a character.

#![allow(clippy::expect_used, clippy::panic)]

use reftc::diag::render::{Format, human, render, summary};
use reftc::diag::{Code, Diagnostic};
use reftc::source::{FileId, Sources, Span};
use std::path::Path;

fn sources(texts: &[&str]) -> Sources {
    let mut sources = Sources::default();
    for (index, text) in texts.iter().enumerate() {
        sources.add(Path::new(&format!("file{index}.reft")), (*text).to_owned());
    }
    sources
}

fn span(file: u32, start: usize, end: usize) -> Span {
    Span::new(FileId(file), start, end)
}

fn plain(diagnostic: &Diagnostic, sources: &Sources) -> String {
    human::render(diagnostic, sources, human::Style::PLAIN)
}

#[test]
fn labels_lie_in_several_files() {
    let sources = sources(&["let a = b.c\n", "let c = 1\n\nlet d = 2\n"]);
    let diagnostic = Diagnostic::at(Code::CyclicDefinition, span(0, 8, 11), "`a` leads back to itself", "through `c`")
        .label(span(1, 4, 5), "`c` is declared here")
        .in_file("data/train.json", Some(7))
        .help("write a value\nof its own")
        .help("or remove it")
        .note("the chain is a, c");
    let expected = "\
error[E0104]: `a` leads back to itself
   ╭─[file0.reft:1:9]
 1 │ let a = b.c
   ·         ─┬─
   ·          ╰── through `c`
   ╰────

Advice:
  ☞ in file1.reft
   ╭─[file1.reft:1:5]
 1 │ let c = 1
   ·     ┬
   ·     ╰── `c` is declared here
 2 │
   ╰────
  file: data/train.json:7
  help: write a value
        of its own
  help: or remove it
  note: the chain is a, c
";
    assert_eq!(plain(&diagnostic, &sources), expected);
    let ascii = human::Style { unicode: false, colour: false, width: 80 };
    let text = human::render(&diagnostic, &sources, ascii);
    assert!(text.is_ascii(), "{text}");
    let colour = human::Style { unicode: true, colour: true, width: 80 };
    assert!(human::render(&diagnostic, &sources, colour).contains("\u{1b}[36mhelp:\u{1b}[0m write a value"));
}

#[test]
fn a_finding_without_a_place_is_shown() {
    let diagnostic = Diagnostic::new(Code::ModelNotFound, "no model at models/x").help("run `reftc doctor`");
    let none = Sources::default();
    assert_eq!(plain(&diagnostic, &none), "error[E0301]: no model at models/x\n  help: run `reftc doctor`\n");
    let all = [diagnostic.clone(), diagnostic.in_file("models/x", None)];
    let short = "error[E0301]: no model at models/x\nmodels/x: error[E0301]: no model at models/x\n";
    assert_eq!(render(&all, &none, Format::Short), short);
    let github = "::error title=E0301::no model at models/x\n::error file=models/x,title=E0301::no model at models/x\n";
    assert_eq!(render(&all, &none, Format::Github), github);
}

#[test]
fn lines_and_columns_count_characters_from_one() {
    let sources = sources(&["// é\n\tlet ü = 3\n"]);
    let diagnostic = Diagnostic::at(Code::UnusedName, span(0, 11, 13), "100% of\n`ü`", "unused").fix(span(0, 6, 7), "");
    let all = [diagnostic];
    assert_eq!(render(&all, &sources, Format::Short), "file0.reft:2:6: warning[W0101]: 100% of `ü`\n");
    let github = "::warning file=file0.reft,line=2,col=6,endLine=2,endColumn=7,title=W0101::100%25 of%0A`ü`\n";
    assert_eq!(render(&all, &sources, Format::Github), github);
    let json = render(&all, &sources, Format::Json);
    assert_eq!(json.matches('\n').count(), 1);
    let json: serde_json::Value = serde_json::from_str(&json).expect("a line is JSON");
    let place = serde_json::json!({"start": 11, "end": 13, "line": 2, "column": 6, "end_line": 2, "end_column": 7});
    let fixed = serde_json::json!({"start": 6, "end": 7, "line": 2, "column": 1, "end_line": 2, "end_column": 2});
    let expected = serde_json::json!({
        "v": 1, "code": "W0101", "name": "unused-name", "severity": "warning", "message": "100% of\n`ü`",
        "file": "file0.reft", "span": place, "labels": [{"file": "file0.reft", "span": place, "text": "unused"}],
        "place": null, "help": [], "note": null,
        "fix": {"file": "file0.reft", "span": fixed, "replacement": ""},
    });
    assert_eq!(json, expected);
    let text = plain(&all[0], &sources);
    assert!(text.contains("file0.reft:2:6") && text.contains("╰── unused"), "{text}");
}

#[test]
fn spans_at_the_edges_are_drawn() {
    for text in ["", "\n", "a", "a\n", "a\n\n\n", "\té\n", "é", "a\r\nb\r\n", "  \n  \n", "日本語\n"] {
        let sources = sources(&[text]);
        for start in 0..text.len() + 3 {
            for end in start..text.len() + 3 {
                let diagnostic = Diagnostic::at(Code::UnexpectedText, span(0, start, end), "wrong", "here")
                    .label(span(0, end, end), "there")
                    .label(span(7, 0, 1), "in no file");
                let shown = plain(&diagnostic, &sources);
                assert!(
                    shown.contains("error[E0001]: wrong") && !shown.contains("OutOfBounds"),
                    "{text:?} {start}..{end}\n{shown}"
                );
                assert!(text.trim().is_empty() || shown.contains("here"), "{text:?} {start}..{end}\n{shown}");
                for format in [Format::Short, Format::Json, Format::Github] {
                    assert!(!render(std::slice::from_ref(&diagnostic), &sources, format).is_empty());
                }
            }
        }
    }
}

#[test]
fn the_summary_counts() {
    let error = Diagnostic::new(Code::UnexpectedText, "a");
    let warning = Diagnostic::new(Code::UnusedName, "b");
    assert_eq!(summary(&[]), "");
    assert_eq!(summary(&[error.clone(), warning.clone(), error.clone()]), "2 errors, 1 warning");
    assert_eq!(summary(&[warning.clone(), warning]), "2 warnings");
    assert_eq!(summary(&[error]), "1 error");
}
