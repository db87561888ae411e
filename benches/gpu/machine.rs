//! What a device is called, and the memory that a measurement takes of it.

use candle_core::Device;

/// The processor of the machine. Which card it is, the script asks `nvidia-smi`.
pub fn name(device: &Device) -> String {
    if !device.is_cpu() {
        return reftc::model::device::name(device);
    }
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor", |(_, name)| name.trim());
    format!("{model}, {} threads", rayon::current_num_threads())
}

/// The most memory held since [`forget_peak`], weights included, in bytes: of the process on the CPU. `None` where nobody says.
pub fn peak_bytes(device: &Device) -> Option<u64> {
    if !device.is_cpu() {
        return None;
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// From here on the peak is counted anew.
pub fn forget_peak(device: &Device) {
    if device.is_cpu() {
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }
}
