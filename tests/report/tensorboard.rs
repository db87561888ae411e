//! Event files, read back by the `tensorboard` package of the Python that `REFTC_TENSORBOARD_PYTHON` names.

use super::support::{Place, RUN};
use super::{finished, json, swept};
use serde_json::Value;
use std::process::Command;

/// Every scalar of a folder by its tag, each as `[step, value, time]`.
const READ: &str = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})
events.Reload()
tags = events.Tags()['scalars']
print(json.dumps({tag: [[e.step, e.value, e.wall_time] for e in events.Scalars(tag)] for tag in tags}))
";

/// `None`, and a word about it, where no such Python is named.
fn scalars(place: &Place, folder: &str) -> Option<Value> {
    let Some(python) = std::env::var_os("REFTC_TENSORBOARD_PYTHON") else {
        eprintln!("skipped: REFTC_TENSORBOARD_PYTHON names no Python with tensorboard");
        return None;
    };
    let output = Command::new(python).args(["-c", READ]).arg(place.path(folder)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The scalars are the lines of `metrics.jsonl`, each step once, and the scores of `result.json`.
fn agrees(place: &Place, run: &str, scalars: &Value) {
    let lines = place.read(&format!("{run}/metrics.jsonl"));
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps: Vec<Value> = lines.filter(|line| line["event"] == "step_done").collect();
    for (tag, field) in [("loss", "loss"), ("learning_rate", "learning_rate"), ("gradient_norm", "gradient_norm")] {
        let events = scalars[format!("train/{tag}")].as_array().unwrap();
        assert_eq!(events.len(), steps.len(), "{tag}");
        for (event, step) in events.iter().zip(&steps) {
            assert_eq!(event[0], step["step"], "{tag}");
            let (found, wanted) = (event[1].as_f64().unwrap(), step[field].as_f64().unwrap());
            assert!((found - wanted).abs() <= wanted.abs() * 1e-6, "{tag}: {found}, not {wanted}");
        }
        let times: Vec<f64> = events.iter().map(|event| event[2].as_f64().unwrap()).collect();
        assert!(times.is_sorted() && times[0] > 1.6e9, "{times:?}");
    }
    assert_eq!(scalars["train/tokens_per_second"].as_array().unwrap().len(), steps.len());
    let eval = &json(place, &format!("{run}/result.json"))["evals"][0];
    let score = |tag: &str| scalars[format!("eval/test/exact_match{tag}")].as_array().unwrap().last().unwrap().clone();
    assert_eq!(score("")[0], steps.len());
    assert!((score("")[1].as_f64().unwrap() - eval["tuned"].as_f64().unwrap()).abs() < 1e-6);
    assert!((score("/untouched")[1].as_f64().unwrap() - eval["baseline"].as_f64().unwrap()).abs() < 1e-6);
}

#[test]
fn files_of_a_finished_run_are_read_by_tensorboard() {
    let (place, folder) = finished();
    let shown = place.reftc(&["report", "small", "--tensorboard", "board"]).expect(0);
    assert!(shown.stdout.trim().starts_with("board/events.out.tfevents."), "{}", shown.stdout);
    place.reftc(&["report", "small", "--tensorboard", "board"]).expect(0);
    assert_eq!(place.files("board").len(), 1, "written again, not beside");
    if let Some(scalars) = scalars(&place, "board") {
        agrees(&place, &folder, &scalars);
    }
}

#[test]
fn a_run_writes_them_while_it_trains() {
    let place = Place::new();
    place.change(&[("    baseline = true", "    baseline = true\n    when = steps(3)")]);
    place.run(&["--tensorboard"]);
    let folder = place.run_folder("runs", "small");
    let Some(scalars) = scalars(&place, &format!("{folder}/tensorboard")) else { return };
    agrees(&place, &folder, &scalars);
    let scores = scalars["eval/test/exact_match"].as_array().unwrap();
    let steps: Vec<u64> = scores.iter().map(|event| event[0].as_u64().unwrap()).collect();
    assert_eq!(steps, [3, 6, 8]);
}

#[cfg(unix)]
#[test]
fn a_resumed_training_shows_no_step_twice() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 40")]);
    let mut running = place.spawn(&[&RUN[..], &["--tensorboard"]].concat());
    running.wait_for("step");
    running.signal("INT");
    running.end().expect(130);
    let folder = place.run_folder("runs", "small");
    assert_eq!(place.files(&format!("{folder}/tensorboard")).len(), 1);
    place.run(&["--tensorboard"]);
    assert_eq!(place.files(&format!("{folder}/tensorboard")).len(), 1);
    if let Some(scalars) = scalars(&place, &format!("{folder}/tensorboard")) {
        agrees(&place, &folder, &scalars);
    }
}

#[test]
fn a_finished_run_gets_them_later_and_each_point_its_own() {
    let (place, folder) = finished();
    place.run(&["--tensorboard"]);
    if let Some(scalars) = scalars(&place, &format!("{folder}/tensorboard")) {
        agrees(&place, &folder, &scalars);
    }
    let place = swept();
    place.reftc(&["report", "small", "--tensorboard", "board"]).expect(0);
    assert_eq!(place.files("board").len(), 4);
}
