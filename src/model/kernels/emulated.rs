//! Launches on the CPU, for tests: see `device/emulation.hpp`.
#![allow(unsafe_code)]

use candle_core::{CpuStorage, Result, bail};
use rayon::prelude::*;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};

unsafe extern "C" {
    fn reftc_emulate_block(
        name: *const c_char,
        grid: *const c_uint,
        block: *const c_uint,
        block_index: *const c_uint,
        shared: c_uint,
        arguments: *mut *mut c_void,
    ) -> c_int;
}

/// Runs all blocks of a kernel, on all threads.
pub fn launch(kernel: &str, grid: [u32; 3], threads: u32, shared_bytes: u32, arguments: &[u64]) -> Result<()> {
    let Ok(name) = CString::new(kernel) else { bail!("{kernel:?} is no name of a kernel") };
    let [x, y, z] = grid.map(u64::from);
    let found = (0..x * y * z).into_par_iter().all(|index| {
        let place = [index % x, index / x % y, index / x / y].map(|place| place as u32);
        let mut pointers: Vec<*mut c_void> =
            arguments.iter().map(|argument| std::ptr::from_ref(argument).cast_mut().cast()).collect();
        let block = [threads, 1, 1];
        // SAFETY: as for a launch on a GPU, see `Launch::run`; blocks of a kernel write to different places.
        let known = unsafe {
            reftc_emulate_block(
                name.as_ptr(),
                grid.as_ptr(),
                block.as_ptr(),
                place.as_ptr(),
                shared_bytes,
                pointers.as_mut_ptr(),
            )
        };
        known == 1
    });
    if found { Ok(()) } else { bail!("there is no kernel {kernel}") }
}

/// The address of the first number of a buffer.
pub fn address(storage: &CpuStorage) -> Result<u64> {
    Ok(match storage {
        CpuStorage::F32(values) => values.as_ptr() as u64,
        CpuStorage::F64(values) => values.as_ptr() as u64,
        CpuStorage::BF16(values) => values.as_ptr() as u64,
        CpuStorage::F16(values) => values.as_ptr() as u64,
        CpuStorage::U32(values) => values.as_ptr() as u64,
        CpuStorage::I64(values) => values.as_ptr() as u64,
        _ => bail!("kernels do not take numbers of this type"),
    })
}
