//! Finds the libraries of CUDA and loads them, before their first function is called.
//!
//! A build of `benches/gpu/build` does not need them to start: each function asks the loader for its library when it is first called, and the
//! loader gives it one that is loaded already, wherever that was found.

use super::obstacle::LIBRARIES_VARIABLE;
use candle_core::cuda_backend::cudarc::driver::sys::CUDA_VERSION;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A library as the loader names it.
pub struct Library {
    /// `cuBLAS`
    pub name: &'static str,
    /// `libcublas.so.13`
    pub file: String,
    /// Libraries that it needs and that lie beside it.
    first: Vec<String>,
}

/// A library is in none of the folders, or cannot be loaded.
pub struct Missing {
    /// Where it was looked for, after the loader's own folders.
    pub folders: Vec<PathBuf>,
    /// What the loader says.
    pub reason: String,
}

/// The driver's own library, which comes with the driver.
pub fn driver() -> Library {
    Library { name: "the NVIDIA driver", file: "libcuda.so.1".to_owned(), first: Vec::new() }
}

/// What candle calls besides the driver: matrix products and random numbers.
pub fn toolkit() -> [Library; 2] {
    let major = CUDA_VERSION / 1000;
    let file = format!("libcublas.so.{major}");
    [
        Library { name: "cuBLAS", file, first: vec![format!("libcublasLt.so.{major}")] },
        Library { name: "cuRAND", file: "libcurand.so.10".to_owned(), first: Vec::new() },
    ]
}

impl Library {
    /// Loads the library for the rest of the process and tells where it is. Folders that the user names come first, then the loader's own, then
    /// [`usual_folders`].
    pub fn load(&self) -> Result<PathBuf, Missing> {
        let (named, usual) = (named_folders(), usual_folders());
        // What the loader says of a file that is there tells more than that there is none elsewhere.
        let mut reason = None;
        for folder in &named {
            if let Some(found) = self.load_in(folder, &mut reason) {
                return Ok(found);
            }
        }
        let not_found = match load(Path::new(&self.file)) {
            Ok(found) => return Ok(found),
            Err(text) => text,
        };
        for folder in &usual {
            if let Some(found) = self.load_in(folder, &mut reason) {
                return Ok(found);
            }
        }
        let folders = named.into_iter().chain(usual).collect();
        Err(Missing { folders, reason: reason.unwrap_or(not_found) })
    }

    fn load_in(&self, folder: &Path, reason: &mut Option<String>) -> Option<PathBuf> {
        let path = folder.join(&self.file);
        if !path.exists() {
            return None;
        }
        for needed in &self.first {
            // Where this fails, the loader may find it elsewhere, and says so below if it does not.
            let _ = load(&folder.join(needed));
        }
        load(&path).map_err(|text| reason.get_or_insert(text)).ok()
    }
}

/// The folders of `REFTC_CUDA_LIBRARIES`, which colons divide.
fn named_folders() -> Vec<PathBuf> {
    std::env::var_os(LIBRARIES_VARIABLE).map_or_else(Vec::new, |folders| {
        std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()).collect()
    })
}

/// Where toolkits, Python's packages, containers and WSL put the libraries, and the folder of this program.
fn usual_folders() -> Vec<PathBuf> {
    let below = |variable: &str, rest: &str| std::env::var_os(variable).map(|folder| Path::new(&folder).join(rest));
    let homes = ["CUDA_HOME", "CUDA_PATH"].into_iter().flat_map(|home| [below(home, "lib64"), below(home, "lib")]);
    let target = format!("/usr/local/cuda/targets/{}-linux/lib", std::env::consts::ARCH);
    let fixed = ["/usr/local/cuda/lib64", &target, "/opt/cuda/lib64", "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib"];
    let program = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    homes.flatten().chain(fixed.map(PathBuf::from)).chain(program).collect()
}

/// Loads one file for the rest of the process: a path, or a name that the loader looks for. Gives the path, or what the loader says.
#[allow(unsafe_code, reason = "the loader is reached through C")]
fn load(file: &Path) -> Result<PathBuf, String> {
    const RTLD_LAZY: c_int = 1;
    const RTLD_DI_LINKMAP: c_int = 2;
    /// The head of the loader's record of a library.
    #[repr(C)]
    struct LinkMap {
        address: usize,
        path: *const c_char,
    }
    unsafe extern "C" {
        fn dlopen(file: *const c_char, mode: c_int) -> *mut c_void;
        fn dlerror() -> *const c_char;
        fn dlinfo(library: *mut c_void, request: c_int, answer: *mut c_void) -> c_int;
    }
    let name = CString::new(file.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: a string that ends in zero. Loading runs the library's own code, which is what the user asks for.
    let library = unsafe { dlopen(name.as_ptr(), RTLD_LAZY) };
    if library.is_null() {
        // SAFETY: the text stays until this thread calls the loader again.
        let text = unsafe { dlerror() };
        let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned());
        return Err(text.unwrap_or_else(|| format!("{} cannot be loaded", file.display())));
    }
    let mut record: *const LinkMap = std::ptr::null();
    // SAFETY: this request writes one pointer, and the record stays while the library is loaded, which is until the process ends.
    let path = unsafe {
        let known = dlinfo(library, RTLD_DI_LINKMAP, (&raw mut record).cast()) == 0 && !record.is_null();
        known.then(|| CStr::from_ptr((*record).path))
    };
    Ok(path.map_or_else(|| file.to_owned(), |path| PathBuf::from(path.to_string_lossy().into_owned())))
}
