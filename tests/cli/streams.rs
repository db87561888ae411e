//! Data goes to stdout, all else to stderr; colours and bars need a terminal; every ending has its exit code.

use crate::support::{Done, Place, RUN, SPEC};
use serde_json::Value;

const UNKNOWN_FIELD: &[(&str, &str)] = &[("    batch  = 4", "    bacth  = 4")];

#[test]
fn data_alone_is_on_stdout() {
    let place = Place::new();
    let check = place.reftc(&["check", "spec.reft"]).expect(0);
    assert_eq!((check.stdout.as_str(), check.stderr.as_str()), ("", "no findings\n"));
    let plan = place.reftc(&["plan", "spec.reft"]).expect(0);
    assert_eq!(plan.stderr, "");
    assert!(plan.stdout.starts_with("experiment small\n  A small one.\n"), "{}", plan.stdout);
    assert!(plan.stdout.contains("16 rows of train.jsonl\n"), "a path as it was written: {}", plan.stdout);
    assert_eq!(place.reftc(&["plan", "spec.reft", "--json"]).expect(0).json()["experiments"][0]["name"], "small");

    let run = place.run(&[]);
    assert!(run.stdout.lines().any(|line| line.starts_with(" test  exact_match ")), "{}", run.stdout);
    assert_eq!(run.stdout.lines().count(), 5, "the table and nothing else: {}", run.stdout);
    let run = place.run(&["--json"]);
    assert_eq!(run.json()[0]["result"]["evals"][0]["rows"], 6);
    assert!(!run.stderr.contains("───"), "no table beside the JSON");
    let eval = place.reftc(&["eval", "small", "--json", "--threads", "1"]).expect(0);
    assert_eq!(eval.json()[0]["name"], "test");
    let doctor = place.reftc(&["doctor", "--json"]).expect(0).json();
    let others = doctor.as_array().unwrap().iter().filter(|finding| finding["what"] != "cuda");
    assert!(others.clone().count() > 4 && others.clone().all(|finding| finding["state"] == "good"), "{doctor}");
}

#[test]
fn findings_come_in_four_forms() {
    let place = Place::new();
    place.change(UNKNOWN_FIELD);
    let check = |format: &str| place.reftc(&["check", "spec.reft", "--message-format", format]).expect(1);

    let human =
        check("human").says(&["E0201", "╭─[spec.reft:26:5]", "help: ", "1 error; `reftc explain E0201` tells more"]);
    assert_eq!(human.stdout, "");
    let short = check("short");
    assert!(short.stderr.starts_with("spec.reft:26:5: error[E0201]: "), "{}", short.stderr);
    assert_eq!(short.stdout, "");
    let json = check("json");
    assert_eq!(json.stderr, "");
    let line: Value = serde_json::from_str(json.stdout.trim_end()).unwrap();
    assert_eq!((&line["code"], &line["span"]["line"]), (&Value::from("E0201"), &Value::from(26)));
    let github = check("github");
    assert!(github.stdout.starts_with("::error file=spec.reft,line=26,"), "{}", github.stdout);
    assert_eq!(github.stderr, "");

    for arguments in [RUN.as_slice(), &["plan", "spec.reft"]] {
        let found = place.reftc(&[arguments, &["--message-format", "json"]].concat()).expect(1);
        assert_eq!(found.stdout, json.stdout, "every command that compiles says the same");
    }
    assert!(place.files("runs").is_empty());
}

#[test]
fn a_failed_run_is_told_in_the_form_that_was_asked_for() {
    let place = Place::new();
    place.change(&[("1e-3", "1e30")]);
    let failed = place.reftc(&[&RUN[..], &["--message-format", "json"]].concat()).expect(3);
    let line: Value = serde_json::from_str(failed.stdout.trim_end()).unwrap();
    assert_eq!((&line["code"], &line["span"]["line"]), (&Value::from("E0503"), &Value::from(24)));
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let place = Place::new();
    place.change(UNKNOWN_FIELD);
    let coloured = |done: &Done| done.stderr.contains('\u{1b}');
    assert!(!coloured(&place.reftc(&["check", "spec.reft"])));
    assert!(coloured(&place.reftc(&["check", "spec.reft", "--color", "always"])));
    let plain = Done::of(place.command(&["check", "spec.reft"]).env("NO_COLOR", "1"));
    assert!(!coloured(&plain));
    let ascii = Done::of(place.command(&["check", "spec.reft"]).env("TERM", "dumb"));
    assert!(ascii.stderr.lines().all(|line| line.is_ascii()), "{}", ascii.stderr);

    place.write("spec.reft", SPEC);
    let run = place.run(&["--color", "always"]);
    assert!(!run.stderr.contains(['\r', '\u{1b}']), "no bars without a terminal: {:?}", run.stderr);
    assert!(run.stderr.contains("  step 1/8  loss "), "lines in their place: {}", run.stderr);
    assert!(!run.stdout.contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    place.run(&[]);
    for arguments in [&["explain", "E0201"][..], &["describe", "--markdown"], &["plan", "spec.reft"], &["--help"], &RUN]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command(arguments);
        let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
        // The command holds a writer too.
        drop(command);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {} {stderr}", output.status);
        assert!(!stderr.contains("panicked") && !stderr.contains("ipe"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn wrong_usage_is_2() {
    let place = Place::new();
    let help = place.reftc(&[]).expect(2);
    assert!(help.stderr.contains("Usage: reftc"), "{}", help.stderr);
    for arguments in [
        &["dance"][..],
        &["check"],
        &["run"],
        &["run", "spec.reft", "--epochs", "3"],
        &["run", "spec.reft", "--threads", "0"],
        &["run", "spec.reft", "--device", "abacus"],
        &["run", "spec.reft", "--cache-budget", "much"],
        &["eval", "small", "--cache-budget", "4gib"],
        &["run", "spec.reft", "--experiment", "smal"],
        &["check", "spec.reft", "--deny", "W0499"],
        &["generate", "small"],
        &["generate", "small", "x", "--temperature=-1"],
        &["generate", "small", "x", "--top-p", "1.5"],
        &["generate", "small", "x", "--max-tokens", "0"],
        &["explain", "E9999"],
        &["describe", "nothing"],
        &["completions", "abacus"],
    ] {
        let done = place.reftc(arguments).expect(2);
        assert_eq!(done.stdout, "", "{arguments:?}");
        assert!(!done.stderr.is_empty(), "{arguments:?}");
    }
    assert!(place.files("runs").is_empty());
    place.reftc(&["eval", "small", "--cache-budget", "4gib"]).says(&["write `4GiB`"]);
    place.reftc(&["run", "spec.reft", "--experiment", "smal"]).says(&["`smal`", "did you mean `small`?"]);
}

#[test]
fn a_run_that_is_not_there_is_3() {
    let place = Place::new();
    for arguments in [&["eval", "small"][..], &["generate", "small", "x"]] {
        place.reftc(arguments).expect(3).says(&["E0504", "there is no run `small`", "`reftc run SPEC`"]);
    }
    place.run(&[]);
    place.reftc(&["eval", "smal"]).expect(3).says(&["did you mean `small`?"]);
    place.reftc(&["eval", "small", "--eval", "dev"]).expect(3).says(&["no evaluation named `dev`", "it has `test`"]);
}
