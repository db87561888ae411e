//! `reftc runs show`.

use super::support::Place;

#[test]
fn a_run_is_shown_with_all_that_is_known_of_it() {
    let place = Place::new();
    place.run(&["--set", "train.lr=3e-2"]);
    let folder = place.run_folder("runs", "small");
    let name = folder.strip_prefix("runs/").unwrap();
    let shown = place.reftc(&["runs", "show", "small"]).expect(0).stdout;
    let expected = [
        &format!("{name}  finished  "),
        "A small one.\n",
        "spec        spec.reft\n",
        &format!("folder      {folder}\n"),
        "ran on      cpu, 1 thread, ",
        "parameters  4 112, 0.456 % of the model",
        "training    8 steps, loss ",
        " tokens/s",
        "spec.reft:17",
        "--set[1]:1",
        "95 % interval",
        "intervention/intervention.safetensors",
    ];
    for text in expected {
        assert!(shown.contains(text), "`{text}` is missing in\n{shown}");
    }
    assert!(!shown.contains("unfinished") && !shown.contains(" default"), "{shown}");

    let json = place.reftc(&["runs", "show", name, "--json"]).expect(0).json();
    let (low, high) = (&json["evals"][0]["interval"][0], &json["evals"][0]["interval"][1]);
    let tuned = json["evals"][0]["record"]["tuned"].as_f64().unwrap();
    assert!(low.as_f64().unwrap() <= tuned && tuned <= high.as_f64().unwrap(), "{json}");
    assert_eq!((&json["specs"], &json["go_on"]), (&serde_json::json!(["spec.reft"]), &serde_json::Value::Null));
    assert_eq!(json["files"].as_array().unwrap().len(), place.files(&folder).len());
    place.reftc(&["runs", "show", "smal"]).expect(2).says(&["E0504", "did you mean `small`?"]);
}

#[test]
fn an_unfinished_run_says_how_to_go_on() {
    let place = Place::new();
    place.run(&["--runs", "other runs"]);
    let folder = place.run_folder("other runs", "small");
    std::fs::rename(place.path(&format!("{folder}/result.json")), place.path(&format!("{folder}/stages.json")))
        .unwrap();
    let shown = place.reftc(&["runs", "show", &folder, "--runs", "other runs"]).expect(0).stdout;
    assert!(shown.contains("  evaluating  "), "{shown}");
    let name = folder.strip_prefix("other runs/").unwrap();
    assert!(
        shown.contains(&format!("unfinished: `reftc resume {name} --runs 'other runs'` goes on with it")),
        "{shown}"
    );
}
