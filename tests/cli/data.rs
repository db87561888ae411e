//! Runs on Parquet files, on datasets of a hub, on several data at once, and with fields of declarations set from outside.

use crate::failures::tiny;
use crate::hub::hub_server::HubServer;
use crate::support::{Done, Place, RUN, rows};
use serde_json::Value;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/parquet/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn experiment(place: &Place) -> Value {
    place.reftc(&["plan", "spec.reft", "--json"]).expect(0).json()["experiments"][0].clone()
}

/// What every step of the one run of `small` in that folder said, but for its time.
fn steps(place: &Place, runs: &str) -> Vec<(Value, Value, Value)> {
    let text = place.read(&format!("{}/metrics.jsonl", place.run_folder(runs, "small")));
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps = lines.filter(|line| line["event"] == "step_done");
    steps.map(|line| (line["loss"].clone(), line["gradient_norm"].clone(), line["tokens"].clone())).collect()
}

#[test]
fn a_run_on_a_parquet_file() {
    let place = Place::new();
    std::fs::write(place.path("train.parquet"), fixture("train.parquet")).unwrap();
    place.change(&[
        ("jsonl(\"train.jsonl\")", "parquet(\"train.parquet\")[..8]"),
        ("jsonl(\"test.jsonl\")", "parquet(\"train.parquet\")[8..]"),
    ]);
    place.run(&[]).says(&["training on 8 rows, 2 epochs, 4 steps", "eval test, tuned"]);
    place.run(&[]).says(&["up to date"]);
    let hash = experiment(&place)["hashes"]["training"].clone();
    // The same content under another name is the same data; other content is not.
    std::fs::rename(place.path("train.parquet"), place.path("rows.parquet")).unwrap();
    let named = place.read("spec.reft").replace("train.parquet", "rows.parquet");
    place.write("spec.reft", &named);
    assert_eq!(experiment(&place)["hashes"]["training"], hash);
    std::fs::write(place.path("rows.parquet"), fixture("cut.parquet")).unwrap();
    let cut = place.reftc(&RUN).expect(1);
    cut.says(&["E0402", "`rows.parquet` is a Parquet file that was cut short: its end is missing"]);
}

/// `spec.reft` with its rows in two data of one template.
fn two_data(place: &Place, second_prompt: &str) {
    place.change(&[
        ("train  = jsonl(\"train.jsonl\")", "train  = jsonl(\"train.jsonl\")[..10]"),
        (
            "/// A small one.",
            &format!(
                "data more {{\n  train  = jsonl(\"train.jsonl\")[10..]\n  prompt = \"{second_prompt}\"\n  target = \" {{label}}\"\n}}\n"
            ),
        ),
        ("data  = reviews", "data  = [reviews, more]"),
    ]);
}

#[test]
fn several_data_train_as_their_rows_in_one_file_would() {
    let place = Place::new();
    place.run(&["--runs", "one"]);
    let single = experiment(&place);
    two_data(&place, "Review: {review}\\nAnswer:");
    place.run(&["--runs", "two"]).says(&["training on 16 rows, 2 epochs, 8 steps"]);
    assert_eq!(steps(&place, "one"), steps(&place, "two"), "bit for bit");
    let joined = experiment(&place);
    assert_ne!(joined["hashes"]["training"], single["hashes"]["training"]);
    assert_eq!(joined["cost"], single["cost"]);
    let splits: Vec<&Value> = joined["train"]["splits"].as_array().unwrap().iter().map(|part| &part["rows"]).collect();
    assert_eq!((splits, &joined["train"]["rows"]), (vec![&Value::from(10), &Value::from(6)], &Value::from(16)));
    place.run(&["--runs", "two"]).says(&["up to date"]);
    let folder = place.run_folder("two", "small");
    let place_of = |order: &str| {
        place.write("spec.reft", &place.read("spec.reft").replace("[reviews, more]", order));
        experiment(&place)["hashes"]["training"].clone()
    };
    assert_ne!(place_of("[more, reviews]"), joined["hashes"]["training"], "their order is meaning");
    place.reftc(&["eval", &folder]).expect(0);
    place.reftc(&["generate", &folder, "A bright room.", "--max-tokens", "2"]).expect(0);
}

#[test]
fn each_row_is_written_by_the_templates_of_its_own_data() {
    let place = Place::new();
    two_data(&place, "{review}\\nGood?");
    place.run(&[]).says(&["training on 16 rows", "eval test, tuned"]);
    let folder = place.run_folder("runs", "small");
    let records = place.read(&format!("{folder}/eval/test.jsonl"));
    assert!(records.lines().all(|line| line.contains("\"prompt\":\"Review: The")), "{records}");
    let which = place.reftc(&["generate", &folder, "A bright room."]).expect(2);
    which.says(&["this run was trained on data with different templates", "`--raw`"]);
    place.reftc(&["generate", &folder, "A bright room.\nGood?", "--raw", "--max-tokens", "2"]).expect(0);
}

/// The binary, with the hub within its reach.
fn online(place: &Place, server: &HubServer, arguments: &[&str]) -> Done {
    let mut command = place.command(arguments);
    Done::of(command.env("HF_ENDPOINT", server.endpoint()).env_remove("HF_HUB_OFFLINE"))
}

#[test]
fn a_dataset_of_the_hub_is_fetched_by_a_check_and_used_by_a_run() {
    let parquet = fixture("train.parquet");
    let server = HubServer::with_data(
        &[("config.json", std::fs::read(tiny().join("config.json")).unwrap())],
        &[
            ("refs/convert/parquet", "default/train/0000.parquet", parquet.clone()),
            ("refs/convert/parquet", "default/train/0001.parquet", parquet),
            ("refs/convert/parquet", "default/test/0000.parquet", fixture("test.parquet")),
            ("main", "README.md", b"# Data".to_vec()),
        ],
    );
    let place = Place::new();
    let hub = |split: &str| format!("hf(\"org/data\", split: \"{split}\")");
    place.change(&[
        ("jsonl(\"train.jsonl\")", &format!("{}[..20]", hub("train"))),
        ("jsonl(\"test.jsonl\")", &hub("tset")),
    ]);
    let wrong = online(&place, &server, &["check", "spec.reft"]).expect(1);
    let there = "the dataset `org/data` has no split `tset`: there are `test`, `train`";
    wrong.says(&["fetching default/train/0000.parquet", "E0408", there, "write `split: \"test\"`", "spec.reft:7:34"]);
    place.write("spec.reft", &place.read("spec.reft").replace("tset", "test"));
    let right = online(&place, &server, &["check", "spec.reft"]).expect(0);
    right.says(&["fetching default/test/0000.parquet"]);
    let plan = place.reftc(&["plan", "spec.reft"]).expect(0);
    assert!(plan.stdout.contains("20 rows of org/data, train[..20]"), "{}", plan.stdout);
    let asked = server.requests().len();
    place.run(&[]).says(&["training on 20 rows", "eval test, tuned"]);
    assert_eq!(server.requests().len(), asked);
    // The same rows in a file beside the spec are the same evaluation.
    let hashes = experiment(&place)["hashes"]["evals"].clone();
    std::fs::write(place.path("test.parquet"), fixture("test.parquet")).unwrap();
    place.write("spec.reft", &place.read("spec.reft").replace(&hub("test"), "parquet(\"test.parquet\")"));
    assert_eq!(experiment(&place)["hashes"]["evals"], hashes);

    let elsewhere = Place::new();
    elsewhere.change(&[("jsonl(\"train.jsonl\")", &hub("train"))]);
    for arguments in [&["check", "spec.reft"][..], &["check", "spec.reft", "--offline"], &RUN] {
        elsewhere.reftc(arguments).expect(1).says(&["E0307", "spec.reft:6:12", "--repo-type dataset", "HF_HOME"]);
    }
}

#[test]
fn fields_of_the_model_and_the_data_are_set_and_swept_from_outside() {
    let place = Place::new();
    place.write("spec.reft", &(place.read("spec.reft") + "\nexperiment other extends small {}\n"));
    let plan = |arguments: &[&str]| place.reftc(&[&["plan", "spec.reft"], arguments].concat());
    let set = ["--set", "model.dtype=bf16", "--set", "data.overlong=drop", "--set", "data.reviews.eos=false"];
    let json = plan(&[&set[..], &["--json"]].concat()).expect(0).json();
    let experiments = json["experiments"].as_array().unwrap();
    assert_eq!(experiments.len(), 2);
    for experiment in experiments {
        assert_eq!(experiment["model"]["precision"], "bf16");
        let split = &experiment["train"]["splits"][0];
        assert_eq!((&split["overlong"], &split["eos"]), (&Value::from("drop"), &Value::from(false)));
        assert_eq!(experiment["evals"][0]["split"]["eos"], false, "evaluations read the same data");
    }
    let origins = plan(&[&set[..], &["--show-origin"]].concat()).expect(0).stdout;
    let line = |field: &str| origins.lines().find(|line| line.contains(field)).unwrap_or_default().to_owned();
    assert!(line("model.tiny.dtype").contains("bf16") && line("model.tiny.dtype").contains("--set[1]"), "{origins}");
    assert!(line("data.reviews.overlong").contains("--set[2]"), "{origins}");
    assert!(line("data.reviews.prompt").contains("spec.reft:8"), "{origins}");
    let swept =
        plan(&["--set", "data.train=jsonl(\"train.jsonl\")[..4],jsonl(\"train.jsonl\")", "--json"]).expect(0).json();
    let rows_of = |at: usize| swept["experiments"][at]["train"]["rows"].clone();
    assert_eq!([rows_of(0), rows_of(1)], [Value::from(4), Value::from(16)]);
    plan(&["--set", "data.overlnog=drop"]).expect(1).says(&["E0201", "did you mean `data.overlong`?", "--set[1]"]);
    plan(&["--set", "data.overlong=dorp"]).expect(1).says(&["E0206", "--set[1]"]);
    two_data(&place, "{review}\\nGood?");
    plan(&["--set", "data.overlong=drop"]).expect(1).says(&["write `data.reviews.overlong` or `data.more.overlong`"]);
    let json = plan(&["--set", "data.more.overlong=drop", "--json"]).expect(0).json();
    let splits = &json["experiments"][0]["train"]["splits"];
    assert_eq!((&splits[0]["overlong"], &splits[1]["overlong"]), (&Value::from("cut_right"), &Value::from("drop")));
    assert_eq!(rows(16), place.read("train.jsonl"));
}
