//! `reftc check --fix` on real files.

use crate::support::{Place, SPEC};

/// Three slips, each with one mend.
const SLIPS: [(&str, &str); 3] =
    [("rank      = hidden_rank", "rank      : hidden_rank"), ("epochs = 2", "epoch = 2"), ("f1+l1", "f1,l1")];

#[test]
fn fixes_are_written_and_what_remains_is_told() {
    let place = Place::new();
    place.change(&SLIPS);
    let before = place.files("");
    place.reftc(&["check", "spec.reft"]).expect(1);
    let fixed = place.reftc(&["check", "--fix", "spec.reft"]).expect(0);
    assert_eq!(fixed.stderr, "fixed 3 findings in spec.reft\nno findings\n");
    assert_eq!(place.read("spec.reft"), SPEC);
    let beside: Vec<String> = place.files("").into_iter().filter(|name| !name.starts_with('.')).collect();
    assert_eq!(beside, before, "nothing is left beside");
    assert_eq!(place.reftc(&["check", "--fix", "spec.reft"]).expect(0).stderr, "no findings\n");

    place.change(&[SLIPS[0], ("lr     = 1e-3", "lr     = fast")]);
    place.reftc(&["check", "--fix", "spec.reft"]).expect(1).says(&["fixed 1 finding in spec.reft", "E0101", "1 error"]);
    assert_eq!(place.read("spec.reft"), SPEC.replace("1e-3", "fast"));
}

#[test]
fn a_fix_that_brings_more_errors_to_light_is_not_written() {
    let place = Place::new();
    // In the string without its end wait two columns that the rows do not have.
    place.change(&[("\"Review: {review}\\nAnswer:\"", "\"Review: {words} {stars}")]);
    let before = place.read("spec.reft");
    let done = place.reftc(&["check", "--fix", "spec.reft"]).expect(1);
    assert!(!done.stderr.contains("fixed"), "{}", done.stderr);
    assert_eq!(place.read("spec.reft"), before);
}

#[test]
fn only_the_named_files_are_fixed() {
    let place = Place::new();
    place.change(&SLIPS);
    let broken = place.read("spec.reft");
    place.write("other.reft", &broken);
    place.write("good.reft", &format!("{SPEC}// as   it is\n"));
    let done = place.reftc(&["check", "--fix", "good.reft", "spec.reft", "gone.reft", "--message-format", "json"]);
    let done = done.expect(1);
    assert_eq!(done.stderr, "fixed 3 findings in spec.reft\n");
    assert_eq!(done.stdout.lines().count(), 1, "findings are data, and one is left: {}", done.stdout);
    assert!(done.json()["code"] == "E0013", "{}", done.stdout);
    assert_eq!(place.read("other.reft"), broken);
    place.write("library.reft", "let rate: number = 1e-3\n");
    place.write("user.reft", &format!("use \"library.reft\" as library\n{}", broken.replace("1e-3", "library.rate")));
    place
        .reftc(&["check", "--fix", "user.reft"])
        .expect(1)
        .says(&["fixed 3 findings in user.reft", "library.reft:1:11"]);
    assert_eq!(place.read("library.reft"), "let rate: number = 1e-3\n");
    assert_eq!(place.read("good.reft"), format!("{SPEC}// as   it is\n"));
}
