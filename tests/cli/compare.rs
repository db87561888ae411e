//! `reftc compare`: on runs that were really made, with rows that were written so that their differences are known.

use super::support::{Done, Place};
use serde_json::{Value, json};

/// A place with runs of `small` with two ranks by some seeds; the folders of each rank, by seed.
fn swept(seeds: &[&str]) -> (Place, Vec<String>, Vec<String>) {
    let place = Place::new();
    let seeds: String = seeds.join(",");
    place.change(&[(
        "baseline = true\n  }",
        "baseline = true\n  }\n  eval loss { on = reviews.test, metric = perplexity }",
    )]);
    place.run(&["--set", "intervene.edit.rank=2,3", "--set", &format!("seed={seeds}")]);
    let list = place.reftc(&["runs", "--json", "--sort", "seed"]).expect(0).json();
    let of = |rank: u64| {
        let runs = list.as_array().unwrap().iter().filter(|run| run["fields"]["intervene.edit.rank"] == rank);
        runs.map(|run| run["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (two, three) = (of(2), of(3));
    (place, two, three)
}

/// Writes the rows of an eval: right and wrong as the letters say, and the score that goes with them.
fn answer(place: &Place, run: &str, verdicts: &str) {
    let rows: Vec<String> = verdicts
        .chars()
        .enumerate()
        .map(|(row, verdict)| {
            let output = if verdict == '+' { " yes" } else { " no" };
            json!({
                "subject": "tuned", "row": row, "prompt": format!("Question {row}\nAnswer:"), "output": output,
                "answer": output.trim(), "gold": "yes", "correct": verdict == '+'
            })
            .to_string()
        })
        .collect();
    place.write(&format!("runs/{run}/eval/test.jsonl"), &format!("{}\n", rows.join("\n")));
    let path = format!("runs/{run}/result.json");
    let mut result: Value = serde_json::from_str(&place.read(&path)).unwrap();
    let right = verdicts.matches('+').count() as f64;
    result["evals"][0]["tuned"] = json!(right / verdicts.len() as f64);
    result["evals"][0]["rows"] = json!(verdicts.len());
    place.write(&path, &result.to_string());
}

fn compare(place: &Place, arguments: &[&str]) -> Done {
    place.reftc(&[&["compare"], arguments].concat()).expect(0)
}

#[test]
fn two_runs_are_compared_row_by_row() {
    let (place, two, three) = swept(&["1"]);
    // 15 rows differ: 12 get better, 3 worse; of 50.
    answer(&place, &two[0], &format!("{}{}{}", "-".repeat(12), "+".repeat(3), "+".repeat(35)));
    answer(&place, &three[0], &format!("{}{}{}", "+".repeat(12), "-".repeat(3), "+".repeat(35)));
    let json = compare(&place, &[&two[0], &three[0], "--json"]).json();
    assert_eq!(json["fields"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json["fields"][0]["path"], "intervene.edit.rank");
    let contrast = &json["evals"][0]["contrasts"][0];
    assert_eq!(
        (&contrast["test"]["name"], &contrast["rows"], &contrast["unpaired"]),
        (&"mcnemar".into(), &50.into(), &0.into())
    );
    assert_eq!((&contrast["improved"], &contrast["worsened"]), (&12.into(), &3.into()));
    let number = |value: &Value| value.as_f64().unwrap();
    assert!((number(&contrast["p"]) - 0.035_156_25).abs() < 1e-12);
    assert!((number(&contrast["difference"]) - 0.18).abs() < 1e-12);
    assert!((number(&contrast["interval"][0]) - 0.031_386_256).abs() < 1e-6);
    let losses = &json["evals"][1]["contrasts"][0];
    assert_eq!((&losses["test"]["name"], &losses["rows"]), (&"sign_flip".into(), &6.into()));
    let scores = &json["evals"][1]["scores"];
    let change = number(&scores[1]["mean"]) - number(&scores[0]["mean"]);
    assert!((number(&losses["difference"]) - change).abs() < 1e-6, "{losses}");

    let text = compare(&place, &[&two[0], &three[0], "--rows", "2"]).stdout;
    for words in [
        "of 50 rows that both answered, 12 went from wrong to right and 3 from right to wrong",
        "Exact McNemar test: p = 0.035.",
        "in about 4 of 100 such comparisons.",
        "12 wrong → right, 3 right → wrong",
        "Question 1\\nAnswer:",
    ] {
        assert!(text.contains(words), "`{words}` is missing in\n{text}");
    }
    assert_eq!((text.matches("wrong → right  ").count(), text.matches("right → wrong  ").count()), (2, 2), "{text}");
    assert!(!text.contains("Holm"), "{text}");
    let markdown = compare(&place, &[&two[0], &three[0], "--md", "--eval", "test"]).stdout;
    assert!(markdown.contains("**scores**\n\n| eval ") && !markdown.contains("perplexity"), "{markdown}");
}

#[test]
fn rows_that_only_one_has_are_left_out() {
    let (place, two, three) = swept(&["1"]);
    answer(&place, &two[0], "++--");
    answer(&place, &three[0], "+-++--");
    let json = compare(&place, &[&two[0], &three[0], "--json", "--eval", "test"]).json();
    let contrast = &json["evals"][0]["contrasts"][0];
    assert_eq!((&contrast["rows"], &contrast["unpaired"]), (&4.into(), &2.into()));
    assert_eq!(contrast["difference"], 0.25);
    let text = compare(&place, &[&two[0], &three[0], "--eval", "test"]).stdout;
    assert!(text.contains("Left out: 2 rows that only one of them has."), "{text}");
    assert!(text.contains("that is no proof that there is none"), "{text}");
    place.write(&format!("runs/{}/eval/test.jsonl", two[0]), "");
    let text = compare(&place, &[&two[0], &three[0], "--eval", "test"]).stdout;
    assert!(text.contains("no test, for they have no row in common"), "{text}");
}

#[test]
fn seeds_are_compared_in_pairs() {
    let (place, two, three) = swept(&["1", "2", "3"]);
    for (run, verdicts) in two.iter().zip(["++++------", "+++++-----", "++++------"]) {
        answer(&place, run, verdicts);
    }
    for (run, verdicts) in three.iter().zip(["++++++----", "+++++++++-", "+++++++---"]) {
        answer(&place, run, verdicts);
    }
    let json = compare(&place, &[&two[1], &three[0], "--seeds", "--json", "--eval", "test"]).json();
    assert_eq!((&json["sides"][0]["seeds"], &json["sides"][1]["seeds"]), (&json!([1, 2, 3]), &json!([1, 2, 3])));
    assert_eq!(json["fields"].as_array().unwrap().len(), 1, "the seed is no difference: {json}");
    let contrast = &json["evals"][0]["contrasts"][0];
    assert_eq!((&contrast["test"]["name"], &contrast["runs"]), (&"paired_t".into(), &3.into()));
    // scipy.stats.ttest_rel of the scores.
    assert!((contrast["difference"].as_f64().unwrap() - 0.3).abs() < 1e-9, "{contrast}");
    assert!((contrast["p"].as_f64().unwrap() - 0.035_098_718_645_984_8).abs() < 1e-9, "{contrast}");
    let text = compare(&place, &[&two[1], &three[0], "--seeds"]).stdout;
    assert!(text.contains("43.3 % ± 5.8") && text.contains("73.3 % ± 15.3"), "{text}");
    assert!(text.contains("3 seeds that both have. Paired t test: p = 0.035"), "{text}");
    assert!(text.contains(" (3 seeds)"), "{text}");
}

#[test]
fn many_comparisons_are_corrected() {
    let (place, two, three) = swept(&["1", "2"]);
    answer(&place, &two[0], &"-".repeat(20));
    answer(&place, &two[1], &format!("{}{}", "+".repeat(6), "-".repeat(14)));
    answer(&place, &three[0], &format!("{}{}", "+".repeat(7), "-".repeat(13)));
    let arguments = [two[0].as_str(), &two[1], &three[0], "--eval", "test"];
    let json = compare(&place, &[&arguments[..], &["--json"]].concat()).json();
    let contrasts = json["evals"][0]["contrasts"].as_array().unwrap();
    for (name, expected) in [("p", [0.03125, 0.015625]), ("corrected", [0.03125, 0.03125])] {
        for (contrast, expected) in contrasts.iter().zip(expected) {
            assert!((contrast[name].as_f64().unwrap() - expected).abs() < 1e-12, "{contrast}");
        }
    }
    let text = compare(&place, &arguments).stdout;
    assert!(text.contains("p (Holm)") && text.contains("2 tests were made"), "{text}");
    assert!(
        text.lines().any(|line| line.contains("field") && two.iter().all(|run| line.contains(run.as_str()))),
        "{text}"
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (place, two, three) = swept(&["1"]);
    place.reftc(&["compare", &two[0], &two[0]]).expect(2).says(&["E0517", "which is compared already"]);
    place.reftc(&["compare", "small", &three[0]]).expect(2).says(&["E0517"]);
    place.reftc(&["compare", &two[0], "smalll"]).expect(2).says(&["E0504", "did you mean"]);
    place.reftc(&["compare", &two[0]]).expect(2);
    let wrong = place.reftc(&["compare", &two[0], &three[0], "--eval", "tset"]).expect(2);
    wrong.says(&["none of them has measured an eval `tset`", "did you mean `test`?"]);
}
