//! Every mistake of a file is found in one pass, each once, and the fixes mend it.

#![allow(clippy::expect_used, clippy::panic)]

use reftc::diag::{Code, Diagnostic, Fix};
use reftc::source::{FileId, Sources};
use reftc::syntax::parse;
use reftc::syntax::tree::{Entry, ItemKind};
use std::path::Path;

const TEN: &str = include_str!("syntax/ten_mistakes.reft");

fn diagnostics(text: &str) -> Vec<Diagnostic> {
    parse(FileId(0), text).1
}

/// The text with all fixes put in, last first.
fn mended(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut fixes: Vec<&Fix> = diagnostics.iter().filter_map(|found| found.fix.as_ref()).collect();
    fixes.sort_by_key(|fix| fix.span.start);
    let mut text = text.to_owned();
    for fix in fixes.into_iter().rev() {
        text.replace_range(fix.span.range(), &fix.replacement);
    }
    text
}

#[test]
fn ten_mistakes_give_ten_errors_in_file_order() {
    let mut sources = Sources::default();
    let id = sources.add(Path::new("ten.reft"), TEN.to_owned());
    let file = sources.file(id).expect("the file was just added");
    let (tree, found) = parse(id, TEN);
    let places: Vec<(Code, usize)> = found
        .iter()
        .map(|found| (found.code, file.line_column(found.span().expect("a place").start as usize).0))
        .collect();
    let expected = [
        (Code::ColonForEquals, 2),
        (Code::UnterminatedString, 5),
        (Code::SmartQuotes, 6),
        (Code::UnknownDeclaration, 9),
        (Code::UnexpectedText, 11),
        (Code::MissingSeparator, 13),
        (Code::PositionSeparator, 14),
        (Code::BadNumber, 18),
        (Code::UnclosedBlock, 19),
        (Code::ForeignWord, 19),
    ];
    assert_eq!(places, expected);

    let ItemKind::Experiment { body, .. } = &tree.items[2].kind else { panic!("the misspelt experiment is lost") };
    let sections = body.entries.iter().filter(|entry| matches!(entry, Entry::Section(_))).count();
    assert_eq!((body.entries.len(), sections), (5, 3), "two fields and three sections survive");
}

#[test]
fn the_fixes_mend_what_is_mechanical() {
    let once = mended(TEN, &diagnostics(TEN));
    // Which exponent `1e` should have, only its author knows.
    let left: Vec<Code> = diagnostics(&once).iter().map(|found| found.code).collect();
    assert_eq!(left, [Code::BadNumber], "after the fixes:\n{once}");
}

#[test]
fn each_fix_mends_its_slip() {
    for (slip, fixed) in [
        ("let a: 3\n", "let a = 3\n"),
        ("data a { x: 3 }\n", "data a { x = 3 }\n"),
        ("data a { x := 3 }\n", "data a { x = 3 }\n"),
        ("data a { x == 3 }\n", "data a { x = 3 }\n"),
        ("data a { x 3 }\n", "data a { x = 3 }\n"),
        ("data a { x-y = 3 }\n", "data a { x_y = 3 }\n"),
        ("data a { x = 1 y = 2 }\n", "data a { x = 1, y = 2 }\n"),
        ("data a { x = 1; y = 2; }\n", "data a { x = 1, y = 2 }\n"),
        ("data a { x = f3:l3 }\n", "data a { x = f3+l3 }\n"),
        ("data a { x = f1+f3,l3+l5 }\n", "data a { x = f1+f3+l3+l5 }\n"),
        ("data a\n{\n}\n", "data a {\n}\n"),
        ("data a = { x = 3 }\n", "data a { x = 3 }\n"),
        ("data a {\n  x = 3\n", "data a {\n  x = 3\n}\n"),
        ("data a {\n  x = f(1, [2\n}\n", "data a {\n  x = f(1, [2])\n}\n"),
        ("let a = [1 2, , 3]\n", "let a = [1, 2,  3]\n"),
        ("let a = \"x\n", "let a = \"x\"\n"),
        ("let a = f(\"x)\n", "let a = f(\"x\")\n"),
        ("let a = 'x'\n", "let a = \"x\"\n"),
        ("let a = “x”\n", "let a = \"x\"\n"),
        ("let a = \"\\d\"\n", "let a = \"\\\\d\"\n"),
        ("let a = 10 %\n", "let a = 10%\n"),
        ("let a = f(x = 1)\n", "let a = f(x: 1)\n"),
        ("let a = True\n", "let a = true\n"),
        ("# note\nlet a = 1\n", "// note\nlet a = 1\n"),
        ("modle a = 1\n", "model a = 1\n"),
        ("let a = 1 let b = 2\n", "let a = 1\nlet b = 2\n"),
        ("use \"a/b.reft\"\n", "use \"a/b.reft\" as b\n"),
    ] {
        let found = diagnostics(slip);
        assert!(!found.is_empty(), "{slip}");
        let once = mended(slip, &found);
        assert_eq!(once, fixed, "{slip}");
        assert_eq!(diagnostics(&once), [], "{slip} became {once}");
    }
}

#[test]
fn one_mistake_is_one_error() {
    for (text, code) in [
        (
            "experiment a {\n  train { lr = 1 }\n  }\n  eval dev { on = x }\n  seed = 3\n}\n\nlet x = 1\n",
            Code::UnknownDeclaration,
        ),
        ("experiment a {\n  train {\n    lr = 1\n  eval dev { on = x }\n}\nlet x = 1\n", Code::UnclosedBlock),
        ("data a {\n  x = 1\n\nlet y = 2\n", Code::UnclosedBlock),
        ("data a {\n  x = [1, 2\n  y = 3\n}\n", Code::UnclosedBlock),
        ("data a {\n  x = f(1, [2)\n  y = 3\n}\n", Code::UnclosedBlock),
        ("data a {\n  x = f(1, 2]\n  y = 3\n}\n", Code::UnclosedBlock),
        ("data a { x = after(\"b }\nlet y = 1\n", Code::UnterminatedString),
        ("data a {\n  x = \"\"\"b\n}\nlet y = 1\n", Code::UnterminatedString),
        ("data a {\n  x = {\"a\": 1, \"b\": [2]}\n  y = 1\n}\n", Code::UnexpectedText),
        ("data a {\n  x =\n  y = 1\n}\n", Code::UnexpectedText),
        ("data a {\n  x = (1, 2)\n}\n", Code::UnexpectedText),
        ("data a {\n  x = 1 @ [2, 3] \"}\" { y }\n}\n", Code::UnexpectedText),
        ("let x = json(\"a\")\n  .shuffle(3)\n", Code::UnexpectedText),
        ("}\n", Code::UnexpectedText),
        ("let x = \u{a0}3\n", Code::UnexpectedText),
        ("experiment a {\n  train { eval x { on = y } }\n}\n", Code::MisplacedBlock),
    ] {
        let found = diagnostics(text);
        assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), [code], "{text}\n{found:#?}");
    }
}

#[test]
fn foreign_comments_are_told_wherever_comments_may_stand() {
    for text in [
        "let x = [a # note\n + b]\n",
        "let x = [1 # note\n .. 3]\n",
        "let x = f(a: # note\n 1)\n",
        "let x = [a # note\n .b()]\n",
    ] {
        let found: Vec<Code> = diagnostics(text).iter().map(|found| found.code).collect();
        assert_eq!(found, [Code::UnexpectedText], "{text}");
        let once = mended(text, &diagnostics(text));
        assert_eq!(diagnostics(&once), [], "{text} became {once}");
    }
}
