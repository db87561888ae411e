use reftc::data::metric::{Metric, perplexity, share};

#[test]
fn answers_are_compared_as_each_metric_says() {
    let rows = [
        (Some("42"), "42.0", true, false),
        (Some(" 42.0004"), "42", true, false),
        (Some("42.002"), "42", false, false),
        (Some("-0"), "0", true, false),
        (Some("True "), "true", true, false),
        (Some(" true"), "true ", true, true),
        (Some("tru"), "true", false, false),
        (Some("nan"), "nan", true, true),
        (Some("inf"), "infinity", false, false),
        (Some("A"), "1", false, false),
        (Some(""), "", true, true),
        (None, "", false, false),
    ];
    for (answer, gold, accuracy, exact) in rows {
        assert_eq!(Metric::Accuracy.correct(answer, gold), accuracy, "accuracy of {answer:?} for {gold:?}");
        assert_eq!(Metric::ExactMatch.correct(answer, gold), exact, "exact match of {answer:?} for {gold:?}");
        assert!(!Metric::Perplexity.correct(answer, gold));
    }
}

#[test]
fn majority_of_golds() {
    let golds = ["yes", "no", "Yes", " no ", "no"];
    let exact = Metric::ExactMatch.majority(golds).unwrap();
    assert_eq!((exact.answer.as_str(), exact.share), ("no", 0.6));
    let tie = Metric::Accuracy.majority(["B", "a", "b", "A"]).unwrap();
    assert_eq!((tie.answer.as_str(), tie.share), ("a", 0.5));
    assert_eq!(Metric::Accuracy.majority([]), None);
}

#[test]
fn names_and_values() {
    for metric in Metric::ALL {
        assert_eq!(Metric::find(metric.name()), Some(metric));
        assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
    }
    assert_eq!(Metric::find("Accuracy"), None);
    assert_eq!((share(3, 4), share(0, 0)), (0.75, 0.0));
    assert!((perplexity(2.0 * 3.0_f64.ln(), 2) - 3.0).abs() < 1e-12);
    assert!(perplexity(0.0, 0).is_nan());
}
