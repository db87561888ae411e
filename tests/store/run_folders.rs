//! Run folders: what is finished stays finished, what changed is done again, and one process at a time.

use reftc::data::metric::Metric;
use reftc::diag::Code;
use reftc::store::environment::Environment;
use reftc::store::find;
use reftc::store::result::{EvalRecord, RunResult, TrainingRecord, TrainingTime};
use reftc::store::run_folder::{RunFolder, WhenLocked, read_result};
use std::io::Write;
use std::path::Path;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn open(runs: &Path, experiment: &str, hash: &str) -> RunFolder {
    RunFolder::open(runs, experiment, hash, WhenLocked::Refuse).unwrap()
}

fn train(folder: &mut RunFolder) {
    std::fs::create_dir_all(folder.intervention()).unwrap();
    let record = TrainingRecord { device: "cpu".into(), steps: 10, final_loss: 0.25, kept: None };
    folder.record_training(record, TrainingTime { seconds: 2.0, tokens_per_second: 900.0 }).unwrap();
}

fn evaluate(folder: &mut RunFolder, name: &str, hash: &str) {
    let mut rows = folder.eval_rows(name).unwrap();
    writeln!(rows, "{{\"verdict\":true}}").unwrap();
    rows.finish().unwrap();
    folder
        .record_eval(
            EvalRecord {
                name: name.into(),
                hash: hash.into(),
                outputs: None,
                device: "cpu".into(),
                metric: Metric::ExactMatch,
                tuned: 0.75,
                baseline: Some(0.0),
                majority: Some(0.5),
                rows: 1,
            },
            0.5,
        )
        .unwrap();
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_run_is_unfinished_until_its_result_is_written() {
    let runs = tempfile::tempdir().unwrap();
    let mut folder = open(runs.path(), "sentiment", HASH);
    assert_eq!(folder.path(), runs.path().join("sentiment/01234567"));
    folder.describe("// spec\n", "{}\n").unwrap();
    folder.record_environment(&Environment::capture(runs.path(), "cpu", None, 2)).unwrap();
    folder.metrics(0).unwrap().append(&serde_json::json!({"step": 1})).unwrap();
    train(&mut folder);
    assert!(!folder.is_finished());
    evaluate(&mut folder, "test", "e1");
    folder.finish(&["test"]).unwrap();
    folder.log("done");
    assert!(folder.is_finished());
    let expected = "env.json eval intervention log.txt metrics.jsonl plan.json result.json spec.reft timings.json";
    assert_eq!(files(folder.path())[1..].join(" "), expected);
    let written: RunResult =
        serde_json::from_slice(&std::fs::read(folder.path().join("result.json")).unwrap()).unwrap();
    assert_eq!(written, *folder.result());
    assert_eq!(written.training_hash, HASH);
}

#[test]
fn finished_stages_are_found_again_and_only_on_the_same_kind_of_device() {
    let runs = tempfile::tempdir().unwrap();
    let mut folder = open(runs.path(), "a", HASH);
    train(&mut folder);
    evaluate(&mut folder, "dev", "e1");
    drop(folder);

    let folder = open(runs.path(), "a", HASH);
    assert_eq!(folder.trained("cpu").unwrap().steps, 10);
    assert!(folder.trained("cuda").is_none());
    assert!(folder.evaluated("dev", "e1", "cpu").is_some());
    assert!(folder.evaluated("dev", "e2", "cpu").is_none(), "the eval changed");
    assert!(folder.evaluated("test", "e1", "cpu").is_none(), "the rows of that name were never written");
    std::fs::remove_dir_all(folder.intervention()).unwrap();
    assert!(folder.trained("cpu").is_none(), "the intervention is gone");
    assert!(folder.evaluated("dev", "e1", "cpu").is_none());
}

#[test]
fn an_eval_survives_a_change_of_another() {
    let runs = tempfile::tempdir().unwrap();
    let mut folder = open(runs.path(), "a", HASH);
    train(&mut folder);
    evaluate(&mut folder, "slow", "s1");
    evaluate(&mut folder, "dev", "d1");
    folder.finish(&["slow", "dev"]).unwrap();
    drop(folder);

    let mut folder = open(runs.path(), "a", HASH);
    assert!(folder.evaluated("slow", "s1", "cpu").is_some());
    evaluate(&mut folder, "dev", "d2");
    assert!(!folder.is_finished(), "something is being done again");
    folder.finish(&["dev"]).unwrap();
    assert_eq!(folder.result().evals.len(), 1);
    assert_eq!(folder.evaluated("slow", "s1", "cpu").unwrap().tuned, 0.75, "taken out of the spec, but kept");
    folder.finish(&["slow", "dev"]).unwrap();
    assert_eq!(read_result(folder.path()).unwrap().evals[0].name, "slow");
}

#[test]
fn a_new_training_forgets_what_the_old_one_gave() {
    let runs = tempfile::tempdir().unwrap();
    let mut folder = open(runs.path(), "a", HASH);
    train(&mut folder);
    evaluate(&mut folder, "dev", "d1");
    folder.finish(&["dev"]).unwrap();
    folder.discard_training().unwrap();
    assert!(!folder.is_finished() && folder.trained("cpu").is_none());
    assert!(!folder.intervention().exists() && !folder.path().join("eval").exists());
    train(&mut folder);
    assert!(folder.evaluated("dev", "d1", "cpu").is_none());
    assert_eq!(folder.result().training_hash, HASH);
    evaluate(&mut folder, "dev", "d1");
    train(&mut folder);
    assert!(folder.evaluated("dev", "d1", "cpu").is_none(), "it measured the training before");
}

#[test]
fn a_second_process_is_refused_or_waits() {
    let runs = tempfile::tempdir().unwrap();
    let folder = open(runs.path(), "a", HASH);
    let error = RunFolder::open(runs.path(), "a", HASH, WhenLocked::Refuse).unwrap_err();
    assert_eq!(error.code, Code::RunLocked);
    assert!(error.message.contains(&format!("process {} ", std::process::id())), "{error}");
    open(runs.path(), "a", &HASH.replace("01234567", "11234567"));

    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| RunFolder::open(runs.path(), "a", HASH, WhenLocked::Wait).unwrap());
        drop(folder);
        waiting.join().unwrap();
    });
}

#[test]
fn hashes_that_begin_alike_get_folders_of_their_own() {
    let runs = tempfile::tempdir().unwrap();
    let other = HASH.replace("89abcdef", "ffffffff");
    assert_eq!(open(runs.path(), "a", HASH).path(), runs.path().join("a/01234567"));
    assert_eq!(open(runs.path(), "a", HASH).path(), runs.path().join("a/01234567"));
    assert_eq!(open(runs.path(), "a", &other).path(), runs.path().join("a/01234567ffffffff"));
}

#[test]
fn an_unwritable_run_folder_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = RunFolder::open(&file, "a", HASH, WhenLocked::Refuse).unwrap_err();
    assert_eq!(error.code, Code::RunUnwritable);
    assert_eq!(error.place.unwrap().path, file.join("a/01234567"));
}

#[test]
fn runs_are_found_by_folder_digits_and_experiment() {
    let runs = tempfile::tempdir().unwrap();
    let runs = runs.path();
    let hashes = [HASH.to_owned(), HASH.replace("0123", "0124"), HASH.replace("0123", "fedc")];
    for (hash, second) in hashes.iter().zip(1..) {
        let folder = open(runs, "sentiment", hash);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
        std::fs::File::open(folder.path().join("stages.json")).unwrap().set_modified(time).unwrap();
    }
    open(runs, "boolq", HASH);

    let digits = |wanted: &str| find::run(runs, wanted).map(|run| run.name());
    assert_eq!(digits("sentiment").unwrap(), "sentiment/fedc4567", "the newest");
    assert_eq!(digits("sentiment/0123").unwrap(), "sentiment/01234567");
    assert_eq!(digits("fedc").unwrap(), "sentiment/fedc4567");
    assert_eq!(digits(&hashes[2]).unwrap(), "sentiment/fedc4567", "the whole hash will do");
    let path = runs.join("boolq/01234567");
    assert_eq!(digits(path.to_str().unwrap()).unwrap(), "boolq/01234567");
    assert_eq!(digits(path.parent().unwrap().to_str().unwrap()).unwrap(), "boolq/01234567");

    let help = |wanted: &str| {
        let error = digits(wanted).unwrap_err();
        assert_eq!(error.code, Code::RunNotFound);
        error.help[0].clone()
    };
    assert_eq!(help("sentimnt"), "did you mean `sentiment`?");
    assert_eq!(help("01234567"), "write `boolq/01234567` or `sentiment/01234567`");
    let nothing = find::run(&runs.join("nowhere"), "sentiment").unwrap_err();
    assert!(nothing.help[0].contains("`reftc run SPEC`"), "{nothing:?}");
}
