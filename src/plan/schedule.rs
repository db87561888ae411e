//! The learning rate over the steps, as the schedules of Hugging Face transformers have it.

use super::{Schedule, ScheduleShape};

impl Schedule {
    /// The factor of the learning rate at a step, counted from 0, of `steps` optimizer steps.
    ///
    /// With a warm-up of n steps the factor of step k < n is k/n: the first step moves nothing.
    pub fn factor(&self, step: usize, steps: usize) -> f64 {
        if step < self.warmup {
            return step as f64 / self.warmup as f64;
        }
        let span = steps.saturating_sub(self.warmup).max(1) as f64;
        let progress = (step - self.warmup) as f64 / span;
        match self.shape {
            ScheduleShape::Constant => 1.0,
            ScheduleShape::Linear => (1.0 - progress).max(0.0),
            ScheduleShape::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(shape: ScheduleShape, warmup: usize, steps: usize) -> Vec<f64> {
        let schedule = Schedule { shape, warmup_share: 0.0, warmup };
        (0..steps).map(|step| (schedule.factor(step, steps) * 1e4).round() / 1e4).collect()
    }

    #[test]
    fn factors_are_those_of_transformers() {
        // From `get_scheduler` of transformers 4.45 with ten steps, two of them warm-up.
        let linear = [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125];
        assert_eq!(factors(ScheduleShape::Linear, 2, 10), linear);
        let cosine = [0.0, 0.5, 1.0, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381];
        assert_eq!(factors(ScheduleShape::Cosine, 2, 10), cosine);
        assert_eq!(factors(ScheduleShape::Constant, 2, 4), [0.0, 0.5, 1.0, 1.0]);
        assert_eq!(factors(ScheduleShape::Linear, 0, 4), [1.0, 0.75, 0.5, 0.25]);
        assert_eq!(factors(ScheduleShape::Linear, 1, 1), [0.0]);
    }
}
