//! `reftc runs gc`: what goes, what stays, and what a process holds.

use super::support::{Done, Place, SPEC};
use serde_json::Value;
use std::fs::File;
use std::time::{Duration, SystemTime};

/// A place with a run that the spec denotes and one that it no longer does.
fn place() -> (Place, String, String) {
    let place = Place::new();
    place.run(&[]);
    let old = place.run_folder("runs", "small");
    place.change(&[("hidden_rank = 2", "hidden_rank = 3")]);
    place.run(&[]);
    let all = place.reftc(&["runs", "--json", "--where", "rank == 3"]).expect(0).json();
    let new = format!("runs/{}", all[0]["name"].as_str().unwrap());
    (place, old, new)
}

fn gc(place: &Place, arguments: &[&str]) -> Done {
    place.reftc(&[&["runs", "gc"], arguments].concat()).expect(0)
}

/// The runs that would be removed, by their folders.
fn doomed(place: &Place, arguments: &[&str]) -> Vec<String> {
    let report = gc(place, &[arguments, &["--json"]].concat()).json();
    assert_eq!(report["removed"], false);
    let runs = report["runs"].as_array().unwrap().iter().filter(|run| run["remove"] == true);
    runs.map(|run| run["folder"].as_str().unwrap().to_owned()).collect()
}

/// Makes every file of a folder as old as that.
fn age(place: &Place, folder: &str, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * 86_400);
    for name in place.files(folder) {
        let file = File::options().append(true).open(place.path(&format!("{folder}/{name}"))).unwrap();
        file.set_modified(time).unwrap();
    }
}

#[test]
fn what_no_spec_denotes_is_shown_first_and_removed_after_yes() {
    let (place, old, new) = place();
    let shown = gc(&place, &[]).says(&["kept 1 run: spec.reft denotes it", "nothing was removed; `--yes` removes it"]);
    assert!(shown.stdout.contains(old.strip_prefix("runs/").unwrap()) && shown.stdout.contains("no spec denotes it"));
    assert!(!shown.stdout.contains(new.strip_prefix("runs/").unwrap()), "{}", shown.stdout);
    assert!(place.path(&old).is_dir());
    gc(&place, &["--yes"]).says(&["removed 1 run ("]);
    assert!(!place.path(&old).exists() && place.path(&new).is_dir());
    assert!(place.files("runs").iter().all(|name| !name.contains(".tmp")));
    assert_eq!(place.run(&[]).says(&["up to date"]).code, Some(0));
    gc(&place, &["--yes"]).says(&["nothing to remove"]);
}

#[test]
fn specs_of_the_folder_protect_their_runs() {
    let (place, old, _) = place();
    std::fs::create_dir(place.path("specs")).unwrap();
    for name in ["train.jsonl", "test.jsonl"] {
        std::fs::copy(place.path(name), place.path(&format!("specs/{name}"))).unwrap();
    }
    place.write("specs/old.reft", SPEC);
    assert_eq!(doomed(&place, &[]), Vec::<String>::new());
    assert_eq!(doomed(&place, &["--spec", "specs"]).len(), 1, "the other run has no spec there");
    place.write("specs/old.reft", &SPEC.replace("rank      = hidden_rank", "rank      = \"much\""));
    gc(&place, &["--yes"]).says(&["specs/old.reft does not compile: all runs of `small` are kept"]);
    assert!(place.path(&old).is_dir());
    place.write("specs/old.reft", &SPEC.replace("small", "another").replace("hidden_rank\n", "\"much\"\n"));
    assert_eq!(doomed(&place, &[]), [old.as_str()]);
    std::fs::write(place.path("specs/old.reft"), [0xff, 0xfe]).unwrap();
    assert_eq!(doomed(&place, &[]), Vec::<String>::new(), "nobody knows what it denotes");
}

#[test]
fn ages_and_numbers_limit_what_goes() {
    let (place, old, new) = place();
    std::fs::remove_file(place.path("spec.reft")).unwrap();
    assert_eq!(doomed(&place, &[]).len(), 2);
    assert_eq!(doomed(&place, &["--older-than", "30d"]), Vec::<String>::new());
    age(&place, &old, 31);
    assert_eq!(doomed(&place, &["--older-than", "30d"]), [old.as_str()]);
    assert_eq!(doomed(&place, &["--older-than", "5w"]), Vec::<String>::new());
    assert_eq!(doomed(&place, &["--keep", "1"]), [old.as_str()]);
    assert_eq!(doomed(&place, &["--keep", "2"]), Vec::<String>::new());
    place.reftc(&["runs", "gc", "--older-than", "soon"]).expect(2).says(&["30d"]);
    gc(&place, &["--yes"]);
    assert!(!place.path(&new).exists() && !place.path("runs/small").exists(), "the folder goes with its last run");
}

#[test]
fn unfinished_runs_stay_for_a_day() {
    let (place, old, _) = place();
    std::fs::rename(place.path(&format!("{old}/result.json")), place.path(&format!("{old}/stages.json"))).unwrap();
    assert_eq!(doomed(&place, &[]), Vec::<String>::new());
    age(&place, &old, 2);
    assert_eq!(doomed(&place, &[]), [old.as_str()]);
    place.write("spec.reft", SPEC);
    assert!(!doomed(&place, &[]).contains(&old), "the spec denotes it, and there is no finished one");
}

#[test]
fn a_run_that_a_process_holds_stays() {
    let (place, old, _) = place();
    let lock = File::options().write(true).open(place.path(&format!("{old}/.lock"))).unwrap();
    lock.lock().unwrap();
    let report = gc(&place, &["--yes", "--json"]).json();
    let is_held = |run: &Value| run["folder"] == old.as_str() && run["why"].as_str().unwrap().contains("is working on");
    assert!(report["runs"].as_array().unwrap().iter().any(is_held), "{report}");
    assert!(place.path(&old).is_dir());
    drop(lock);
    gc(&place, &["--yes"]);
    assert!(!place.path(&old).exists());
}

#[test]
fn leftovers_of_killed_processes_go_after_a_day() {
    let (place, _, new) = place();
    let (fresh, stale) = (format!("{new}/.plan.json.1-0.tmp"), format!("{new}/eval/.test.jsonl.1-2.tmp"));
    std::fs::create_dir(place.path("runs/small/.01234567.9.tmp")).unwrap();
    place.write(&fresh, "half");
    place.write(&stale, "half");
    let time = SystemTime::now() - Duration::from_secs(2 * 86_400);
    for path in [stale.as_str(), "runs/small/.01234567.9.tmp"] {
        File::open(place.path(path)).unwrap().set_modified(time).unwrap();
    }
    assert_eq!(
        place.reftc(&["runs", "--json"]).expect(0).json().as_array().unwrap().len(),
        2,
        "hidden folders are no runs"
    );
    gc(&place, &["--keep", "9", "--yes"]).says(&["2 files of killed processes"]);
    assert!(place.path(&fresh).exists() && !place.path(&stale).exists());
    assert!(!place.path("runs/small/.01234567.9.tmp").exists());
    assert!(place.path(&format!("{new}/result.json")).is_file());
}
