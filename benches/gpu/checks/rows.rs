//! Rows that are picked out of a matrix and added into one, some of them twice.

use super::Checks;
use super::ground::{Case, ONCE, compare};
use crate::synthetic::numbers;
use candle_core::{Result, Tensor, Var};
use reftc::model::ops::rows::Selection;

pub fn check(checks: &mut Checks) {
    compare(checks, "rows taken and added", &cases(200 * checks.seed).unwrap_or_default(), ONCE);
}

fn cases(seed: u64) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (number, (rows, width)) in [(5, 16), (9, 7), (301, 576), (64, 4100)].into_iter().enumerate() {
        let seed = seed + 10 * number as u64;
        let picked: Vec<u32> = (0..rows + 3).map(|item| ((item * item + 1) % rows) as u32).collect();
        let added = numbers(&[picked.len(), width], seed + 1)?;
        let (again, added_again) = (picked.clone(), added.clone());
        cases.push(Case {
            at: format!("{} of [{rows}, {width}]", picked.len()),
            input: numbers(&[rows, width], seed)?,
            forward: Box::new(move |ground, x| {
                let picked = Selection::new(picked.clone(), &ground.device)?;
                picked.take(&picked.add(x, &ground.place(&added)?)?)
            }),
            // Of the matrix, and below it of what is added.
            backward: Box::new(move |ground, x, g| {
                let picked = Selection::new(again.clone(), &ground.device)?;
                let (matrix, added) = (Var::from_tensor(x)?, Var::from_tensor(&ground.place(&added_again)?)?);
                let store = (picked.take(&picked.add(&matrix, &added)?)? * g)?.sum_all()?.backward()?;
                match (store.get(&matrix), store.get(&added)) {
                    (Some(matrix), Some(added)) => Tensor::cat(&[matrix, added], 0),
                    _ => candle_core::bail!("a gradient is missing"),
                }
            }),
        });
    }
    Ok(cases)
}
