//! The sign-flip test: if two models are equally good, each difference could as well have had the other sign.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Up to so many differences all signs are tried.
const EXACT: usize = 16;
/// Beyond it so many are drawn.
const DRAWS: usize = 10_000;
/// Decides the draws, so that equal differences give equal values.
const SEED: u64 = 0x5157_f11b;

/// The two-sided p-value of the sum of paired differences. Drawn ones count the found signs as one of the draws (Phipson and Smyth, 2010).
pub fn sign_flip(differences: &[f64]) -> f64 {
    let found: f64 = differences.iter().sum::<f64>().abs();
    let size: f64 = differences.iter().map(|difference| difference.abs()).sum();
    // Sums in another order differ by rounding.
    let is_as_large = |sum: f64| sum.abs() >= found - 1e-12 * size;
    if differences.len() <= EXACT {
        let all = 1_u32 << differences.len();
        let sum = |signs: u32| {
            let signed = differences.iter().enumerate();
            signed.map(|(at, difference)| if signs >> at & 1 == 1 { -difference } else { *difference }).sum::<f64>()
        };
        return (0..all).filter(|signs| is_as_large(sum(*signs))).count() as f64 / f64::from(all);
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut as_large = 1;
    for _ in 0..DRAWS {
        let sums = differences.chunks(64).map(|chunk| {
            let signs = random.next_u64();
            let signed = chunk.iter().enumerate();
            signed.map(|(at, difference)| if signs >> at & 1 == 1 { -difference } else { *difference }).sum::<f64>()
        });
        as_large += usize::from(is_as_large(sums.sum()));
    }
    as_large as f64 / (DRAWS + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::tests::near;
    use super::*;

    #[test]
    fn all_signs_agree_with_scipy() {
        near(sign_flip(&[0.5, -0.1, 0.3, 0.8, -0.2, 0.4, 0.1]), 0.125, 1e-12);
        near(sign_flip(&[0.03, 0.01, 0.04, 0.04, 0.01]), 0.0625, 1e-12);
        assert_eq!(sign_flip(&[]), 1.0);
        assert_eq!(sign_flip(&[0.0, 0.0]), 1.0);
    }

    #[test]
    fn drawn_signs_come_near_to_all_and_are_the_same_every_time() {
        // For equal sizes the sum of n signs is a coin thrown n times: at least 70 heads or at most 30 in 100 throws.
        let many: Vec<f64> = (0..100).map(|at| if at < 60 { 1.0 } else { -1.0 }).collect();
        let p = sign_flip(&many);
        let exact = 2.0 * crate::statistics::distribution::coin_at_most(40, 100);
        assert!((p - exact).abs() < 0.01, "{p} for {exact}");
        assert_eq!(p, sign_flip(&many));
    }
}
