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

/// Long enough that a save comes while it goes on.
const LONG: (&str, &str) = ("epochs = 2", "epochs = 100");

#[test]
fn a_save_that_decides_nothing_leaves_a_training_alone() {
    let place = Place::new();
    place.change(&[LONG]);
    let mut watch = place.spawn(&[&RUN[..], &["--watch"]].concat());
    watch.wait_for("step   1/400");
    place.change(&[LONG, ("/// A small one.", "// Smaller.\n/// A small one.")]);
    watch.wait_for("nothing that decides a result has changed; the run under way goes on");
    let rest = watch.wait_for("watching spec.reft");
    assert!(rest.contains("trained 400 steps") && !rest.contains("training on"), "{rest}");
    place.change(&[LONG]);
    watch.wait_for("nothing that decides a result has changed");
    let idle = watch.wait_for("watching spec.reft");
    assert!(!idle.contains("up to date"), "{idle}");
    watch.signal("INT");
    watch.end().expect(130);
}

#[test]
fn a_save_that_changes_the_training_leaves_it_where_it_can_go_on() {
    let place = Place::new();
    place.change(&[LONG]);
    let mut watch = place.spawn(&["watch", "spec.reft", "--threads", "1"]);
    watch.wait_for("step   1/400");
    place.change(&[("epochs = 2", "epochs = 3")]);
    let left = watch.wait_for("training on 16 rows, 3 epochs");
    assert!(left.contains("saved: spec.reft") && left.contains("left after step "), "{left}");
    watch.wait_for("watching spec.reft");
    place.change(&[LONG]);
    let back = watch.wait_for("watching spec.reft");
    assert!(back.contains("going on after step "), "{back}");
    watch.signal("INT");
    watch.end().expect(130);
    place.change(&[LONG]);
    let names = std::fs::read_dir(place.path("runs/small")).unwrap().map(|entry| entry.unwrap().path());
    let short = names.filter(|path| std::fs::read_to_string(path.join("plan.json")).unwrap().contains("\"epochs\":3,"));
    short.for_each(|path| std::fs::remove_dir_all(path).unwrap());
    crate::interrupts::assert_same_as_undisturbed(&place);
}

#[test]
fn a_queued_save_waits_for_the_run_under_way() {
    let place = Place::new();
    place.change(&[LONG]);
    let mut watch = place.spawn(&["watch", "spec.reft", "--queue", "--threads", "1"]);
    watch.wait_for("step   1/400");
    place.change(&[("lr     = 1e-3", "lr     = 2e-3")]);
    watch.wait_for("the run under way is finished first");
    let first = watch.wait_for("training on 16 rows, 2 epochs");
    assert!(first.contains("trained 400 steps") && first.contains("eval test, tuned"), "{first}");
    watch.wait_for("watching spec.reft");
    watch.signal("INT");
    watch.end().expect(130);
}

#[test]
fn a_broken_save_is_told_at_once_and_again_after_the_run() {
    let place = Place::new();
    place.change(&[LONG]);
    let mut watch = place.spawn(&["watch", "spec.reft", "--threads", "1"]);
    watch.wait_for("step   1/400");
    place.change(&[LONG, ("batch  = 4", "batch  = four")]);
    let told = watch.wait_for("the run under way goes on");
    assert!(told.contains("four"), "{told}");
    let after = watch.wait_for("watching spec.reft");
    assert!(after.contains("trained 400 steps") && after.contains("1 error"), "{after}");
    watch.signal("INT");
    watch.end().expect(130);
}

#[test]
fn polling_serves_where_no_events_come() {
    let place = Place::new();
    let mut watch = place.spawn(&["watch", "spec.reft", "--poll", "0.05", "--threads", "1"]);
    watch.wait_for("watching spec.reft");
    place.change(&[("max_tokens: 2", "max_tokens: 1")]);
    assert!(watch.wait_for("watching spec.reft").contains("eval test, tuned"));
    watch.signal("INT");
    watch.end().expect(130);
}

#[test]
fn a_changed_answer_is_scored_from_kept_outputs_under_watch() {
    let place = Place::new();
    place.write("test.jsonl", &rows(300));
    let mut watch = place.spawn(&["watch", "spec.reft", "--format", "json", "--threads", "1"]);
    watch.wait_for("watching spec.reft");
    place.change(&[("baseline = true", "baseline = true\n    answer = regex(\"[a-z]\")")]);
    watch.wait_for("watching spec.reft");
    watch.signal("INT");
    let done = watch.end().expect(130);
    let lines = done.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let after: Vec<_> = lines.skip_while(|line| line["event"] != "saved").collect();
    let count = |name: &str| after.iter().filter(|line| line["event"] == name).count();
    assert_eq!((count("training_started"), count("eval_row"), count("run_done")), (0, 600, 1));
    assert!(after.iter().filter(|line| line["event"] == "eval_started").all(|line| line["reused"] == true));
}

/// Threads and open files of a process.
#[cfg(target_os = "linux")]
fn held(id: u32) -> (usize, usize) {
    let count = |what: &str| std::fs::read_dir(format!("/proc/{id}/{what}")).unwrap().count();
    (count("task"), count("fd"))
}

#[cfg(target_os = "linux")]
#[test]
fn two_hundred_saves_end_in_one_run_of_the_last_state_and_leak_nothing() {
    let place = Place::new();
    let mut watch = place.spawn(&["watch", "spec.reft", "--threads", "1"]);
    watch.wait_for("watching spec.reft");
    // A second run, for what is made on the first use.
    place.change(&[("lr     = 1e-3", "lr     = 2e-3")]);
    watch.wait_for("watching spec.reft");
    let before = held(watch.id());
    for number in 1..=200 {
        let rate = format!("lr     = 3.{number:03}e-3");
        place.change(&[("lr     = 1e-3", &rate)]);
        // The pace is what is tested: two hundred saves in ten seconds.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let plan = place.reftc(&["plan", "spec.reft", "--json"]).expect(0).json();
    let hash = plan["experiments"][0]["hashes"]["training"].as_str().unwrap()[..8].to_owned();
    let done = format!("run folder: runs/small/{hash}");
    watch.wait_for(&done);
    watch.wait_for("watching spec.reft");
    assert_eq!(held(watch.id()), before);
    let log = place.read(&format!("runs/small/{hash}/log.txt"));
    assert_eq!(log.matches("training finished").count(), 1, "{log}");
    assert!(place.path(&format!("runs/small/{hash}/result.json")).is_file());
    watch.signal("INT");
    let rest = watch.end().expect(130);
    assert!(!rest.stderr.split(&done).nth(1).unwrap().contains("run folder"), "{}", rest.stderr);
}
