//! Axes: from numbers to places and round ticks.

/// One axis of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    from: f64,
    to: f64,
    logarithmic: bool,
    pub ticks: Vec<f64>,
}

impl Axis {
    /// An axis that holds all finite values, with about `count` ticks at round numbers, one at each end.
    pub fn linear(values: impl Iterator<Item = f64>, count: usize) -> Self {
        let (low, high) = ends(values, |_| true).unwrap_or((0.0, 1.0));
        // A constant gets room on both sides, and so do values that differ by rounding.
        let pad = if high - low > low.abs() * 1e-9 { 0.0 } else { (low.abs() * 0.1).max(1e-9) };
        let (low, high) = (low - pad, high + pad);
        let step = round_step((high - low) / count.max(1) as f64);
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let ticks: Vec<f64> = (0..=(last - first) as usize).map(|tick| (first + tick as f64) * step).collect();
        Self { from: first * step, to: last * step, logarithmic: false, ticks }
    }

    /// An axis from `from` to `to` with ticks at round whole numbers between them.
    pub fn counts(from: usize, to: usize, count: usize) -> Self {
        let (low, high) = (from as f64, to.max(from + 1) as f64);
        let step = round_step((high - low) / count.max(1) as f64).max(1.0);
        let first = (low / step).ceil() as usize;
        let ticks = (first..).map(|tick| tick as f64 * step).take_while(|tick| *tick <= high).collect();
        Self { from: low, to: high, logarithmic: false, ticks }
    }

    /// A logarithmic axis that holds all positive values, with some room at both ends.
    pub fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values, |value| value > 0.0).unwrap_or((1.0, 10.0));
        let (from, to) = (low / 1.6, high * 1.6);
        let ticks_of = |digits: &[f64]| -> Vec<f64> {
            let powers = from.log10().floor() as i32..=to.log10().ceil() as i32;
            let every = powers.clone().count().div_ceil(8);
            let ticks =
                powers.step_by(every).flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
            ticks.filter(|tick| (from..=to).contains(tick)).collect()
        };
        let candidates = [&[1.0][..], &[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]];
        let ticks =
            candidates.into_iter().map(ticks_of).find(|ticks| ticks.len() >= 3).unwrap_or_else(|| vec![low, high]);
        Self { from, to, logarithmic: true, ticks }
    }

    /// Where a value lies, from 0 to 1 on the axis.
    pub fn place(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => (value.ln() - self.from.ln()) / (self.to.ln() - self.from.ln()),
            false => (value - self.from) / (self.to - self.from),
        }
    }
}

fn ends(values: impl Iterator<Item = f64>, wanted: impl Fn(f64) -> bool) -> Option<(f64, f64)> {
    // Beyond that, differences may overflow; nothing sound is so large.
    let values = values.filter(|value| value.abs() <= 1e300 && wanted(*value));
    values.fold(None, |ends, value| match ends {
        Some((low, high)) => Some((value.min(low), value.max(high))),
        None => Some((value, value)),
    })
}

/// The smallest of 1, 2, 5, 10, … times a power of ten that is at least this.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= least * (1.0 - 1e-9));
    step.unwrap_or(least)
}

/// A number with the digits that tell it from its neighbours: `0.0009`, `12.5`, `1 200`, `3e-7`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if !value.is_finite() => return "–".to_owned(),
        0.0 => return "0".to_owned(),
        ..1e-4 | 1e7.. => return format!("{value:.3e}").replace(".000e", "e").replace("00e", "e").replace("0e", "e"),
        1000.0.. if value.fract() == 0.0 && value > 0.0 => return crate::report::units::count(value as u64),
        100.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.3}"),
        0.1.. => format!("{value:.4}"),
        0.01.. => format!("{value:.5}"),
        _ => format!("{value:.7}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_the_values() {
        let axis = Axis::linear([0.362, 0.0081].into_iter(), 4);
        assert_eq!(axis.ticks.iter().map(|tick| number(*tick)).collect::<Vec<_>>(), ["0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!((axis.place(0.0), axis.place(0.4)), (0.0, 1.0));
        assert_eq!(Axis::counts(1, 39, 4).ticks, [10.0, 20.0, 30.0]);
        assert_eq!(Axis::counts(0, 1, 5).ticks, [0.0, 1.0]);
        let axis = Axis::logarithmic([0.01, 0.5].into_iter());
        assert_eq!(axis.ticks.iter().map(|tick| number(*tick)).collect::<Vec<_>>(), ["0.01", "0.03", "0.1", "0.3"]);
        assert!(axis.place(0.01) > 0.0 && axis.place(0.5) < 1.0);
    }

    #[test]
    fn odd_values_have_an_axis_too() {
        let odd = [
            vec![],
            vec![0.0],
            vec![f64::NAN, f64::INFINITY],
            vec![-3.0, -3.0],
            vec![1e-300, 1e300],
            vec![1.0, 1.0 + f64::EPSILON],
            vec![f64::MAX, f64::MIN],
        ];
        for values in odd {
            for axis in [Axis::linear(values.iter().copied(), 4), Axis::logarithmic(values.iter().copied())] {
                assert!((2..40).contains(&axis.ticks.len()), "{values:?}: {axis:?}");
                assert!(axis.ticks.iter().all(|tick| axis.place(*tick).is_finite()), "{values:?}: {axis:?}");
            }
        }
    }

    #[test]
    fn numbers_are_short() {
        let written = [0.0009, 12.5, 1200.0, 3e-7, 0.0, 100.0, -0.25, 1.5e9, f64::NAN].map(number);
        assert_eq!(written, ["0.0009", "12.5", "1 200", "3e-7", "0", "100", "-0.25", "1.5e9", "–"]);
    }
}
