//! `hf(…)` end to end, against a hub on loopback that serves the embedded model.

#[allow(dead_code, reason = "shared with the tests of the hub itself")]
#[path = "../support/hub_server.rs"]
pub mod hub_server;

use crate::failures::{copy, tiny};
use crate::support::{Done, Place, RUN};
use hub_server::HubServer;
use serde_json::Value;

fn server() -> HubServer {
    let file = |name: &'static str| (name, std::fs::read(tiny().join(name)).unwrap());
    HubServer::start(&["config.json", "tokenizer.json", "model.safetensors"].map(file))
}

fn place() -> Place {
    let place = Place::new();
    place.change(&[("embedded(\"tiny\")", "hf(\"org/model\")")]);
    place
}

/// The binary, with the hub within its reach.
fn online(place: &Place, server: &HubServer, arguments: &[&str]) -> Done {
    let mut command = place.command(arguments);
    Done::of(command.env("HF_ENDPOINT", server.endpoint()).env_remove("HF_HUB_OFFLINE"))
}

fn hashes(plan: &Done) -> Value {
    plan.json()["experiments"][0]["hashes"].clone()
}

#[test]
fn a_model_of_the_hub_is_checked_without_its_weights_and_run_with_them() {
    let (server, place) = (server(), place());
    online(&place, &server, &["check", "spec.reft"]).expect(0).says(&["no findings"]);
    let fetched =
        |file: &str| server.requests().iter().any(|request| request.starts_with("GET") && request.ends_with(file));
    assert!(fetched("config.json") && fetched("tokenizer.json") && !fetched("model.safetensors"));
    let text = online(&place, &server, &["plan", "spec.reft"]).expect(0).stdout;
    assert!(text.contains("(provisional: the weights are not at hand)"), "{text}");
    let provisional = hashes(&online(&place, &server, &["plan", "spec.reft", "--json"]));
    assert_eq!(provisional["provisional"], true);

    let run = online(&place, &server, &RUN).expect(0).says(&["fetching model.safetensors (", "eval test, tuned"]);
    assert!(fetched("model.safetensors"));
    let known = hashes(&place.reftc(&["plan", "spec.reft", "--json"]).expect(0));
    assert_eq!(known["provisional"], false);
    assert_ne!(known["training"], provisional["training"]);
    let digits = &known["training"].as_str().unwrap()[..8];
    assert_eq!(
        place.run_folder("runs", "small"),
        format!("runs/small/{digits}"),
        "named by the content of the weights"
    );

    // The same files are the same model, wherever they are.
    copy(&tiny(), &place.path("model"));
    place.change(&[("embedded(\"tiny\")", "path(\"model\")")]);
    let folder = hashes(&place.reftc(&["plan", "spec.reft", "--json"]).expect(0));
    assert_eq!(folder, known);
    let again = place.run(&[]).says(&["up to date"]);
    assert_eq!(again.stdout, run.stdout);
    place.change(&[]);
    assert_eq!(hashes(&place.reftc(&["plan", "spec.reft", "--json"]).expect(0)), known);
}

#[test]
fn a_model_in_the_cache_needs_no_network() {
    let (server, place) = (server(), place());
    online(&place, &server, &RUN).expect(0);
    let asked = server.requests().len();
    let cached = online(&place, &server, &[&RUN[..], &["--offline", "--force"]].concat()).expect(0);
    assert!(!cached.stderr.contains("fetching"), "{}", cached.stderr);
    assert_eq!(server.requests().len(), asked);
    drop(server);
    place.run(&["--force"]).says(&["training on"]);
}

#[test]
fn without_a_network_the_way_out_is_told() {
    let place = place();
    for arguments in [&["check", "spec.reft"][..], &["check", "spec.reft", "--offline"], &RUN] {
        place.reftc(arguments).expect(1).says(&["E0307", "spec.reft:3:14", "`hf download org/model`", "HF_HOME"]);
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = place.command(&["check", "spec.reft"]);
    let unreachable = command.env("HF_ENDPOINT", format!("http://{closed}")).env_remove("HF_HUB_OFFLINE");
    Done::of(unreachable).expect(1).says(&["E0307", "embedded(\"tiny\")"]);
    assert!(place.files("runs").is_empty());
}

#[test]
fn weights_that_cannot_be_fetched_fail_the_run() {
    let (server, place) = (server(), place());
    server.corrupt("model.safetensors");
    online(&place, &server, &["check", "spec.reft"]).expect(0);
    let failed = online(&place, &server, &RUN).expect(3);
    failed.says(&["E0308", "is damaged, and was deleted", "spec.reft:13:12", "in this experiment"]);
    assert!(place.files("runs").is_empty(), "nothing was begun");
    server.heal();
    online(&place, &server, &RUN).expect(0);
}
