//! What each command is for.

use crate::support::{Done, Place, SPEC};
use reftc::store::frozen::{Budget, FrozenCache, Item, ItemKind, Settings};
use std::io::Write;
use std::process::Stdio;

#[test]
fn check_takes_many_specs_and_warnings_may_be_denied() {
    let place = Place::new();
    place.change(&[("let hidden_rank = 2\n", "let hidden_rank = 2\nlet unused = 3\n")]);
    place.write("good.reft", SPEC);
    place.reftc(&["check", "spec.reft", "good.reft"]).expect(0).says(&["W0101", "1 warning; `reftc explain W0101`"]);
    for name in ["warnings", "W0101", "unused-name"] {
        let denied = place.reftc(&["check", "spec.reft", "--deny", name, "--message-format", "short"]).expect(1);
        assert!(denied.stderr.starts_with("spec.reft:2:5: error[W0101]: "), "{}", denied.stderr);
    }
    place.reftc(&["check", "spec.reft", "--deny", "overlong-prompts"]).expect(0);
    place.reftc(&["check", "good.reft", "good.reft"]).expect(0).says(&["no findings in any of the specs"]);
    place.reftc(&["check", "good.reft", "missing.reft"]).expect(1).says(&["E0013", "`missing.reft`"]);
    place.reftc(&["check", "goood.reft"]).expect(1).says(&["did you mean `good.reft`?"]);
}

#[test]
fn what_is_denied_by_name_counts_more_than_what_the_spec_allows() {
    let place = Place::new();
    place.write("spec.reft", &format!("allow(unused-name)\nlet rate = 3\n{SPEC}"));
    place.reftc(&["check", "spec.reft"]).expect(0).says(&["no findings"]);
    place.reftc(&["check", "spec.reft", "--deny", "warnings"]).expect(0).says(&["no findings"]);
    assert_eq!(place.reftc(&["check", "spec.reft", "--message-format", "json"]).expect(0).stdout, "");
    place.reftc(&["check", "spec.reft", "--deny", "split-token"]).expect(0).says(&["no findings"]);
    let denied = place.reftc(&["check", "spec.reft", "--deny", "unused-name", "--message-format", "short"]).expect(1);
    assert!(denied.stderr.starts_with("spec.reft:2:5: error[W0101]: "), "{}", denied.stderr);
}

#[test]
fn fmt_writes_files_and_streams() {
    let place = Place::new();
    let untidy = SPEC.replace("    epochs = 2\n", "  epochs=2   // twice\n");
    let tidy = SPEC.replace("    epochs = 2\n", "    epochs = 2  // twice\n");
    place.write("spec.reft", &untidy);
    place.reftc(&["fmt", "spec.reft", "--check"]).expect(1).says(&["not in canonical form", "`reftc fmt spec.reft`"]);
    assert_eq!(place.read("spec.reft"), untidy, "--check changes nothing");
    assert_eq!(place.reftc(&["fmt", "spec.reft"]).expect(0).stdout, "");
    assert_eq!(place.read("spec.reft"), tidy);
    place.reftc(&["fmt", "spec.reft", "--check"]).expect(0);

    assert_eq!(piped(&place, &["fmt", "-"], &untidy).expect(0).stdout, tidy);
    let broken = piped(&place, &["fmt", "-"], "train {").expect(1);
    assert_eq!(broken.stdout, "", "nothing half-formatted");
    place.write("spec.reft", "experiment x { epochs = }");
    place.reftc(&["fmt", "spec.reft"]).expect(1);
    assert_eq!(place.read("spec.reft"), "experiment x { epochs = }");
}

fn piped(place: &Place, arguments: &[&str], input: &str) -> Done {
    let mut command = place.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn generate_answers_through_the_template_of_the_run() {
    let place = Place::new();
    place.run(&[]);
    let generate =
        |arguments: &[&str]| place.reftc(&[&["generate", "small", "--threads", "1"], arguments].concat()).expect(0);
    let answer = generate(&["The dull room."]);
    assert_eq!(answer.stderr, "");
    assert_eq!(answer.stdout, format!("{}\n", answer.stdout.trim()), "no space before, one newline after");
    assert_eq!(
        generate(&["Review: The dull room.\nAnswer:", "--raw"]).stdout,
        answer.stdout,
        "--raw is the whole prompt"
    );
    assert_eq!(piped(&place, &["generate", "small", "-"], "The dull room.").expect(0).stdout, answer.stdout);
    let both = generate(&["The dull room.", "--baseline"]);
    assert!(both.stdout.ends_with(&answer.stdout) && both.stdout.len() > answer.stdout.len(), "{}", both.stdout);
    assert_eq!(both.stderr, "untouched model:\ntuned:\n");

    let drawn = |seed: &str| generate(&["x", "--temperature", "2", "--max-tokens", "20", "--seed", seed]).stdout;
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
    let folder = place.run_folder("runs", "small");
    for name in ["small", folder.as_str(), folder.strip_prefix("runs/").unwrap()] {
        place.reftc(&["generate", name, "The dull room.", "--max-tokens", "1"]).expect(0);
    }
}

#[test]
fn a_run_that_edits_a_column_and_decoded_tokens_answers_but_not_to_a_raw_prompt() {
    let place = Place::new();
    place.change(&[("positions = f1+l1", "positions = field(review).last(2)+match(\"Answer:\")+generated")]);
    place.run(&[]);
    let again = place.run(&[]);
    assert!(again.stderr.contains("up to date") || again.stdout.contains("up to date"), "{again:?}");
    let answer = place.reftc(&["generate", "small", "The dull room.", "--max-tokens", "5"]).expect(0);
    assert!(!answer.stdout.trim().is_empty());
    place
        .reftc(&["generate", "small", "Review: The dull room.\nAnswer:", "--raw"])
        .expect(2)
        .says(&["field(review)", "leave out `--raw`"]);
    // Decoded tokens need no template.
    let decoded = Place::new();
    decoded.change(&[("positions = f1+l1", "positions = l1+generated")]);
    decoded.run(&[]);
    decoded.reftc(&["generate", "small", "Review: The dull room.\nAnswer:", "--raw"]).expect(0);
}

#[test]
fn generate_asks_for_the_whole_prompt_where_a_template_has_two_columns() {
    let place = Place::new();
    place.change(&[("Review: {review}", "{label}: {review}")]);
    place.run(&[]);
    place.reftc(&["generate", "small", "x"]).expect(2).says(&["label", "review", "`--raw`"]);
    place.reftc(&["generate", "small", "x", "--raw"]).expect(0);
}

#[test]
fn eval_measures_again_from_any_folder() {
    let place = Place::new();
    let run = place.run(&[]);
    let folder = place.path(&place.run_folder("runs", "small"));
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = place.command(&["eval", folder.to_str().unwrap(), "--threads", "1"]);
    let again = Done::of(command.current_dir(elsewhere.path())).expect(0);
    assert_eq!(again.stdout, run.stdout);
    assert!(again.stderr.contains("eval test, untouched model: ") && !again.stderr.contains("training"));
    place.run(&[]).says(&["up to date"]);
}

#[test]
fn every_shell_has_completions_and_every_command_help() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.reftc(&["completions", shell]).expect(0).stdout;
        assert!(script.contains("reftc") && script.contains("message-format"), "{shell}");
    }
    let all = place.reftc(&["--help"]).expect(0).stdout;
    let commands = [
        "check",
        "fmt",
        "plan",
        "run",
        "eval",
        "generate",
        "init",
        "examples",
        "explain",
        "describe",
        "doctor",
        "completions",
    ];
    for command in commands {
        assert!(all.contains(&format!("\n  {command} ")), "{command}");
        let help = place.reftc(&[command, "--help"]).expect(0).stdout;
        let undocumented = help.lines().find(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.len() == 1 && words[0].starts_with("--") && !help.contains(&format!("{line}\n   "))
        });
        assert_eq!(undocumented, None, "{command}");
    }
    assert!(all.lines().all(|line| line.len() <= 104), "{all}");
}

#[test]
fn explain_and_describe_have_lists_and_pages() {
    let place = Place::new();
    let codes = place.reftc(&["explain"]).expect(0).stdout;
    assert!(codes.lines().any(|line| line == "E0201  unknown-field"), "{codes}");
    let page = place.reftc(&["explain", "e0201"]).expect(0).stdout;
    assert!(page.starts_with("# E0201: "));
    assert_eq!(place.reftc(&["explain", "unknown-field"]).expect(0).stdout, page);
    place.reftc(&["explain", "E0021"]).expect(2).says(&["`E0021`", "help: "]);
    assert!(place.reftc(&["describe"]).expect(0).stdout.contains("loreft"));
}

#[test]
fn describe_knows_every_name_and_those_of_other_libraries() {
    let place = Place::new();
    let first = |name: &str| {
        let text = place.reftc(&["describe", name]).expect(0).stdout;
        text.lines().next().unwrap_or_default().to_owned()
    };
    for (name, line) in [
        ("train.lr", "train.lr: float (required)"),
        ("lr", "train.lr: float (required)"),
        ("intervene.edit.rank", "intervene.rank: int (required)"),
        ("train", "train { … }"),
        ("schedule", "train.schedule: schedule = linear(warmup: 0%)"),
        ("clip norm", "clip norm, for example 1.0"),
        ("loreft", "loreft: h + Rᵀ(f(W h + b) − R h)"),
        ("cosine", "schedule"),
        ("learning_rate", "learning_rate is called train.lr here"),
        ("Learning-Rate", "learning_rate is called train.lr here"),
        ("train.batch_size", "batch_size is called train.batch here"),
        ("bfloat16", "bfloat16 is called bf16 here"),
        ("E0201", "E0201 is the code of a finding: `reftc explain E0201` tells more"),
    ] {
        assert_eq!(first(name), line, "{name}");
    }
    let text = |name: &str| place.reftc(&["describe", name]).expect(0).stdout;
    assert!(text("train.lr").contains("\nexample: train { lr = 9e-4 }\n"), "{}", text("train.lr"));
    assert!(text("batch").contains("train.batch: ") && text("batch").contains("eval.batch: "), "both of that name");
    assert_eq!(text("schedule").matches("cosine(").count(), 1, "nothing is said twice");
    place.reftc(&["describe", "train.epocs"]).expect(2).says(&["`train.epocs`", "did you mean `epochs`"]);
    place.reftc(&["describe", "xyzzy"]).expect(2).says(&["`reftc describe` lists what there is"]);

    place.reftc(&["describe", "--markdown", "--out", "pages/of"]).expect(0);
    assert!(place.files("pages/of").contains(&"train.md".to_owned()));
    let schema = place.reftc(&["schema", "--json"]).expect(0).json();
    assert_eq!(schema["blocks"][0]["name"], "model");
    place.reftc(&["schema"]).expect(2).says(&["--json"]);
}

#[test]
fn doctor_tells_what_stands_in_the_way() {
    let place = Place::new();
    let good = place.reftc(&["doctor"]).expect(0).stdout;
    assert!(good.contains("offline, as asked") && good.contains("embedded  tiny"), "{good}");
    assert!(good.contains("frozen") && good.contains(".cache/frozen: no records"), "{good}");
    if !candle_core::utils::cuda_is_available() {
        let cuda =
            "missing  cuda      not in this build\n                   help: `benches/gpu/build` makes a build with it";
        assert!(good.contains(cuda), "{good}");
    }
    let frozen = FrozenCache::open(Settings { folder: Some(place.path(".cache/frozen")), budget: Budget::Bytes(5000) });
    frozen.put("segment", &[Item { kind: ItemKind::Keys, layer: 1, values: &[7; 2000] }]);
    let held = place.reftc(&["doctor"]).expect(0).stdout;
    assert!(held.contains(".cache/frozen: 1 record, 2.1 KiB"), "{held}");
    place.write("file", "");
    let bad = Done::of(place.command(&["doctor"]).env("REFTC_CACHE", place.path("file/cache"))).expect(1).stdout;
    assert!(bad.contains("problem  cache") && bad.contains("help: name another folder: `REFTC_CACHE=FOLDER`"), "{bad}");
}
