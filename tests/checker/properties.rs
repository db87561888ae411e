//! The checker on mutated specs: it always finishes, and the order of declarations changes nothing.

use crate::support::{FILE, checked, planned, world};
use proptest::prelude::*;
use reftc::diag::Severity;
use reftc::syntax::{self, tree::ItemKind};

/// A spec with something of everything.
const GOOD: &str = r#"//! Reviews.

let rows = json("train.json")
let places: positions = f3+l3
let rate = 2e-3

model tiny = embedded("tiny") { dtype = f32 }

data reviews {
  train      = rows[..-4]
  validation = rows[-4..].shuffle(1)
  test       = json("test.json")
  prompt     = "Review: {text}\nAnswer:"
  target     = when("{label}", " {label}", " none")
}

experiment first {
  model = tiny
  data  = reviews

  intervene edit = loreft {
    layers    = depth(25%, 50%)
    positions = places
    rank      = 4
    tied      = true
  }
  intervene last = direft { layers = [3], positions = l1, rank = 2 }

  train {
    epochs   = 3
    batch    = 8
    lr       = rate
    schedule = linear(warmup: 10%)
  }

  eval dev { on = reviews.validation, when = epoch, metric = perplexity }
  eval test { on = reviews.test, decode = greedy(max_tokens: 4), answer = choice(["yes", "no"]), baseline = true }
}
"#;

/// The declarations of a text, each with the lines before it.
fn declarations(text: &str) -> Vec<String> {
    let (tree, _) = syntax::parse(FILE, text);
    let spans = tree.items.iter().filter(|item| !matches!(item.kind, ItemKind::Bad)).map(|item| item.span);
    spans.map(|span| text[span.range()].to_owned()).collect()
}

/// Findings without their places, in one order.
fn summary(text: &str) -> Vec<String> {
    let (found, _) = checked(text, &world());
    let mut found: Vec<String> = found
        .iter()
        .map(|found| {
            let pieces: Vec<&str> = found.labels.iter().map(|label| &text[label.span.range()]).collect();
            format!("{} {} {pieces:?} {:?}", found.code.as_str(), found.message, found.help)
        })
        .collect();
    found.sort();
    found
}

/// The good spec with words replaced by others, and pieces removed and put in.
fn mutated() -> impl Strategy<Value = String> {
    let words = [
        "all",
        "f3",
        "\"text\"",
        "0",
        "-1",
        "1e9",
        "10%",
        "[]",
        "[1, 2]",
        "rows",
        "tiny",
        "reviews",
        "reviews.test",
        "first",
        "true",
        "none",
        "loreft",
        "after(\"x\")",
        "json(\"gone.json\")",
        "chat([user(\"{text}\")])",
        "rate",
        "places",
        "(",
        "{",
        "}",
        "=",
        "",
        "\n",
        "let",
        "f3,l3",
        "\"{\"",
        "4..2",
        "9223372036854775807",
        "last(5)",
        "linear()",
        "rank",
    ];
    let edit = (any::<prop::sample::Index>(), prop::sample::select(words.to_vec()));
    prop::collection::vec(edit, 1..5).prop_map(|edits| {
        let word = regex::Regex::new(r#"[\w.]+|"[^"\n]*"|[^\s\w]"#).expect("a fixed pattern");
        let mut text = GOOD.to_owned();
        for (at, replacement) in edits {
            let ranges: Vec<_> = word.find_iter(&text).map(|found| found.range()).collect();
            text.replace_range(ranges[at.index(ranges.len())].clone(), replacement);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_specs_are_checked(text in mutated()) {
        let (found, spec) = checked(&text, &world());
        for finding in &found {
            assert!(!finding.message.is_empty() && !finding.message.ends_with('.'), "{finding:?}");
            assert!(finding.severity == Severity::Warning || !finding.labels.is_empty(), "{finding:?}\n{text}");
            for label in &finding.labels {
                assert!(text.get(label.span.range()).is_some(), "{finding:?}\n{text}");
            }
        }
        let errors = found.iter().any(|finding| finding.severity == Severity::Error);
        assert!(errors || !spec.experiments.is_empty() || found.iter().any(|found| found.code.as_str() == "W0102"), "\n{text}");
        reftc::plan::lower(&spec, reftc::plan::passes::Passes::ALL);
    }

    #[test]
    fn the_order_of_declarations_changes_nothing(text in mutated(), seed in any::<u64>()) {
        // Errors of syntax may join declarations, and of equal names the first one counts.
        let (_, broken) = syntax::parse(FILE, &text);
        let mut items = declarations(&text);
        if broken.is_empty() && !summary(&text).iter().any(|found| found.starts_with("E0102")) {
            let original = items.join("\n\n");
            let rotation = seed as usize % items.len();
            items.rotate_left(rotation);
            let swap = (seed >> 32) as usize % items.len();
            items.swap(0, swap);
            let moved = items.join("\n\n");
            prop_assert_eq!(summary(&original), summary(&moved), "{}\n\n{}", original, moved);
        }
    }
}

#[test]
fn the_good_spec_is_good_in_any_order() {
    assert_eq!(summary(GOOD), Vec::<String>::new());
    let hashes =
        |text: &str| planned(text, &world()).experiments.into_iter().map(|plan| plan.hashes).collect::<Vec<_>>();
    let mut items = declarations(GOOD);
    for _ in 0..items.len() {
        items.rotate_left(1);
        assert_eq!(hashes(&items.join("\n\n")), hashes(GOOD));
    }
}
