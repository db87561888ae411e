//! `--format json`: a line for everything that happens.

use crate::support::{Done, Place, RUN};
use serde_json::Value;

fn lines(done: &Done) -> Vec<Value> {
    done.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn names(lines: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    names.dedup();
    names
}

#[test]
fn every_stage_step_row_and_file_is_a_line() {
    let place = Place::new();
    let done = place.run(&["--format", "json"]);
    let lines = lines(&done);
    assert!(lines.iter().all(|line| line["version"] == 1 && line["experiment"] == "small"));
    let expected = "run_started stage training_started step_done epoch_done step_done epoch_done training_done artefact \
                    eval_started eval_row eval_done eval_started eval_row eval_done artefact run_done";
    assert_eq!(names(&lines).join(" "), expected);
    let of = |name: &str| lines.iter().filter(|line| line["event"] == name).collect::<Vec<_>>();
    assert_eq!((of("step_done").len(), of("eval_row").len()), (8, 12));
    let paths: Vec<&str> = of("artefact").iter().map(|line| line["path"].as_str().unwrap()).collect();
    for name in ["checkpoints/last.safetensors", "intervention", "eval/test.jsonl", "result.json", "report.html"] {
        let path = paths.iter().find(|path| path.ends_with(name)).unwrap_or_else(|| panic!("{name}: {paths:?}"));
        assert!(place.path(path).exists(), "{path}");
    }
    let written: Value =
        serde_json::from_str(&place.read(&format!("{}/result.json", place.run_folder("runs", "small")))).unwrap();
    assert_eq!(of("run_done")[0]["result"], written);
    assert_eq!(of("stage")[0]["state"], "runs");

    let again = place.run(&["--format", "json"]);
    let again = self::lines(&again);
    assert_eq!(names(&again).join(" "), "run_started stage run_done");
    assert!(again.iter().filter(|line| line["event"] == "stage").all(|line| line["state"] == "finished"));
    assert_eq!(again.last().unwrap()["up_to_date"], true);
}

#[test]
fn failures_and_points_are_told() {
    let place = Place::new();
    let done = place.run(&["--format", "json", "--set", "train.lr=1e-3,2e-3"]);
    let points: Vec<Value> = lines(&done)
        .iter()
        .filter(|line| line["event"] == "run_done")
        .map(|line| line["point"][0]["value"].clone())
        .collect();
    assert_eq!(points, ["1e-3", "2e-3"]);
    std::fs::write(place.path("blocked"), "").unwrap();
    let done = place.reftc(&[&RUN[..], &["--format", "json", "--runs", "blocked"]].concat()).expect(3);
    let failed = lines(&done).pop().unwrap();
    assert_eq!((failed["event"].as_str(), failed["code"].as_str()), (Some("run_failed"), Some("E0501")));
    place.reftc(&[&RUN[..], &["--format", "json", "--json"]].concat()).expect(2);
}
