//! What the quickstart promises: an untouched model near chance, a tuned one that is right, and nothing learnt from
//! shuffled labels.

#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Runs a spec with the real binary and gives what `--json` prints: one object for each experiment.
fn run(spec: &Path, folder: &Path) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_reftc"))
        .arg("run")
        .arg(spec)
        .args(["--json", "--device", "cpu", "--runs"])
        .arg(folder.join("runs"))
        .env("REFTC_CACHE", folder.join("cache"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The scores of the untouched and of the tuned model in an experiment's only evaluation.
fn scores(report: &Value) -> (Option<f64>, f64) {
    let eval = &report["result"]["evals"][0];
    (eval["baseline"].as_f64(), eval["tuned"].as_f64().unwrap())
}

fn example() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart")
}

#[test]
fn the_untouched_model_is_near_chance_and_the_tuned_one_is_right() {
    let folder = tempfile::tempdir().unwrap();
    // A copy, for a run writes the lock of its spec.
    std::fs::create_dir(folder.path().join("data")).unwrap();
    for file in ["quickstart.reft", "data/train.jsonl", "data/test.jsonl"] {
        std::fs::copy(example().join(file), folder.path().join(file)).unwrap();
    }
    let reports = run(&folder.path().join("quickstart.reft"), folder.path());
    let (baseline, tuned) = scores(&reports[0]);
    let baseline = baseline.unwrap();
    assert!((0.4..=0.6).contains(&baseline), "baseline {baseline}");
    assert!(tuned > 0.9, "tuned {tuned}");
    let majority = reports[0]["result"]["evals"][0]["majority"].as_f64().unwrap();
    assert!((majority - 0.5).abs() < 1e-9, "the classes are balanced, the larger one has {majority}");
}

/// Half of the rows of each class get the other label, so labels say nothing at all about reviews. One training may
/// still lean to either side, so five are averaged.
#[test]
fn shuffled_labels_teach_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::copy(example().join("data/test.jsonl"), data.join("test.jsonl")).unwrap();
    let text = std::fs::read_to_string(example().join("data/train.jsonl")).unwrap();
    let mut seen = [0, 0];
    let shuffled: String = text
        .lines()
        .map(|line| {
            let mut row: Value = serde_json::from_str(line).unwrap();
            let class = usize::from(row["label"] == "yes");
            seen[class] += 1;
            row["label"] = if seen[class] % 2 == 0 { "yes" } else { "no" }.into();
            format!("{row}\n")
        })
        .collect();
    std::fs::write(data.join("train.jsonl"), shuffled).unwrap();

    let spec = std::fs::read_to_string(example().join("quickstart.reft")).unwrap();
    let (head, experiment) = spec.split_at(spec.find("/// Rank 4").unwrap());
    let seeds = [42, 43, 44, 45, 46].map(|seed| {
        let named = experiment.replace("experiment quickstart", &format!("experiment seed_{seed}"));
        named.replace("seed  = 42", &format!("seed  = {seed}")).replace("baseline = true", "baseline = false")
    });
    let path = folder.path().join("shuffled.reft");
    std::fs::write(&path, format!("{head}{}", seeds.join("\n"))).unwrap();
    let tuned: Vec<f64> = run(&path, folder.path()).iter().map(|report| scores(report).1).collect();
    let mean = tuned.iter().sum::<f64>() / tuned.len() as f64;
    assert!((0.35..=0.65).contains(&mean), "mean {mean} of {tuned:?}");
}
