//! The distributions that the tests need.

/// ln Γ(x) for x > 0, by the approximation of Lanczos with nine terms; correct to about fifteen digits.
pub fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let terms = TERMS.iter().zip(1_u8..).map(|(term, at)| term / (x + f64::from(at)));
    let sum = 0.999_999_999_999_809_9 + terms.sum::<f64>();
    let t = x + G + 0.5;
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The regularized incomplete beta function I_x(a, b), by its continued fraction (Lentz's method).
pub fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast on this side of the mean only.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..=10_000_u32 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for factor in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + factor * d);
            c = away_from_zero(1.0 + factor / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0_f64).abs() < 1e-15 {
            break;
        }
    }
    front.exp() * fraction / a
}

/// The chance that Student's t with these degrees of freedom is at least as far from 0, on either side.
pub fn student_two_sided(t: f64, degrees: f64) -> f64 {
    incomplete_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5)
}

/// The t that is exceeded on either side with this chance in all, `1 − confidence`.
pub fn student_quantile(chance: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while student_two_sided(high, degrees) > chance {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if student_two_sided(middle, degrees) > chance { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The chance that a fair coin shows at most `most` heads in `count` throws.
pub fn coin_at_most(most: usize, count: usize) -> f64 {
    let ln_factorial = |n: usize| ln_gamma(n as f64 + 1.0);
    let whole = ln_factorial(count) - count as f64 * std::f64::consts::LN_2;
    (0..=most.min(count))
        .map(|heads| (whole - ln_factorial(heads) - ln_factorial(count - heads)).exp())
        .sum::<f64>()
        .min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::near;
    use super::*;

    #[test]
    fn student_agrees_with_scipy() {
        for (t, degrees, expected) in [
            (2.5, 2.0, 0.129_611_720_221_510_8),
            (0.3, 4.0, 0.779_121_428_277_459_8),
            (12.0, 1.0, 0.052_929_352_119_179_755),
            (-3.1, 9.0, 0.012_722_455_978_201_95),
            (1.96, 100_000.0, 0.049_998_563_194_301_68),
            (50.0, 3.0, 1.761_715_204_127_197e-5),
        ] {
            near(student_two_sided(t, degrees), expected, 1e-9);
        }
        for (degrees, expected) in [
            (1.0, 12.706_204_736_174_694),
            (2.0, 4.302_652_729_749_462),
            (4.0, 2.776_445_105_197_793_4),
            (9.0, 2.262_157_162_798_205),
            (30.0, 2.042_272_456_301_237_8),
            (1000.0, 1.962_339_080_826_408_3),
        ] {
            near(student_quantile(0.05, degrees), expected, 1e-9);
        }
    }

    #[test]
    fn gamma_is_the_factorial() {
        let mut factorial = 1.0_f64;
        for n in 1..=20 {
            near(ln_gamma(f64::from(n)) + 1.0, factorial.ln() + 1.0, 1e-12);
            factorial *= f64::from(n);
        }
        near(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-12);
    }

    #[test]
    fn a_coin_is_fair() {
        near(coin_at_most(0, 5), 1.0 / 32.0, 1e-12);
        near(coin_at_most(2, 5), 0.5, 1e-12);
        near(coin_at_most(5, 5), 1.0, 1e-12);
        assert_eq!(coin_at_most(0, 0), 1.0);
    }
}
