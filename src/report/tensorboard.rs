//! Event files of TensorBoard: a training's losses and scores against its steps.
//!
//! A file is a chain of records: the length of the data (8 bytes, little-endian) and its checksum, the data and its checksum. The data
//! are protobuf messages, of which only these fields are written: `Event` {1 wall_time, 2 step, 3 file_version, 5 summary, 7 session_log},
//! `Summary` {1 value}, `Value` {1 tag, 2 simple_value}, `SessionLog` {1 status}.

use super::metrics::{Metrics, Score, Step};
use crate::diag::{Code, Diagnostic, Result};
use crate::store::atomic::{self, unwritable};
use crate::store::run_folder::read_result;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes the event file of a run into `folder`, in the place of earlier ones.
///
/// # Errors
/// `E0518` where the run has no step, `E0501` where the file cannot be written.
pub fn write(run: &Path, folder: &Path) -> Result<PathBuf> {
    let path = run.join("metrics.jsonl");
    let metrics = Metrics::read(&path);
    if metrics.steps.is_empty() && metrics.scores.is_empty() {
        let message = format!("{} has no step that could be shown", run.display());
        let help = "name a run whose training has begun, as `reftc runs` lists them";
        return Err(Box::new(Diagnostic::new(Code::NothingMeasured, message).in_file(path, None).help(help)));
    }
    let ended = path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(UNIX_EPOCH);
    let begun = begin(&metrics, ended);
    let mut bytes = Vec::new();
    let mut clock = begun;
    heading(&mut bytes, begun);
    add(&mut bytes, &metrics, &mut clock);
    finals(&mut bytes, run, &metrics, clock);
    clear(folder);
    let target = folder.join(name(begun));
    atomic::write(&target, &bytes)?;
    Ok(target)
}

/// Writes events while a training goes on.
pub struct Follower {
    run: PathBuf,
    file: File,
    path: PathBuf,
    metrics: Metrics,
    /// How much of `metrics.jsonl` is written.
    read: u64,
    /// When the last step that is written ended.
    clock: SystemTime,
}

impl Follower {
    /// Begins a file in the folder `tensorboard` of a run, in the place of earlier ones, with all that was measured before. It begins
    /// as a session does: a TensorBoard that runs forgets what it has read of the earlier files.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn begin(run: &Path) -> Result<Self> {
        let folder = run.join("tensorboard");
        let (now, lines) = (SystemTime::now(), run.join("metrics.jsonl"));
        let metrics = Metrics::read(&lines);
        let mut bytes = Vec::new();
        let begun = begin(&metrics, lines.metadata().and_then(|metadata| metadata.modified()).unwrap_or(now));
        heading(&mut bytes, begun);
        clear(&folder);
        let path = folder.join(name(now));
        atomic::write(&path, &bytes)?;
        let file = File::options().append(true).open(&path).map_err(|cause| unwritable(&path, &cause))?;
        let mut follower =
            Self { run: run.to_path_buf(), file, path, metrics: Metrics::default(), read: 0, clock: begun };
        follower.follow()?;
        Ok(follower)
    }

    /// Writes what `metrics.jsonl` has got since the last call.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn follow(&mut self) -> Result<()> {
        let path = self.run.join("metrics.jsonl");
        let mut new = Vec::new();
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut new)
        });
        if read.is_err() {
            return Ok(());
        }
        // Half a line is left for the next time.
        new.truncate(new.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        self.read += new.len() as u64;
        let mut metrics = Metrics::default();
        metrics.add(&new);
        let mut bytes = Vec::new();
        // The last of them has just ended, and time does not go back.
        self.clock = self.clock.max(begin(&metrics, SystemTime::now()));
        add(&mut bytes, &metrics, &mut self.clock);
        self.metrics.steps.extend(metrics.steps);
        self.metrics.scores.extend(metrics.scores);
        self.put(&bytes)
    }

    /// Writes the scores of the finished evals.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn finish(mut self) -> Result<()> {
        let mut bytes = Vec::new();
        finals(&mut bytes, &self.run, &self.metrics, SystemTime::now());
        self.put(&bytes)
    }

    /// One write for all that is new: a reader that follows the file sees whole records.
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|cause| unwritable(&self.path, &cause))
    }
}

/// When the first step began, if the last one ended then.
fn begin(metrics: &Metrics, ended: SystemTime) -> SystemTime {
    let seconds: f64 = metrics.steps.iter().map(|step| step.seconds).sum();
    ended.checked_sub(Duration::try_from_secs_f64(seconds).unwrap_or_default()).unwrap_or(UNIX_EPOCH)
}

/// Removes the event files of an earlier writing; steps would be shown twice.
fn clear(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("events.out.tfevents.") && name.ends_with(".reftc") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// TensorBoard knows its files by the first three words.
fn name(begun: SystemTime) -> String {
    format!("events.out.tfevents.{}.reftc", begun.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// The version that every file begins with, and the start of a session.
fn heading(bytes: &mut Vec<u8>, time: SystemTime) {
    record(bytes, &event(time, 0, 3, b"brain.Event:2"));
    let start: [u8; 2] = [0x08, 1];
    record(bytes, &event(time, 0, 7, &start));
}

/// Steps and the scores along the way; the clock goes on with each step.
fn add(bytes: &mut Vec<u8>, metrics: &Metrics, clock: &mut SystemTime) {
    let mut scores = metrics.scores.iter().peekable();
    for step in &metrics.steps {
        while let Some(score) = scores.next_if(|score| score.step < step.step) {
            self::score(bytes, score, *clock);
        }
        *clock += Duration::try_from_secs_f64(step.seconds).unwrap_or_default();
        let Step { step: number, loss, learning_rate, gradient_norm, tokens, seconds } = *step;
        let values = [("loss", loss), ("learning_rate", learning_rate), ("gradient_norm", gradient_norm)];
        let speed = (seconds > 0.0).then(|| ("tokens_per_second", tokens as f64 / seconds));
        let values = values.into_iter().chain(speed);
        let values: Vec<u8> = values.flat_map(|(what, value)| self::value(&format!("train/{what}"), value)).collect();
        record(bytes, &event(*clock, number, 5, &values));
    }
    scores.for_each(|score| self::score(bytes, score, *clock));
}

/// The scores of `result.json`, at the last step; those of the untouched model at step 0.
fn finals(bytes: &mut Vec<u8>, run: &Path, metrics: &Metrics, clock: SystemTime) {
    let last = metrics.steps.last().map_or(0, |step| step.step);
    for eval in read_result(run).unwrap_or_default().evals {
        let (name, metric) = (&eval.name, eval.metric);
        if let Some(baseline) = eval.baseline {
            let values = value(&format!("eval/{name}/{}/untouched", metric.name()), baseline);
            record(bytes, &event(clock, 0, 5, &values));
        }
        let is_known = metrics.scores.iter().any(|score| score.eval == *name && score.step == last);
        if !is_known {
            score(bytes, &Score { step: last, eval: name.clone(), metric, value: eval.tuned }, clock);
        }
    }
}

fn score(bytes: &mut Vec<u8>, score: &Score, clock: SystemTime) {
    let values = value(&format!("eval/{}/{}", score.eval, score.metric.name()), score.value);
    record(bytes, &event(clock, score.step, 5, &values));
}

/// An event with one field besides its time and step.
fn event(time: SystemTime, step: usize, field: u8, content: &[u8]) -> Vec<u8> {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let mut bytes = vec![0x09];
    bytes.extend(seconds.to_le_bytes());
    bytes.push(0x10);
    varint(&mut bytes, step as u64);
    message(&mut bytes, field, content);
    bytes
}

/// One value of a summary, as a field of it.
fn value(tag: &str, value: f64) -> Vec<u8> {
    let mut inner = Vec::new();
    message(&mut inner, 1, tag.as_bytes());
    inner.push(0x15);
    inner.extend((value as f32).to_le_bytes());
    let mut bytes = Vec::new();
    message(&mut bytes, 1, &inner);
    bytes
}

/// A field that has a length.
fn message(bytes: &mut Vec<u8>, field: u8, content: &[u8]) {
    bytes.push(field << 3 | 2);
    varint(bytes, content.len() as u64);
    bytes.extend(content);
}

/// Seven bits a byte, the lowest first.
fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn record(bytes: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    bytes.extend(length);
    bytes.extend(masked(crc32c(&length)).to_le_bytes());
    bytes.extend(data);
    bytes.extend(masked(crc32c(data)).to_le_bytes());
}

/// A checksum of bytes that hold checksums is hidden by this in TFRecord files.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: a file has some hundred bytes for each step.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |checksum: u32| checksum >> 1 ^ if checksum & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(!0, |checksum, byte| (0..8).fold(checksum ^ u32::from(*byte), |checksum, _| step(checksum)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_agree_with_the_standard() {
        // RFC 3720, appendix B.4, and the usual check value.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn numbers_have_seven_bits_a_byte() {
        let written = |number| {
            let mut bytes = Vec::new();
            varint(&mut bytes, number);
            bytes
        };
        assert_eq!([written(0), written(127), written(300)], [vec![0], vec![127], vec![0xac, 2]]);
    }
}
