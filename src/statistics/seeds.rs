//! The difference of two settings over the seeds that both were run with.

use super::distribution::{student_quantile, student_two_sided};
use super::{CONFIDENCE, Interval};

/// The paired t test of differences, one for each seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedT {
    pub mean: f64,
    pub p: f64,
    pub interval: Interval,
}

/// The test; `None` for fewer than two differences, or where all are the same, so that nothing is known of how they vary.
pub fn paired_t(differences: &[f64]) -> Option<PairedT> {
    let count = differences.len() as f64;
    if differences.len() < 2 || differences.iter().any(|difference| !difference.is_finite()) {
        return None;
    }
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let error = (variance / count).sqrt();
    // What rounding leaves of equal differences is no variation.
    if error <= 1e-12 * differences.iter().fold(0.0_f64, |largest, difference| largest.max(difference.abs())) {
        return None;
    }
    let half = student_quantile(1.0 - CONFIDENCE, count - 1.0) * error;
    Some(PairedT { mean, p: student_two_sided(mean / error, count - 1.0), interval: [mean - half, mean + half] })
}

#[cfg(test)]
mod tests {
    use super::super::tests::near;
    use super::*;

    #[test]
    fn the_paired_test_agrees_with_scipy() {
        let (before, after) = ([0.71, 0.74, 0.69, 0.75, 0.72], [0.74, 0.75, 0.73, 0.79, 0.73]);
        let differences: Vec<f64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        let test = paired_t(&differences).unwrap();
        near(test.p, 0.018_562_564_501_560_45, 1e-9);
        near(test.interval[0], 0.007_169_233_116_515_624, 1e-9);
        near(test.interval[1], 0.044_830_766_883_484_42, 1e-9);
    }

    #[test]
    fn without_variation_there_is_no_test() {
        assert_eq!(paired_t(&[]), None);
        assert_eq!(paired_t(&[0.1]), None);
        assert_eq!(paired_t(&[0.1, 0.1, 0.1]), None);
        assert_eq!(paired_t(&[0.3 - 0.2, 0.2 - 0.1, 0.1]), None, "equal but for rounding");
        assert_eq!(paired_t(&[0.1, f64::NAN]), None);
    }
}
