//! Where an operation runs: on the device in some dtype, or by its formulas in f64 on the CPU.

use super::{Checks, Largest};
use crate::synthetic::numbers;
use candle_core::{DType, Device, Result, Tensor};

/// A device and a dtype; inputs are first rounded to the dtype that is checked, on both sides.
pub struct Ground {
    pub device: Device,
    pub dtype: DType,
    rounded: DType,
}

type Forward = dyn Fn(&Ground, &Tensor) -> Result<Tensor>;
type Backward = dyn Fn(&Ground, &Tensor, &Tensor) -> Result<Tensor>;

/// The input of an operation, and the operation on any ground. The backward pass gets the input and the gradient of the output.
pub struct Case {
    pub at: String,
    /// f64, on the CPU
    pub input: Tensor,
    pub forward: Box<Forward>,
    pub backward: Box<Backward>,
}

/// How far a dtype may lie from exact arithmetic on the same inputs, by norms. Rounding a result to it costs 3e-8, 1.6e-4 and 1.3e-3;
/// the bounds leave room for sums, and for a product whose operand was rounded on the way.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub f32: f64,
    pub f16: f64,
    pub bf16: f64,
}

/// Of an operation that rounds its result once.
pub const ONCE: Bounds = Bounds { f32: 2e-6, f16: 1e-3, bf16: 5e-3 };
/// Of a product of matrices, which is the library's; on the CPU that of a single row of f16 is summed in f16.
pub const PRODUCT: Bounds = Bounds { f32: 2e-6, f16: 1e-2, bf16: 5e-3 };
/// Of one that also rounds in between.
pub const TWICE: Bounds = Bounds { f32: 3e-6, f16: 2e-3, bf16: 1.2e-2 };

impl Bounds {
    pub fn each(&self) -> [(DType, &'static str, f64); 3] {
        [(DType::F32, "f32", self.f32), (DType::BF16, "bf16", self.bf16), (DType::F16, "f16", self.f16)]
    }
}

impl Ground {
    pub fn checked(device: &Device, dtype: DType) -> Self {
        Self { device: device.clone(), dtype, rounded: dtype }
    }

    /// Formulas in f64 on inputs that are rounded to `dtype`.
    pub fn exact(dtype: DType) -> Self {
        Self { device: Device::Cpu, dtype: DType::F64, rounded: dtype }
    }

    /// The tensor on this ground.
    pub fn place(&self, tensor: &Tensor) -> Result<Tensor> {
        tensor.to_dtype(self.rounded)?.to_dtype(self.dtype)?.to_device(&self.device)
    }
}

/// A line for each dtype and direction.
pub fn compare(checks: &mut Checks, name: &str, cases: &[Case], bounds: Bounds) {
    let device = checks.device.clone();
    for (dtype, dtype_name, bound) in bounds.each() {
        let grounds = [Ground::checked(&device, dtype), Ground::exact(dtype)];
        checks.check(&format!("{name} forward {dtype_name}"), bound, |largest| {
            each(cases, largest, |case, _| {
                let [found, expected] =
                    grounds.each_ref().map(|ground| (case.forward)(ground, &ground.place(&case.input)?));
                Ok((found?, expected?))
            })
        });
        checks.check(&format!("{name} backward {dtype_name}"), bound, |largest| {
            each(cases, largest, |case, seed| {
                let output = (case.forward)(&grounds[1], &grounds[1].place(&case.input)?)?;
                let gradient = numbers(output.dims(), seed)?;
                let [found, expected] = grounds
                    .each_ref()
                    .map(|ground| (case.backward)(ground, &ground.place(&case.input)?, &ground.place(&gradient)?));
                Ok((found?, expected?))
            })
        });
    }
}

fn each(cases: &[Case], largest: &mut Largest, run: impl Fn(&Case, u64) -> Result<(Tensor, Tensor)>) -> Result<()> {
    for (number, case) in cases.iter().enumerate() {
        let (found, expected) = run(case, 7000 + number as u64)?;
        largest.compare(&case.at, &found, &expected)?;
    }
    Ok(())
}
