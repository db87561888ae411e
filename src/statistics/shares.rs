//! The share of right answers: of one evaluation, and the difference of two on the same rows.

use super::distribution::coin_at_most;
use super::{Interval, Z};

/// Pairs of verdicts on the same row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    pub pairs: usize,
    /// Wrong in the first, right in the second.
    pub improved: usize,
    /// Right in the first, wrong in the second.
    pub worsened: usize,
}

/// The interval of a share by Wilson (1927): `right` of `rows`.
pub fn wilson(right: usize, rows: usize) -> Option<Interval> {
    if rows == 0 {
        return None;
    }
    let (n, share) = (rows as f64, right as f64 / rows as f64);
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let low = if right == 0 { 0.0 } else { middle - half };
    let high = if right == rows { 1.0 } else { middle + half };
    Some([low, high])
}

impl Verdicts {
    /// The second share less the first.
    pub fn difference(&self) -> f64 {
        if self.pairs == 0 { 0.0 } else { (self.improved as f64 - self.worsened as f64) / self.pairs as f64 }
    }

    /// The exact two-sided p-value of McNemar's test: if both are equally good, the rows on which they differ fall to either side as a
    /// fair coin does.
    pub fn mcnemar(&self) -> f64 {
        let flipped = self.improved + self.worsened;
        (2.0 * coin_at_most(self.improved.min(self.worsened), flipped)).min(1.0)
    }

    /// The score interval of the difference by Tango (1998): all differences that a score test at the 5 % level does not refuse.
    pub fn interval(&self) -> Option<Interval> {
        if self.pairs == 0 {
            return None;
        }
        let found = self.difference();
        // The score falls as the assumed difference rises.
        let bound = |mut low: f64, mut high: f64, wanted: f64| {
            for _ in 0..100 {
                let middle = (low + high) / 2.0;
                if self.score(middle) > wanted { low = middle } else { high = middle }
            }
            (low + high) / 2.0
        };
        let low = if self.worsened == self.pairs { -1.0 } else { bound(-1.0, found, Z) };
        let high = if self.improved == self.pairs { 1.0 } else { bound(found, 1.0, -Z) };
        Some([low, high])
    }

    /// How many standard errors the difference lies from an assumed one, with the error that the likeliest shares under it give.
    fn score(&self, assumed: f64) -> f64 {
        let (n, improved, worsened) = (self.pairs as f64, self.improved as f64, self.worsened as f64);
        let linear = -improved - worsened + (2.0 * n - improved + worsened) * assumed;
        let constant = -worsened * assumed * (1.0 - assumed);
        // The share of worsened rows solves 2n·q² + linear·q + constant = 0.
        let share = ((linear * linear - 8.0 * n * constant).max(0.0).sqrt() - linear) / (4.0 * n);
        let variance = n * (2.0 * share + assumed * (1.0 - assumed));
        let distance = improved - worsened - n * assumed;
        if variance <= 0.0 { distance.signum() * f64::INFINITY } else { distance / variance.sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::near;
    use super::*;

    fn verdicts(improved: usize, worsened: usize, pairs: usize) -> Verdicts {
        Verdicts { pairs, improved, worsened }
    }

    #[test]
    fn wilson_agrees_with_scipy() {
        for (right, rows, low, high) in [
            (0, 10, 0.0, 0.277_532_799_862_889_26),
            (7, 10, 0.396_778_147_461_145_26, 0.892_208_732_593_699),
            (153, 200, 0.701_586_311_172_374_6, 0.818_425_665_847_674_1),
            (10, 10, 0.722_467_200_137_110_7, 1.0),
            (1, 1, 0.206_549_314_377_237_45, 1.0),
        ] {
            let [found_low, found_high] = wilson(right, rows).unwrap();
            near(found_low, low, 1e-12);
            near(found_high, high, 1e-12);
        }
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn mcnemar_agrees_with_scipy() {
        for (improved, worsened, expected) in [
            (12, 3, 0.035_156_25),
            (0, 5, 0.0625),
            (0, 0, 1.0),
            (1, 1, 1.0),
            (40, 25, 0.081_681_533_941_540_03),
            (1000, 1100, 0.030_720_707_864_242_49),
        ] {
            near(verdicts(improved, worsened, 5000).mcnemar(), expected, 1e-9);
            near(verdicts(worsened, improved, 5000).mcnemar(), expected, 1e-9);
        }
    }

    /// The expected bounds come from a numeric search over the likelihood, not from the closed form.
    #[test]
    fn the_interval_of_a_difference_inverts_the_score_test() {
        for (improved, worsened, pairs, low, high) in [
            (12, 3, 50, 0.031_386_256, 0.329_887_767),
            (0, 5, 20, -0.468_700_877_6, -0.048_593_550),
            (40, 25, 200, -0.004_087_979_27, 0.154_082_531_0),
            (0, 0, 30, -0.113_513_393_2, 0.113_513_393_2),
        ] {
            let [found_low, found_high] = verdicts(improved, worsened, pairs).interval().unwrap();
            near(found_low, low, 1e-6);
            near(found_high, high, 1e-6);
        }
        assert_eq!(verdicts(5, 0, 5).interval().unwrap()[1], 1.0);
        assert_eq!(verdicts(0, 0, 0).interval(), None);
    }
}
