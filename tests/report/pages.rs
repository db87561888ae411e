//! What is in a page, when it is written, and what it does not carry.

use super::support::{Done, Place, RUN};
use super::{finished, json, swept};
use std::time::Instant;

fn modified(place: &Place, name: &str) -> std::time::SystemTime {
    place.path(name).metadata().unwrap().modified().unwrap()
}

#[test]
fn a_run_leaves_a_report_that_is_not_written_again() {
    let (place, folder) = finished();
    let page = format!("{folder}/report.html");
    let first = place.read(&page);
    let score = json(&place, &format!("{folder}/result.json"))["evals"][0]["tuned"].as_f64().unwrap();
    assert!(first.contains(&format!("{:.1} %", score * 100.0)), "the score is in the table");
    assert!(first.contains("finished after 8 steps") && first.contains("A small one."));
    let before = modified(&place, &page);
    let begun = Instant::now();
    place.run(&[]);
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(modified(&place, &page), before, "nothing changed");
    assert!(seconds < 2.0, "{seconds}");
    // What lies in the folder decides, not when or where.
    std::fs::remove_file(place.path(&page)).unwrap();
    let shown = place.reftc(&["report", "small"]).expect(0);
    assert_eq!((shown.stdout.trim(), place.read(&page) == first), (page.as_str(), true));
    std::fs::rename(place.path("runs"), place.path("moved")).unwrap();
    place.reftc(&["report", "small", "--runs", "moved", "--out", "again.html"]).expect(0);
    assert!(place.read("again.html") == first, "equal inputs give equal bytes");
}

#[test]
fn a_page_is_of_no_machine_and_needs_no_network() {
    let (place, folder) = finished();
    let page = place.read(&format!("{folder}/report.html"));
    let temporary = place.path("").canonicalize().unwrap();
    assert!(!page.contains(temporary.to_str().unwrap()), "a path of this machine");
    for door in ["http://", "https://", "@import", "src=", "url(", "fetch(", "XMLHttp"] {
        // The name space of SVG is no address.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(door), "{door}");
    }
}

#[test]
fn a_sweep_has_a_report_over_all_its_points() {
    let place = swept();
    let page = place.read("runs/small/report.html");
    assert!(page.contains("all 4 runs finished") && page.contains("Score against parameters"));
    let labels = ["rank = 1, seed = 1", "rank = 1, seed = 2", "rank = 4, seed = 1", "rank = 4, seed = 2"];
    let at: Vec<usize> =
        labels.map(|label| page.find(&format!("<th scope=\"row\">intervene.edit.{label}<")).unwrap()).to_vec();
    assert!(at.is_sorted(), "by the values of the sweep: {at:?}");
    for folder in std::fs::read_dir(place.path("runs/small")).unwrap().map(|entry| entry.unwrap().path()) {
        assert!(!folder.is_dir() || folder.join("report.html").is_file(), "{}", folder.display());
    }
    assert_eq!(place.reftc(&["report", "small"]).expect(0).stdout.trim(), "runs/small/report.html");
}

#[test]
fn a_damaged_run_has_a_report_all_the_same() {
    let (place, folder) = finished();
    for (name, text) in
        [("plan.json", "{"), ("env.json", ""), ("metrics.jsonl", "nothing\n{\"step\":"), ("eval/test.jsonl", "{}\n")]
    {
        place.write(&format!("{folder}/{name}"), text);
    }
    place.reftc(&["report", &folder]).expect(0);
    let page = place.read(&format!("{folder}/report.html"));
    for sentence in
        ["cannot read the <code>plan.json</code>", "No <code>env.json</code>", "No step is done yet", "No rows yet"]
    {
        assert!(page.contains(sentence), "{sentence}");
    }
    let plan = r#"{"name":"small","layers":[99999999]}"#;
    place.write(&format!("{folder}/plan.json"), plan);
    place.reftc(&["report", &folder]).expect(0);
}

#[test]
fn what_cannot_be_reported_is_told() {
    let (place, folder) = finished();
    place.reftc(&["report", "smal"]).expect(3).says(&["E0504", "small"]);
    place.write("file", "");
    place.reftc(&["report", "small", "--out", "file/report.html"]).expect(3).says(&["E0501", "file"]);
    std::fs::remove_file(place.path(&format!("{folder}/metrics.jsonl"))).unwrap();
    place.reftc(&["report", "small", "--tensorboard", "board"]).expect(3).says(&["E0518"]);
    assert!(!place.path("board").exists());
}

#[test]
fn a_report_that_cannot_be_written_harms_no_run() {
    let (place, folder) = finished();
    std::fs::remove_file(place.path(&format!("{folder}/report.html"))).unwrap();
    std::fs::create_dir(place.path(&format!("{folder}/report.html"))).unwrap();
    let done: Done = place.reftc(&RUN).expect(0);
    done.says(&["E0501", "report.html"]);
}

#[cfg(unix)]
#[test]
fn watching_writes_the_page_until_it_is_interrupted() {
    let (place, folder) = finished();
    let metrics = format!("{folder}/metrics.jsonl");
    std::fs::rename(place.path(&format!("{folder}/result.json")), place.path(&format!("{folder}/stages.json")))
        .unwrap();
    let mut watching = place.spawn(&["report", "small", "--watch", "--out", "live.html"]);
    watching.wait_for("Ctrl-C ends it");
    let has = |text: &str| {
        let end = Instant::now() + std::time::Duration::from_secs(60);
        while !std::fs::read_to_string(place.path("live.html")).is_ok_and(|page| page.contains(text)) {
            assert!(Instant::now() < end, "`{text}` never came");
            std::thread::yield_now();
        }
    };
    has(" data-live>");
    let more = r#"{"event":"step_done","step":9,"steps":8,"epoch":2,"loss":0.5,"learning_rate":0.1,"gradient_norm":1.0,"tokens":9}"#;
    place.write(&metrics, &(place.read(&metrics) + more + "\n"));
    has("at step 9 of 8");
    watching.signal("INT");
    watching.end().expect(0);
    assert!(!place.read("live.html").contains(" data-live>"), "the last page stands still");
}
