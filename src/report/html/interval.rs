//! 95 % intervals of scores.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The quantile of the normal distribution that leaves 2.5 % above it.
const NORMAL: f64 = 1.959_963_984_540_054;
/// Resamples of a bootstrap.
const RESAMPLES: usize = 1000;
/// Draws of a bootstrap at most: many rows need fewer resamples than time allows for.
const DRAWS: usize = 20_000_000;

/// The interval of a share of so many rows (Wilson 1927, without correction for continuity); `None` without rows.
pub fn wilson(share: f64, rows: usize) -> Option<(f64, f64)> {
    if rows == 0 || !(0.0..=1.0).contains(&share) {
        return None;
    }
    let (count, square) = (rows as f64, NORMAL * NORMAL);
    let middle = share + square / (2.0 * count);
    let reach = NORMAL * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
    let scale = 1.0 + square / count;
    Some((((middle - reach) / scale).max(0.0), ((middle + reach) / scale).min(1.0)))
}

/// The interval of the perplexity over rows with these summed losses and tokens: percentiles of a bootstrap over rows, the same
/// for equal rows. `None` for less than two rows.
pub fn perplexity(losses: &[(f64, usize)]) -> Option<(f64, f64)> {
    if losses.len() < 2 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let resamples = RESAMPLES.min(DRAWS / losses.len()).max(100);
    let mut means: Vec<f64> = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        let (mut sum, mut tokens) = (0.0, 0);
        for _ in 0..losses.len() {
            let (loss, count) = losses[random.random_range(0..losses.len())];
            sum += loss;
            tokens += count;
        }
        means.push(sum / tokens.max(1) as f64);
    }
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means.get((share * (means.len() - 1) as f64).round() as usize).map(|mean| mean.exp());
    let (low, high) = (at(0.025)?, at(0.975)?);
    (low.is_finite() && high.is_finite()).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_agrees_with_published_values() {
        // Newcombe 1998, table I, method 3.
        for (right, rows, low, high) in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)] {
            let found = wilson(f64::from(right) / f64::from(rows), rows as usize).unwrap();
            assert!((found.0 - low).abs() < 1e-4 && (found.1 - high).abs() < 1e-4, "{right} of {rows}: {found:?}");
        }
        assert_eq!((wilson(0.5, 0), wilson(f64::NAN, 5)), (None, None));
    }

    #[test]
    fn a_bootstrap_surrounds_the_perplexity_and_is_the_same_each_time() {
        let losses: Vec<(f64, usize)> = (0..200).map(|row| (f64::from(row % 10) * 0.3, 3)).collect();
        let (low, high) = perplexity(&losses).unwrap();
        let whole = (losses.iter().map(|(sum, _)| sum).sum::<f64>() / 600.0).exp();
        assert!(low < whole && whole < high && high - low < 0.4, "{low} {whole} {high}");
        assert_eq!(perplexity(&losses), Some((low, high)));
        assert_eq!(perplexity(&[(1.0, 2); 50]).map(|(low, high)| low == high), Some(true));
        assert_eq!((perplexity(&[(1.0, 1)]), perplexity(&[(f64::INFINITY, 1); 3])), (None, None));
    }
}
