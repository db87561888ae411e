//! Loops over f32 slices that the compiler turns into vector instructions.
//!
//! A release runs on any x86-64, most of which can do more than the compiler may assume of all. So a loop is compiled twice, and
//! [`widest!`] calls the one for the processor at hand. It is a function of a `const FUSED: bool`, marked `#[inline(always)]` together with
//! all that it calls, so that its code ends up inside of the function that was compiled for that processor. It loops with `for`: the body of
//! a closure that an iterator's `map` or `fold` runs may stay outside, where a fused product is a call.

/// Calls a function, `name(arguments)`, as `name::<FUSED>(arguments)`: on x86-64 with vectors of eight lanes and fused products where the
/// processor has them.
macro_rules! widest {
    ($function:ident($($argument:expr),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        match pulp::x86::V3::try_new() {
            Some(processor) => processor.vectorize(|| $function::<true>($($argument),*)),
            None => $function::<false>($($argument),*),
        }
        #[cfg(not(target_arch = "x86_64"))]
        $function::<{ cfg!(target_arch = "aarch64") }>($($argument),*)
    }};
}
pub(super) use widest;

/// Independent sums of a reduction: enough to keep the arithmetic units of a processor busy.
const LANES: usize = 16;

/// a·b + c, rounded once where that is one instruction. Elsewhere it would be a call.
#[inline(always)]
pub fn product_sum<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// The sum of products.
#[inline(always)]
pub fn dot<const FUSED: bool>(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (left_chunks, right_chunks) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let mut tail = 0.0;
    for (&a, &b) in left_chunks.remainder().iter().zip(right_chunks.remainder()) {
        tail = product_sum::<FUSED>(a, b, tail);
    }
    for (a, b) in left_chunks.zip(right_chunks) {
        for lane in 0..LANES {
            lanes[lane] = product_sum::<FUSED>(a[lane], b[lane], lanes[lane]);
        }
    }
    total(lanes) + tail
}

/// Adds input · scale to `output`.
#[inline(always)]
pub fn add_scaled<const FUSED: bool>(output: &mut [f32], input: &[f32], scale: f32) {
    for (output, &input) in output.iter_mut().zip(input) {
        *output = product_sum::<FUSED>(input, scale, *output);
    }
}

/// Multiplies all values.
#[inline(always)]
pub fn scale<const FUSED: bool>(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

/// The largest value; NaN counts as none.
#[inline(always)]
pub fn maximum<const FUSED: bool>(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let tail = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, larger);
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    lanes.into_iter().fold(tail, larger)
}

/// Replaces each value by e^(value - shift) and returns their sum.
#[inline(always)]
pub fn exponentials<const FUSED: bool>(values: &mut [f32], shift: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let mut chunks = values.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for lane in 0..LANES {
            chunk[lane] = exp::<FUSED>(chunk[lane] - shift);
            lanes[lane] += chunk[lane];
        }
    }
    let mut tail = 0.0;
    for value in chunks.into_remainder() {
        *value = exp::<FUSED>(*value - shift);
        tail += *value;
    }
    total(lanes) + tail
}

/// Values that are summed in f32 where there may be a hundred thousand; the sums of stretches add up in f64.
pub const STRETCH: usize = 16 * LANES;

/// The sum of e^(value - shift).
#[inline(always)]
pub fn sum_of_exponentials<const FUSED: bool>(values: &[f32], shift: f32) -> f64 {
    let mut sum = 0.0;
    for stretch in values.chunks(STRETCH) {
        let mut lanes = [0f32; LANES];
        let chunks = stretch.chunks_exact(LANES);
        let mut tail = 0.0;
        for value in chunks.remainder() {
            tail += exp::<FUSED>(value - shift);
        }
        for chunk in chunks {
            for lane in 0..LANES {
                lanes[lane] += exp::<FUSED>(chunk[lane] - shift);
            }
        }
        sum += f64::from(total(lanes) + tail);
    }
    sum
}

#[inline(always)]
fn total(lanes: [f32; LANES]) -> f32 {
    let mut halves = [0f32; LANES / 2];
    for lane in 0..LANES / 2 {
        halves[lane] = lanes[lane] + lanes[lane + LANES / 2];
    }
    halves.iter().sum()
}

/// e^x to about two units in the last place, without a branch or a call, so that loops over it vectorise.
/// Beyond the range of normal f32 numbers the result stays at the smallest or the largest; NaN stays NaN.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2, then e^x = 2ⁿ·e^r with a polynomial for e^r.
#[inline(always)]
pub fn exp<const FUSED: bool>(x: f32) -> f32 {
    /// Adding 1.5·2²³ rounds to an integer, which then stands in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts: products of the high one with small integers are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// 1/6!, 1/5!, … 1/2!
    const POWERS: [f32; 5] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 1.0 / 2.0];
    let x = x.clamp(-87.3, 88.3);
    let rounded = product_sum::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = product_sum::<FUSED>(-n, LN_2_LOW, product_sum::<FUSED>(-n, LN_2_HIGH, x));
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    let mut low = 1.0 / 5040.0;
    for next in POWERS {
        low = product_sum::<FUSED>(low, r, next);
    }
    power * (1.0 + product_sum::<FUSED>(low, r * r, r))
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub fn sigmoid<const FUSED: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FUSED>(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_library() {
        for step in -87_000..88_000 {
            let x = step as f32 / 1000.0;
            let exact = f64::from(x).exp();
            for value in [exp::<true>(x), exp::<false>(x), widest!(exp(x))] {
                assert!((f64::from(value) / exact - 1.0).abs() < 3e-7, "e^{x} = {value} should be {exact}");
            }
        }
        assert!(exp::<true>(f32::NAN).is_nan() && exp::<false>(f32::NAN).is_nan());
        assert!(exp::<true>(-1e9) < 2e-38 && exp::<false>(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn lanes_and_remainders_add_up() {
        let values: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(widest!(dot(&values, &values)), 16206.0);
        assert_eq!(widest!(maximum(&values)), 36.0);
        let mut copy = values.clone();
        let sum = widest!(exponentials(&mut copy, 36.0));
        assert!((sum - 1.581_976_7).abs() < 1e-6);
        assert_eq!(copy[36], 1.0);
        assert!((widest!(sum_of_exponentials(&values, 36.0)) - 1.581_976_7).abs() < 1e-6);
    }
}
