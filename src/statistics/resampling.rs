//! The paired bootstrap (Efron, 1979): how a number over rows would vary if other rows of the same sort had been drawn.

use super::{CONFIDENCE, Interval};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DRAWS: usize = 2_000;
/// Rows drawn at most: many rows need fewer draws than time allows for.
const ROWS: usize = 20_000_000;
/// Decides the draws, so that equal rows give equal intervals.
const SEED: u64 = 0xb007_57a9;

/// The percentile interval of a statistic of rows. It is called with the numbers of the rows drawn, as many as there are, some of them
/// several times; `None` where there are no rows or the statistic is no number.
pub fn bootstrap(rows: usize, statistic: impl Fn(&[usize]) -> f64) -> Option<Interval> {
    if rows == 0 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut drawn = vec![0; rows];
    let draws = DRAWS.min(ROWS / rows).max(200);
    let mut found = Vec::with_capacity(draws);
    for _ in 0..draws {
        drawn.iter_mut().for_each(|row| *row = random.random_range(0..rows));
        found.push(statistic(&drawn));
    }
    if found.iter().any(|value| !value.is_finite()) {
        return None;
    }
    found.sort_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let at = |share: f64| found.get(((draws - 1) as f64 * share).round() as usize).copied();
    Some([at(tail)?, at(1.0 - tail)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_normal_distribution() {
        let values: Vec<f64> = (0..400).map(|at| f64::from(at % 20)).collect();
        let mean = |rows: &[usize]| rows.iter().map(|row| values[*row]).sum::<f64>() / rows.len() as f64;
        let [low, high] = bootstrap(values.len(), mean).unwrap();
        // The standard deviation of 0..20 is 5.766; its standard error over 400 rows 0.2883.
        assert!(
            (low - (9.5 - 1.96 * 0.2883)).abs() < 0.06 && (high - (9.5 + 1.96 * 0.2883)).abs() < 0.06,
            "{low} {high}"
        );
        assert_eq!(bootstrap(values.len(), mean), Some([low, high]), "the same every time");
    }

    #[test]
    fn nothing_has_no_interval() {
        assert_eq!(bootstrap(0, |_| 0.0), None);
        assert_eq!(bootstrap(3, |_| f64::NAN), None);
        assert_eq!(bootstrap(3, |_| 1.0), Some([1.0, 1.0]));
    }
}
