//! `keep = best(…)`: the parameters that were measured best, and what is left of them after a disturbance.

use crate::interrupts::assert_same_as_undisturbed;
use crate::support::{Place, RUN, rows};
use serde_json::Value;

/// 48 steps that overshoot: the perplexity of other rows falls, and rises again.
const OVERSHOOTS: &[(&str, &str)] = &[
    ("  test   = jsonl", "  validation = jsonl(\"dev.jsonl\")\n  test   = jsonl"),
    ("epochs = 2", "epochs = 12"),
    ("lr     = 1e-3", "lr     = 5e-2\n    keep   = best(eval.dev.perplexity, patience: 3)"),
    (
        "  eval test {",
        "  eval dev {\n    on = reviews.validation\n    when = epoch\n    metric = perplexity\n    batch = 1\n  }\n\n  eval test {",
    ),
];

fn place() -> Place {
    let place = Place::new();
    place.change(OVERSHOOTS);
    place.write("dev.jsonl", &rows(5));
    place
}

/// The steps and values of all measurements along the way.
fn measured(place: &Place, folder: &str) -> Vec<(u64, f64)> {
    let lines = place.read(&format!("{folder}/metrics.jsonl"));
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let measured = lines.filter(|line| line["event"] == "eval_done");
    measured.map(|line| (line["step"].as_u64().unwrap(), line["score"]["value"].as_f64().unwrap())).collect()
}

#[test]
fn the_parameters_that_were_measured_best_are_kept() {
    let place = place();
    let done =
        place.run(&[]).says(&["kept: the parameters after step ", "as none of the last measurements was better"]);
    let folder = place.run_folder("runs", "small");
    let measured = measured(&place, &folder);
    let best = measured.iter().copied().reduce(|best, next| if next.1 < best.1 { next } else { best }).unwrap();
    let result: Value = serde_json::from_str(&place.read(&format!("{folder}/result.json"))).unwrap();
    assert_eq!(result["training"]["kept"], best.0);
    // It was not the last one: three more were measured, and then the training stopped before its end.
    let last = measured.last().unwrap().0;
    assert_eq!(measured.iter().filter(|(step, _)| *step > best.0).count(), 3, "{measured:?}");
    assert_eq!(result["training"]["steps"], last);
    assert!(last < 48, "{}", done.stderr);
    // What is measured at the end are the parameters that were kept.
    let dev = result["evals"].as_array().unwrap().iter().find(|eval| eval["name"] == "dev").unwrap();
    assert_eq!(dev["tuned"].as_f64().unwrap(), best.1);
    // What a longer training would go on from.
    assert!(place.files(&folder).contains(&"checkpoints/last.safetensors".to_owned()));
    place.run(&[]).says(&["up to date"]);
}

#[test]
fn an_interrupted_choice_goes_on_with_the_same_bits() {
    let place = place();
    let mut run = place.spawn(&RUN);
    run.wait_for("eval dev, after step 8 of 48: ");
    run.signal("INT");
    run.end().expect(130);
    let mut run = place.spawn(&RUN);
    run.wait_for("eval dev, after step ");
    run.signal("KILL");
    run.end();
    place.run(&[]);
    assert_same_as_undisturbed(&place);
}

#[test]
fn without_patience_the_last_step_is_measured_too() {
    let place = place();
    let spec = place.read("spec.reft").replace(", patience: 3", "").replace("5e-2", "1e-3");
    place.write("spec.reft", &spec.replace("epochs = 12", "epochs = 3"));
    place.run(&[]).says(&["kept: the parameters after step 12, which were measured best"]);
    let folder = place.run_folder("runs", "small");
    assert_eq!(measured(&place, &folder).iter().map(|(step, _)| *step).collect::<Vec<_>>(), [4, 8, 12]);
}
