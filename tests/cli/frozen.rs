//! The frozen cache beside real processes: killed while it fills, deleted, too small, off; the parameters keep their bits.

use crate::support::{Place, RUN};

/// Edits of the last token alone: nearly all of a row is constant. One row a step, so that a kill falls between two rows.
const LAST_TOKEN: &[(&str, &str)] = &[
    ("layers    = all", "layers    = [1]"),
    ("f1+l1", "l1"),
    ("epochs = 2", "epochs = 3"),
    ("batch  = 4", "batch  = 1"),
];

/// The bytes of what a run trained.
fn trained(place: &Place, runs: &str) -> Vec<u8> {
    let folder = place.run_folder(runs, "small");
    std::fs::read(place.path(&format!("{folder}/intervention/intervention.safetensors"))).unwrap()
}

/// Rows with constants, and those found in the cache, of each step.
fn reuse(place: &Place, runs: &str) -> Vec<(u64, u64)> {
    let metrics = place.read(&format!("{}/metrics.jsonl", place.run_folder(runs, "small")));
    let lines = metrics.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let steps = lines.filter(|line| line["constant_rows"].is_u64());
    steps.map(|line| (line["constant_rows"].as_u64().unwrap(), line["reused_rows"].as_u64().unwrap())).collect()
}

#[test]
fn what_was_killed_deleted_or_too_small_has_the_bits_of_an_undisturbed_run() {
    let place = Place::new();
    place.change(LAST_TOKEN);
    place.run(&["--runs", "cold", "--cache-budget", "0"]);
    let expected = trained(&place, "cold");
    assert!(reuse(&place, "cold").iter().all(|&rows| rows == (1, 0)));

    let mut killed = place.spawn(&[&RUN[..], &["--runs", "killed", "--cache-dir", "cache"]].concat());
    killed.wait_for("step  1/48");
    killed.signal("KILL");
    assert_eq!(killed.end().code, None);
    let records = place.files("cache").len();
    assert!((1..32).contains(&records), "{records} of 32 records were kept before the kill");
    place.run(&["--runs", "killed", "--cache-dir", "cache"]);
    assert_eq!(trained(&place, "killed"), expected);

    // Every row was kept by now, and a second epoch finds all.
    place.run(&["--runs", "again", "--cache-dir", "cache"]);
    assert_eq!(trained(&place, "again"), expected);
    assert!(reuse(&place, "again").iter().all(|&rows| rows == (1, 1)));
    assert!(reuse(&place, "killed")[16..].iter().all(|&rows| rows == (1, 1)));

    std::fs::remove_dir_all(place.path("cache")).unwrap();
    place.run(&["--runs", "deleted", "--cache-dir", "cache"]);
    assert_eq!(trained(&place, "deleted"), expected);
    assert_eq!(reuse(&place, "deleted").iter().map(|rows| rows.1).sum::<u64>(), 32);

    place.run(&["--runs", "small", "--cache-dir", "tight", "--cache-budget", "100KiB"]);
    assert_eq!(trained(&place, "small"), expected);
    let found = reuse(&place, "small").iter().map(|rows| rows.1).sum::<u64>();
    assert!((1..32).contains(&found), "{found} rows found: what fits is kept");
}

#[test]
fn two_runs_share_a_cache_at_once() {
    let place = Place::new();
    place.change(LAST_TOKEN);
    place.run(&["--runs", "cold", "--cache-budget", "0"]);
    let both =
        ["first", "second"].map(|runs| place.spawn(&[&RUN[..], &["--runs", runs, "--cache-dir", "cache"]].concat()));
    for run in both {
        assert_eq!(run.end().code, Some(0));
    }
    assert_eq!(trained(&place, "first"), trained(&place, "cold"));
    assert_eq!(trained(&place, "second"), trained(&place, "cold"));
}
