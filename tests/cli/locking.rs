//! `spec.lock`: written by the first run, held against what is there by every later one.

use crate::failures::{copy, tiny};
use crate::hub::hub_server::{COMMIT, HubServer, NEXT};
use crate::support::{Done, Place, RUN, rows};
use serde_json::{Value, json};

fn lock(place: &Place) -> Value {
    serde_json::from_str(&place.read("spec.lock")).unwrap()
}

/// The spec with its model in the folder `model`.
fn with_folder() -> Place {
    let place = Place::new();
    copy(&tiny(), &place.path("model"));
    place.change(&[("embedded(\"tiny\")", "path(\"model\")")]);
    place
}

#[test]
fn the_first_run_writes_the_lock_and_later_ones_leave_it() {
    let place = with_folder();
    let library = "use \"std/recipes.reft\" as recipes\n\n";
    place.write("spec.reft", &format!("{library}{}", place.read("spec.reft")));
    place.run(&[]);
    let text = place.read("spec.lock");
    let lock = lock(&place);
    assert_eq!(lock["format"], 1);
    assert_eq!(lock["reftc"], env!("CARGO_PKG_VERSION"));
    assert!(lock["numerics"].is_u64());
    let rows_of = |name: &str| lock["data"][name]["rows"].clone();
    assert_eq!((rows_of("train.jsonl"), rows_of("test.jsonl")), (json!(16), json!(6)));
    let digest = reftc::digest::of(place.read("train.jsonl"));
    assert_eq!(lock["data"]["train.jsonl"]["sha256"], digest);
    let files = lock["models"]["path(\"model\")"]["files"].as_object().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["config.json", "model.safetensors", "tokenizer.json"]);
    for (name, file) in files {
        let bytes = std::fs::read(tiny().join(name)).unwrap();
        assert_eq!((&file["bytes"], &file["sha256"]), (&json!(bytes.len()), &json!(reftc::digest::of(&bytes))));
    }
    let used: Vec<&String> = lock["library"]["files"].as_object().unwrap().keys().collect();
    assert_eq!(used, ["std/recipes.reft"]);
    // Every fact has a line of its own, without absolute paths.
    assert!(text.lines().count() > 25 && text.ends_with("}\n"), "{text}");
    assert!(!text.contains(&place.path("").display().to_string()));

    place.run(&["--locked"]).says(&["up to date"]);
    place.run(&["--force"]);
    assert_eq!(place.read("spec.lock"), text);
    let again = Place::new();
    for name in ["spec.reft", "train.jsonl", "test.jsonl"] {
        again.write(name, &place.read(name));
    }
    copy(&tiny(), &again.path("model"));
    again.reftc(&["lock", "spec.reft"]).expect(0).says(&["spec.lock: 1 model, 2 data sources, 1 library file"]);
    assert_eq!(again.read("spec.lock"), text, "the same on every machine");
    let inside: Value =
        serde_json::from_str(&place.read(&format!("{}/lock.json", place.run_folder("runs", "small")))).unwrap();
    let absolute = std::path::absolute(place.path("train.jsonl")).unwrap();
    let absolute = std::fs::canonicalize(absolute).unwrap();
    let entry = inside["data"].as_object().unwrap().iter().find(|(name, _)| name.ends_with("train.jsonl")).unwrap();
    assert_eq!(std::fs::canonicalize(entry.0).unwrap(), absolute);
    assert_eq!(entry.1["sha256"], digest);
    assert_eq!(inside["library"]["files"], lock["library"]["files"]);
}

#[test]
fn drift_warns_and_is_refused_where_the_lock_must_hold() {
    let place = Place::new();
    place.run(&[]);
    let before = place.read("spec.lock");
    place.write("train.jsonl", &rows(18));
    let (old, new) = (reftc::digest::of(rows(16)), reftc::digest::of(rows(18)));
    let how = format!("`train.jsonl` is not as `spec.lock` has it: {} → {}, 16 → 18 rows", &old[..8], &new[..8]);
    let accept = "`reftc lock spec.reft --update train.jsonl`";
    for command in
        [&["check", "spec.reft", "--locked"][..], &["plan", "spec.reft", "--locked"], &["lock", "spec.reft", "--check"]]
    {
        let refused = place.reftc(command).expect(1).says(&["error[E0510]", &how, accept, "spec.lock:"]);
        assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    }
    let runs = place.files("runs");
    place.reftc(&[&RUN[..], &["--locked"]].concat()).expect(1).says(&["error[E0510]", &how]);
    assert_eq!(place.files("runs"), runs, "nothing was begun");
    let drift = place.reftc(&["lock", "spec.reft", "--check", "--json"]).expect(1).json();
    let entry = &drift[0];
    assert_eq!((&entry["kind"], &entry["name"]), (&json!("data"), &json!("train.jsonl")));
    assert_eq!(entry["changes"][1], json!({"rows": {"old": 16, "new": 18}}));

    place.run(&[]).says(&["warning[W0502]", &how, accept, "training on 18 rows"]);
    assert_eq!(place.read("spec.lock"), before, "a run accepts nothing");
    place.reftc(&["lock", "spec.reft"]).expect(0).says(&["warning[W0502]"]);
    assert_eq!(place.read("spec.lock"), before);

    place
        .reftc(&["lock", "spec.reft", "--update", "tran.jsonl"])
        .expect(2)
        .says(&["no entry `tran.jsonl`", "did you mean `train.jsonl`?"]);
    place.write("test.jsonl", &rows(8));
    let updated = place.reftc(&["lock", "spec.reft", "--update", "reviews.train"]).expect(0);
    updated.says(&["updated `train.jsonl`: ", "warning[W0502]: `test.jsonl`"]);
    assert_eq!(
        (&lock(&place)["data"]["train.jsonl"]["rows"], &lock(&place)["data"]["test.jsonl"]["rows"]),
        (&json!(18), &json!(6))
    );
    place.reftc(&["lock", "spec.reft", "--check"]).expect(1).says(&["`test.jsonl` is not as"]);
    place.reftc(&["lock", "--update", "spec.reft"]).expect(0).says(&["updated `test.jsonl`: "]);
    place.reftc(&["lock", "spec.reft", "--check"]).expect(0).says(&["all is as `spec.lock` has it"]);
    place.run(&["--locked"]);
}

#[test]
fn the_lock_follows_the_spec_without_a_word() {
    let place = Place::new();
    place.run(&[]);
    place.write("more.jsonl", &rows(4));
    place.change(&[("\"test.jsonl\"", "\"more.jsonl\"")]);
    let unlocked = place.reftc(&["check", "spec.reft", "--locked"]).expect(1);
    unlocked.says(&[
        "E0510",
        "`more.jsonl` is not in `spec.lock`",
        "add it: `reftc lock spec.reft --update more.jsonl`",
    ]);
    let before = place.read("spec.lock");
    place.run(&["--set", "train.lr=2e-3"]);
    assert_eq!(place.read("spec.lock"), before, "what is set from outside is not the spec");
    let done = place.run(&[]);
    assert!(!done.stderr.contains("lock"), "{}", done.stderr);
    assert_eq!(lock(&place)["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["more.jsonl", "train.jsonl"]);
    place.reftc(&["lock", "spec.reft", "--check"]).expect(0);
    std::fs::remove_file(place.path("spec.lock")).unwrap();
    for command in [&["check", "spec.reft", "--locked"][..], &["lock", "spec.reft", "--check"]] {
        place.reftc(command).expect(1).says(&["E0510", "there is no `spec.lock`", "write it: `reftc lock spec.reft`"]);
    }
    place.run(&["--set", "seed=1"]);
    assert!(!place.path("spec.lock").exists());
    // Swept data are locked too.
    place.change(&[(
        "    lr     = 1e-3\n  }\n",
        "    lr     = 1e-3\n  }\n\n  sweep {\n    data.train = [jsonl(\"train.jsonl\"), jsonl(\"more.jsonl\")]\n  }\n",
    )]);
    place.reftc(&["lock", "spec.reft"]).expect(0).says(&["3 data sources"]);
}

#[test]
fn a_lock_that_cannot_be_read_is_told_with_its_place() {
    let place = Place::new();
    place.run(&[]);
    let text = place.read("spec.lock");
    for (damaged, words) in [
        (text.replace("\"rows\": 16", "\"rows\": 17"), &["was edited by hand: `train.jsonl`", "spec.lock:8"][..]),
        (text.replace("\"format\": 1", "\"format\": 2"), &["has the format 2", "install the reftc that wrote it"]),
        (format!("<<<<<<< ours\n{text}"), &["has conflicts of a merge", "spec.lock:1"]),
        ("{}".to_owned(), &["is no lock of reftc"]),
        (text[..text.len() / 2].to_owned(), &["is not JSON"]),
    ] {
        place.write("spec.lock", &damaged);
        for command in [
            &RUN[..],
            &["run", "spec.reft", "--locked"],
            &["check", "spec.reft", "--locked"],
            &["lock", "spec.reft"],
            &["lock", "spec.reft", "--check"],
        ] {
            place.reftc(command).expect(1).says(&["error[E0511]", "`reftc lock spec.reft --update`"]).says(words);
        }
        assert_eq!(place.read("spec.lock"), damaged);
    }
    let doctor = place.reftc(&["doctor"]).expect(1).stdout;
    assert!(doctor.contains("problem  lock      the lock `spec.lock` is not JSON"), "{doctor}");
    place.reftc(&["lock", "spec.reft", "--update"]).expect(0);
    assert_eq!(place.read("spec.lock"), text);
    let doctor = place.reftc(&["doctor"]).stdout;
    assert!(doctor.contains("ok       lock      spec.lock: 1 model, 2 data sources, 0 library files"), "{doctor}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_needs_no_lock() {
    let place = Place::new();
    std::fs::create_dir(place.path("specs")).unwrap();
    for name in ["spec.reft", "train.jsonl", "test.jsonl"] {
        place.write(&format!("specs/{name}"), &place.read(name));
    }
    let permissions = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(place.path("specs"), permissions(0o555)).unwrap();
    if std::fs::write(place.path("specs/probe"), "").is_ok() {
        return; // The superuser may write everywhere.
    }
    let done = place.reftc(&["run", "specs/spec.reft", "--threads", "1"]).expect(0);
    done.says(&["going on without a lock: cannot write specs/spec.lock: permission denied", "eval test, tuned"]);
    std::fs::set_permissions(place.path("specs"), permissions(0o755)).unwrap();
}

#[test]
fn changed_model_files_are_named() {
    let place = with_folder();
    place.run(&[]);
    let path = place.path("model/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    place.write("model/chat_template.jinja", "{{ messages[0].content }}");
    let refused = place.reftc(&["lock", "spec.reft", "--check"]).expect(1);
    refused.says(&[
        "the model `path(\"model\")` is not as `spec.lock` has it: model.safetensors ",
        "chat_template.jinja none → ",
    ]);
    place.reftc(&["lock", "spec.reft", "--update", "tiny"]).expect(0).says(&["updated `path(\"model\")`: "]);
    place.reftc(&["lock", "spec.reft", "--check"]).expect(0);
}

#[test]
fn an_evaluation_of_changed_rows_is_told_and_not_recorded() {
    let place = Place::new();
    place.run(&[]);
    let folder = place.run_folder("runs", "small");
    let recorded = ["result.json", "eval/test.jsonl"].map(|name| place.read(&format!("{folder}/{name}")));
    let before = place.reftc(&["eval", "small"]).expect(0);
    assert!(!before.stderr.contains("W0503"), "{}", before.stderr);
    place.write("test.jsonl", &rows(9));
    let words = ["warning[W0503]", "test.jsonl` has changed since the run: ", "6 → 9 rows"];
    let changed = place.reftc(&["eval", "small", "--json"]).expect(0).says(&words);
    assert_eq!(changed.json()[0]["rows"], 9);
    place
        .reftc(&["eval", "small"])
        .expect(0)
        .says(&["what was measured with something that has changed is not recorded"]);
    let now = ["result.json", "eval/test.jsonl"].map(|name| place.read(&format!("{folder}/{name}")));
    assert_eq!(now[1], recorded[1]);
    let result: Value = serde_json::from_str(&now[0]).unwrap();
    assert_eq!(result["evals"][0]["rows"], 6);
    place.reftc(&["generate", "small", "x"]).expect(0).says(&words);
    place.write("test.jsonl", &rows(6));
    // The rows of the training have no say in an evaluation, but the reader may want to know.
    std::fs::remove_file(place.path("train.jsonl")).unwrap();
    let gone = place.reftc(&["eval", "small"]).expect(0).says(&["W0503", "train.jsonl` is not there any more"]);
    assert!(gone.stdout.contains("test"), "{}", gone.stdout);
}

/// The binary, with the hub within its reach.
fn online(place: &Place, server: &HubServer, arguments: &[&str]) -> Done {
    let mut command = place.command(arguments);
    Done::of(command.env("HF_ENDPOINT", server.endpoint()).env_remove("HF_HUB_OFFLINE"))
}

#[test]
fn a_branch_of_the_hub_stands_for_the_locked_commit_until_it_is_updated() {
    let read = |name: &str| std::fs::read(tiny().join(name)).unwrap();
    let mut weights = read("model.safetensors");
    *weights.last_mut().unwrap() ^= 1;
    let server = HubServer::start(&[
        ("config.json", read("config.json")),
        ("tokenizer.json", read("tokenizer.json")),
        ("model.safetensors", read("model.safetensors")),
        ("next/model.safetensors", weights),
    ]);
    let place = Place::new();
    place.change(&[("embedded(\"tiny\")", "hf(\"org/model\")")]);
    online(&place, &server, &RUN).expect(0);
    let commit = |place: &Place| lock(place)["models"]["hf(\"org/model\")"]["hub"]["commit"].clone();
    assert_eq!(commit(&place), COMMIT);
    server.move_model();

    // Another machine, whose cache knows nothing.
    let other = Place::new();
    for name in ["spec.reft", "spec.lock"] {
        other.write(name, &place.read(name));
    }
    online(&other, &server, &["plan", "spec.reft", "--locked"]).expect(0);
    online(&other, &server, &[&RUN[..], &["--locked"]].concat()).expect(0);
    let folder = |place: &Place| place.run_folder("runs", "small");
    assert_eq!(folder(&other), folder(&place));
    assert!(!other.path(".hub/hub/models--org--model/refs/main").exists(), "what `main` is elsewhere was not asked");
    online(&other, &server, &["eval", "small"]).expect(0);

    let updated = online(&other, &server, &["lock", "spec.reft", "--update", "org/model"]).expect(0);
    updated.says(&[&format!("updated `hf(\"org/model\")`: commit {} → {}", &COMMIT[..8], &NEXT[..8])]);
    assert_eq!(commit(&other), NEXT);
    online(&other, &server, &RUN).expect(0).says(&["training on"]);
    // The first machine stays where its lock is, and its cache too.
    online(&place, &server, &[&RUN[..], &["--locked"]].concat()).expect(0).says(&["up to date"]);
    online(&place, &server, &["lock", "spec.reft", "--update"]).expect(0).says(&["commit"]);
    assert_eq!(place.read("spec.lock"), other.read("spec.lock"));
    // An earlier run is evaluated with the commit that it was made with.
    let old = online(&place, &server, &["eval", "small"]).expect(0);
    assert!(!old.stderr.contains("W0503"), "{}", old.stderr);
}

#[test]
fn a_dataset_of_the_hub_stands_for_the_locked_commit() {
    let lines = |count| rows(count).into_bytes();
    let server = HubServer::with_data(
        &[("config.json", std::fs::read(tiny().join("config.json")).unwrap())],
        &[("main", "train.jsonl", lines(16)), ("later", "train.jsonl", lines(12))],
    );
    let place = Place::new();
    place.change(&[("jsonl(\"train.jsonl\")", "hf(\"org/data\", split: \"train\")")]);
    online(&place, &server, &["lock", "spec.reft"]).expect(0);
    let rows_of = |place: &Place| lock(place)["data"]["hf(\"org/data\", split: \"train\")"]["rows"].clone();
    assert_eq!(rows_of(&place), 16);
    server.move_data("main", "later");
    let other = Place::new();
    for name in ["spec.reft", "spec.lock"] {
        other.write(name, &place.read(name));
    }
    online(&other, &server, &[&RUN[..], &["--locked"]].concat()).expect(0).says(&["training on 16 rows"]);
    let unlocked = Place::new();
    unlocked.write("spec.reft", &place.read("spec.reft"));
    online(&unlocked, &server, &RUN).expect(0).says(&["training on 12 rows"]);
    online(&other, &server, &["lock", "spec.reft", "--update"]).expect(0).says(&["16 → 12 rows"]);
    assert_eq!(other.read("spec.lock"), unlocked.read("spec.lock"));
}
