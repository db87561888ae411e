//! `reftc run --watch`: it outlives broken specs and runs what changed.

#![cfg(unix)]

use crate::support::{Place, RUN, SPEC, rows};

#[test]
fn a_watched_spec_is_run_as_it_changes() {
    let place = Place::new();
    let mut watch = place.spawn(&[&RUN[..], &["--watch"]].concat());
    let first = watch.wait_for("watching spec.reft");
    assert!(first.contains("training on 16 rows") && first.contains("eval test, tuned"), "{first}");

    place.change(&[("epochs = 2", "epochs = two")]);
    let broken = watch.wait_for("watching spec.reft");
    assert!(broken.contains("saved: spec.reft") && broken.contains("1 error"), "{broken}");
    assert!(!broken.contains("training on"), "{broken}");

    place.change(&[("max_tokens: 2", "max_tokens: 3")]);
    let changed = watch.wait_for("watching spec.reft");
    assert!(changed.contains("eval test, tuned") && !changed.contains("training on"), "{changed}");

    place.write("train.jsonl", &rows(17));
    let data = watch.wait_for("watching spec.reft");
    assert!(data.contains("saved: train.jsonl") && data.contains("training on 17 rows"), "{data}");

    std::fs::remove_file(place.path("spec.reft")).unwrap();
    let gone = watch.wait_for("watching spec.reft");
    assert!(gone.contains("E0013"), "{gone}");
    place.write("spec.reft", &format!("{SPEC}// back\n"));
    watch.wait_for("watching spec.reft");

    watch.signal("INT");
    let done = watch.end().expect(130);
    assert_eq!(done.stdout.matches(" test  exact_match").count(), 4, "a table for each good run: {}", done.stdout);
}

#[test]
fn a_missing_spec_is_waited_for() {
    let place = Place::new();
    std::fs::remove_file(place.path("spec.reft")).unwrap();
    let mut watch = place.spawn(&[&RUN[..], &["--watch"]].concat());
    assert!(watch.wait_for("watching spec.reft").contains("E0013"));
    place.write("spec.reft", SPEC);
    assert!(watch.wait_for("watching spec.reft").contains("eval test, tuned"));
    watch.signal("TERM");
    watch.end().expect(130);
}

#[test]
fn an_interrupt_in_a_watched_training_ends_it_cleanly() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 15")]);
    let mut watch = place.spawn(&[&RUN[..], &["--watch"]].concat());
    watch.wait_for("step  1/60");
    watch.signal("INT");
    let done = watch.end().expect(130).says(&["interrupted after step "]);
    assert!(!done.stderr.contains("watching"), "{}", done.stderr);
    place.run(&[]).says(&["going on after step "]);
}

#[test]
fn a_model_that_changes_is_loaded_anew() {
    let place = Place::new();
    let (tiny, model) = (crate::failures::tiny(), place.path("model"));
    crate::failures::copy(&tiny, &model);
    place.change(&[("embedded(\"tiny\")", "path(\"model\")")]);
    let mut watch = place.spawn(&[&RUN[..], &["--watch"]].concat());
    watch.wait_for("watching spec.reft");
    let weights = model.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    // The last weight grows: another model, of the same shapes.
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&100f32.to_le_bytes());
    std::fs::write(&weights, bytes).unwrap();
    let changed = watch.wait_for("watching spec.reft");
    assert!(changed.contains("saved: model/model.safetensors") && changed.contains("training on"), "{changed}");
    watch.signal("INT");
    watch.end().expect(130);
    // What it trained is what a fresh process trains.
    let hash =
        place.reftc(&["plan", "spec.reft", "--json"]).expect(0).json()["experiments"][0]["hashes"]["training"].clone();
    let digits = &hash.as_str().unwrap()[..8];
    let read = |runs: &str| {
        let name = format!("{runs}/small/{digits}/intervention/intervention.safetensors");
        std::fs::read(place.path(&name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    place.run(&["--runs", "fresh"]);
    assert_eq!(read("runs"), read("fresh"));
}
