//! `reftc runs`: rows, columns, conditions and formats, on runs that were really made.

use super::support::{Done, Place, SPEC};
use std::sync::OnceLock;

/// A place with six runs of `small`, two learning rates by three seeds, and one of `other`; made once, as nothing here changes it.
fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = Place::new();
        place.change(&[("lr     = 1e-3\n", "lr     = 1e-3\n    schedule = linear(warmup: 10%)\n")]);
        place.run(&["--set", "train.lr=1e-3,3e-2", "--set", "seed=1,2,3"]);
        place.write("other.reft", &SPEC.replace("small", "other").replace("hidden_rank = 2", "hidden_rank = 4"));
        place.reftc(&["run", "other.reft", "--threads", "1"]).expect(0);
        place
    })
}

fn runs(arguments: &[&str]) -> Done {
    place().reftc(&[&["runs"], arguments].concat())
}

/// The lines of a table without its rules, each with single blanks.
fn lines(done: &Done) -> Vec<String> {
    let lines = done.stdout.lines().filter(|line| !line.is_empty() && !line.contains('─'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The column of a CSV.
fn column(done: &Done, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(done.stdout.as_bytes());
    let at =
        reader.headers().unwrap().iter().position(|title| title == name).unwrap_or_else(|| panic!("{}", done.stdout));
    reader.records().map(|record| record.unwrap()[at].to_owned()).collect()
}

#[test]
fn the_fields_in_which_runs_differ_are_columns() {
    let all = runs(&[]).expect(0);
    let lines = lines(&all);
    assert_eq!(lines[0], "name state when seed rank lr schedule test.exact_match", "{}", all.stdout);
    assert_eq!(lines.len(), 8, "{}", all.stdout);
    assert!(lines[1].starts_with("other/"), "the newest first: {}", all.stdout);
    assert!(lines[1].contains(" finished ") && lines[1].contains(" 42 4 1e-3 linear(warmup: 0%) "), "{}", all.stdout);
    let small = runs(&["--where", "experiment == small"]).expect(0);
    assert!(small.stdout.contains(" seed ") && !small.stdout.contains(" rank "), "{}", small.stdout);
}

#[test]
fn conditions_choose_runs() {
    for (condition, count) in [
        ("intervene.edit.rank > 2", 1),
        ("rank > 2 or seed in [1, 2]", 5),
        ("experiment == small and train.lr == 3e-2", 3),
        ("train.lr >= 3% and not seed == 1", 2),
        ("not (experiment == other) and (seed == 1 or seed == 3) and lr < 1e-2", 2),
        ("train.schedule == linear", 7),
        ("train.schedule == linear(warmup: 10%)", 6),
        ("train.schedule != linear(warmup: 10%)", 1),
        ("intervene.edit.layers == all and positions == f1 + l1", 7),
        ("eval.test.exact_match >= 0% and eval.test.baseline <= 1", 7),
        ("eval.test.exact_match > 100%", 0),
        ("name contains \"other\"", 1),
        ("state == finished", 7),
        ("state == unfinished", 0),
        ("device == cpu and parameters > 1_000 and share < 50%", 7),
        ("steps == 8 and loss > 0", 7),
        ("data.train contains \"train.jsonl\"", 7),
        ("data.reviews.train contains \"test.jsonl\"", 0),
        ("when > \"2020-01-01\"", 7),
        ("intervene.edit.tied", 0),
        ("not intervene.edit.tied", 7),
    ] {
        let done = runs(&["--where", condition, "--json"]).expect(0);
        assert_eq!(done.json().as_array().unwrap().len(), count, "{condition}");
    }
    runs(&["--where", "seed == 7"]).expect(0).says(&["no run fulfils the condition"]);
}

#[test]
fn what_is_wrong_with_a_condition_is_underlined() {
    runs(&["--where", "intervene.edit.rnk > 2"]).expect(2).says(&[
        "error[E0516]: there is no `intervene.edit.rnk` in these runs",
        "did you mean `intervene.edit.rank`?",
        "────┬",
        "--where:1:1",
    ]);
    runs(&["--where", "rank = 2"]).expect(2).says(&["E0515", "write `==`, not `=`", "--where:1:6"]);
    runs(&["--where", "seed == 1 and learning_rate < 1 and aim == 3"]).expect(2).says(&["learning_rate", "`aim`"]);
    runs(&["--where", "rank > loreft"]).expect(2).says(&["is a number, and a word or a text has no order with it"]);
    runs(&["--where", "seed in 3"]).expect(2).says(&["`in` takes a list"]);
    runs(&["--where", "lr > 1__0"]).expect(2).says(&["E0009"]);
    runs(&["--where", "nothing < 1"]).expect(2).says(&["E0516"]);
    runs(&["--sort", "scor"]).expect(2).says(&["there is no `scor`", "--sort:1:1"]);
    runs(&["--columns", "name, lrr"]).expect(2).says(&["did you mean", "--columns:1:7"]);
}

#[test]
fn rows_are_sorted_and_limited() {
    let sorted = |arguments: &[&str]| {
        let done =
            runs(&[arguments, &["--where", "experiment == small", "--columns", "lr,seed", "--csv"]].concat()).expect(0);
        let seeds = column(&done, "seed");
        column(&done, "train.lr").into_iter().zip(seeds).map(|(lr, seed)| format!("{lr} {seed}")).collect::<Vec<_>>()
    };
    let ascending = sorted(&["--sort", "seed"]);
    assert!(ascending[0].ends_with(" 1") && ascending[5].ends_with(" 3"), "{ascending:?}");
    assert_eq!(
        sorted(&["--sort", "-train.lr", "--limit", "3"]).iter().filter(|row| row.starts_with("0.03 ")).count(),
        3
    );
    assert_eq!(sorted(&["--sort", "-train.lr", "--reverse"])[0].split(' ').next(), Some("0.001"));
    let newest = column(&runs(&["--csv"]).expect(0), "when");
    assert!(newest.is_sorted_by(|a, b| a >= b), "{newest:?}");
}

#[test]
fn seeds_are_put_together() {
    let done = runs(&["--group", "seeds", "--sort", "lr", "--where", "experiment == small"]).expect(0);
    let lines = lines(&done);
    assert_eq!(lines.len(), 3, "{}", done.stdout);
    assert!(lines[0].starts_with("experiment state when seed lr"), "{}", done.stdout);
    assert!(lines[1].contains(" ± ") && lines[1].contains("1e-3"), "{}", done.stdout);
    let plain = runs(&["--group", "seeds", "--csv", "--where", "experiment == small", "--sort", "lr"]).expect(0);
    let scores = |lr: &str| {
        let condition = format!("experiment == small and lr == {lr}");
        let alone = runs(&["--where", &condition, "--csv"]).expect(0);
        column(&alone, "eval.test.exact_match").iter().map(|score| score.parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    for (row, lr) in ["1e-3", "3e-2"].into_iter().enumerate() {
        let scores = scores(lr);
        let mean = scores.iter().sum::<f64>() / 3.0;
        let deviation = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        let told = |name: &str| column(&plain, name)[row].parse::<f64>().unwrap();
        assert!((told("eval.test.exact_match") - mean).abs() < 1e-12);
        assert!((told("eval.test.exact_match.sd") - deviation).abs() < 1e-12);
    }
    let json = runs(&["--group", "seeds", "--json", "--where", "lr == 3e-2"]).expect(0).json();
    assert_eq!(json[0]["runs"].as_array().unwrap().len(), 3);
    assert_eq!(json[0]["measures"]["eval.test.exact_match"]["values"].as_array().unwrap().len(), 3);
}

#[test]
fn every_format_holds_the_same_rows() {
    let json = runs(&["--json"]).expect(0).json();
    let first = &json[0];
    assert_eq!(
        (&first["experiment"], &first["state"]["name"], &first["seed"]),
        (&"other".into(), &"finished".into(), &42.into())
    );
    assert_eq!(
        (&first["fields"]["intervene.edit.rank"], &first["fields"]["intervene.edit.tied"]),
        (&4.into(), &false.into())
    );
    assert_eq!(first["steps"], 8);
    assert!(
        first["measures"]["eval.test.exact_match"].is_f64() && first["when"].as_str().unwrap().ends_with('Z'),
        "{first}"
    );

    let csv = runs(&["--csv"]).expect(0);
    let names: Vec<&str> = json.as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(column(&csv, "name"), names);
    assert_eq!(column(&csv, "intervene.edit.rank"), ["4", "2", "2", "2", "2", "2", "2"]);
    let markdown = runs(&["--md"]).expect(0).stdout;
    assert!(markdown.starts_with("| name ") && markdown.lines().count() == 9, "{markdown}");
    let tex = runs(&["--tex", "--columns", "name,test.exact_match"]).expect(0).stdout;
    assert!(tex.starts_with("\\begin{tabular}{lr}\n  \\toprule\n  name & test.exact\\_match \\\\\n"), "{tex}");
    assert_eq!(tex.matches(" \\%").count(), 7, "{tex}");
    runs(&["--json", "--csv"]).expect(2);
}

#[test]
fn a_table_fits_into_the_terminal() {
    let narrow = |columns: &str| {
        let mut command = place().command(&["runs"]);
        Done::of(command.env("COLUMNS", columns)).expect(0)
    };
    let done = narrow("60").says(&["left out, as the terminal is too narrow", "--columns"]);
    assert!(done.stdout.lines().all(|line| line.chars().count() <= 60), "{}", done.stdout);
    assert!(done.stdout.contains("test.exact_match"), "what was measured stays: {}", done.stdout);
    assert!(!narrow("200").stderr.contains("left out"));
    let mut dumb = place().command(&["runs"]);
    assert!(Done::of(dumb.env("TERM", "dumb")).expect(0).stdout.starts_with("-----"));
}

#[test]
fn unfinished_and_damaged_runs_are_listed() {
    let place = Place::new();
    place.reftc(&["runs"]).expect(0).says(&["runs has no runs", "reftc run SPEC"]);
    assert_eq!(place.reftc(&["runs", "--json", "--where", "rank > 3"]).expect(0).json(), serde_json::json!([]));
    place.reftc(&["runs", "--where", "rank >"]).expect(2).says(&["E0515"]);
    place.run(&[]);
    let folder = place.run_folder("runs", "small");
    let state = |place: &Place| place.reftc(&["runs", "--json"]).expect(0).json()[0]["state"].clone();
    let (result, stages) = (place.path(&folder).join("result.json"), place.path(&folder).join("stages.json"));

    std::fs::rename(&result, &stages).unwrap();
    assert_eq!(state(&place)["name"], "evaluating");
    let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&stages).unwrap()).unwrap();
    record["training"] = serde_json::Value::Null;
    std::fs::write(&stages, record.to_string()).unwrap();
    let metrics = place.read(&format!("{folder}/metrics.jsonl"));
    let lines: Vec<&str> = metrics.lines().filter(|line| line.contains("step_done")).take(3).collect();
    place.write(&format!("{folder}/metrics.jsonl"), &format!("{}\n{{\"event\":\"st", lines.join("\n")));
    assert_eq!(state(&place), serde_json::json!({"name": "training", "step": 3, "steps": 8}));
    assert!(place.reftc(&["runs"]).expect(0).stdout.contains("training 3/8"));
    std::fs::write(&stages, "{").unwrap();
    assert_eq!(state(&place)["name"], "damaged");
    assert_eq!(state(&place)["why"], "stages.json cannot be read");
}
