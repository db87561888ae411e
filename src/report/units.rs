//! Numbers as people read them.

use std::time::Duration;

/// A count with its digits in groups of three: `276 720`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for group in digits.as_bytes()[first..].chunks(3) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend(group.iter().copied().map(char::from));
    }
    text
}

/// A number of things: `1 row`, `4 112 rows`.
pub fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number as u64))
}

/// A size in memory or on disk: `512 B`, `1.2 GiB`.
pub fn bytes(number: u64) -> String {
    scaled(number as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// Floating-point operations: `3.4 TFLOP`.
pub fn flops(number: f64) -> String {
    scaled(number, 1000.0, &["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"])
}

/// A span of time: `340 ms`, `4.2 s`, `1m 23s`, `2h 05m`, `3d 04h`.
pub fn duration(time: Duration) -> String {
    if time.as_millis() < 1000 {
        return format!("{} ms", time.as_millis());
    }
    if time.as_secs_f64() < 59.95 {
        return format!("{:.1} s", time.as_secs_f64());
    }
    let seconds = time.as_secs_f64().round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (minutes, hours) {
        (..60, _) => format!("{minutes}m {:02}s", seconds % 60),
        (_, ..24) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// A share with one decimal: `76.5 %`.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { "–".to_owned() }
}

/// A small share with three digits that count: `0.206 %`.
pub fn small_percent(share: f64) -> String {
    let value = share * 100.0;
    let decimals = match value.abs() {
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        0.01.. => 4,
        _ => 5,
    };
    format!("{value:.decimals$} %")
}

/// One decimal below 100 of the unit that fits; whole numbers stay whole in the smallest.
fn scaled(number: f64, step: f64, units: &[&str]) -> String {
    let mut value = number;
    let mut unit = 0;
    // 999.95 would be written as 1000.0.
    while unit + 1 < units.len() && value >= if unit == 0 { step } else { step - 0.05 } {
        value /= step;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 99.95);
    format!("{value:.decimals$} {}", units[unit])
}

/// The first digits of a hash, as run folders are named.
pub fn short_hash(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        let written = [0, 7, 999, 1000, 276_720, 134_515_008].map(count);
        assert_eq!(written, ["0", "7", "999", "1 000", "276 720", "134 515 008"]);
    }

    #[test]
    fn sizes_and_operations_have_their_unit() {
        let written = [0, 1023, 1024, 1_288_490_189, 600 << 20, u64::MAX].map(bytes);
        assert_eq!(written, ["0 B", "1023 B", "1.0 KiB", "1.2 GiB", "600 MiB", "16384 PiB"]);
        let written = [999.0, 3.4e12, 1e30, 999_960.0].map(flops);
        assert_eq!(written, ["999 FLOP", "3.4 TFLOP", "1000000000000 EFLOP", "1.0 MFLOP"]);
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let written = [0.34, 4.2, 59.96, 83.0, 3599.6, 7500.0, 273_600.0].map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(written, ["340 ms", "4.2 s", "1m 00s", "1m 23s", "1h 00m", "2h 05m", "3d 04h"]);
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!((percent(0.7649), percent(f64::NAN)), ("76.5 %".into(), "–".into()));
        let written = [0.002_057, 0.000_031, 0.0, 0.125, 0.0375].map(small_percent);
        assert_eq!(written, ["0.206 %", "0.00310 %", "0.00000 %", "12.5 %", "3.75 %"]);
    }
}
