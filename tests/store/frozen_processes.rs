//! The frozen cache under several processes: a killed writer, and two at once.
//!
//! The processes are this test binary once more; what they do stands in [`worker`].

use crate::frozen_cache::{ITEMS, PLENTY, age, files, has, open, put};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const LENGTH: usize = 1 << 18;
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
            for row in 0..100 {
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
    // Killed when a file is seen half written, which it may no longer be when the signal arrives.
    let caught = (0..100).any(|_| {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = start(folder.path(), "write", PLENTY);
        let unfinished = || files(folder.path()).iter().filter(|path| path.extension().unwrap() == "tmp").count();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "row 3"));
        while unfinished() == 0 && writer.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        writer.kill().unwrap();
        if writer.wait().unwrap().success() {
            // On a busy machine it may have ended by itself.
            return false;
        }

        let caught = unfinished();
        let cache = open(folder.path(), PLENTY);
        let found: Vec<usize> = (0..ROWS).filter(|row| has(&cache, *row, &ITEMS, LENGTH)).collect();
        assert!(found.len() >= 3 && found == Vec::from_iter(0..found.len()), "{found:?}");
        put(&cache, found.len(), &ITEMS, LENGTH);
        files(folder.path()).iter().for_each(|path| age(path, 25));
        assert!(has(&open(folder.path(), PLENTY), found.len(), &ITEMS, LENGTH));
        assert_eq!(unfinished(), 0, "cleared away a day later");
        caught > 0
    });
    assert!(caught, "no writer was caught while writing");
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
        if budget == PLENTY {
            assert_eq!(found, ROWS);
        } else {
            // Each of the three fills the budget with what it saw.
            assert!((4..=3 * 4).contains(&found), "{found}");
        }
        assert!(
            files(folder.path()).iter().all(|path| path.extension().unwrap() == "states"),
            "nothing is left beside"
        );
    }
}
