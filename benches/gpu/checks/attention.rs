//! Attention over every way in which a pass lays out keys.

use super::Checks;
use super::ground::{Case, Ground, TWICE, compare};
use crate::synthetic::numbers;
use candle_core::{Result, Tensor};
use reftc::model::branch::{Branch, Run, Source};
use reftc::model::ops::attention::{Attention, Rows};

/// Branches among fresh tokens and a table of earlier lines.
#[derive(Clone)]
struct Layout {
    name: &'static str,
    branches: Vec<Branch>,
    fresh: usize,
    past: usize,
}

/// Query heads, key heads, and numbers of a head.
const HEADS: [(usize, usize, usize); 4] = [(6, 2, 8), (3, 1, 64), (2, 2, 128), (5, 1, 20)];

pub fn check(checks: &mut Checks) {
    for layout in layouts(checks.tiny) {
        let cases = cases(&layout, 100 * checks.seed).unwrap_or_default();
        compare(checks, &format!("attention, {},", layout.name), &cases, TWICE);
    }
}

fn cases(layout: &Layout, seed: u64) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (heads, key_value_heads, head_dim) in HEADS {
        for window in [None, Some(1), Some(5), Some(70)] {
            let attention = Attention { heads, key_value_heads, head_dim, window };
            let past = match layout.past {
                0 => None,
                lines => Some(numbers(&[lines, attention.line_width()], seed + 1)?),
            };
            let layout = layout.clone();
            let fresh = layout.fresh;
            let on = move |ground: &Ground| -> Result<(Rows, Option<Tensor>)> {
                let Layout { branches, fresh, past: lines, .. } = layout.clone();
                let rows = Rows::new(branches, fresh, lines, window, ground.dtype, &ground.device)?;
                Ok((rows, past.as_ref().map(|past| ground.place(past)).transpose()?))
            };
            let again = on.clone();
            cases.push(Case {
                at: format!("{heads}/{key_value_heads} heads of {head_dim}, window {window:?}"),
                input: numbers(&[fresh, attention.width()], seed)?,
                forward: Box::new(move |ground, x| {
                    let (rows, past) = on(ground)?;
                    attention.forward(x, past.as_ref(), &rows)
                }),
                backward: Box::new(move |ground, x, g| {
                    let (rows, past) = again(ground)?;
                    attention.backward(x, past.as_ref(), &rows, g)
                }),
            });
        }
    }
    Ok(cases)
}

fn fresh(start: usize, length: usize, position: usize) -> Run {
    Run { source: Source::Fresh, start, length, position }
}

fn past(start: usize, length: usize, position: usize) -> Run {
    Run { source: Source::Past, start, length, position }
}

fn branch(queries: &[Run], keys: &[Run]) -> Branch {
    Branch { queries: queries.to_vec(), keys: keys.to_vec() }
}

fn layouts(tiny: bool) -> Vec<Layout> {
    let own = |run| branch(&[run], &[run]);
    let layout = |name, branches, fresh, past| Layout { name, branches, fresh, past };
    let decoding =
        |row, start, length| branch(&[fresh(row, 1, length)], &[past(start, length, 0), fresh(row, 1, length)]);
    // A long row crosses the tiles of a kernel; lengths around their edges.
    let long = if tiny { 65 } else { 321 };
    let beginning = fresh(0, 9, 0);
    let child = |start, length| branch(&[fresh(start, length, 9)], &[beginning, fresh(start, length, 9)]);
    let grandchild = branch(&[fresh(40, 33, 15)], &[beginning, fresh(9, 6, 9), fresh(40, 33, 15)]);
    vec![
        layout(
            "rows",
            vec![own(fresh(0, 9, 0)), own(fresh(9, 1, 0)), own(fresh(10, 64, 0)), own(fresh(74, long, 0))],
            74 + long,
            0,
        ),
        layout(
            "a past",
            vec![branch(&[fresh(0, 18, long)], &[past(3, long, 0), fresh(0, 18, long)]), own(fresh(18, 6, 0))],
            24,
            long + 7,
        ),
        layout(
            "single queries",
            vec![decoding(0, 11, 9), decoding(1, 0, 1), decoding(2, 1, 10), decoding(3, 21, long)],
            4,
            21 + long,
        ),
        layout("shared strands", vec![own(beginning), child(9, 6), child(15, 1), child(16, 24), grandchild], 73, 0),
        layout(
            "constants between",
            vec![branch(
                &[fresh(2, 3, 0), fresh(5, 6, 12)],
                &[fresh(2, 3, 0), past(4, 9, 3), fresh(5, 6, 12), past(0, 2, 18)],
            )],
            12,
            13,
        ),
        layout(
            "last token over constants",
            vec![
                branch(&[fresh(0, 7, long)], &[past(0, long, 0), fresh(0, 7, long)]),
                branch(&[fresh(7, 3, 5)], &[past(long, 5, 0), fresh(7, 3, 5)]),
            ],
            10,
            long + 5,
        ),
        layout(
            "some ask",
            vec![branch(&[fresh(3, 2, 3), fresh(8, 7, 8)], &[fresh(0, 16, 0)]), branch(&[], &[])],
            16,
            0,
        ),
        layout("apart", vec![branch(&[fresh(9, 6, 4)], &[fresh(2, 4, 0), fresh(9, 6, 4)]), own(fresh(0, 2, 0))], 15, 1),
        layout("a gap", vec![branch(&[fresh(0, 6, 9)], &[past(0, 2, 0), past(2, 3, 4), fresh(0, 6, 9)])], 6, 5),
    ]
}
