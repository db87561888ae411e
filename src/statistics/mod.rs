//! Tests and intervals for comparing evaluations: each is exact, or drawn with a fixed seed, so that equal numbers give equal answers.

pub mod distribution;
pub mod flips;
pub mod resampling;
pub mod scores;
pub mod seeds;
pub mod shares;

/// What intervals cover.
pub const CONFIDENCE: f64 = 0.95;
/// The two-sided quantile of the normal distribution that goes with it.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// An interval that covers the true value in 95 of 100 cases, both ends included.
pub type Interval = [f64; 2];

/// The p-values of several tests after the correction of Holm (1979): each may be compared with one level, and the chance that any of
/// them is below it without a true difference is at most that level. In the order that they came in.
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut corrected = vec![0.0; values.len()];
    let mut highest = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        highest = highest.max((values[at] * (values.len() - rank) as f64).min(1.0));
        corrected[at] = highest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether two numbers agree to this part of the larger.
    #[track_caller]
    pub(super) fn near(found: f64, expected: f64, tolerance: f64) {
        let scale = expected.abs().max(1e-300);
        assert!((found - expected).abs() <= tolerance * scale, "{found} instead of {expected}");
    }

    #[test]
    fn holm_orders_and_never_falls() {
        // As R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in corrected.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(found, expected, 1e-12);
        }
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
