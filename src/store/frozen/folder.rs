//! The folder of records, one file each: `ab/cdef…-0123….states`, named by segment and items.

use super::{Bytes, Found, ItemName, record, select};
use crate::digest;
use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const EXTENSION: &str = ".states";
/// Hexadecimal digits that stand for a segment; the first two name the folder of its files.
const SEGMENT_DIGITS: usize = 32;
/// Those that stand for the items.
const ITEM_DIGITS: usize = 16;
/// A writer that has not finished after this time was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// What came of looking into a file.
pub enum Look {
    /// The wanted items, and the length of the file.
    Found(Found, u64),
    /// A good file that does not hold what is wanted.
    OtherItems,
    /// No file, or none that may be read.
    Missing,
    /// Torn, changed, or of another format.
    Damaged,
}

/// A record's file.
pub struct Entry {
    /// Below the folder: `ab/cdef…-0123….states`.
    pub name: String,
    pub bytes: u64,
    /// When it was last put or used.
    pub time: SystemTime,
}

/// The number of records in a folder, and their bytes.
pub fn held(folder: &Path) -> (usize, u64) {
    let (records, _) = list(folder);
    (records.len(), records.iter().map(|entry| entry.bytes).sum())
}

/// What the name of every record of a segment begins with.
pub fn prefix(segment: &str) -> String {
    let digits = digest::of(segment);
    format!("{}/{}-", &digits[..2], &digits[2..SEGMENT_DIGITS])
}

/// The name of the record of these items, whatever their order.
pub fn name(segment: &str, items: &[ItemName]) -> String {
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    let items = digest::of(format!("{items:?}"));
    format!("{}{}{EXTENSION}", prefix(segment), &items[..ITEM_DIGITS])
}

/// The records in a folder, and the files that killed writers left there. Files of other names are nobody's business.
pub fn list(folder: &Path) -> (Vec<Entry>, Vec<PathBuf>) {
    let (mut records, mut abandoned) = (Vec::new(), Vec::new());
    let folders = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for inner in folders.filter(|inner| is_hexadecimal(&inner.file_name().to_string_lossy(), 2)) {
        for file in std::fs::read_dir(inner.path()).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let Ok(facts) = file.metadata() else { continue };
            let time = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if is_record(&name) {
                let name = format!("{}/{name}", inner.file_name().to_string_lossy());
                records.push(Entry { name, bytes: facts.len(), time });
            } else if is_unfinished(&name) && time.elapsed().is_ok_and(|age| age > ABANDONED) {
                abandoned.push(file.path());
            }
        }
    }
    (records, abandoned)
}

/// Looks for items of a segment in a file, and verifies what it finds.
pub fn look(path: &Path, segment: &str, wanted: &[ItemName]) -> Look {
    let Ok(map) = File::open(path).and_then(|file| map(&file)) else { return Look::Missing };
    let Some(table) = record::read(&map) else { return Look::Damaged };
    if table.segment != segment {
        return Look::OtherItems;
    }
    let Some(items) = select(&table.items, wanted) else { return Look::OtherItems };
    if !table.verify(&map, wanted) {
        return Look::Damaged;
    }
    let length = map.len() as u64;
    Look::Found(Found { bytes: Bytes::File(map), items }, length)
}

/// Marks a record as used now, so that others throw it out later. Who may read it but not change it leaves it as it is.
pub fn touch(path: &Path) {
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Maps as many bytes as the file has now; a file cut short is thereby noticed when it is read, and not by a signal.
#[allow(unsafe_code, reason = "mapping a file is unsafe by its nature; the condition stands inside")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: a mapped file must not be changed by others while it is mapped. Records are written under another name, renamed into
    // place and never changed again; whoever removes or replaces one takes away its name, while the mapped content stays.
    unsafe { Mmap::map(file) }
}

fn is_record(name: &str) -> bool {
    let digits = name.strip_suffix(EXTENSION).and_then(|stem| stem.split_once('-'));
    digits.is_some_and(|(segment, items)| {
        is_hexadecimal(segment, SEGMENT_DIGITS - 2) && is_hexadecimal(items, ITEM_DIGITS)
    })
}

/// What `atomic` calls a file that is being written.
fn is_unfinished(name: &str) -> bool {
    name.starts_with('.') && name.contains(EXTENSION) && name.ends_with(".tmp")
}

fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
