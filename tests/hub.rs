//! Downloads from a hub: a server on loopback that behaves as the real one does, and misbehaves as networks do.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with the tests of datasets")]
#[path = "support/hub_server.rs"]
mod hub_server;

use hub_server::{COMMIT, HubServer, settings};
use reftc::diag::{Code, Diagnostic};
use reftc::model::hub::{Hub, HubSettings, Snapshot, Wanted, out_of_reach};
use std::collections::BTreeMap;

const NAME: &str = "org/model";

fn fetch(settings: &HubSettings, wanted: Wanted) -> Result<Snapshot, Box<Diagnostic>> {
    Hub::new(settings, NAME, "main")?.fetch(wanted, &mut |_| {})
}

/// A model of one weights file, large enough to be cut in its middle.
fn server() -> HubServer {
    HubServer::start(&[
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", b"{\"model\":{}}".to_vec()),
        ("tokenizer_config.json", b"{\"eos_token\":\"</s>\"}".to_vec()),
        ("model.safetensors", (0..300_000_u32).map(|n| (n % 251) as u8).collect()),
    ])
}

#[test]
fn a_model_is_downloaded_once_and_then_used_without_the_network() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    let metadata = fetch(&settings, Wanted::Metadata).unwrap();
    assert_eq!(metadata.commit, COMMIT);
    assert!(metadata.folder.ends_with(format!("hub/models--org--model/snapshots/{COMMIT}")));
    assert!(metadata.folder.join("tokenizer_config.json").is_file());
    assert!(!metadata.folder.join("model.safetensors").exists(), "no weights for a check");

    let mut seen = BTreeMap::new();
    let hub = Hub::new(&settings, NAME, "main").unwrap();
    let snapshot = hub
        .fetch(Wanted::Everything, &mut |p| {
            seen.insert(p.file.to_owned(), (p.done, p.total));
        })
        .unwrap();
    assert_eq!(std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(), server.content("model.safetensors"));
    assert_eq!(seen["model.safetensors"], (300_000, 300_000));
    assert_eq!(std::fs::read_to_string(home.path().join("hub/models--org--model/refs/main")).unwrap(), COMMIT);

    let asked = server.requests().len();
    assert_eq!(fetch(&settings, Wanted::Everything).unwrap(), snapshot);
    assert_eq!(server.requests().len(), asked, "all of it is in the cache");
    let offline = HubSettings { offline: true, ..settings };
    assert_eq!(fetch(&offline, Wanted::Everything).unwrap(), snapshot);
    let by_commit = Hub::new(&offline, NAME, COMMIT).unwrap().fetch(Wanted::Everything, &mut |_| {}).unwrap();
    assert_eq!(by_commit, snapshot);
}

#[test]
fn every_file_is_asked_for_at_the_commit_of_the_first_answer() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    fetch(&settings(home.path(), &server.endpoint()), Wanted::Everything).unwrap();
    let at_branch = server.requests().iter().filter(|request| request.contains("/resolve/main/")).count();
    assert_eq!(at_branch, 1);
}

#[test]
fn a_connection_cut_midway_is_picked_up_where_it_broke() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.cut("model.safetensors", 100_000, 2);
    let snapshot = fetch(&settings(home.path(), &server.endpoint()), Wanted::Everything).unwrap();
    assert_eq!(std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(), server.content("model.safetensors"));
    let ranges = server.ranges();
    assert_eq!(ranges, ["bytes=100000-", "bytes=200000-"]);
}

#[test]
fn a_later_process_goes_on_with_half_a_file() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    server.cut("model.safetensors", 100_000, 1);
    server.fail_after_cut("model.safetensors");
    let error = fetch(&settings, Wanted::Everything).unwrap_err();
    assert_eq!(error.code, Code::DownloadFailed);
    assert!(!home.path().join(format!("hub/models--org--model/snapshots/{COMMIT}/model.safetensors")).exists());

    server.heal();
    let mut first = None;
    let hub = Hub::new(&settings, NAME, "main").unwrap();
    let snapshot = hub
        .fetch(Wanted::Everything, &mut |p| {
            first.get_or_insert(p.done);
        })
        .unwrap();
    assert!(first.unwrap() > 100_000, "progress counts what was there");
    assert_eq!(server.ranges().last().unwrap(), "bytes=100000-");
    assert_eq!(std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(), server.content("model.safetensors"));
}

#[test]
fn a_server_without_ranges_sends_the_file_anew() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.cut("model.safetensors", 100_000, 1);
    server.ignore_ranges();
    let snapshot = fetch(&settings(home.path(), &server.endpoint()), Wanted::Everything).unwrap();
    assert_eq!(std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(), server.content("model.safetensors"));
    assert_eq!(server.requests().iter().filter(|request| request.starts_with("GET /cdn/")).count(), 2);
}

#[test]
fn a_complete_but_unnamed_download_needs_no_more_bytes() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    let snapshot = fetch(&settings, Wanted::Everything).unwrap();
    let weights = snapshot.folder.join("model.safetensors");
    let blob = weights.canonicalize().unwrap();
    std::fs::rename(&blob, blob.with_extension("incomplete")).unwrap();
    let before = server.requests().len();
    fetch(&settings, Wanted::Everything).unwrap();
    assert_eq!(std::fs::read(&weights).unwrap(), server.content("model.safetensors"));
    assert!(server.requests()[before..].iter().all(|request| request.starts_with("HEAD ")));
}

#[test]
fn wrong_content_is_deleted_and_told() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    server.corrupt("model.safetensors");
    let error = fetch(&settings, Wanted::Everything).unwrap_err();
    assert_eq!(error.code, Code::DownloadFailed);
    assert_eq!(error.message, "the download of `model.safetensors` of `org/model` is damaged, and was deleted");
    let blobs = std::fs::read_dir(home.path().join("hub/models--org--model/blobs")).unwrap();
    assert!(blobs.flatten().all(|blob| blob.metadata().unwrap().len() < 1000), "nothing of the weights is left");
    server.heal();
    fetch(&settings, Wanted::Everything).unwrap();
}

#[test]
fn sharded_weights_come_by_their_index() {
    let index =
        br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}"#;
    let server = HubServer::start(&[
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("model.safetensors.index.json", index.to_vec()),
        ("model-1.safetensors", vec![1; 1000]),
        ("model-2.safetensors", vec![2; 1000]),
    ]);
    let home = tempfile::tempdir().unwrap();
    let settings = settings(home.path(), &server.endpoint());
    let snapshot = fetch(&settings, Wanted::Everything).unwrap();
    assert_eq!(std::fs::read(snapshot.folder.join("model-2.safetensors")).unwrap(), vec![2; 1000]);
    std::fs::remove_file(snapshot.folder.join("model-2.safetensors")).unwrap();
    assert_eq!(Hub::new(&settings, NAME, "main").unwrap().cached(Wanted::Everything), None, "a shard is missing");
}

#[test]
fn an_index_cannot_name_files_elsewhere() {
    let server = HubServer::start(&[
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("model.safetensors.index.json", br#"{"weight_map": {"a": "../../../evil"}}"#.to_vec()),
    ]);
    let home = tempfile::tempdir().unwrap();
    let error = fetch(&settings(home.path(), &server.endpoint()), Wanted::Everything).unwrap_err();
    assert_eq!(error.code, Code::DownloadFailed);
    assert!(error.message.contains("`../../../evil`"), "{error}");
}

#[test]
fn a_renamed_model_is_followed() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    let snapshot = Hub::new(&settings, "old/name", "main").unwrap().fetch(Wanted::Everything, &mut |_| {}).unwrap();
    assert_eq!(std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(), server.content("model.safetensors"));
}

#[test]
fn two_at_once_download_each_file_once() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(home.path(), &server.endpoint());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| fetch(&settings, Wanted::Everything).unwrap());
        }
    });
    let sent = server.requests().iter().filter(|request| request.starts_with("GET /cdn/")).count();
    assert_eq!(sent, 1);
}

fn refused(status: u16, word: &'static str, token: Option<&str>) -> Box<Diagnostic> {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.refuse(status, word);
    let settings = HubSettings { token: token.map(str::to_owned), ..settings(home.path(), &server.endpoint()) };
    fetch(&settings, Wanted::Metadata).unwrap_err()
}

#[test]
fn each_refusal_says_what_to_do() {
    let missing = refused(404, "RepoNotFound", None);
    assert_eq!(missing.code, Code::ModelNotFound);
    assert!(missing.message.starts_with("there is no model `org/model` at http://127.0.0.1"), "{missing}");
    assert_eq!(refused(401, "RepoNotFound", None).message[..30], missing.message[..30]);
    assert_eq!(refused(404, "RevisionNotFound", None).message, "the model `org/model` has no revision `main`");
    assert_eq!(refused(404, "EntryNotFound", None).message, "the model `org/model` has no file `config.json`");
    let gated = refused(401, "GatedRepo", None);
    assert_eq!(
        (gated.code, gated.message.as_str()),
        (Code::DownloadFailed, "access to the model `org/model` is denied (401)")
    );
    assert!(gated.help[0].contains("set HF_TOKEN"), "{gated:?}");
    assert!(refused(403, "GatedRepo", Some("t")).help[0].contains("accept the terms"));
    assert!(refused(503, "", None).message.ends_with("(status 503)"));
}

#[test]
fn a_token_opens_a_gated_model() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.require_token("secret");
    let settings = settings(home.path(), &server.endpoint());
    assert_eq!(fetch(&settings, Wanted::Everything).unwrap_err().code, Code::DownloadFailed);
    let with_token = HubSettings { token: Some("secret".into()), ..settings };
    fetch(&with_token, Wanted::Everything).unwrap();
}

#[test]
fn without_a_network_the_way_out_is_written_out() {
    let home = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = settings(home.path(), &format!("http://{closed}"));
    let offline = HubSettings { offline: true, ..settings(home.path(), "http://unused") };
    assert!(out_of_reach(&unreachable).is_some());
    assert_eq!(out_of_reach(&HubSettings { endpoint: server().endpoint(), ..unreachable.clone() }), None);
    for settings in [unreachable, offline] {
        let error = fetch(&settings, Wanted::Metadata).unwrap_err();
        assert_eq!(error.code, Code::NoNetwork);
        let help = error.help.join("\n");
        for words in
            ["`hf download org/model`", "models--org--model", "HF_HOME", "path(", "gguf(", "embedded(\"tiny\")"]
        {
            assert!(help.contains(words), "{words} is missing in:\n{help}");
        }
    }
}

#[test]
fn a_server_that_is_no_hub_is_told_apart() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.forget_commit();
    let error = fetch(&settings(home.path(), &server.endpoint()), Wanted::Metadata).unwrap_err();
    assert_eq!(error.code, Code::DownloadFailed);
    assert!(error.message.contains("does not answer as a Hugging Face hub"), "{error}");
}

#[test]
fn names_and_revisions_cannot_leave_the_cache() {
    let home = tempfile::tempdir().unwrap();
    let settings = settings(home.path(), "http://unused");
    for name in ["", "..", "../x", "a/b/c", "a//b", "/a", "a b", "a/../b"] {
        assert_eq!(Hub::new(&settings, name, "main").unwrap_err().code, Code::ModelNotFound, "{name}");
    }
    for revision in ["", "../main", "a/../b", "/main"] {
        assert!(Hub::new(&settings, NAME, revision).is_err(), "{revision}");
    }
    assert!(Hub::new(&settings, NAME, "refs/pr/5").is_ok());
}

#[test]
fn an_unwritable_cache_names_its_path() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    std::fs::write(home.path().join("hub"), "").unwrap();
    let settings = settings(home.path(), &server.endpoint());
    assert!(!settings.is_cache_writable());
    let error = fetch(&settings, Wanted::Metadata).unwrap_err();
    assert_eq!(error.code, Code::DownloadFailed);
    assert!(error.place.is_some() && error.help[0].contains("HF_HOME"), "{error:?}");
}
