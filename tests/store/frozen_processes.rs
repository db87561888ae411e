//! The frozen cache under several processes: a killed writer, and two at once.
//!
//! The processes are this test binary once more; what they do stands in [`worker`].

use crate::frozen_cache::{ITEMS, PLENTY, age, files, has, open, put};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const LENGTH: usize = 1 << 20;
const ROWS: usize = 24;
const WORK: &str = "REFTC_TEST_FROZEN_WORK";

fn start(folder: &Path, work: &str, budget: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "frozen_processes::worker", "--nocapture"]).stdout(Stdio::piped());
    command.env(WORK, format!("{work} {budget} {}", folder.display())).spawn().unwrap()
}

/// Not a test of its own: the work of another process.
#[test]
fn worker() {
    let Ok(work) = std::env::var(WORK) else { return };
    let [work, budget, folder] = work.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{work}") };
    let cache = open(Path::new(folder), budget.parse().unwrap());
    match work {
        "write" => {
            for row in 0.. {
                println!("\nrow {row}");
                put(&cache, row, &ITEMS, LENGTH);
            }
        }
        "share" => {
            for row in (0..ROWS).chain(0..ROWS) {
                if !has(&cache, row, &ITEMS, LENGTH) {
                    put(&cache, row, &ITEMS, LENGTH);
                }
            }
            assert!(cache.take_warning().is_none());
        }
        _ => panic!("{work}"),
    }
}

#[test]
fn a_killed_writer_leaves_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for last in [3, 5, 8] {
        let mut writer = start(folder.path(), "write", PLENTY);
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let begun = lines.map(Result::unwrap).find(|line| *line == format!("row {last}"));
        assert!(begun.is_some());
        writer.kill().unwrap();
        assert!(!writer.wait().unwrap().success());

        let cache = open(folder.path(), PLENTY);
        assert!((0..last).all(|row| has(&cache, row, &ITEMS, LENGTH)), "all before row {last} were put whole");
        // The row that was being put, and those after it, are there wholly or not at all.
        (last..last + 20).for_each(|row| drop(has(&cache, row, &ITEMS, LENGTH)));
        let damaged = files(folder.path()).iter().filter(|path| path.metadata().unwrap().len() % 64 != 0).count();
        println!("{damaged} unfinished");
    }
    let whole = files(folder.path()).iter().filter(|path| path.extension().unwrap() == "states").count();
    files(folder.path()).iter().for_each(|path| age(path, 25));
    open(folder.path(), PLENTY);
    assert_eq!(files(folder.path()).len(), whole, "what was half written is cleared away a day later");
}

#[test]
fn two_runs_at_once_share_a_folder() {
    let record = 3 * LENGTH as u64 + 512;
    for budget in [PLENTY, 4 * record] {
        let folder = tempfile::tempdir().unwrap();
        // Old records, which both throw out where the budget is small.
        let before = open(folder.path(), PLENTY);
        (100..104).for_each(|row| put(&before, row, &ITEMS, LENGTH));
        files(folder.path()).iter().for_each(|path| age(path, 1));
        let processes = [(); 3].map(|()| start(folder.path(), "share", budget));
        for process in processes {
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        let later = open(folder.path(), PLENTY);
        let found = (0..ROWS).filter(|row| has(&later, *row, &ITEMS, LENGTH)).count();
        let expected = if budget == PLENTY { ROWS } else { 4 };
        assert!(found >= expected, "{found} of {expected}");
        assert!((0..ROWS).all(|row| row < expected || budget == PLENTY || found <= 3 * expected));
        assert!(
            files(folder.path()).iter().all(|path| path.extension().unwrap() == "states"),
            "nothing is left beside"
        );
    }
}
