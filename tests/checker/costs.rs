//! What the plan counts, against counts token by token.

use crate::support::{checked, completed, world};
use reftc::data::report::RowShape;
use reftc::plan::Means;
use reftc::plan::passes::Passes;
use reftc::plan::{self, Cost};

/// Of the embedded model: operations of a token in a block, of its key and value there, of a query with one key, of the head.
const BLOCK: f64 = 2.0 * (2.0 * 128.0 * 128.0 + 2.0 * 128.0 * 64.0 + 3.0 * 128.0 * 352.0);
const KEY_VALUE: f64 = 2.0 * 2.0 * 128.0 * 64.0;
const PAIR: f64 = 4.0 * 128.0;
const HEAD: f64 = 2.0 * 128.0 * 1280.0;
const EPOCHS: f64 = 3.0;

/// The costs of an edit, and the rows that it is trained on.
fn costs(intervention: &str, passes: &str) -> (Cost, Vec<RowShape>) {
    let train = "train { epochs = 3, batch = 8, lr = 1e-3 }";
    let text = completed(&format!("{intervention}\n{train}"));
    let (diagnostics, spec) = checked(&text, &world());
    assert_eq!(diagnostics, [], "{text}");
    let passes: Passes = passes.parse().expect("these are passes");
    let plan = plan::lower(&spec, Means { passes, ..Default::default() });
    (plan.experiments[0].cost, spec.experiments[0].train.facts.shapes.clone())
}

/// The sum over all rows of what one row costs.
fn total(rows: &[RowShape], row: impl Fn(usize, usize) -> f64) -> f64 {
    rows.iter().map(|shape| shape.rows as f64 * row(shape.row.prompt, shape.row.all)).sum()
}

#[track_caller]
fn same(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} where {expected} was expected");
}

/// A token forward through a block, seeing itself and all before it; and back.
fn forward(token: usize) -> f64 {
    BLOCK + PAIR * (token + 1) as f64
}

fn back(token: usize, first_worked: usize) -> f64 {
    forward(token) + PAIR * (token + 1 - first_worked) as f64
}

const LAST_TOKEN: &str = "intervene edit = loreft { layers = [1], positions = l1, rank = 4 }";
const FIRST_TOKENS: &str = "intervene edit = loreft { layers = [0, 1], positions = f2, rank = 4 }";

#[test]
fn as_written_everything_is_computed_in_every_epoch() {
    let (cost, rows) = costs(LAST_TOKEN, "all");
    let every = |token: usize| 4.0 * forward(token) + 2.0 * back(token, 0) + 2.0 * HEAD;
    let row = |_, tokens: usize| (0..tokens).map(every).sum::<f64>();
    same(cost.written_flops, EPOCHS * total(&rows, row));
    // Without passes, all but the last token, which is no input.
    let row = |_, tokens: usize| (0..tokens - 1).map(every).sum::<f64>();
    let (none, _) = costs(LAST_TOKEN, "none");
    same(none.planned_flops, EPOCHS * total(&rows, row));
    assert_eq!((none.constant_flops, none.cache_bytes), (0.0, 0));
    assert_eq!(none.written_flops, cost.written_flops);
}

#[test]
fn as_planned_work_is_computed_in_every_epoch_and_constants_once() {
    let (cost, rows) = costs(LAST_TOKEN, "all");
    let worked = |prompt: usize, tokens: usize| {
        let token = |token| 2.0 * (forward(token) + back(token, prompt - 1)) + 2.0 * HEAD;
        (prompt - 1..tokens - 1).map(token).sum::<f64>()
    };
    let constants = |prompt: usize, tokens: usize| {
        let prompt_part: f64 = (0..prompt).map(|token| 3.0 * forward(token) + KEY_VALUE).sum();
        prompt_part + (prompt..tokens - 1).map(|token| 2.0 * forward(token)).sum::<f64>()
    };
    same(cost.constant_flops, total(&rows, constants));
    same(cost.planned_flops, EPOCHS * total(&rows, worked) + total(&rows, constants));
    let (again, _) = costs(LAST_TOKEN, "reach,live,pack,share");
    same(
        again.planned_flops,
        EPOCHS * total(&rows, |prompt, tokens| worked(prompt, tokens) + constants(prompt, tokens)),
    );
    // Keys and values of the prompt in blocks 2 and 3, its states at point 2, and those of the target; f32.
    let kept = |prompt: usize, tokens: usize| 4.0 * (prompt * (2 * 128 + 128) + (tokens - 1 - prompt) * 128) as f64;
    assert_eq!(cost.cache_bytes, total(&rows, kept) as u64);
    let cells = |prompt: usize, tokens: usize| (2 * (tokens - prompt)) as f64;
    same(cost.worked_share, total(&rows, cells) / total(&rows, |_, tokens| (4 * tokens) as f64));
}

#[test]
fn every_pass_leaves_less() {
    for intervention in [LAST_TOKEN, FIRST_TOKENS] {
        let lists = ["none", "live", "reach,live", "reach,live,hoist", "all"];
        let flops = lists.map(|passes| costs(intervention, passes).0.planned_flops);
        assert!(flops.windows(2).all(|pair| pair[0] >= pair[1]), "{intervention}: {flops:?}");
        assert!(flops[4] < flops[0] / 1.5, "{intervention}: {flops:?}");
    }
    // The prompts have a beginning in common, and the same edits there; dropout makes them differ.
    let shared = costs(FIRST_TOKENS, "all").0.planned_flops;
    assert!(shared < costs(FIRST_TOKENS, "reach,live,hoist,pack").0.planned_flops);
    let dropout = FIRST_TOKENS.replace("rank", "dropout = 10%, rank");
    assert!(shared < costs(&dropout, "all").0.planned_flops);
}
