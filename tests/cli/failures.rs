//! What goes wrong on the way: each a clear error with its code, no panic, and nothing half-written.

use crate::support::{Done, Place, RUN, rows};
use candle_core::quantized::gguf_file::{self, Value as Field};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder of the embedded model's files.
pub fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/tiny")
}

/// Copies the files that make a model folder.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn cut(path: &Path, bytes: u64) {
    std::fs::File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

/// A spec with its model in a folder `model`, a copy of the embedded one.
fn with_folder() -> Place {
    let place = Place::new();
    copy(&tiny(), &place.path("model"));
    place.change(&[("embedded(\"tiny\")", "path(\"model\")")]);
    place
}

/// `check` finds it, `run` says the same, and no run folder comes into being.
#[track_caller]
fn found_by_check(place: &Place, code: &str, words: &[&str]) -> Done {
    let checked = place.reftc(&["check", "spec.reft"]).expect(1).says(&[code]).says(words);
    let run = place.reftc(&RUN).expect(1);
    assert_eq!(run.stderr, checked.stderr);
    assert!(place.files("runs").is_empty());
    checked
}

/// `check` finds nothing, `run` fails, and leaves a run that can be seen to be unfinished.
#[track_caller]
fn found_by_run(place: &Place, code: &str, words: &[&str]) {
    place.reftc(&["check", "spec.reft"]).expect(0);
    place.reftc(&RUN).expect(3).says(&[code]).says(words).says(&[&format!("`reftc explain {code}` tells more")]);
    let folder = place.run_folder("runs", "small");
    let files: Vec<String> = place.files(&folder).into_iter().filter(|name| name != "metrics.jsonl").collect();
    assert_eq!(files.join(" "), ".lock env.json lock.json log.txt plan.json spec.reft stages.json");
    assert!(place.read(&format!("{folder}/log.txt")).contains(&format!("Z failed: {code}: ")));
}

#[test]
fn a_model_folder_that_is_missing() {
    let place = with_folder();
    std::fs::remove_dir_all(place.path("model")).unwrap();
    found_by_check(&place, "E0301", &["there is no model folder model", "spec.reft:3:14", "help: "]);
    std::fs::create_dir(place.path("model")).unwrap();
    found_by_check(&place, "E0301", &["has no config.json"]);
    copy(&tiny(), &place.path("model"));
    std::fs::remove_file(place.path("model/model.safetensors")).unwrap();
    found_by_check(&place, "E0301", &["neither model.safetensors nor model.safetensors.index.json"]);
}

#[test]
fn truncated_safetensors() {
    for bytes in [0, 4, 100, 1_000_000] {
        let place = with_folder();
        cut(&place.path("model/model.safetensors"), bytes);
        found_by_run(&place, "E0302", &["model.safetensors", "spec.reft:13:12", "cut short or damaged"]);
        copy(&tiny(), &place.path("model"));
        place.run(&[]);
    }
}

#[test]
fn truncated_gguf() {
    let place = Place::new();
    place.change(&[("embedded(\"tiny\")", "gguf(\"model.gguf\")")]);
    write_gguf(&place.path("model.gguf"));
    let whole = std::fs::metadata(place.path("model.gguf")).unwrap().len();
    for bytes in [whole - 1, whole / 2, 300, 20, 3, 0] {
        cut(&place.path("model.gguf"), bytes);
        found_by_check(&place, "E0302", &["model.gguf", "help: the file may be cut short or damaged"]);
    }
    std::fs::remove_file(place.path("model.gguf")).unwrap();
    found_by_check(&place, "E0301", &["there is no GGUF file model.gguf"]);
}

/// A GGUF file with one tensor: enough of one to be cut.
fn write_gguf(path: &Path) {
    let text = |text: &str| Field::String(text.to_owned());
    let fields = [
        ("general.architecture", text("llama")),
        ("llama.block_count", Field::U32(1)),
        ("llama.context_length", Field::U32(64)),
        ("llama.embedding_length", Field::U32(32)),
        ("llama.feed_forward_length", Field::U32(32)),
        ("llama.attention.head_count", Field::U32(2)),
        ("llama.attention.head_count_kv", Field::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Field::F32(1e-5)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.tokens", Field::Array((0..32).map(|id| text(&format!("t{id}"))).collect())),
        ("tokenizer.ggml.merges", Field::Array(Vec::new())),
    ];
    let weights = Tensor::zeros((32, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
    let weights = QTensor::quantize(&weights, GgmlDType::F32).unwrap();
    let fields: Vec<(&str, &Field)> = fields.iter().map(|(name, field)| (*name, field)).collect();
    gguf_file::write(&mut std::fs::File::create(path).unwrap(), &fields, &[("token_embd.weight", &weights)]).unwrap();
}

#[test]
fn a_tokenizer_that_does_not_fit() {
    let place = with_folder();
    let path = place.path("model/tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    tokenizer["model"]["vocab"]["zebra"] = 5000.into();
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    found_by_check(&place, "E0304", &["token ids up to 5000", "embeds only 1280"]);
    std::fs::write(&path, "{\"version\":").unwrap();
    found_by_check(&place, "E0302", &["tokenizer.json"]);
}

#[test]
fn rows_that_are_not_as_they_should_be() {
    let place = Place::new();
    let good = rows(16);
    let seventh = |line: &str| {
        let mut lines: Vec<&str> = good.lines().collect();
        lines[6] = line;
        place.write("train.jsonl", &lines.join("\n"));
    };
    seventh("{\"review\": \"It broke");
    found_by_check(
        &place,
        "E0402",
        &["line 7 of `train.jsonl` is not valid JSON", "file: train.jsonl:7", "spec.reft:6:12"],
    );
    seventh("{\"review\": \"Nobody judged.\"}");
    found_by_check(&place, "E0405", &["line 7 of `train.jsonl` has no value for `label`"]);
    place.write("train.jsonl", &good.replace("label", "tag"));
    found_by_check(&place, "E0403", &["no column `label`", "`review` or `tag`"]);
    place.write("train.jsonl", "");
    found_by_check(&place, "E0404", &["train.jsonl"]);
    std::fs::remove_file(place.path("train.jsonl")).unwrap();
    found_by_check(&place, "E0401", &["train.jsonl"]);
}

#[test]
fn a_rank_above_the_hidden_size() {
    let place = Place::new();
    place.change(&[("hidden_rank = 2", "hidden_rank = 200")]);
    found_by_check(&place, "E0306", &["rank 200", "hidden size 128", "help: "]);
}

#[test]
fn a_folder_of_runs_that_cannot_be_written() {
    let place = Place::new();
    place.write("file", "kept");
    for runs in ["file", "file/runs"] {
        let failed = place.reftc(&[&RUN[..], &["--runs", runs]].concat()).expect(3);
        failed.says(&["E0501", &format!("cannot write {runs}/small/"), "not a directory", "--runs FOLDER"]);
    }
    assert_eq!(place.read("file"), "kept");
    assert!(place.files("runs").is_empty());
}

#[cfg(unix)]
#[test]
fn a_folder_of_runs_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    std::fs::create_dir(place.path("runs")).unwrap();
    std::fs::set_permissions(place.path("runs"), std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(place.path("runs/probe"), "").is_ok() {
        return; // The superuser may write everywhere.
    }
    place.reftc(&RUN).expect(3).says(&["E0501", "permission denied", "make the folder writable"]);
}

#[test]
fn a_loss_that_is_not_a_number() {
    let place = Place::new();
    place.change(&[("lr     = 1e-3", "lr     = 1e30")]);
    let words =
        ["the loss is NaN at step 2 of 8", "spec.reft:24:3", "learning rate ", "rows ", "help: set a lower rate"];
    found_by_run(&place, "E0503", &words);
    place.reftc(&["eval", "small"]).expect(3).says(&["E0504", "is not finished"]);
    place.change(&[]);
    place.run(&[]);
}

#[test]
fn a_run_whose_files_were_damaged_later() {
    let place = Place::new();
    place.run(&[]);
    let folder = place.run_folder("runs", "small");
    let saved = place.path(&folder).join("intervention/intervention.safetensors");
    cut(&saved, 200);
    place.reftc(&["generate", "small", "x"]).expect(3).says(&["E0508", "intervention.safetensors"]);
    place.change(&[("max_tokens: 2", "max_tokens: 3")]);
    place.reftc(&RUN).expect(3).says(&["E0508"]);
    place.run(&["--force"]);
    std::fs::write(place.path(&folder).join("plan.json"), "{").unwrap();
    place.reftc(&["generate", "small", "x"]).expect(3).says(&["E0512", "plan.json", "is damaged"]);
    place.run(&[]).says(&["up to date"]);
    place.reftc(&["generate", "small", "x"]).expect(0);
}

#[test]
fn a_device_that_is_not_there() {
    let place = Place::new();
    let before = place.files(".");
    for device in ["cuda:99", "metal:99"] {
        let done = place.reftc(&["run", "spec.reft", "--device", device]).expect(3);
        let done = done.says(&["error[E0505]: ", "help: ", "`--device cpu`", "`reftc explain E0505` tells more"]);
        assert_eq!(done.stderr.matches("E0505]").count(), 1, "{}", done.stderr);
        assert_eq!((done.stdout.as_str(), place.files(".")), ("", before.clone()));
    }
}
