//! Conditions on runs, generated and broken: reading never fails, and what is sound is read as it is meant.

#![allow(clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use reftc::diag::Diagnostic;
use reftc::source::FileId;
use reftc::syntax::condition::Condition;
use reftc::syntax::parse_condition;

fn read(text: &str) -> (Option<Condition>, Vec<Diagnostic>) {
    parse_condition(FileId(0), text)
}

/// What holds for every text: a condition or errors, each at a place of the text, which starts and ends between letters.
fn check_any(text: &str) {
    let (condition, diagnostics) = read(text);
    assert_eq!(condition.is_some(), diagnostics.is_empty(), "{text:?}: {diagnostics:?}");
    for diagnostic in diagnostics {
        let span = diagnostic.span().expect("an error has a place");
        assert!(text.get(span.range()).is_some(), "{text:?}: {diagnostic:?}");
        assert!(!diagnostic.help.is_empty(), "{text:?}: {diagnostic:?}");
    }
}

/// A comparison or a path.
fn demand() -> impl Strategy<Value = String> {
    let path = prop::sample::select(vec!["train.lr", "seed", "eval.test.accuracy", "android.in_it", "notes.or_not"]);
    let relation = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">=", "contains", "in", ""]);
    let value = prop::sample::select(vec![
        "1",
        "-2.5e-4",
        "60%",
        "4GiB",
        "f1+l1",
        "true",
        "\"and or\"",
        "[1, [2], \"x\"]",
        "linear(warmup: 10%)",
        "(1)",
    ]);
    (path, relation, value).prop_map(|(path, relation, value)| match relation {
        "" => path.to_owned(),
        _ => format!("{path} {relation} {value}"),
    })
}

/// A condition with every bracket written out, and how many comparisons and paths it has.
fn condition() -> impl Strategy<Value = (String, usize)> {
    demand().prop_map(|text| (text, 1)).prop_recursive(5, 40, 4, |inner| {
        let parts = prop::collection::vec(inner.clone(), 2..4);
        let joined = (parts, prop::bool::ANY).prop_map(|(parts, any)| {
            let texts: Vec<String> = parts.iter().map(|(text, _)| format!("({text})")).collect();
            (texts.join(if any { " or " } else { " and " }), parts.iter().map(|(_, count)| count).sum())
        });
        prop_oneof![joined, inner.prop_map(|(text, count)| (format!("not ({text})"), count))]
    })
}

proptest! {
    #[test]
    fn sound_conditions_are_read((text, count) in condition()) {
        let (condition, diagnostics) = read(&text);
        prop_assert_eq!(&diagnostics, &[], "{}", text);
        prop_assert_eq!(condition.map(|condition| condition.paths().len()), Some(count), "{}", text);
    }

    #[test]
    fn broken_conditions_are_read((text, _) in condition(), at in any::<prop::sample::Index>(), noise in "[()\\[\\]\"=<>!&|., a1é-]{0,3}") {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = places[at.index(places.len())];
        check_any(&text[..at]);
        check_any(&format!("{}{noise}{}", &text[..at], &text[at..]));
    }

    #[test]
    fn noise_is_read(text in "\\PC*") {
        check_any(&text);
    }

    #[test]
    fn tokens_are_read(words in prop::collection::vec(prop::sample::select(vec!["a", ".", "(", ")", "[", "]", "and", "or", "not", "==", "in", "1", "\"", "'", "%", ",", "\n", "//", ".."]), 0..30)) {
        check_any(&words.concat());
        check_any(&words.join(" "));
    }
}

#[test]
fn deep_nesting_is_an_error_and_never_a_crash() {
    for piece in ["(", "not (", "a == [", "a == f(", "a == -(", "not "] {
        for count in [90, 101, 5_000, 100_000] {
            check_any(&piece.repeat(count));
        }
    }
    let nested = format!("{}a{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(read(&nested).1, []);
}
