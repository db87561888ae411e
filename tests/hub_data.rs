//! Datasets of a hub: which files are taken, and that they are fetched once.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with the tests of models")]
#[path = "support/hub_server.rs"]
mod hub_server;

use hub_server::{HubServer, settings};
use reftc::data::source::{Dataset, Format, Source};
use reftc::diag::{Code, Diagnostic};
use reftc::model::hub::{HubSettings, find_rows};

const CONVERTED: &str = "refs/convert/parquet";

fn dataset(config: &str, split: &str, revision: &str) -> Dataset {
    let text = str::to_owned;
    Dataset { repo: text("org/data"), config: text(config), split: text(split), revision: text(revision) }
}

fn find(settings: &HubSettings, config: &str, split: &str, revision: &str) -> Result<Source, Box<Diagnostic>> {
    find_rows(settings, &dataset(config, split, revision), true, &mut |_| {})
}

/// Content that tells files apart, large enough to be cut in its middle.
fn content(number: u8) -> Vec<u8> {
    vec![number; 200_000]
}

/// The dataset as its author keeps it, and as the hub converted it.
fn server() -> HubServer {
    HubServer::with_data(
        &[],
        &[
            ("main", "README.md", b"# Data".to_vec()),
            ("main", "train.jsonl", b"{\"text\": \"own\"}".to_vec()),
            ("main", "test.jsonl", b"{\"text\": \"own test\"}".to_vec()),
            ("v1", "data/train.csv", b"text\nold\n".to_vec()),
            (CONVERTED, "default/train/0000.parquet", content(1)),
            (CONVERTED, "default/train/0001.parquet", content(2)),
            (CONVERTED, "default/partial-test/0000.parquet", content(3)),
            (CONVERTED, "extra/train/0000.parquet", content(4)),
        ],
    )
}

fn contents(source: &Source) -> Vec<Vec<u8>> {
    source.paths().iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn converted_files_are_fetched_once_and_then_used_without_the_network() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    let mut seen = Vec::new();
    let train = dataset("", "train", "main");
    let found = find_rows(&settings, &train, true, &mut |progress| seen.push(progress.file.to_owned())).unwrap();
    assert_eq!((found.format.clone(), found.dataset.clone()), (Format::Parquet, Some(train)));
    assert_eq!(contents(&found), [content(1), content(2)]);
    seen.dedup();
    assert_eq!(seen, ["default/train/0000.parquet", "default/train/0001.parquet"], "no other split is fetched");
    assert!(home.path().join("hub/datasets--org--data/refs/refs/convert/parquet").is_file());

    let asked = server.requests().len();
    let offline = HubSettings { offline: true, ..settings.clone() };
    for settings in [&settings, &offline] {
        assert_eq!(find(settings, "", "train", "main").unwrap(), found);
        assert_eq!(find(settings, "default", "train", "main").unwrap().path, found.path);
    }
    assert_eq!(server.requests().len(), asked, "all of it is in the cache");
    // What is there is known without a network too; what is not there, is not.
    assert_eq!(find(&offline, "", "trian", "main").unwrap_err().code, Code::UnknownSplit);
    assert_eq!(find(&offline, "extra", "train", "main").unwrap_err().code, Code::NoNetwork);
    assert_eq!(contents(&find(&settings, "extra", "train", "main").unwrap()), [content(4)]);
}

#[test]
fn the_datasets_own_files_are_taken_where_nothing_whole_was_converted() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    let partial = find(&settings, "", "test", "main").unwrap();
    assert_eq!(
        (partial.format.clone(), contents(&partial)),
        (Format::Jsonl, vec![b"{\"text\": \"own test\"}".to_vec()])
    );
    let old = find(&settings, "", "train", "v1").unwrap();
    assert!(matches!(old.format, Format::Csv(_)) && old.path.ends_with("data/train.csv"));
    let unconverted = HubServer::with_data(&[], &[("main", "train.jsonl", b"{}".to_vec())]);
    let home = tempfile::tempdir().unwrap();
    let settings = HubSettings { cache: home.path().to_path_buf(), endpoint: unconverted.endpoint(), ..settings };
    assert_eq!(contents(&find(&settings, "", "train", "main").unwrap()), [b"{}"]);
    let offline = HubSettings { offline: true, ..settings };
    assert_eq!(contents(&find(&offline, "", "train", "main").unwrap()), [b"{}"], "remembered as well");
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    for (config, split, revision, code, message, help) in [
        (
            "extra",
            "trian",
            "main",
            Code::UnknownSplit,
            "the dataset `org/data` (`extra`) has no split `trian`: there are `train`",
            "`split: \"train\"`",
        ),
        (
            "",
            "dev",
            "v1",
            Code::UnknownSplit,
            "the dataset `org/data` has no split `dev`: there are `train`",
            "`split: \"train\"`",
        ),
        (
            "exta",
            "train",
            "main",
            Code::DataNotFound,
            "the dataset `org/data` has no subset `exta`: there are `default`, `extra`",
            "`config: \"extra\"`",
        ),
        (
            "",
            "train",
            "v2",
            Code::DataNotFound,
            "the dataset `org/data` has no revision `v2`",
            "a branch, a tag or a commit of the dataset",
        ),
    ] {
        let error = find(&settings, config, split, revision).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (code, message));
        assert!(error.help[0].contains(help), "{error:?}");
    }
    let nothing = HubServer::start(&[]);
    let settings = HubSettings { endpoint: nothing.endpoint(), ..settings };
    let home = tempfile::tempdir().unwrap();
    let settings = HubSettings { cache: home.path().to_path_buf(), ..settings };
    let error = find(&settings, "", "train", "main").unwrap_err();
    assert_eq!(error.code, Code::DataNotFound);
    assert!(error.message.starts_with("there is no dataset `org/data` at http://127.0.0.1"), "{error}");
    assert!(error.help[0].contains("/datasets/org/data"), "{error:?}");
    for name in ["", "../x", "a/b/c"] {
        let named = Dataset { repo: name.to_owned(), ..dataset("", "train", "main") };
        assert_eq!(find_rows(&settings, &named, true, &mut |_| {}).unwrap_err().code, Code::DataNotFound, "{name}");
    }
}

#[test]
fn a_broken_download_is_picked_up_and_wrong_content_deleted() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    let files = server.files_named("default/train/0001.parquet");
    let [file] = files.as_slice() else { panic!("{files:?}") };
    server.cut(file, 90_000, 1);
    assert_eq!(contents(&find(&settings, "", "train", "main").unwrap()), [content(1), content(2)]);
    assert_eq!(server.ranges(), ["bytes=90000-"]);

    let other = tempfile::tempdir().unwrap();
    let settings = HubSettings { cache: other.path().to_path_buf(), ..settings };
    server.corrupt(file);
    let error = find(&settings, "", "train", "main").unwrap_err();
    assert_eq!(error.code, Code::DownloadFailed);
    assert!(error.message.contains("`default/train/0001.parquet` of `org/data` is damaged"), "{error}");
    // Half of a split is not the split.
    let offline = HubSettings { offline: true, ..settings.clone() };
    assert_eq!(find(&offline, "", "train", "main").unwrap_err().code, Code::NoNetwork);
    server.heal();
    assert_eq!(contents(&find(&settings, "", "train", "main").unwrap()), [content(1), content(2)]);
}

#[test]
fn a_snapshot_of_the_hubs_own_tools_is_used_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let commit = "89abcdef0123456789abcdef0123456789abcdef";
    let folder = home.path().join("hub/datasets--org--data");
    let snapshot = folder.join("snapshots").join(commit);
    std::fs::create_dir_all(snapshot.join("data")).unwrap();
    std::fs::create_dir_all(folder.join("refs")).unwrap();
    std::fs::write(folder.join("refs/main"), commit).unwrap();
    std::fs::write(snapshot.join("data/test.tsv"), "text\na\n").unwrap();
    let offline = HubSettings { offline: true, ..settings(home.path(), "http://unused") };
    assert_eq!(find(&offline, "", "test", "main").unwrap().path, snapshot.join("data/test.tsv"));
}

#[test]
fn without_a_network_the_way_out_is_written_out() {
    let home = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = settings(home.path(), &format!("http://{closed}"));
    let offline = HubSettings { offline: true, ..settings(home.path(), "http://unused") };
    for settings in [&unreachable, &offline] {
        let error = find(settings, "", "train", "main").unwrap_err();
        assert_eq!(error.code, Code::NoNetwork);
        let help = error.help.join("\n");
        for words in ["`hf download org/data --repo-type dataset", "datasets--org--data", "HF_HOME", "parquet("] {
            assert!(help.contains(words), "{words} is missing in:\n{help}");
        }
    }
    let error = find_rows(&unreachable, &dataset("", "train", "main"), false, &mut |_| {}).unwrap_err();
    assert!(error.code == Code::NoNetwork && error.help[0].contains("reftc check"), "{error:?}");
}

#[test]
fn a_list_cannot_name_files_elsewhere() {
    let server = HubServer::with_data(&[], &[("main", "../../train.jsonl", b"{}".to_vec())]);
    let home = tempfile::tempdir().unwrap();
    let error = find(&settings(home.path(), &server.endpoint()), "", "train", "main").unwrap_err();
    assert_eq!(error.code, Code::DownloadFailed);
    assert!(error.message.contains("`../../train.jsonl`"), "{error}");
}
