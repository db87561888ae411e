//! `metrics.jsonl` as reports read it: the steps of a training, and what was measured along the way.

use crate::data::metric::Metric;
use serde::Deserialize;
use std::path::Path;

/// The lines of a training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    pub steps: Vec<Step>,
    pub scores: Vec<Score>,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// From 1.
    pub step: usize,
    /// NaN where the file has no number.
    pub loss: f64,
    pub learning_rate: f64,
    pub gradient_norm: f64,
    /// Input tokens of its rows.
    pub tokens: usize,
    /// 0 where the file does not say.
    pub seconds: f64,
}

/// What an eval gave after that many steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    pub step: usize,
    pub eval: String,
    pub metric: Metric,
    pub value: f64,
}

#[derive(Deserialize)]
struct Line {
    event: String,
    step: usize,
    loss: Option<f64>,
    learning_rate: Option<f64>,
    gradient_norm: Option<f64>,
    #[serde(default)]
    tokens: usize,
    #[serde(default)]
    seconds: f64,
    eval: Option<String>,
    score: Option<ScoreLine>,
}

#[derive(Deserialize)]
struct ScoreLine {
    metric: Metric,
    value: Option<f64>,
}

impl Metrics {
    /// The lines of that file; none where there is no file.
    pub fn read(path: &Path) -> Self {
        let mut metrics = Self::default();
        metrics.add(&std::fs::read(path).unwrap_or_default());
        metrics
    }

    /// Takes whole lines in; those of other events are passed over.
    pub fn add(&mut self, lines: &[u8]) {
        for line in lines.split(|&byte| byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
            match (line.event.as_str(), line.eval, line.score) {
                ("step_done", ..) => self.steps.push(Step {
                    step: line.step,
                    loss: line.loss.unwrap_or(f64::NAN),
                    learning_rate: line.learning_rate.unwrap_or(f64::NAN),
                    gradient_norm: line.gradient_norm.unwrap_or(f64::NAN),
                    tokens: line.tokens,
                    seconds: line.seconds,
                }),
                ("eval_done", Some(eval), Some(ScoreLine { metric, value })) => {
                    self.scores.push(Score { step: line.step, eval, metric, value: value.unwrap_or(f64::NAN) });
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_lines_and_other_events_are_passed_over() {
        let text = r#"{"event":"step_done","step":1,"loss":null,"learning_rate":0.1,"gradient_norm":2.0,"tokens":5}
{"event":"epoch_done","epoch":1,"epochs":3,"step":13}
{"step":13,"event":"eval_done","eval":"test","score":{"metric":"perplexity","value":1.5,"rows":3}}
{"event":"step_done","step":2,"lo"#;
        let mut metrics = Metrics::default();
        metrics.add(text.as_bytes());
        assert!(metrics.steps[0].loss.is_nan() && metrics.steps.len() == 1);
        let score = Score { step: 13, eval: "test".into(), metric: Metric::Perplexity, value: 1.5 };
        assert_eq!(metrics.scores, [score]);
    }
}
