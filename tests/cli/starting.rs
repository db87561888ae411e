//! `init`: a training that starts from what another one saved.

use crate::support::Place;
use serde_json::Value;

/// The saved tensors of the newest run of an experiment.
fn saved(place: &Place, folder: &str) -> Vec<u8> {
    std::fs::read(place.path(folder).join("intervention/intervention.safetensors")).unwrap()
}

/// The loss of the first step.
fn first_loss(place: &Place, folder: &str) -> f64 {
    let lines = place.read(&format!("{folder}/metrics.jsonl"));
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    first["loss"].as_f64().unwrap()
}

#[test]
fn a_training_starts_where_another_one_ended() {
    let place = Place::new();
    place.change(&[("dropout   = 0.1", "dropout   = 0"), ("batch  = 4", "batch  = 16")]);
    place.run(&[]);
    let first = place.run_folder("runs", "small");
    // A rate so small that nothing moves: what is saved is what was started from, but for the last bits of R.
    let spec =
        place.read("spec.reft").replace("lr     = 1e-3", "lr     = 1e-30").replace("intervene edit", "intervene more");
    place.write("spec.reft", &spec.replace("hidden_rank\n", &format!("hidden_rank\n    init      = \"{first}\"\n")));
    place.run(&["--runs", "again"]);
    let second = place.run_folder("again", "small");
    let plan: Value = serde_json::from_str(&place.read(&format!("{second}/plan.json"))).unwrap();
    assert_eq!((&plan["starts"][0]["intervention"], &plan["starts"][0]["block"]), (&"more".into(), &"edit".into()));
    assert!(first_loss(&place, &second) < first_loss(&place, &first));
    let tensors = |bytes: Vec<u8>| {
        let parsed = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let all = parsed.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec()));
        all.map(|(name, data)| (name.split_once('.').unwrap().1.to_owned(), data))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(tensors(saved(&place, &first)), tensors(saved(&place, &second)));

    // Other parameters there are another start, and another run.
    place.run(&["--runs", "again"]).says(&["up to date"]);
    let file = place.path(&first).join("intervention/intervention.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    place.reftc(&[&crate::support::RUN[..], &["--runs", "again"]].concat()).expect(3).says(&["E0508", "checksum"]);
    // Another tool writes no checksum: a line break and 64 digits, behind what is said about the tensors.
    let is_checksum = |part: &[u8]| part.starts_with(b"\\n") && part[2..].iter().all(u8::is_ascii_hexdigit);
    let at = bytes.windows(66).position(is_checksum).unwrap();
    bytes[at..at + 66].fill(b' ');
    std::fs::write(&file, bytes).unwrap();
    place.run(&["--runs", "again"]).says(&["trained 2 steps"]);
    std::fs::remove_dir_all(place.path(&first)).unwrap();
    place.reftc(&["check", "spec.reft"]).expect(1);
}

#[test]
fn dropout_that_a_config_asks_for_is_refused() {
    let place = Place::new();
    let tiny = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/tiny");
    std::fs::create_dir(place.path("model")).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(tiny.join(name), place.path("model").join(name)).unwrap();
    }
    place.change(&[
        ("embedded(\"tiny\")", "path(\"model\")"),
        ("lr     = 1e-3", "lr     = 1e-3\n    base_dropout = config"),
    ]);
    place.reftc(&["check", "spec.reft"]).expect(0);
    let config = place.read("model/config.json");
    place.write("model/config.json", &config.replace("\"attention_dropout\": 0.0", "\"attention_dropout\": 0.1"));
    let done = place.reftc(&["check", "spec.reft"]).expect(1);
    assert!(format!("{}{}", done.stdout, done.stderr).contains("E0311"), "{}", done.stderr);
}
