//! What is not done again: outputs are scored anew, longer trainings go on where shorter ones ended, and the plan says so beforehand.

use crate::interrupts::metrics;
use crate::support::{Place, RUN, rows};
use serde_json::Value;

/// A schedule whose rates do not depend on the number of steps.
const CONSTANT: (&str, &str) = ("lr     = 1e-3", "lr     = 1e-3\n    schedule = constant");

/// The run folders of `small`, by their digits.
fn folders(place: &Place, runs: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.path(runs).join("small")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The stages that `reftc plan --json` tells of, by name.
fn stages(place: &Place, arguments: &[&str]) -> Vec<(String, Value)> {
    let report = place.reftc(&[&["plan", "spec.reft", "--json"], arguments].concat()).expect(0).json();
    let stages = report["stages"][0]["stages"].as_array().unwrap().clone();
    stages.into_iter().map(|stage| (stage["name"].as_str().unwrap().to_owned(), stage)).collect()
}

fn state(stages: &[(String, Value)], name: &str) -> String {
    let (_, stage) = stages.iter().find(|(own, _)| own == name).unwrap();
    stage["state"].as_str().unwrap().to_owned()
}

fn reasons(stages: &[(String, Value)], name: &str) -> String {
    let (_, stage) = stages.iter().find(|(own, _)| own == name).unwrap();
    let reasons = stage["reasons"].as_array().unwrap().iter();
    reasons.map(|reason| reason.as_str().unwrap()).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_longer_training_goes_on_where_a_shorter_one_ended_with_the_bits_of_one_from_the_start() {
    let place = Place::new();
    place.change(&[CONSTANT]);
    place.run(&[]);
    let long = [CONSTANT, ("epochs = 2", "epochs = 5")];
    place.change(&long);
    let before = stages(&place, &[]);
    assert_eq!(state(&before, "training"), "continues");
    assert!(reasons(&before, "training").contains("its first 8 steps are those of small/"), "{before:?}");
    place.run(&[]).says(&["going on after step 8"]);
    place.run(&["--runs", "undisturbed"]);
    let [name] = folders(&place, "undisturbed").try_into().unwrap();
    let read = |runs: &str, file: &str| std::fs::read(place.path(&format!("{runs}/small/{name}/{file}"))).unwrap();
    for file in
        ["intervention/intervention.safetensors", "result.json", "eval/test.jsonl", "checkpoints/last.safetensors"]
    {
        assert!(read("runs", file) == read("undisturbed", file), "{file}");
    }
    // The metrics too, but for times and what the cache held.
    std::fs::rename(place.path(&format!("runs/small/{name}")), place.path("alone")).unwrap();
    std::fs::remove_dir_all(place.path("runs/small")).unwrap();
    std::fs::create_dir_all(place.path("runs/small")).unwrap();
    std::fs::rename(place.path("alone"), place.path(&format!("runs/small/{name}"))).unwrap();
    assert_eq!(metrics(&place, "runs"), metrics(&place, "undisturbed"));
}

#[test]
fn where_rates_depend_on_the_number_of_steps_a_longer_training_begins_anew_and_says_why() {
    let place = Place::new();
    place.run(&[]);
    place.change(&[("epochs = 2", "epochs = 3")]);
    let plan = stages(&place, &[]);
    assert_eq!(state(&plan, "training"), "runs");
    let why = reasons(&plan, "training");
    assert!(why.contains("changed: train.epochs 2 → 3 at spec.reft:25"), "{why}");
    assert!(why.contains("with `schedule = linear` the rate of every step depends on the number of steps"), "{why}");
    let done = place.run(&[]);
    assert!(!done.stderr.contains("going on"), "{}", done.stderr);
    done.says(&["training: changed: train.epochs 2 → 3", "`schedule = linear`"]);
}

#[test]
fn what_is_measured_along_the_way_is_measured_where_the_shorter_training_ended() {
    let place = Place::new();
    let along = ("decode   = greedy(max_tokens: 2)", "decode   = greedy(max_tokens: 2)\n    when = epoch");
    place.change(&[CONSTANT, along]);
    place.run(&[]);
    place.change(&[CONSTANT, along, ("epochs = 2", "epochs = 4")]);
    place.run(&[]).says(&["going on after step 8", "eval test, after step 8: "]);
}

#[test]
fn a_changed_answer_is_read_from_the_outputs_that_are_there() {
    let place = Place::new();
    place.run(&[]);
    let answer = [("baseline = true", "baseline = true\n    answer = regex(\"[a-z]\")")];
    place.change(&answer);
    let plan = stages(&place, &[]);
    assert_eq!((state(&plan, "training").as_str(), state(&plan, "eval test").as_str()), ("finished", "rescores"));
    assert!(reasons(&plan, "eval test").contains("eval.test.answer text → regex(\"[a-z]\")"), "{plan:?}");
    let done = place.run(&[]).says(&["from the outputs that were there"]);
    assert_eq!(done.stderr.matches("from the outputs").count(), 2, "{}", done.stderr);
    let rows = |runs: &str| place.read(&format!("{}/eval/test.jsonl", place.run_folder(runs, "small")));
    let rescored = rows("runs");
    place.run(&["--runs", "fresh"]);
    assert_eq!(rescored, rows("fresh"));

    // More tokens are other outputs, and so are those of other rows.
    place.change(&[("max_tokens: 2", "max_tokens: 3")]);
    assert!(!place.run(&[]).stderr.contains("from the outputs"));
    place.write("test.jsonl", &rows_of_another_test());
    let plan = stages(&place, &[]);
    assert_eq!(state(&plan, "eval test"), "runs");
    assert!(reasons(&plan, "eval test").contains("the content of data.test"), "{plan:?}");
    assert!(!place.run(&[]).stderr.contains("from the outputs"));
}

fn rows_of_another_test() -> String {
    rows(7).replace("room", "hall")
}

#[test]
fn the_untouched_model_is_asked_once_for_all_trainings() {
    let place = Place::new();
    place.run(&[]);
    place.change(&[("lr     = 1e-3", "lr     = 2e-3")]);
    let done = place.run(&[]);
    assert_eq!(done.stderr.matches("from the outputs that were there").count(), 1, "{}", done.stderr);
    done.says(&["training: changed: train.lr 1e-3 → 2e-3 at spec.reft:27"]);
}

#[test]
fn an_added_eval_runs_alone() {
    let place = Place::new();
    place.run(&[]);
    place.change(&[(
        "  eval test {",
        "  eval more {\n    on = reviews.train\n    decode = greedy(max_tokens: 1)\n  }\n\n  eval test {",
    )]);
    let plan = stages(&place, &[]);
    let states = ["training", "eval more", "eval test"].map(|name| state(&plan, name));
    assert_eq!(states, ["finished", "runs", "finished"]);
    let text = place.reftc(&["plan", "spec.reft"]).expect(0).stdout;
    assert!(text.contains("2 of 3 stages fresh in runs") && text.contains(" will run  it has never run"), "{text}");
    let done = place.run(&[]);
    assert!(!done.stderr.contains("eval test") && !done.stderr.contains("training on"), "{}", done.stderr);
}

#[test]
fn a_changed_training_row_changes_the_training() {
    let place = Place::new();
    place.run(&[]);
    place.write("train.jsonl", &rows(16).replace("number 3 ", "number three "));
    let plan = stages(&place, &[]);
    assert_eq!(state(&plan, "training"), "runs");
    assert!(reasons(&plan, "training").contains("changed: the content of data.train"), "{plan:?}");
}

#[test]
fn an_interrupted_run_is_resumed_by_name() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 15")]);
    let mut run = place.spawn(&RUN);
    run.wait_for("step  1/60");
    run.signal("INT");
    run.end().expect(130);
    let plan = stages(&place, &[]);
    assert_eq!(state(&plan, "training"), "resumes");
    // From another folder, without the spec.
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    std::fs::rename(place.path("spec.reft"), place.path("moved.reft")).unwrap();
    let runs = place.path("runs").display().to_string();
    let mut command = place.command(&["resume", "small", "--runs", &runs, "--threads", "1"]);
    let done = crate::support::Done::of(command.current_dir(place.path("elsewhere"))).expect(0);
    assert!(done.stdout.contains(" test  exact_match"), "{}", done.stdout);
    done.says(&["going on after step "]);
    std::fs::rename(place.path("moved.reft"), place.path("spec.reft")).unwrap();
    crate::interrupts::assert_same_as_undisturbed(&place);
    place.reftc(&["resume", "small"]).expect(0).says(&["every stage was finished before"]);
    place.reftc(&["resume", "smal"]).expect(3).says(&["E0504", "there is no run `smal`", "small"]);
}

#[test]
fn two_clones_give_equal_results() {
    let (one, other) = (Place::new(), Place::new());
    let result = |place: &Place| {
        place.run(&[]);
        std::fs::read(place.path(&place.run_folder("runs", "small")).join("result.json")).unwrap()
    };
    assert!(result(&one) == result(&other));
    let timings = one.read(&format!("{}/timings.json", one.run_folder("runs", "small")));
    let timings: Value = serde_json::from_str(&timings).unwrap();
    assert!(
        timings["training"]["seconds"].as_f64().unwrap() > 0.0 && timings["evals"]["test"].is_number(),
        "{timings}"
    );
}

#[test]
fn a_run_folder_of_another_version_is_left_alone() {
    let place = Place::new();
    place.run(&[]);
    let path = format!("{}/result.json", place.run_folder("runs", "small"));
    let result = place.read(&path);
    for (format, words) in
        [("0", ["an older reftc", "move the folder away"]), ("99", ["a newer reftc", "update reftc"])]
    {
        let other = result.replace("\"format\": 1", &format!("\"format\": {format}"));
        assert_ne!(result, other);
        place.write(&path, &other);
        place.reftc(&RUN).expect(3).says(&["E0509", words[0], words[1]]);
        assert_eq!(place.read(&path), other);
    }
}
