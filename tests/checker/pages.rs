//! The pages of `reftc explain`: every example makes its error, and what is fixed does not.

use crate::support::{advice, codes, completed};
use reftc::diag::{Code, Severity};

/// Pages whose example is no spec: what they explain shows itself in a run, in files, or on the command line.
/// Each with the tests that produce the code.
const ELSEWHERE: &[(Code, &str)] = &[
    (Code::UnreadableSpec, "tests/checker/documents.rs"),
    (Code::ModelUnreadable, "tests/check/model_unreadable.out"),
    (Code::UnsupportedModel, "tests/check/model_unsupported.out"),
    (Code::TokenizerMismatch, "tests/check/model_tokenizer.out"),
    (Code::NoNetwork, "tests/check/model_no_network.out"),
    (Code::DownloadFailed, "tests/hub.rs"),
    (Code::TensorMismatch, "tests/model/folders.rs"),
    (Code::StartMismatch, "tests/check/init.out"),
    (Code::BaseDropout, "tests/cli/starting.rs"),
    (Code::RunUnwritable, "tests/store/run_folders.rs"),
    (Code::RunLocked, "tests/store/run_folders.rs"),
    (Code::LossNotFinite, "tests/training.rs"),
    (Code::RunNotFound, "tests/store/run_folders.rs"),
    (Code::DeviceUnavailable, "src/model/device.rs"),
    (Code::CacheUnwritable, "tests/store/frozen_cache.rs"),
    (Code::InterventionMismatch, "tests/intervention.rs"),
    (Code::EngineFailed, "src/intervention/mod.rs"),
    (Code::SavedFileUnreadable, "tests/intervention.rs"),
    (Code::RunFormat, "tests/cli/stages.rs"),
    (Code::NotAsLocked, "tests/cli/locking.rs"),
    (Code::LockUnreadable, "tests/cli/locking.rs"),
    (Code::RecordDamaged, "tests/cli/reliability.rs"),
    (Code::InputsChanged, "tests/cli/reliability.rs"),
    (Code::NothingMeasured, "tests/report/pages.rs"),
    (Code::LockDrift, "tests/cli/locking.rs"),
    (Code::ChangedSinceRun, "tests/cli/locking.rs"),
    (Code::BadCondition, "tests/cli/runs_list.rs"),
    (Code::UnknownPath, "tests/cli/runs_list.rs"),
    (Code::NothingToCompare, "tests/cli/compare.rs"),
    (Code::RowsSampled, "tests/checker/many_rows.rs"),
];

/// The fenced blocks of that language in a section of a page.
fn fenced<'p>(page: &'p str, section: &str, language: &str) -> Vec<&'p str> {
    let start = page.find(section).map_or(page.len(), |at| at + section.len());
    let text = page[start..].split("\n## ").next().unwrap_or("");
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    blocks.filter(|(name, _)| *name == language).map(|(_, text)| text).collect()
}

/// The findings of an example that are not about what the example leaves out.
fn findings(code: Code, fragment: &str) -> Vec<Code> {
    let whole = if code == Code::NothingToRun { fragment.to_owned() } else { completed(fragment) };
    let mut found = codes(&whole);
    if code.severity() == Severity::Advice {
        found.extend(advice(&whole));
    }
    found.retain(|other| *other == code || *other != Code::UnusedName);
    found.dedup();
    found
}

#[test]
fn examples_make_their_error_and_fixed_ones_do_not() {
    let mut wrong = Vec::new();
    for code in Code::ALL.iter().filter(|code| ELSEWHERE.iter().all(|(other, _)| other != *code)) {
        let number = code.as_str();
        let examples = fenced(code.page(), "## Example\n", "reft");
        let fixed = fenced(code.page(), "## Fixed\n", "reft");
        if examples.is_empty() || fixed.is_empty() {
            wrong.push(format!("{number}: no example, or none fixed"));
        }
        for text in examples {
            let found = findings(*code, text);
            if found != [*code] {
                wrong.push(format!("{number}: the example gives {found:?}\n{}", completed(text)));
            }
        }
        for text in fixed {
            let found = findings(*code, text);
            if !found.is_empty() {
                wrong.push(format!("{number}: what is fixed gives {found:?}\n{}", completed(text)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_code_is_made_by_a_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    let golden: String = ["tests/check", "tests/advice", "tests/syntax"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("golden files are there"))
        .map(|entry| entry.expect("a folder entry is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "out"))
        .map(|path| read(&path))
        .collect();
    for code in Code::ALL {
        let number = code.as_str();
        if golden.contains(&format!("[{number}]")) {
            continue;
        }
        let (_, place) = ELSEWHERE
            .iter()
            .find(|(other, _)| other == code)
            .unwrap_or_else(|| panic!("no golden file has {number}, and no test is named for it"));
        let text = read(&root.join(place));
        assert!(text.contains(&format!("Code::{code:?}")) || text.contains(number), "{place} does not make {number}");
    }
}
