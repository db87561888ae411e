//! All numerics on a device: each check compares with something computed another way, and says how far they lie apart.

mod attention;
mod decoding;
mod edits;
mod ground;
mod householder;
mod kinds;
mod operations;
mod optimizer;
mod reference;
mod rows;
mod sites;
mod trainings;

use candle_core::{DType, Device, Result, Tensor};
use serde::Serialize;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What one check found.
#[derive(Serialize)]
pub struct Line {
    name: String,
    /// The largest error of all that was compared; absent where it is no number, or nothing could be compared.
    error: Option<f64>,
    bound: f64,
    pub passed: bool,
    /// Where the error was largest, or why there is none.
    at: String,
}

/// The checks so far, and what they run on.
pub struct Checks {
    pub device: Device,
    pub seed: u64,
    pub tiny: bool,
    only: Option<String>,
    lines: Vec<Line>,
}

/// The largest of some errors, and where it was.
#[derive(Default)]
pub struct Largest {
    error: f64,
    at: String,
}

/// Runs every check whose name has `only` in it, and prints a line for each.
pub fn all(device: &Device, seed: u64, tiny: bool, only: Option<String>) -> Vec<Line> {
    let mut checks = Checks { device: device.clone(), seed, tiny, only, lines: Vec::new() };
    operations::check(&mut checks);
    rows::check(&mut checks);
    attention::check(&mut checks);
    kinds::check(&mut checks);
    edits::check(&mut checks);
    householder::check(&mut checks);
    optimizer::check(&mut checks);
    reference::check(&mut checks);
    sites::check(&mut checks);
    decoding::check(&mut checks);
    trainings::check(&mut checks);
    let failed = checks.lines.iter().filter(|line| !line.passed).count();
    println!("{} checks, {failed} failed", checks.lines.len());
    checks.lines
}

impl Checks {
    /// Runs one check. It passes where everything that it takes down lies within the bound; an error or a panic inside fails it.
    pub fn check(&mut self, name: &str, bound: f64, work: impl FnOnce(&mut Largest) -> Result<()>) {
        if self.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            return;
        }
        let mut largest = Largest { error: f64::NEG_INFINITY, at: String::new() };
        let ended = catch_unwind(AssertUnwindSafe(|| work(&mut largest)));
        let (error, at) = match ended {
            Ok(Ok(())) if largest.error >= 0.0 => (Some(largest.error), largest.at),
            Ok(Ok(())) if largest.error.is_nan() => (None, format!("not a number at {}", largest.at)),
            Ok(Ok(())) => (None, "nothing was compared".to_owned()),
            Ok(Err(error)) => (None, error.to_string().lines().next().unwrap_or_default().to_owned()),
            Err(_) => (None, "it panicked".to_owned()),
        };
        let passed = error.is_some_and(|error| error <= bound);
        let verdict = if passed { "pass" } else { "FAIL" };
        let found = error.map_or_else(|| "-".to_owned(), |error| format!("{error:.1e}"));
        println!("{verdict} {name:<58} {found:>8} of {bound:.1e}  {at}");
        self.lines.push(Line { name: name.to_owned(), error, bound, passed, at });
    }
}

impl Largest {
    /// Takes down an error; not a number is larger than any.
    pub fn take(&mut self, at: impl Display, error: f64) {
        if !self.error.is_nan() && (error.is_nan() || error > self.error) {
            (self.error, self.at) = (error, at.to_string());
        }
    }

    /// ‖found − expected‖ / ‖expected‖
    pub fn compare(&mut self, at: impl Display, found: &Tensor, expected: &Tensor) -> Result<()> {
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        self.relative(at, found, expected, norm)
    }

    /// The largest difference over the largest value that is expected.
    pub fn compare_largest(&mut self, at: impl Display, found: &Tensor, expected: &Tensor) -> Result<()> {
        // `f64::max` would pass over what is not a number.
        let largest = |values: &[f64]| {
            values.iter().fold(0.0, |largest: f64, value| if value.abs() <= largest { largest } else { value.abs() })
        };
        self.relative(at, found, expected, largest)
    }

    /// How many numbers differ in any bit.
    pub fn compare_bits(&mut self, at: impl Display, found: &Tensor, expected: &Tensor) -> Result<()> {
        let (found, expected) = (values(found)?, values(expected)?);
        let differ = found.iter().zip(&expected).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        self.take(at, (differ + found.len().abs_diff(expected.len())) as f64);
        Ok(())
    }

    fn relative(
        &mut self,
        at: impl Display,
        found: &Tensor,
        expected: &Tensor,
        size: impl Fn(&[f64]) -> f64,
    ) -> Result<()> {
        if found.dims() != expected.dims() {
            candle_core::bail!("{at}: the shape is {:?}, expected is {:?}", found.dims(), expected.dims());
        }
        let (found, expected) = (values(found)?, values(expected)?);
        let difference: Vec<f64> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
        let (error, scale) = (size(&difference), size(&expected));
        self.take(at, if scale > 0.0 { error / scale } else { error });
        Ok(())
    }
}

/// All values of a tensor, wherever it is.
fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}
