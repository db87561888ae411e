//! The interval of one score over its rows.

use super::Interval;
use super::resampling::bootstrap;
use super::shares::wilson;
use crate::data::metric;

/// Of a share of `rows` rows, by Wilson.
pub fn of_share(share: f64, rows: usize) -> Option<Interval> {
    (0.0..=1.0).contains(&share).then(|| wilson((share * rows as f64).round() as usize, rows))?
}

/// Of the perplexity over rows with these summed losses and tokens, by the bootstrap; `None` for less than two rows.
pub fn of_perplexity(losses: &[(f64, usize)]) -> Option<Interval> {
    if losses.len() < 2 {
        return None;
    }
    bootstrap(losses.len(), |rows| {
        let drawn = || rows.iter().filter_map(|row| losses.get(*row));
        metric::perplexity(drawn().map(|(loss, _)| loss).sum(), drawn().map(|(_, tokens)| tokens).sum())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_agree_with_published_intervals() {
        // Newcombe 1998, table I, method 3.
        for (right, rows, low, high) in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)] {
            let [found_low, found_high] = of_share(f64::from(right) / f64::from(rows), rows as usize).unwrap();
            assert!((found_low - low).abs() < 1e-4 && (found_high - high).abs() < 1e-4, "{right} of {rows}");
        }
        assert_eq!((of_share(0.5, 0), of_share(f64::NAN, 5)), (None, None));
    }

    #[test]
    fn the_interval_of_a_perplexity_surrounds_it_and_is_the_same_each_time() {
        let losses: Vec<(f64, usize)> = (0..200).map(|row| (f64::from(row % 10) * 0.3, 3)).collect();
        let [low, high] = of_perplexity(&losses).unwrap();
        let whole = (losses.iter().map(|(sum, _)| sum).sum::<f64>() / 600.0).exp();
        assert!(low < whole && whole < high && high - low < 0.4, "{low} {whole} {high}");
        assert_eq!(of_perplexity(&losses), Some([low, high]));
        assert_eq!((of_perplexity(&[(1.0, 1)]), of_perplexity(&[(f64::INFINITY, 1); 3])), (None, None));
    }
}
