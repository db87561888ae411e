//! What can stand between a build and a GPU, in words.

use crate::diag::{Code, Diagnostic};
use crate::model::weights::first_line;

/// How to come by a build with CUDA.
pub const BUILD_HELP: &str = "`benches/gpu/build` makes a build with it: see docs/gpu.md";
/// The variable that names folders of libraries.
pub const LIBRARIES_VARIABLE: &str = "REFTC_CUDA_LIBRARIES";

/// Why a GPU cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The build lacks the feature.
    NotBuilt { feature: &'static str, name: &'static str },
    /// There is no `libcuda.so.1`, or it cannot be loaded.
    NoDriver { reason: String },
    /// The driver is older than the CUDA of this build; versions as the driver gives them, `13000` for 13.0.
    OldDriver { has: i32, needs: i32 },
    /// The driver is there and sees no GPU.
    NoDevice,
    /// The driver is there and does not start.
    DriverFailed { reason: String },
    /// There are fewer GPUs.
    NoSuchDevice { index: usize, count: usize },
    /// A library of CUDA is not found in these folders, or cannot be loaded.
    NoLibrary { name: &'static str, file: String, looked: Vec<String>, reason: String },
    /// The device is there and cannot be used.
    Refused { device: String, reason: String },
}

impl Obstacle {
    /// The device, or the first use of it, gave this error.
    pub fn refused(device: String, error: &candle_core::Error) -> Self {
        Self::Refused { device, reason: first_line(error) }
    }

    /// There is nothing that could compute: a machine without a GPU, or a build for such machines.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NotBuilt { .. } | Self::NoDriver { .. } | Self::NoDevice)
    }

    /// One sentence.
    pub fn message(&self) -> String {
        match self {
            Self::NotBuilt { name, .. } => format!("this build of reftc has no {name}"),
            Self::NoDriver { reason } => format!("no NVIDIA driver is found: {reason}"),
            Self::OldDriver { has, needs } => {
                format!(
                    "the NVIDIA driver is too old: it has CUDA {}, this build needs {}",
                    version(*has),
                    version(*needs)
                )
            }
            Self::NoDevice => "there is an NVIDIA driver and no CUDA device".to_owned(),
            Self::DriverFailed { reason } => format!("the NVIDIA driver does not start: {reason}"),
            Self::NoSuchDevice { index, count } => {
                let (are, devices) = if *count == 1 { ("is", "device") } else { ("are", "devices") };
                format!("there is no CUDA device {index}: there {are} {count} {devices}, counted from 0")
            }
            Self::NoLibrary { name, file, looked, reason } => {
                format!(
                    "{name} is not found: {reason}; looked for `{file}` as the loader does, and in {}",
                    looked.join(", ")
                )
            }
            Self::Refused { device, reason } => format!("{device} cannot be used: {reason}"),
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NotBuilt { feature: "cuda", .. } => BUILD_HELP.to_owned(),
            Self::NotBuilt { feature, .. } => format!("build it with `cargo build --release --features {feature}`"),
            Self::NoDriver { .. } => {
                format!("install the driver; if it is somewhere else, name the folder: `{LIBRARIES_VARIABLE}=FOLDER`")
            }
            Self::OldDriver { has, .. } => {
                format!(
                    "install a newer driver, or build with CUDA {}: `benches/gpu/build --toolkit FOLDER`",
                    version(*has)
                )
            }
            Self::NoDevice => {
                "see what `nvidia-smi` says; `CUDA_VISIBLE_DEVICES` and containers can hide devices".to_owned()
            }
            Self::DriverFailed { .. } => "see what `nvidia-smi` says".to_owned(),
            Self::NoSuchDevice { .. } => "write `--device cuda:0`".to_owned(),
            Self::NoLibrary { .. } => format!("name the folder that holds it: `{LIBRARIES_VARIABLE}=FOLDER`"),
            Self::Refused { .. } => "`reftc doctor` shows the device and what it needs".to_owned(),
        }
    }

    /// E0505: the sentence, what to do, and the way around it.
    pub fn diagnostic(&self) -> Box<Diagnostic> {
        let diagnostic = Diagnostic::new(Code::DeviceUnavailable, self.message()).help(self.help());
        Box::new(diagnostic.help("write `--device cpu` to compute on the CPU"))
    }
}

/// `13000` is CUDA 13.0.
pub fn version(number: i32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_is_a_sentence_with_a_way_out() {
        let missing = "libcublas.so.13: cannot open shared object file".to_owned();
        let (file, looked) =
            ("libcublas.so.13".to_owned(), vec!["/usr/local/cuda/lib64".to_owned(), "/bin".to_owned()]);
        let cases = [
            (Obstacle::NotBuilt { feature: "cuda", name: "CUDA" }, "this build of reftc has no CUDA", BUILD_HELP),
            (Obstacle::NotBuilt { feature: "metal", name: "Metal" }, "has no Metal", "--features metal"),
            (
                Obstacle::NoDriver { reason: "libcuda.so.1: cannot open".into() },
                "libcuda.so.1",
                "REFTC_CUDA_LIBRARIES=",
            ),
            (Obstacle::OldDriver { has: 12080, needs: 13000 }, "has CUDA 12.8, this build needs 13.0", "CUDA 12.8"),
            (Obstacle::NoDevice, "no CUDA device", "nvidia-smi"),
            (Obstacle::DriverFailed { reason: "unknown error".into() }, "does not start: unknown error", "nvidia-smi"),
            (Obstacle::NoSuchDevice { index: 3, count: 1 }, "no CUDA device 3: there is 1 device,", "cuda:0"),
            (Obstacle::NoSuchDevice { index: 3, count: 2 }, "there are 2 devices,", "cuda:0"),
            (
                Obstacle::NoLibrary { name: "cuBLAS", file, looked, reason: missing },
                "in /usr/local/cuda/lib64, /bin",
                "FOLDER",
            ),
            (
                Obstacle::Refused { device: "CUDA device 0".into(), reason: "busy".into() },
                "cannot be used: busy",
                "doctor",
            ),
        ];
        for (obstacle, message, help) in cases {
            let diagnostic = obstacle.diagnostic();
            assert!(diagnostic.message.contains(message), "{}", diagnostic.message);
            assert!(diagnostic.help[0].contains(help), "{}", diagnostic.help[0]);
            assert!(diagnostic.help[1].contains("--device cpu"));
        }
    }
}
