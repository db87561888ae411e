//! Launches on an NVIDIA GPU, through the driver that candle has opened.
#![allow(unsafe_code)]

use candle_core::cuda_backend::cudarc::driver::sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DevicePtr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::{CudaDevice, CudaStorage, CudaStorageSlice, WrapErr};
use candle_core::{Result, bail};

/// All kernels, as the driver compiles them for the card at hand when the first is used.
const MODULE: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// Shared memory that a block gets without asking for more.
const PLAIN_SHARED_BYTES: u32 = 48 << 10;

/// Puts a kernel on the stream of the device.
pub fn launch(
    device: &CudaDevice,
    kernel: &str,
    [x, y, z]: [u32; 3],
    threads: u32,
    shared_bytes: u32,
    arguments: &[u64],
) -> Result<()> {
    let function = device.get_or_load_custom_func(kernel, "reftc", MODULE)?;
    if shared_bytes > PLAIN_SHARED_BYTES {
        function.set_attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes as i32).w()?;
    }
    let mut launch = function.builder();
    for argument in arguments {
        launch.arg(argument);
    }
    let config = LaunchConfig { grid_dim: (x, y, z), block_dim: (threads, 1, 1), shared_mem_bytes: shared_bytes };
    // SAFETY: `Launch` gives each kernel what its parameters say: pointers to tensors that live at least until the kernel is on the
    // stream (the device frees in the order of the stream), of the lengths that the operation has checked.
    unsafe { launch.launch(config) }.w()?;
    Ok(())
}

/// The address of the first number of a buffer on the device.
pub fn address(storage: &CudaStorage) -> Result<u64> {
    fn of<T>(slice: &CudaSlice<T>) -> u64 {
        // One stream does all the work: there is nothing to wait for when the guard is dropped.
        slice.device_ptr(slice.stream()).0
    }
    Ok(match &storage.slice {
        CudaStorageSlice::F32(slice) => of(slice),
        CudaStorageSlice::F64(slice) => of(slice),
        CudaStorageSlice::BF16(slice) => of(slice),
        CudaStorageSlice::F16(slice) => of(slice),
        CudaStorageSlice::U32(slice) => of(slice),
        CudaStorageSlice::I64(slice) => of(slice),
        _ => bail!("kernels do not take numbers of this type"),
    })
}
