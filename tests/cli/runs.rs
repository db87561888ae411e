//! What a run leaves, what is not done twice, and what makes a run another one.

use crate::support::{Place, RUN, SPEC, rows};
use reftc::data::encode::EncodedRow;
use reftc::data::row_bytes;
use reftc::digest;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn a_run_folder_holds_all_that_was_done() {
    let place = Place::new();
    place.run(&[]);
    let folder = place.run_folder("runs", "small");
    let read = |name: &str| place.read(&format!("{folder}/{name}"));
    let json = |name: &str| -> Value { serde_json::from_str(&read(name)).unwrap() };
    let expected = ".lock checkpoints/last.safetensors env.json eval/test.jsonl intervention/intervention.safetensors intervention/reft_config.json \
                    lock.json log.txt metrics.jsonl plan.json report.html result.json spec.reft timings.json";
    assert_eq!(place.files(&folder).join(" "), expected);

    assert_eq!(read("spec.reft"), SPEC);
    let plan = json("plan.json");
    assert_eq!((&plan["train"]["steps"], &plan["train"]["batch"]), (&Value::from(8), &Value::from(4)));
    assert!(plan["hashes"]["training"].as_str().unwrap().starts_with(folder.rsplit('/').next().unwrap()));
    let environment = json("env.json");
    assert_eq!((&environment["reftc"], &environment["threads"]), (&env!("CARGO_PKG_VERSION").into(), &1.into()));
    assert_eq!(json("intervention/reft_config.json")["interventions"][0]["kind"], "loreft");

    let metrics: Vec<Value> = read("metrics.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<&Value> = metrics.iter().filter(|line| line["event"] == "step_done").collect();
    assert_eq!(steps.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), Vec::from_iter(1..=8));
    assert!(steps.iter().all(|line| line["loss"].as_f64().unwrap() > 0.0 && line["learning_rate"].is_f64()));
    assert_eq!(metrics.iter().filter(|line| line["event"] == "epoch_done").count(), 2);

    let rows: Vec<Value> = read("eval/test.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |subject: &str| rows.iter().filter(|row| row["subject"] == subject).collect::<Vec<_>>();
    assert_eq!((rows.len(), of("baseline").len(), of("tuned").len()), (12, 6, 6));
    for (number, row) in of("tuned").into_iter().enumerate() {
        assert_eq!(row["row"], number);
        let adjective = ["bright", "dull", "quiet", "grim", "sunny"][number % 5];
        assert_eq!(row["prompt"], format!("Review: The {adjective} room number {number} was fine.\nAnswer:"));
        assert!(row["output"].is_string() && row.get("answer").is_some(), "{row}");
        assert_eq!(row["gold"], if number % 2 == 0 { "yes" } else { "no" });
        assert_eq!(row["correct"], row["answer"] == row["gold"]);
    }
    let result = json("result.json");
    let right = of("tuned").iter().filter(|row| row["correct"] == true).count();
    assert_eq!(result["evals"][0]["tuned"], right as f64 / 6.0);
    assert_eq!((&result["training"]["steps"], &result["evals"][0]["majority"]), (&8.into(), &0.5.into()));

    let log = read("log.txt");
    let lines: Vec<&str> = log.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
    assert_eq!(lines.len(), 6, "{log}");
    let begins =
        ["reftc ", "training: 16 rows, 2 epochs, 8 steps", "training finished: 8 steps", "eval test, untouched"];
    assert!(lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{log}");
    assert_eq!(lines[5], "finished");
}

/// The content of every file of a folder.
fn contents(place: &Place, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| (name.clone(), std::fs::read(place.path(folder).join(name)).unwrap());
    place.files(folder).into_iter().filter(|name| !name.ends_with(".lock")).map(read).collect()
}

#[test]
fn what_is_finished_is_not_done_again() {
    let place = Place::new();
    let first = place.run(&[]);
    let folder = place.run_folder("runs", "small");
    let before = contents(&place, &folder);
    let second = place.run(&[]).says(&["up to date"]);
    assert_eq!(second.stdout, first.stdout, "the table is shown again");
    assert!(!second.stderr.contains("training on") && !second.stderr.contains("eval test"), "{}", second.stderr);
    let json = place.run(&["--json"]).says(&["up to date"]);
    assert_eq!(json.json()[0]["folder"], folder.as_str());
    assert_eq!(contents(&place, &folder), before);

    let forced = place.run(&["--force"]).says(&["training on 16 rows, 2 epochs, 8 steps", "eval test, tuned"]);
    assert_eq!(forced.stdout, first.stdout);
    let name = "intervention/intervention.safetensors";
    assert_eq!(contents(&place, &folder)[name], before[name], "the same bits");
}

#[test]
fn only_what_changed_is_done() {
    let place = Place::new();
    place.run(&[]);
    place.change(&[("max_tokens: 2", "max_tokens: 3")]);
    let run = place.run(&[]).says(&["eval test, untouched model", "eval test, tuned"]);
    assert!(!run.stderr.contains("training on"), "{}", run.stderr);
    // The saved parameters are found whatever the block is called now.
    place.change(&[("max_tokens: 2", "max_tokens: 4"), ("intervene edit", "intervene change")]);
    assert!(!place.run(&[]).says(&["eval test, tuned"]).stderr.contains("training on"));
    place.reftc(&["generate", "small", "x"]).expect(0);
    let more = "\n  eval more {\n    on = reviews.test\n    metric = perplexity\n  }\n}\n";
    place.write("spec.reft", &format!("{}{more}", SPEC.trim_end().strip_suffix('}').unwrap()));
    place.run(&[]);
    let run = place.run(&[]);
    assert!(run.stderr.contains("up to date") && run.stdout.contains(" more  perplexity"), "{}", run.stdout);
    place.change(&[("lr     = 1e-3", "lr     = 2e-3")]);
    place.run(&[]).says(&["training on"]);
    assert_eq!(place.files("runs").iter().filter(|name| name.ends_with("result.json")).count(), 2);
}

#[test]
fn choices_are_scored_by_likelihood_and_all_scores_are_kept() {
    let place = Place::new();
    let rank = "  eval rank { on = reviews.test, choices = [\" yes\", \" no\"], baseline = true }\n}\n";
    place.write("spec.reft", &format!("{}{rank}", SPEC.trim_end().strip_suffix('}').unwrap()));
    let run = place.run(&[]).says(&["eval rank, untouched model", "eval rank, tuned"]);
    assert!(run.stdout.contains(" rank  accuracy"), "{}", run.stdout);
    let file = format!("{}/eval/rank.jsonl", place.run_folder("runs", "small"));
    let lines: Vec<Value> = place.read(&file).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2 * 6);
    for line in &lines {
        let scores = line["scores"].as_array().unwrap();
        assert_eq!((&scores[0]["choice"], &scores[1]["choice"]), (&" yes".into(), &" no".into()));
        let [yes, no] = [&scores[0]["score"], &scores[1]["score"]].map(|score| score.as_f64().unwrap());
        assert!(yes < 0.0 && no < 0.0);
        let answer = if yes >= no { "yes" } else { "no" };
        assert_eq!((line["output"].as_str(), line["answer"].as_str()), (Some(&*format!(" {answer}")), Some(answer)));
        assert_eq!(line["correct"], line["gold"] == answer);
    }
    let again = place.reftc(&["eval", "small"]).expect(0);
    assert!(again.stdout.contains(" rank  accuracy"), "{}", again.stdout);
    let text = place.reftc(&["describe", "eval.choices"]).expect(0).stdout;
    assert!(text.starts_with("eval.choices: list<template> (optional)\n"), "{text}");
}

/// The hashes of each experiment, by name; those of evals in written order.
fn hashes(place: &Place) -> BTreeMap<String, (String, String, Vec<String>)> {
    let plan = place.reftc(&["plan", "spec.reft", "--json"]).expect(0).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |experiment: &Value| {
        let hashes = &experiment["hashes"];
        let evals = hashes["evals"].as_object().unwrap().values().map(text).collect();
        (text(&experiment["name"]), (text(&hashes["tokens"]), text(&hashes["training"]), evals))
    };
    plan["experiments"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn names_comments_layout_and_order_change_no_hash() {
    let place = Place::new();
    let expected = hashes(&place)["small"].clone();
    for changes in [
        &[("let hidden_rank = 2", "// A comment.\nlet hidden_rank = 2 // another")][..],
        &[("\n  model = tiny\n  data  = reviews\n", "\n\n  model   =   tiny, data = reviews\n")],
        &[("hidden_rank", "r")],
        &[("rank      = hidden_rank", "rank      = 2"), ("let hidden_rank = 2\n", "")],
        &[("tiny", "other"), ("embedded(\"other\")", "embedded(\"tiny\")")],
        &[("reviews", "texts")],
        &[("intervene edit", "intervene change")],
        &[("eval test", "eval dev")],
        &[("/// A small one.", "/// Described anew.")],
        &[("lr     = 1e-3", "lr     = 0.001")],
        &[("baseline = true", "baseline = true\n    batch = 3")],
    ] {
        place.change(changes);
        assert_eq!(hashes(&place)["small"], expected, "{changes:?}");
    }
    let (shared, experiment) = SPEC.split_once("/// A small one.\n").unwrap();
    let other = experiment.replace("small", "other").replace("1e-3", "5e-3");
    place.write("spec.reft", &format!("{shared}{experiment}{other}"));
    let both = hashes(&place);
    assert_eq!(both["small"], expected);
    place.write("spec.reft", &format!("{shared}{other}{experiment}"));
    assert_eq!(hashes(&place), both);
    place.change(&[("small", "renamed")]);
    assert_eq!(hashes(&place)["renamed"], expected);
}

#[test]
fn every_stage_hash_follows_what_decides_the_stage() {
    let place = Place::new();
    let (tokens, training, evals) = hashes(&place)["small"].clone();
    let changed = || {
        let (new_tokens, new_training, new_evals) = hashes(&place)["small"].clone();
        (new_tokens != tokens, new_training != training, new_evals != evals)
    };
    for (changes, expected) in [
        (("lr     = 1e-3", "lr     = 2e-3"), (false, true, true)),
        (("data  = reviews\n", "data  = reviews\n  seed = 7\n"), (false, true, true)),
        (("hidden_rank = 2", "hidden_rank = 3"), (false, true, true)),
        (("Answer:", "Verdict:"), (true, true, true)),
        (("max_tokens: 2", "max_tokens: 3"), (false, false, true)),
        (("baseline = true", "baseline = false"), (false, false, true)),
    ] {
        place.change(&[changes]);
        assert_eq!(changed(), expected, "{changes:?}");
    }
    place.write("spec.reft", SPEC);
    place.write("test.jsonl", &rows(7));
    assert_eq!(changed(), (false, false, true));
    place.write("train.jsonl", &rows(15));
    assert_eq!(changed(), (true, true, true));
}

#[test]
fn a_second_process_is_refused_while_the_first_works() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 30")]);
    let mut first = place.spawn(&RUN);
    first.wait_for("step   1/120");
    let second = place.reftc(&RUN).expect(3).says(&["E0502", "help: wait until it has ended"]);
    assert!(second.stderr.contains(&format!("process {} is working on the run", first.id())), "{}", second.stderr);
    first.end().expect(0);
    place.run(&[]).says(&["up to date"]);
}

#[test]
fn one_of_several_experiments_can_be_run() {
    let place = Place::new();
    let (shared, experiment) = SPEC.split_once("/// A small one.\n").unwrap();
    let other = experiment.replace("small", "other").replace("1e-3", "5e-3");
    place.write("spec.reft", &format!("{shared}{experiment}{other}"));
    place.run(&["--experiment", "other", "--runs", "elsewhere/runs"]);
    assert!(place.files("runs").is_empty() && place.path("elsewhere/runs/other").is_dir());
    assert!(!place.path("elsewhere/runs/small").exists());
    let both = place.run(&["--json", "--runs", "elsewhere/runs"]).json();
    assert_eq!((&both[0]["experiment"], &both[1]["experiment"]), (&"small".into(), &"other".into()));
}

/// The rows that the cache holds, each file's with its name in order.
fn kept_rows(place: &Place) -> Vec<(String, Vec<EncodedRow>)> {
    let read = |name: String| {
        let entry = std::fs::read(place.path(".cache/rows").join(&name)).unwrap();
        let start = entry.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        (name, row_bytes::read(&entry[start..]).unwrap())
    };
    place.files(".cache/rows").into_iter().map(read).collect()
}

/// Replaces the rows of an entry of the cache.
fn plant(place: &Place, name: &str, rows: &[EncodedRow]) {
    let bytes = row_bytes::write(rows);
    let entry = [digest::of(&bytes).as_bytes(), b"\n", &bytes].concat();
    std::fs::write(place.path(".cache/rows").join(name), entry).unwrap();
}

/// What a check has tokenised a run takes as it is, as rows that no tokeniser gave show; a damaged entry is made anew.
#[test]
fn a_run_tokenises_nothing_that_was_tokenised() {
    let place = Place::new();
    place.reftc(&["check", "spec.reft"]).expect(0);
    let kept = kept_rows(&place);
    assert_eq!(kept.iter().map(|(_, rows)| rows.len()).sum::<usize>(), 16 + 6);
    for (name, rows) in &kept {
        let mut marked = rows.clone();
        marked.iter_mut().for_each(|row| row.prompt = format!("from the cache {}", row.row));
        plant(&place, name, &marked);
    }
    let prompts = |runs: &str| {
        place.run(&["--runs", runs]);
        let text = place.read(&format!("{}/eval/test.jsonl", place.run_folder(runs, "small")));
        let prompt = |line: &str| serde_json::from_str::<Value>(line).unwrap()["prompt"].as_str().unwrap().to_owned();
        text.lines().map(prompt).collect::<Vec<_>>()
    };
    assert!(prompts("taken").iter().all(|prompt| prompt.starts_with("from the cache ")));
    for (name, _) in &kept {
        let path = place.path(".cache/rows").join(name);
        let mut entry = std::fs::read(&path).unwrap();
        *entry.last_mut().unwrap() ^= 1;
        std::fs::write(&path, entry).unwrap();
    }
    assert!(prompts("damaged").iter().all(|prompt| prompt.starts_with("Review: ")));
    assert_eq!(kept_rows(&place), kept, "mended");

    place.write("test.jsonl", &rows(5));
    assert_eq!(prompts("changed").len(), 2 * 5);
    assert_eq!(kept_rows(&place).len(), 3, "changed data is other data");
}
