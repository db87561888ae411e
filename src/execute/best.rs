//! `keep = best(…)`: which measurement along the way of a training was the best so far.

use crate::data::metric::Metric;
use serde::{Deserialize, Serialize};

/// What the measurements so far say; a part of every checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The optimizer steps that had been taken before the best measurement.
    pub step: usize,
    #[serde(with = "exact")]
    pub value: f64,
    /// Those that had been taken before the last measurement, and the measurements since the best one.
    pub last: usize,
    pub since: usize,
}

impl Best {
    /// The state after one more measurement. Of equally good ones the earliest stays, and one that is no finite number is
    /// never better.
    pub fn after(earlier: Option<Best>, step: usize, value: f64, metric: Metric) -> Best {
        let fresh = Best { step, value, last: step, since: 0 };
        let Some(best) = earlier else { return fresh };
        let improves = if metric.smaller_is_better() { value < best.value } else { value > best.value };
        if value.is_finite() && (improves || !best.value.is_finite()) {
            return fresh;
        }
        Best { last: step, since: best.since + 1, ..best }
    }

    /// Whether the last measurement is the best one.
    pub fn is_last(&self) -> bool {
        self.step == self.last
    }
}

/// Every bit of a float, which a number in JSON does not promise.
mod exact {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(values: &[f64], metric: Metric) -> Vec<(usize, usize)> {
        let mut best = None;
        let steps = values.iter().enumerate().map(|(step, &value)| {
            let after = Best::after(best, step, value, metric);
            // As a checkpoint keeps it.
            let kept: Best = serde_json::from_str(&serde_json::to_string(&after).unwrap()).unwrap();
            best = Some(kept);
            (kept.step, kept.since)
        });
        steps.collect()
    }

    #[test]
    fn the_earliest_of_the_best_is_kept() {
        let accuracy = [0.1 + 0.2, 0.3, 0.1 + 0.2, 0.5, 0.4, f64::NAN];
        assert_eq!(all(&accuracy, Metric::Accuracy), [(0, 0), (0, 1), (0, 2), (3, 0), (3, 1), (3, 2)]);
        let perplexity = [f64::INFINITY, f64::NAN, 7.0, 7.0, 6.5];
        assert_eq!(all(&perplexity, Metric::Perplexity), [(0, 0), (0, 1), (2, 0), (2, 1), (4, 0)]);
    }
}
