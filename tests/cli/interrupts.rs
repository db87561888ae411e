//! Ctrl-C and worse: nothing is half-written, and going on gives the bits of an undisturbed run.

use crate::support::{Place, RUN, Running, rows};
use serde_json::Value;

/// The bits of the trained intervention.
pub fn parameters(place: &Place, runs: &str) -> Vec<u8> {
    let folder = place.run_folder(runs, "small");
    std::fs::read(place.path(&folder).join("intervention/intervention.safetensors")).unwrap()
}

/// `metrics.jsonl` without times, and without what the cache held.
pub fn metrics(place: &Place, runs: &str) -> Vec<Value> {
    let text = place.read(&format!("{}/metrics.jsonl", place.run_folder(runs, "small")));
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("seconds");
        line.as_object_mut().unwrap().remove("reused_rows");
        if let Some(score) = line.get_mut("score") {
            score.as_object_mut().unwrap().remove("seconds");
        }
    }
    lines
}

/// Goes on with the disturbed run in `runs`, and holds it against one that nothing disturbed.
pub fn assert_same_as_undisturbed(place: &Place) {
    place.run(&["--runs", "undisturbed"]);
    assert_eq!(parameters(place, "runs"), parameters(place, "undisturbed"));
    assert_eq!(metrics(place, "runs"), metrics(place, "undisturbed"));
    let result = |runs: &str| -> Value {
        serde_json::from_str(&place.read(&format!("{}/result.json", place.run_folder(runs, "small")))).unwrap()
    };
    let (ours, theirs) = (result("runs"), result("undisturbed"));
    assert_eq!(ours["training"]["final_loss"], theirs["training"]["final_loss"]);
    assert_eq!(ours["evals"][0]["tuned"], theirs["evals"][0]["tuned"]);
    let rows = |runs: &str| place.read(&format!("{}/eval/test.jsonl", place.run_folder(runs, "small")));
    assert_eq!(rows("runs"), rows("undisturbed"));
}

#[test]
fn an_interrupted_training_goes_on_with_the_same_bits() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 15")]);
    let mut run = place.spawn(&RUN);
    run.wait_for("step  1/60");
    run.signal("INT");
    let done = run.end().expect(130).says(&["Ctrl-C again ends at once", "interrupted after step ", " of 60"]);
    assert!(done.stderr.contains("`reftc run spec.reft` goes on"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
    let folder = place.run_folder("runs", "small");
    let left = ".lock checkpoints/last.safetensors env.json lock.json log.txt metrics.jsonl plan.json report.html spec.reft stages.json";
    assert_eq!(place.files(&folder).join(" "), left);
    assert!(place.read(&format!("{folder}/log.txt")).ends_with("Z interrupted\n"));

    // Once more, by another signal.
    let mut run = place.spawn(&RUN);
    run.wait_for("going on after step ");
    run.wait_for("  step ");
    run.signal("TERM");
    run.end().expect(130);
    place.run(&[]).says(&["going on after step "]);
    let files = place.files(&folder);
    // What a longer training would go on from.
    let checkpoints: Vec<_> = files.iter().filter(|name| name.contains("checkpoint")).collect();
    assert_eq!(checkpoints, ["checkpoints/last.safetensors"]);
    assert_same_as_undisturbed(&place);
}

/// 160 steps, with two measurements after the checkpoint of step 100.
const LONG: &[(&str, &str)] = &[
    ("epochs = 2", "epochs = 10"),
    ("batch  = 4", "batch  = 1"),
    (
        "  eval test {",
        "  eval first {\n    on = reviews.test\n    when = steps(50)\n    decode = greedy(max_tokens: 2)\n  }\n\n  \
         eval second {\n    on = reviews.test\n    when = steps(50)\n    batch = 1\n    decode = greedy(max_tokens: 4)\n  }\n\n  \
         eval test {",
    ),
];

#[test]
fn a_killed_training_goes_on_from_its_last_checkpoint_with_the_same_bits() {
    let place = Place::new();
    place.change(LONG);
    let mut run = place.spawn(&RUN);
    // After steps 50 and 100; the second measurement of step 100 is under way when the kill comes.
    run.wait_for("eval first, after step 50 of 160: ");
    run.wait_for("eval first, after step 100 of 160: ");
    run.signal("KILL");
    assert_eq!(run.end().code, None);
    let folder = place.run_folder("runs", "small");
    let files = place.files(&folder);
    assert!(files.contains(&"checkpoints/last.safetensors".to_owned()), "{files:?}");
    assert!(!files.contains(&"result.json".to_owned()) && !files.iter().any(|name| name.starts_with("intervention")));
    place.reftc(&["generate", "small", "x"]).expect(3).says(&["the training of", "is not finished"]);

    place.run(&[]).says(&["going on after step 100"]);
    assert_same_as_undisturbed(&place);
}

#[test]
fn a_training_killed_before_its_first_checkpoint_begins_anew() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 15")]);
    let mut run = place.spawn(&RUN);
    run.wait_for("step  1/60");
    run.signal("KILL");
    run.end();
    assert!(!place.run(&[]).stderr.contains("going on"));
    assert_same_as_undisturbed(&place);
}

#[test]
fn an_interrupted_evaluation_keeps_the_training() {
    let place = Place::new();
    place.change(&[("greedy(max_tokens: 2)", "greedy(max_tokens: 8)\n    batch = 1")]);
    place.write("test.jsonl", &rows(60));
    let mut run = place.spawn(&RUN);
    run.wait_for("eval test, untouched model: ");
    run.signal("INT");
    run.end().expect(130).says(&["interrupted in eval test", "`reftc run spec.reft` goes on"]);
    let files = place.files(&place.run_folder("runs", "small"));
    assert!(files.contains(&"intervention/intervention.safetensors".to_owned()), "{files:?}");
    assert!(!files.iter().any(|name| name.starts_with("eval/") || name == "result.json"), "{files:?}");

    let again = place.run(&[]);
    assert!(!again.stderr.contains("training on") && again.stderr.contains("eval test, tuned"), "{}", again.stderr);
    assert_same_as_undisturbed(&place);

    let folder = place.run_folder("runs", "small");
    let mut eval = place.spawn(&["eval", "small", "--threads", "1"]);
    eval.wait_for("eval test, untouched model: ");
    eval.signal("INT");
    eval.end().expect(130);
    assert!(place.path(&folder).join("result.json").is_file(), "an older result stays");
    assert_same_as_undisturbed(&place);
}

#[test]
fn how_to_go_on_repeats_what_was_asked_for() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 15")]);
    let arguments = ["--runs", "my runs", "--experiment", "small", "--force"];
    let mut run: Running = place.spawn(&[&RUN[..], &arguments].concat());
    run.wait_for("step  1/60");
    run.signal("INT");
    run.end().expect(130).says(&["`reftc run spec.reft --experiment small --runs 'my runs'` goes on"]);
}
