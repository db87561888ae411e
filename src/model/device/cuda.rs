//! CUDA devices.

use super::libraries;
use super::obstacle::{Obstacle, version};
use super::{Card, Memory, Part};
use candle_core::cuda_backend::cudarc::driver::result::{self, DriverError};
use candle_core::cuda_backend::cudarc::driver::sys::{
    self, CUdevice_attribute as Attribute, CUmemPool_attribute as Pool,
};
use candle_core::cuda_backend::cudarc::driver::{CudaContext, result::mem_pool};
use candle_core::{CudaDevice, DType, Device, Tensor};
use std::path::PathBuf;
use std::sync::Arc;

/// The device of this number, made ready: one stream for all threads, freed memory kept, and its kernels tried.
pub fn open(index: usize) -> Result<Device, Obstacle> {
    let (_, count) = driver()?;
    if index >= count {
        return Err(Obstacle::NoSuchDevice { index, count });
    }
    for library in libraries::toolkit() {
        library.load().map_err(|missing| no_library(&library, missing))?;
    }
    let refused = |error| Obstacle::refused(format!("CUDA device {index}"), &error);
    let device = Device::new_cuda_with_stream(index).map_err(refused)?;
    make_ready(device.as_cuda_device().map_err(refused)?);
    try_kernels(&device).map_err(refused)?;
    Ok(device)
}

/// Where the driver's library is, and how many devices it sees: at least one.
fn driver() -> Result<(PathBuf, usize), Obstacle> {
    let found = libraries::driver().load().map_err(|missing| Obstacle::NoDriver { reason: missing.reason })?;
    let (has, needs) = (driver_version(), sys::CUDA_VERSION as i32);
    if has < needs {
        return Err(Obstacle::OldDriver { has, needs });
    }
    let failed = |DriverError(status)| match status {
        sys::CUresult::CUDA_ERROR_NO_DEVICE => Obstacle::NoDevice,
        _ => Obstacle::DriverFailed { reason: DriverError(status).to_string() },
    };
    result::init().map_err(failed)?;
    match result::device::get_count().map_err(failed)? {
        ..=0 => Err(Obstacle::NoDevice),
        count => Ok((found, count.unsigned_abs() as usize)),
    }
}

/// The newest CUDA that the driver serves, `13000` for 13.0; 0 where it does not say.
#[allow(unsafe_code, reason = "a function of the driver without a safe form")]
fn driver_version() -> i32 {
    let mut version = 0;
    // SAFETY: the pointer is good, and this may be called at any time.
    let status = unsafe { sys::cuDriverGetVersion(&mut version) };
    if status == sys::CUresult::CUDA_SUCCESS { version } else { 0 }
}

fn no_library(library: &libraries::Library, missing: libraries::Missing) -> Obstacle {
    let looked = missing.folders.iter().map(|folder| folder.display().to_string()).collect();
    Obstacle::NoLibrary { name: library.name, file: library.file.clone(), looked, reason: missing.reason }
}

/// Settings of a device that computes for one process alone.
#[allow(unsafe_code, reason = "what candle and the driver ask to be promised")]
fn make_ready(device: &CudaDevice) {
    // SAFETY: all work of the device goes through its one stream, in order, so that no event is needed between uses of a tensor.
    unsafe { device.disable_event_tracking() };
    // Freed memory stays with the process: giving it back at every synchronization costs milliseconds of each step.
    set_pool(device, Pool::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX);
}

/// The first kernel shows whether this build's kernels are for this device: that is decided when they are loaded.
fn try_kernels(device: &Device) -> candle_core::Result<()> {
    let sum = (Tensor::ones(1, DType::F32, device)? + 1.0)?.to_vec1::<f32>()?;
    if sum != [2.0] {
        candle_core::bail!("1 + 1 gives {sum:?}");
    }
    Ok(())
}

/// What this build and this machine have, in the order in which it is needed.
pub fn parts() -> Vec<Part> {
    let missing = |name: &str, obstacle: Obstacle| Part {
        name: name.to_owned(),
        text: obstacle.message(),
        help: Some(obstacle.help()),
    };
    let mut parts = match driver() {
        Ok((path, count)) => {
            let text = format!("driver for CUDA {}: {}", version(driver_version()), path.display());
            let mut parts = vec![Part { name: "cuda".to_owned(), text, help: None }];
            parts.extend((0..count).map(device_part));
            parts
        }
        Err(obstacle) => vec![missing("cuda", obstacle)],
    };
    parts.extend(libraries::toolkit().map(|library| match library.load() {
        Ok(path) => Part { name: library.name.to_lowercase(), text: path.display().to_string(), help: None },
        Err(reason) => missing(&library.name.to_lowercase(), no_library(&library, reason)),
    }));
    parts
}

fn device_part(index: usize) -> Part {
    let name = format!("cuda:{index}");
    match card_of(index) {
        Ok(Card { name: card, compute_capability, memory }) => {
            let memory = memory as f64 / f64::from(1 << 30);
            let text = format!("{card}, {memory:.1} GiB, compute capability {compute_capability}");
            Part { name, text, help: None }
        }
        Err(error) => Part { name, text: error.to_string(), help: Some("see what `nvidia-smi` says".to_owned()) },
    }
}

#[allow(unsafe_code, reason = "functions of the driver without a safe form that makes no context")]
fn card_of(index: usize) -> Result<Card, DriverError> {
    let device = result::device::get(i32::try_from(index).unwrap_or(i32::MAX))?;
    // SAFETY: `device` is one that the driver gave.
    let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) };
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    // SAFETY: as above.
    let memory = unsafe { result::device::total_mem(device) }?;
    let name = result::device::get_name(device)?;
    Ok(Card { name, compute_capability: format!("{major}.{minor}"), memory: memory as u64 })
}

/// What is known of the device, if it is one of CUDA.
pub fn card(device: &Device) -> Option<Card> {
    card_of(context(device.as_cuda_device().ok()?).ordinal()).ok()
}

/// Free and total memory of the device, if it is one of CUDA.
pub fn memory(device: &Device) -> Option<Memory> {
    let (free, total) = context(device.as_cuda_device().ok()?).mem_get_info().ok()?;
    Some(Memory { free: free as u64, total: total as u64 })
}

/// The high mark of the memory pool that tensors come from, if the device is one of CUDA.
#[allow(unsafe_code, reason = "a function of the driver without a safe form")]
pub fn peak_memory(device: &Device) -> Option<u64> {
    let pool = pool(device.as_cuda_device().ok()?)?;
    let mut bytes = 0_u64;
    // SAFETY: the pool is the device's own, and this attribute is a number of 64 bits.
    unsafe { mem_pool::get_attribute(pool, Pool::CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut bytes).cast()) }.ok()?;
    Some(bytes)
}

/// Sets the high mark to what is held now.
pub fn reset_peak_memory(device: &Device) {
    if let Ok(device) = device.as_cuda_device() {
        set_pool(device, Pool::CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0);
    }
}

fn context(device: &CudaDevice) -> Arc<CudaContext> {
    device.cuda_stream().context().clone()
}

/// The pool that tensors of the device come from; `None` where the device has none.
#[allow(unsafe_code, reason = "a function of the driver without a safe form")]
fn pool(device: &CudaDevice) -> Option<sys::CUmemoryPool> {
    // SAFETY: the device is that of a living context.
    unsafe { result::device::get_mem_pool(context(device).cu_device()) }.ok()
}

/// Sets an attribute that is a number of 64 bits, where the device has a pool.
#[allow(unsafe_code, reason = "a function of the driver without a safe form")]
fn set_pool(device: &CudaDevice, attribute: Pool, mut value: u64) {
    if let Some(pool) = pool(device) {
        // SAFETY: the pool is the device's own. Without the setting all works, slower, and a pool that takes none is no reason to stop.
        let _ = unsafe { mem_pool::set_attribute(pool, attribute, (&raw mut value).cast()) };
    }
}
