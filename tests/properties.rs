//! Parsing and formatting on generated specs, on broken ones and on noise.

#![allow(clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use reftc::diag::render::{Format, human, render};
use reftc::diag::{Code, Diagnostic};
use reftc::source::{FileId, Sources};
use reftc::syntax::{format, parse, tree::File};
use std::path::Path;

const WHOLE: &str = include_str!("syntax/whole_spec.reft");
const EVERYTHING: &str = include_str!("syntax/everything.reft");
const CANONICAL: &str = include_str!("format/canonical.reft");

fn parsed(text: &str) -> (File, Vec<Diagnostic>) {
    parse(FileId(0), text)
}

/// The tree without its places.
fn shape(file: &File) -> String {
    let spans = regex::Regex::new(r"Span \{ file: FileId\(\d+\), start: \d+, end: \d+ \}").expect("a fixed pattern");
    spans.replace_all(&format!("{file:?}"), "_").into_owned()
}

/// Everything but whitespace and commas, in any order: what the formatter must not lose.
fn ink(text: &str) -> Vec<char> {
    let mut ink: Vec<char> = text.chars().filter(|c| !c.is_whitespace() && *c != ',' && *c != '\u{feff}').collect();
    ink.sort_unstable();
    ink
}

/// Every comment, in any order: those inside of values may move before them.
fn comments(file: &File) -> Vec<&str> {
    let mut comments: Vec<&str> = file.comments.iter().map(|comment| comment.text.as_str()).collect();
    comments.sort_unstable();
    comments
}

/// What holds for a text without errors.
fn check_good(text: &str) {
    let (tree, diagnostics) = parsed(text);
    assert_eq!(diagnostics, [], "{text}");
    // `intervene edit = small` has no block, and needs none.
    let bare = "body: Block { entries: [Bad(_)], span: _ }";
    assert!(!shape(&tree).replace(bare, "").contains("Bad"), "a silent bad node in\n{text}");
    let once = format(&tree, text);
    let (again, diagnostics) = parsed(&once);
    assert_eq!(diagnostics, [], "formatted\n{text}\nas\n{once}");
    assert_eq!(shape(&tree), shape(&again), "formatted\n{text}\nas\n{once}");
    assert_eq!(format(&again, &once), once, "formatted twice:\n{text}");
    assert_eq!(ink(text), ink(&once), "formatted\n{text}\nas\n{once}");
    assert_eq!(comments(&tree), comments(&again), "formatted\n{text}\nas\n{once}");
    assert!(once.lines().all(|line| !line.ends_with(' ') || text.contains("\"\"\"")), "trailing spaces in\n{once}");
}

/// What holds for every text.
fn check_any(text: &str) {
    let (tree, diagnostics) = parsed(text);
    let mut sources = Sources::default();
    sources.add(Path::new("noise.reft"), text.to_owned());
    for diagnostic in &diagnostics {
        assert!(!diagnostic.labels.is_empty() && !diagnostic.help.is_empty(), "{diagnostic:?}");
        let fix = diagnostic.fix.iter().map(|fix| fix.span);
        for span in diagnostic.labels.iter().map(|label| label.span).chain(fix) {
            assert!(text.get(span.range()).is_some(), "{diagnostic:?} lies outside of\n{text}");
        }
    }
    for style in [human::Style::PLAIN, human::Style { unicode: false, colour: true, width: 60 }] {
        render(&diagnostics, &sources, Format::Human(style));
    }
    render(&diagnostics, &sources, Format::Short);
    render(&diagnostics, &sources, Format::Github);
    for line in render(&diagnostics, &sources, Format::Json).lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON");
    }
    match diagnostics.is_empty() {
        true => check_good(text),
        false => drop(format(&tree, text)),
    }
}

/// Whitespace and comments as they may stand inside brackets.
fn trivia() -> impl Strategy<Value = String> {
    let pieces = [
        "",
        "",
        "",
        " ",
        "\t",
        "\n",
        "\n\n",
        "\n    ",
        " // note\n",
        "\n// own line\n",
        "/// odd\n",
        " //é → {\n",
        "//\n",
    ];
    prop::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

fn word() -> impl Strategy<Value = String> {
    let words = ["all", "f3", "l3", "smol", "rows", "sentiment.validation", "none", "true", "false", "epoch"];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

fn leaf() -> impl Strategy<Value = String> {
    let literals = [
        "1",
        "-200",
        "1_000",
        "9e-4",
        "0.05",
        "10%",
        "0.25%",
        "4GiB",
        "\"\"",
        "\"{q}\\n\"",
        "\"// # { [\"",
        "\"é “\"",
        "\"日本語\"",
        "[100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000, 800_000, 900_000, 1_000_000, 1_100]",
        "\"a long string that helps to go over the width of a line, again and again\"",
        "\"\"\"\n    x\n      y\n  \"\"\"",
        "\"\"\"one\"\"\"",
        "[]",
        "f()",
    ];
    prop_oneof![word(), prop::sample::select(literals.to_vec()).prop_map(str::to_owned)]
}

fn expression() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 24, 5, |inner| {
        let elements = |inner: BoxedStrategy<String>| {
            let sum = (inner.clone(), trivia(), prop::sample::select(vec!["+", "-"]), trivia(), inner.clone());
            let sum = sum.prop_map(|(left, before, sign, after, right)| format!("{left}{before}{sign}{after} {right}"));
            let element = (trivia(), prop_oneof![4 => inner, 1 => sum], trivia());
            prop::collection::vec(element.prop_map(|(before, value, after)| format!("{before}{value}{after}")), 0..5)
                .prop_map(|elements| elements.join(","))
        };
        let elements = elements(inner.clone().boxed()).boxed();
        let base = prop_oneof![word(), Just("json(\"a.json\")".to_owned())].boxed();
        prop_oneof![
            (elements.clone(), trivia()).prop_map(|(elements, end)| format!("[{elements}{end}]")),
            elements.clone().prop_map(|elements| format!("greedy({elements})")),
            (inner.clone(), trivia()).prop_map(|(value, end)| format!("linear(warmup:{end} {value},{end})")),
            (base.clone(), elements).prop_map(|(base, elements)| format!("{base}.shuffle({elements})")),
            (base.clone(), trivia()).prop_map(|(base, gap)| format!("{base}[{gap}-10..{gap}]")),
            (base.clone(), trivia()).prop_map(|(base, gap)| format!("{base}[{gap}..{gap}-10{gap}]")),
            (base.clone(), trivia(), trivia(), base.clone())
                .prop_map(|(start, before, after, end)| format!("[{start}{before}..{after} {end}]")),
            (base, trivia()).prop_map(|(base, gap)| format!("[{base}{gap}.shuffle(1){gap}.first()[1..]]")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} - {right}")),
            (inner.clone(), prop::sample::select(vec!["*", " /", " * smol / 2*"]), inner.clone())
                .prop_map(|(left, sign, right)| format!("({left}){sign} ({right})")),
            Just("2*smol / -rows *3".to_owned()),
            (prop::sample::select(vec!["", "-", "- "]), trivia(), inner, trivia())
                .prop_map(|(sign, before, value, after)| format!("{sign}({before}{value}{after})")),
            word().prop_map(|word| format!("- {word}")),
            Just("f3+l3".to_owned()),
            Just("4 ..= 12".to_owned()),
        ]
    })
}

/// Names of warnings, few or many, with comments between them.
fn allow() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["trailing-space", "twin-points", "unused-name", "no-such_name"]);
    let element = (trivia(), name, trivia()).prop_map(|(before, name, after)| format!("{before}{name}{after}"));
    (prop::sample::select(vec!["", " "]), prop::collection::vec(element, 1..9), trivia())
        .prop_map(|(gap, names, end)| format!("allow{gap}({}{end})", names.join(",")))
}

fn separator() -> impl Strategy<Value = String> {
    let pieces = [
        "\n",
        "\n  ",
        "\n\n\n",
        ", ",
        ",,\n",
        "  // behind\n",
        "\n// own\n\n",
        "\n/// doc\n",
        ", /// odd\n",
        "\n, // x\n",
    ];
    prop::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

fn block(depth: u32) -> BoxedStrategy<String> {
    let field = (prop::sample::select(vec!["lr", "epochs", "train.lr", "a_long_name"]), expression());
    let field = field.prop_map(|(name, value)| format!("{name}  ={value}"));
    let compare = prop::sample::select(vec!["params.share <= 0.25%", "eval.test.x==  3"]).prop_map(str::to_owned);
    let expect = prop::collection::vec(compare, 0..4).prop_map(|lines| format!("expect {{{}}}", lines.join(",\n\n")));
    // Sections of an experiment do not nest; blocks of other names do, as far as the grammar is concerned.
    let heads = match depth {
        2 => vec!["train", "eval dev", "intervene edit = loreft", "intervene edit", "intervene e=f(1)"],
        _ => vec!["other", "other dev", "other edit = loreft"],
    };
    let entry = match depth {
        0 => field.boxed(),
        _ => {
            let section =
                (prop::sample::select(heads), block(depth - 1)).prop_map(|(head, body)| format!("{head}{body}"));
            let words = prop::sample::select(vec!["remove  eval old", "intervene  edit=small"]).prop_map(str::to_owned);
            let words = if depth == 2 { words.boxed() } else { Just("remove  eval old".to_owned()).boxed() };
            let entry = prop_oneof![6 => field, 4 => section, 2 => words, 1 => allow()];
            if depth == 2 { prop_oneof![5 => entry, 1 => expect].boxed() } else { entry.boxed() }
        }
    };
    let opening = prop::sample::select(vec!["{", "{ ", "{ // note\n", "{\n", "{\n\n/// doc\n"]);
    (opening, prop::collection::vec((entry, separator()), 0..5))
        .prop_map(|(opening, entries)| {
            let entries: String = entries.into_iter().map(|(entry, separator)| entry + &separator).collect();
            format!(" {opening}{entries}}}")
        })
        .boxed()
}

fn spec() -> impl Strategy<Value = String> {
    let item = prop_oneof![
        expression().prop_map(|value| format!("let  x ={value}")),
        expression().prop_map(|value| format!("let x :positions= {value}")),
        block(0).prop_map(|body| format!("data d{body}")),
        block(0).prop_map(|body| format!("model m = hf(\"a/b\"){body}")),
        block(2).prop_map(|body| format!("experiment e extends std.base{body}")),
        Just("use \"a.reft\"   as b".to_owned()),
        Just("edition=1".to_owned()),
        allow(),
    ];
    let separators = ["\n", "\n\n\n", " // behind\n", "\n/// doc\n", "\n// own\n\n", "\n//! late\n"];
    let items = prop::collection::vec((item, prop::sample::select(separators.to_vec())), 0..5);
    let start = prop::sample::select(vec!["", "\u{feff}", "//! file\n", "\n\n// c\n"]);
    (start, items, any::<bool>()).prop_map(|(start, items, carriage_returns)| {
        let text: String = items.into_iter().map(|(item, separator)| item + separator).collect();
        let text = format!("{start}{text}");
        if carriage_returns { text.replace('\n', "\r\n") } else { text }
    })
}

/// A good spec with pieces removed and noise put in.
fn broken() -> impl Strategy<Value = String> {
    let noise = [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "\"\"\"",
        "\n",
        ",",
        "=",
        ":",
        ";",
        "#",
        "“",
        "'",
        "\\",
        "é",
        "//",
        "///",
        "\r",
        "\t",
        ".",
        "..",
        "+",
        "-",
        "%",
        "1e",
        "let ",
        "\nlet x",
        "\nexperiment x {",
        "train {",
        "\u{feff}",
        "\0",
        "\u{a0}",
        "f3,l3",
        " None",
        "/*",
        "remove ",
        "use \"",
    ];
    let good = prop::sample::select(vec![WHOLE, EVERYTHING, CANONICAL]);
    let edit = (any::<prop::sample::Index>(), 0..12usize, prop::sample::select(noise.to_vec()), any::<bool>());
    (good, prop::collection::vec(edit, 1..6)).prop_map(|(good, edits)| {
        let mut chars: Vec<char> = good.chars().collect();
        for (at, cut, noise, insert) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + if insert { 0 } else { cut }).min(chars.len());
            chars.splice(at..end, noise.chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn good_specs_have_no_errors_and_one_form(text in spec()) {
        check_good(&text);
    }

    #[test]
    fn broken_specs_are_read(text in broken()) {
        check_any(&text);
    }

    #[test]
    fn noise_is_read(text in "\\PC*") {
        check_any(&text);
    }

    #[test]
    fn bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_any(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn brackets_are_read(text in "[\\[\\](){}\"',:=a1\n /.+-]{0,60}") {
        check_any(&text);
    }
}

#[test]
fn the_good_files_have_one_form() {
    for text in [WHOLE, EVERYTHING, CANONICAL, "", "\n", "// c", "\u{feff}"] {
        check_good(text);
        check_good(&text.replace('\n', "\r\n"));
    }
}

/// All specs of the repository, those in its documents too.
#[test]
fn the_specs_of_the_repository_have_one_form() {
    let mut seen = 0;
    for path in files(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let text = std::fs::read_to_string(&path).expect("a file of the repository is readable");
        let blocks: Vec<&str> = match path.extension().is_some_and(|extension| extension == "md") {
            true => text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("reft\n")).collect(),
            false => vec![text.as_str()],
        };
        for block in blocks {
            check_any(block);
            seen += usize::from(parsed(block).1.is_empty());
        }
    }
    assert!(seen > 200, "{seen} specs without errors");
}

/// The specs and documents under a folder, without what is built.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the repository is readable") {
        let path = entry.expect("a folder entry is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "runs", "findings"].contains(&name.as_str()) {
            found.extend(files(&path));
        } else if name.ends_with(".reft") || name.ends_with(".md") {
            found.push(path);
        }
    }
    found
}

#[test]
fn deep_nesting_is_one_error_and_never_a_crash() {
    for piece in ["[", "(", "-(", "2 * (", "f(", "a {", "(')'", "x[", "f(a: ", "[{", "a { b = [", "(\"", "\n{"] {
        for count in [99, 101, 5_000, 100_000] {
            for text in [format!("let x = {}", piece.repeat(count)), format!("data d {{ a = {}", piece.repeat(count))] {
                let (_, diagnostics) = parsed(&text);
                let deep = diagnostics.iter().filter(|found| found.code == Code::NestedTooDeeply).count();
                assert!(deep <= 1, "{piece} {count}");
                assert!(!diagnostics.is_empty(), "{piece} {count}");
            }
        }
    }
    let lists = format!("let x = {}{}", "[".repeat(101), "]".repeat(101));
    let codes: Vec<Code> = parsed(&lists).1.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::NestedTooDeeply]);
    check_good(&format!("let x = {}{}", "[".repeat(100), "]".repeat(100)));
    check_good(&format!("let x = a{}", " * a".repeat(5_000)));
    let chain = format!("let x = a{}", ".b(1)".repeat(50_000));
    assert_eq!(parsed(&chain).1.first().map(|found| found.code), Some(Code::NestedTooDeeply));
}

#[test]
fn long_files_take_no_quadratic_time() {
    let fields = "  name = [1, 2, 3] // note\n".repeat(20_000);
    check_good_quickly(&format!("data d {{\n{fields}}}\n"));
    check_good_quickly(&format!("let x = [{}]", "1, ".repeat(50_000)));
    check_good_quickly(&"let x = 1\n".repeat(20_000));
    for piece in ["\"", "{ ", ") ", "@(", "a.", "x = \"", "“", "f3,", "1 ", "a b c = ", "#", "/*", "\"\"\" "] {
        let start = std::time::Instant::now();
        parsed(&piece.repeat(8_000));
        parsed(&format!("data d {{ a = {}", piece.repeat(8_000)));
        parsed(&format!("data d {{ a = [{}", format!("{piece}\n").repeat(5_000)));
        assert!(start.elapsed().as_secs() < 10, "{piece:?} took {:?}", start.elapsed());
    }
}

fn check_good_quickly(text: &str) {
    let start = std::time::Instant::now();
    let (tree, diagnostics) = parsed(text);
    assert_eq!(diagnostics, []);
    let _ = format(&tree, text);
    assert!(start.elapsed().as_secs() < 20, "took {:?}", start.elapsed());
}
