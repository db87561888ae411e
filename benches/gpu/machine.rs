//! What a device is called, and the memory that a measurement takes of it.

use candle_core::Device;
use reftc::model::device;

/// The card, or the processor of the machine.
pub fn name(chosen: &Device) -> String {
    if !chosen.is_cpu() {
        return device::card(chosen).map_or_else(|| device::name(chosen), |card| card.name);
    }
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor", |(_, name)| name.trim());
    format!("{model}, {} threads", rayon::current_num_threads())
}

/// The most memory held since [`forget_peak`], weights included, in bytes: by tensors on a card, of the process on the CPU. `None` where
/// nobody says.
pub fn peak_bytes(chosen: &Device) -> Option<u64> {
    if !chosen.is_cpu() {
        return device::peak_memory(chosen);
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// From here on the peak is counted anew.
pub fn forget_peak(chosen: &Device) {
    if chosen.is_cpu() {
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    } else {
        device::reset_peak_memory(chosen);
    }
}
