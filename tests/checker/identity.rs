//! What is in the hashes of stages, and what is not; and what of it makes a difference between specs.

use crate::support::{differs, planned, world};
use reftc::plan::{Experiment, Plan};
use std::collections::BTreeSet;

const SPEC: &str = r#"
let rows = json("train.json")

model tiny = embedded("tiny") { dtype = f32 }

data reviews {
  train    = rows[..16]
  test     = json("test.json")
  prompt   = "Review: {text}\nAnswer:"
  target   = " {label}"
  eos      = true
  overlong = cut_right
}

/// Documented.
experiment first {
  model = tiny
  data  = reviews
  seed  = 42

  intervene edit = noreft {
    layers    = [0, 1]
    positions = f3+l3
    rank      = 4
    tied      = false
    dropout   = 0.1
    act       = linear
    bias      = false
  }

  intervene other = loreft { layers = [2], positions = l1, rank = 2 }

  train {
    epochs     = 2
    batch      = 4
    accumulate = 2
    lr         = 1e-3
    schedule   = linear(warmup: 10%)
    optimizer  = adamw(weight_decay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
    clip       = 1.0
    max_length = 128
  }

  eval test {
    on       = reviews.test
    when     = end
    decode   = greedy(max_tokens: 4)
    answer   = text
    gold     = "{label}"
    metric   = exact_match
    baseline = false
    batch    = 16
  }
}
"#;

/// The plan of the spec with one piece of it replaced.
fn changed(from: &str, to: &str) -> Experiment {
    assert_eq!(SPEC.matches(from).count(), 1, "{from}");
    first(planned(&SPEC.replace(from, to), &world()))
}

fn first(plan: Plan) -> Experiment {
    plan.experiments.into_iter().next().expect("one experiment")
}

#[test]
fn every_field_that_decides_training_is_in_its_hash() {
    let changes = [
        ("seed  = 42", "seed  = 43"),
        ("{ dtype = f32 }", "{ dtype = bf16 }"),
        ("rows[..16]", "rows[..15]"),
        ("rows[..16]", "rows.shuffle(1)[..16]"),
        ("Review: {text}", "Reviews: {text}"),
        ("\" {label}\"", "\" {answer}\""),
        ("eos      = true", "eos      = false"),
        ("cut_right", "cut_left"),
        ("noreft", "nodireft"),
        ("[0, 1]", "[0, 3]"),
        ("f3+l3", "l3+f3"),
        ("f3+l3", "f3+l2"),
        ("rank      = 4", "rank      = 5"),
        ("tied      = false", "tied      = true"),
        ("dropout   = 0.1", "dropout   = 0.2"),
        ("act       = linear", "act       = relu"),
        ("bias      = false", "bias      = true"),
        ("layers = [2]", "layers = [3]"),
        ("layers = [2]", "layers = [2], at = block_input"),
        ("layers = [2]", "layers = [2], at = attention_output"),
        ("layers = [2]", "layers = [2], at = mlp_output"),
        ("epochs     = 2", "epochs     = 3"),
        ("batch      = 4", "batch      = 5"),
        ("accumulate = 2", "accumulate = 1"),
        ("lr         = 1e-3", "lr         = 2e-3"),
        ("linear(warmup: 10%)", "cosine(warmup: 10%)"),
        ("linear(warmup: 10%)", "linear(warmup: 20%)"),
        ("weight_decay: 0", "weight_decay: 0.01"),
        ("beta1: 0.9", "beta1: 0.8"),
        ("beta2: 0.999", "beta2: 0.99"),
        ("epsilon: 1e-8", "epsilon: 1e-6"),
        ("clip       = 1.0", "clip       = off"),
        ("max_length = 128", "max_length = 127"),
    ];
    let mut hashes = BTreeSet::from([first(planned(SPEC, &world())).hashes.training]);
    for (from, to) in changes {
        assert!(hashes.insert(changed(from, to).hashes.training), "`{to}` does not change the hash of training");
        assert!(differs(SPEC, &SPEC.replace(from, to)), "`{to}` makes no difference");
    }
}

#[test]
fn fields_of_an_eval_are_in_its_hash_alone() {
    let original = first(planned(SPEC, &world())).hashes;
    let changes = [
        ("when     = end", "when     = epoch"),
        ("max_tokens: 4", "max_tokens: 5"),
        ("answer   = text", "answer   = last_number"),
        ("\"{label}\"", "\"{answer}\""),
        ("metric   = exact_match", "metric   = accuracy"),
        ("metric   = exact_match", "metric   = perplexity"),
        ("baseline = false", "baseline = true"),
        ("json(\"test.json\")", "json(\"test.json\")[..2]"),
    ];
    let mut hashes = BTreeSet::from([original.evals["test"].clone()]);
    for (from, to) in changes {
        let found = changed(from, to).hashes;
        assert_eq!(found.training, original.training, "`{to}`");
        assert!(hashes.insert(found.evals["test"].clone()), "`{to}` does not change the hash of the eval");
        assert!(differs(SPEC, &SPEC.replace(from, to)), "`{to}` makes no difference");
    }
    assert_eq!(changed("batch    = 16", "batch    = 3").hashes, original, "rows at a time decide nothing");
}

#[test]
fn choices_and_their_score_are_in_the_hash_of_their_eval() {
    let written =
        "decode   = greedy(max_tokens: 4)\n    answer   = text\n    gold     = \"{label}\"\n    metric   = exact_match";
    let texts =
        ["choices = [\"yes\", \"no\"]", "choices = [\"no\", \"yes\"]", "choices = [\"yes\", \"no\"], score = mean"];
    let hash = |text: &str| changed(written, &format!("{text}\n    gold = \"{{label}}\"")).hashes.evals["test"].clone();
    let hashes: BTreeSet<String> = texts.into_iter().map(hash).collect();
    assert_eq!(hashes.len(), 3);
    // Defaults written out are the same.
    let with = |text: &str| SPEC.replace(written, text);
    assert!(!differs(&with(texts[0]), &with("choices = [\"yes\", \"no\"], score = sum, metric = accuracy")));
    assert!(hashes.contains(&hash("choices = [\"yes\", \"no\"], score = sum, metric = accuracy")));
}

#[test]
fn what_decides_nothing_is_in_no_hash() {
    let original = first(planned(SPEC, &world())).hashes;
    let renamed = SPEC
        .replace("rows", "lines")
        .replace("model tiny", "model small")
        .replace("model = tiny", "model = small")
        .replace("reviews", "opinions")
        .replace("intervene edit", "intervene other_edit")
        .replace("experiment first", "// comment\nexperiment another")
        .replace("Documented", "Documented otherwise");
    assert_eq!(first(planned(&renamed, &world())).hashes, original, "names");
    // Experiments and their blocks are told apart by their names.
    let renamed =
        renamed.replace("intervene other_edit", "intervene edit").replace("experiment another", "experiment first");
    assert!(!differs(SPEC, &renamed));
    let (tree, _) = reftc::syntax::parse(crate::support::FILE, SPEC);
    let formatted = reftc::syntax::format(&tree, SPEC);
    assert_ne!(formatted, SPEC);
    assert_eq!(first(planned(&formatted, &world())).hashes, original, "layout");
    assert_eq!(changed("lr         = 1e-3", "lr         = 0.001").hashes, original, "the spelling of a number");
    assert_eq!(changed("linear(warmup: 10%)", "linear(0.1)").hashes, original, "the spelling of a ratio");
    for same in [&formatted, &SPEC.replace("1e-3", "0.001"), &SPEC.replace("linear(warmup: 10%)", "linear(0.1)")] {
        assert!(!differs(SPEC, same), "{same}");
    }
    let without_defaults = SPEC.replace("    clip       = 1.0\n", "").replace("  seed  = 42\n", "");
    assert_eq!(first(planned(&without_defaults, &world())).hashes, original, "defaults");
    assert!(!differs(SPEC, &without_defaults));
    assert!(!differs(SPEC, &SPEC.replace("layers = [2]", "layers = 2..=2, at = block_output")));
    let moved = SPEC.replace("test.json", "data/test.json");
    assert_eq!(first(planned(&moved, &world())).hashes, original, "paths");
    let recomputed = changed("clip       = 1.0", "clip = 1.0, recompute = true");
    assert_eq!(recomputed.hashes, original, "what is computed twice");
    assert!(recomputed.train.fit.recompute);
    assert_eq!(changed("layers = [2]", "layers = [2], at = block_output").hashes, original, "the usual place");
}

#[test]
fn the_order_of_edits_counts_at_one_place_of_a_layer_only() {
    let text = |blocks: &[(usize, &str)]| {
        let start = SPEC.find("  intervene edit").expect("the first block");
        let end = SPEC.find("  train {").expect("what follows the blocks");
        let blocks: String = blocks.iter().map(|(name, block)| format!("  intervene e{name} = {block}\n")).collect();
        format!("{}{blocks}{}", &SPEC[..start], &SPEC[end..])
    };
    let spec = |blocks: &[&str]| {
        let blocks: Vec<(usize, &str)> = blocks.iter().copied().enumerate().collect();
        first(planned(&text(&blocks), &world())).hashes.training
    };
    let swapped = |one, other| differs(&text(&[(0, one), (1, other)]), &text(&[(1, other), (0, one)]));
    let low = "loreft { layers = [0, 1], positions = l3, rank = 4 }";
    let high = "loreft { layers = [2, 3], positions = l3, rank = 2 }";
    let both = "direft { layers = [1, 2], positions = f3, rank = 2 }";
    assert_eq!(spec(&[low, high]), spec(&[high, low]));
    assert!(!swapped(low, high));
    assert_ne!(spec(&[low, both]), spec(&[both, low]));
    assert!(swapped(low, both));
    let inside = "direft { layers = [1, 2], positions = f3, rank = 2, at = mlp_output }";
    assert_eq!(spec(&[low, inside]), spec(&[inside, low]), "another place of a layer");
    assert!(!swapped(low, inside));
    assert_ne!(spec(&[low, inside]), spec(&[low, both]));
    let tied = |positions| format!("loreft {{ layers = all, positions = {positions}, rank = 4, tied = true }}");
    assert_eq!(spec(&[&tied("f3+l3")]), spec(&[&tied("l3+f3")]), "segments that share parameters are a set");
    assert!(!differs(&text(&[(0, &tied("f3+l3"))]), &text(&[(0, &tied("l3+f3"))])));
    let alone = |tied| format!("loreft {{ layers = all, positions = l3, rank = 4, tied = {tied} }}");
    assert_eq!(spec(&[&alone(true)]), spec(&[&alone(false)]), "one segment has nothing to be tied to");
}

#[test]
fn equal_specs_have_equal_bytes() {
    let bytes = |text: &str| serde_json::to_string(&planned(text, &world())).expect("a plan is plain data");
    assert_eq!(bytes(SPEC), bytes(SPEC));
    let plan: Plan = serde_json::from_str(&bytes(SPEC)).expect("a plan can be read back");
    assert_eq!(plan, planned(SPEC, &world()));
}
