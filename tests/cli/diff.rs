//! `reftc diff`: files, revisions of a real repository, and runs.

use super::support::{Done, Place, SPEC};
use std::process::Command;

/// A place whose spec is committed; false where there is no git.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn committed(place: &Place) -> bool {
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=reftc", "-c", "user.email=reftc@example.org"];
        let mut command = Command::new("git");
        command.arg("-C").arg(place.path("")).args(identity).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.output().is_ok_and(|output| output.status.success())
    };
    let found = git(&["init", "-q"]);
    if !found {
        eprintln!("skipped: no git here");
        return false;
    }
    assert!(git(&["add", "."]) && git(&["commit", "-qm", "One"]));
    true
}

/// The table without its lines, and without trailing blanks.
fn rows(done: &Done) -> Vec<String> {
    let lines = done.stdout.lines().filter(|line| !line.is_empty() && !line.contains('─'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn what_decides_nothing_makes_no_difference() {
    let place = Place::new();
    place.write("before.reft", SPEC);
    let text = r#"// Other names, another order, defaults written out, other spellings.
use "shared.reft" as shared
model model = embedded("tiny")
experiment small {
  eval test { baseline = true, decode = greedy(2), when = end, on = rows.test }
  train { lr = 0.001, batch = 4, epochs = 2, schedule = linear, clip = 1, optimizer = adamw }
  intervene edit = loreft { dropout = 10%, rank = shared.rank, positions = f1 + l1, layers = all, at = block_output }
  data = rows, model = model, seed = 42
}
data rows {
  target = " {label}"
  prompt = shared.prompt
  test = jsonl("test.jsonl")[..]
  train = jsonl("./train.jsonl")
}
"#;
    place.write("after.reft", text);
    place.write("shared.reft", "let rank = 2\nlet prompt = \"Review: {review}\\nAnswer:\"\n");
    let done = place.reftc(&["diff", "before.reft", "after.reft"]).expect(0).says(&["no difference"]);
    assert_eq!(done.stdout, "");
    place.write("after.reft", &text.replace("lr = 0.001", "lr = 0.0010001"));
    place.reftc(&["diff", "before.reft", "after.reft"]).expect(1);
}

#[test]
fn changed_fields_are_told_with_both_places() {
    let place = Place::new();
    place.write("before.reft", SPEC);
    place.change(&[("let hidden_rank = 2", "let hidden_rank = 4"), ("f1+l1", "f1+l2"), ("    baseline = true\n", "")]);
    let done = place.reftc(&["diff", "before.reft", "spec.reft"]).expect(1);
    assert_eq!(
        rows(&done),
        [
            "experiment small",
            "field value set at",
            "- intervene.edit.positions f1+l1 before.reft:19",
            "+ intervene.edit.positions f1+l2 spec.reft:19",
            "- intervene.edit.rank 2 before.reft:1",
            "+ intervene.edit.rank 4 spec.reft:1",
            "- eval.test.baseline true before.reft:33",
            "+ eval.test.baseline false default",
        ]
    );
    let json = place.reftc(&["diff", "before.reft", "spec.reft", "--json"]).expect(1).json();
    assert_eq!(json["same"], false);
    let rank = &json["experiments"][0]["fields"][1];
    assert_eq!((&rank["path"], &rank["after"]["means"]), (&"intervene.edit.rank".into(), &"4".into()));
    assert_eq!((&rank["before"]["file"], &rank["before"]["line"]), (&"before.reft".into(), &1.into()));
    let same = place.reftc(&["diff", "spec.reft", "spec.reft", "--json"]).expect(0).json();
    assert_eq!((&same["same"], &same["experiments"]), (&true.into(), &serde_json::json!([])));
}

#[test]
fn blocks_experiments_sweeps_and_promises_are_told_as_such() {
    let place = Place::new();
    let gone = "experiment gone extends small { seed = 1 }\n";
    place.write("before.reft", &format!("{SPEC}{gone}experiment more extends small {{ sweep {{ seed = [1, 2] }} }}\n"));
    place.write(
        "after.reft",
        &format!(
            r#"{SPEC}
experiment more extends small {{
  intervene second = noreft {{ layers = [0], positions = l1, rank = 1 }}
  remove eval test
  eval dev {{ on = reviews.test, choices = [" yes", " no"] }}
  sweep {{
    seed = 1..=2
    train.lr = [2e-3, 1e-3]
  }}
  expect {{ params.share <= 50% }}
}}
experiment new extends small {{ seed = 2 }}
"#
        ),
    );
    let done = place.reftc(&["diff", "before.reft", "after.reft"]).expect(1);
    assert_eq!(
        rows(&done),
        [
            "- experiment gone",
            "experiment more",
            "field value set at",
            "- train.lr 1e-3 before.reft:27",
            "- eval.test reviews.test before.reft:31",
            "+ intervene.second noreft after.reft:38",
            "+ eval.dev reviews.test after.reft:40",
            "+ expect.params.share <= 50% after.reft:45",
            "+ sweep.train.lr [2e-3, 1e-3] after.reft:43",
            "+ experiment new",
        ]
    );
}

#[test]
fn a_revision_brings_the_files_that_it_uses() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("specs/shared")).unwrap();
    place.write(
        "specs/shared/base.reft",
        &SPEC.replace("\"train.jsonl\"", "\"../../train.jsonl\"").replace("\"test.jsonl\"", "\"../../test.jsonl\""),
    );
    let spec = "use \"shared/base.reft\" as base\nexperiment mine extends base.small { seed = 7 }\n";
    place.write("specs/x.reft", spec);
    if !committed(&place) {
        return;
    }
    place.write("specs/x.reft", &format!("// A comment.\n{spec}"));
    place.reftc(&["diff", "HEAD:specs/x.reft", "specs/x.reft"]).expect(0);
    let base = place.read("specs/shared/base.reft");
    place.write("specs/shared/base.reft", &base.replace("lr     = 1e-3", "lr     = 2e-3"));
    let told = [
        "experiment mine",
        "field value set at",
        "- train.lr 1e-3 HEAD:specs/shared/base.reft:27",
        "+ train.lr 2e-3 specs/shared/base.reft:27",
    ];
    for arguments in [["diff", "HEAD:specs/x.reft", "specs/x.reft"], ["diff", "HEAD:", "specs/x.reft"]] {
        assert_eq!(rows(&place.reftc(&arguments).expect(1)), told);
    }
    // From a folder of the repository, `./` begins there.
    let inside = |arguments: &[&str]| Done::of(place.command(arguments).current_dir(place.path("specs")));
    assert_eq!(rows(&inside(&["diff", "HEAD:./x.reft", "x.reft"]).expect(1)).len(), told.len());
    inside(&["diff", "HEAD:", "HEAD:./x.reft"]).expect(0);
    inside(&["diff", "HEAD:x.reft", "x.reft"]).expect(2).says(&["has no file `x.reft`", "write `HEAD:specs/x.reft`"]);
}

#[test]
fn rows_are_compared_by_their_content() {
    let place = Place::new();
    if !committed(&place) {
        return;
    }
    place.write("train.jsonl", &super::support::rows(20));
    let done = place.reftc(&["diff", "HEAD:", "spec.reft"]).expect(1);
    let rows = rows(&done);
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows[2].starts_with("- data.train jsonl(\"train.jsonl\"), content "), "{rows:?}");
    // Without the rows, and without the model, there is nothing to say about them.
    std::fs::remove_file(place.path("train.jsonl")).unwrap();
    place.change(&[("embedded(\"tiny\")", "path(\"nowhere\")")]);
    let done = place.reftc(&["diff", "HEAD:", "spec.reft"]).expect(1);
    assert!(done.stdout.contains("path(\"nowhere\")") && !done.stdout.contains("content"), "{}", done.stdout);
}

#[test]
fn what_cannot_be_read_is_said_and_exits_with_2() {
    let place = Place::new();
    place.write("broken.reft", &SPEC.replace("rank      =", "rnk      ="));
    place.reftc(&["diff", "spec.reft", "broken.reft"]).expect(2).says(&["`intervene` has no field `rnk`"]);
    place.reftc(&["diff", "spec.reft", "missing.reft"]).expect(2).says(&["cannot read `missing.reft`"]);
    place.reftc(&["diff", "spec.reft", "small"]).expect(2).says(&["`small` can only be a run"]);
    place.reftc(&["diff", "small", "small"]).expect(2).says(&["there is no run `small`"]);
    place.reftc(&["diff", "HEAD:", "HEAD~1:"]).expect(2).says(&["says which spec is meant"]);
    let done = Done::of(place.command(&["diff", "HEAD:", "spec.reft"]).env("PATH", "/nonexistent")).expect(2);
    done.says(&["there is no `git` on the PATH"]);
    place.reftc(&["diff", "HEAD:", "spec.reft"]).expect(2).says(&["cannot read the revision `HEAD`"]);
    if committed(&place) {
        place.reftc(&["diff", "HEAD~7:", "spec.reft"]).expect(2).says(&["git knows no revision `HEAD~7`"]);
        place.reftc(&["diff", "HEAD:spce.reft", "spec.reft"]).expect(2).says(&["write `HEAD:spec.reft`"]);
    }
}

#[test]
fn two_runs_differ_by_their_fields() {
    let place = Place::new();
    place.run(&[]);
    let first = place.run_folder("runs", "small");
    place.change(&[("lr     = 1e-3", "lr     = 2e-3")]);
    place.run(&["--runs", "other"]);
    let second = place.run_folder("other", "small");
    let done = place.reftc(&["diff", &first, &second]).expect(1);
    let changed = ["- train.lr 1e-3 spec.reft:27", "+ train.lr 2e-3 spec.reft:27"];
    assert_eq!(rows(&done)[2..], changed);
    place.reftc(&["diff", "small", &first]).expect(0).says(&["no difference"]);
    // A plan from before there were fields in it.
    let mut plan: serde_json::Value = serde_json::from_str(&place.read(&format!("{first}/plan.json"))).unwrap();
    plan.as_object_mut().unwrap().remove("fields").unwrap();
    place.write(&format!("{first}/plan.json"), &plan.to_string());
    place.reftc(&["diff", &first, &second]).expect(2).says(&["does not say its fields"]);
}

#[test]
fn the_order_of_several_data_counts() {
    let place = Place::new();
    let more =
        SPEC[SPEC.find("data reviews").unwrap()..SPEC.find("/// A small one").unwrap()].replace("reviews", "more");
    let spec = |list: &str| format!("{more}{}", SPEC.replace("data  = reviews", &format!("data  = {list}")));
    place.write("before.reft", &spec("[reviews, more]"));
    place.write("after.reft", &spec("[more, reviews]"));
    let done = place.reftc(&["diff", "before.reft", "after.reft"]).expect(1);
    assert_eq!(rows(&done)[2..], ["- data [reviews, more] before.reft:22", "+ data [more, reviews] after.reft:22"]);
}
