//! The frozen cache in one process: what is put comes back or is missed, and is never wrong.

use reftc::diag::Code;
use reftc::store::frozen::{Budget, FrozenCache, Item, ItemKind, MEMORY_SHARE, Settings, held};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A name: 64 hexadecimal digits, as callers give them.
pub fn segment(row: usize) -> String {
    reftc::digest::of(row.to_string())
}

/// Values that say where they belong.
pub fn values(row: usize, kind: ItemKind, layer: u32, length: usize) -> Vec<u8> {
    let first = row * 7 + layer as usize * 3 + kind as usize;
    (0..length).map(|index| (first + index * 31 + index / 251) as u8).collect()
}

/// Puts items of a row, each of `length` bytes.
pub fn put(cache: &FrozenCache, row: usize, names: &[(ItemKind, u32)], length: usize) {
    let values: Vec<Vec<u8>> = names.iter().map(|(kind, layer)| values(row, *kind, *layer, length)).collect();
    let item = |((kind, layer), values): (&(ItemKind, u32), _)| Item { kind: *kind, layer: *layer, values };
    cache.put(&segment(row), &names.iter().zip(values.iter().map(Vec::as_slice)).map(item).collect::<Vec<_>>());
}

/// Whether items of a row are found; what is found must be right.
#[track_caller]
pub fn has(cache: &FrozenCache, row: usize, names: &[(ItemKind, u32)], length: usize) -> bool {
    let Some(found) = cache.get(&segment(row), names) else { return false };
    let items: Vec<_> = found.iter().map(|item| (item.kind, item.layer)).collect();
    assert_eq!(items, names, "in the order in which they were asked for");
    for item in found.iter() {
        assert!(item.values == values(row, item.kind, item.layer, length), "row {row}, {:?} {}", item.kind, item.layer);
        assert_eq!(item.values.as_ptr().align_offset(64), 0);
        assert_eq!(found.values(item.kind, item.layer), Some(item.values));
    }
    true
}

pub fn open(folder: &Path, budget: u64) -> FrozenCache {
    FrozenCache::open(Settings { folder: Some(folder.to_path_buf()), budget: Budget::Bytes(budget) })
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found.sort();
    found
}

/// Makes a file look as if it was last used so long ago.
pub fn age(path: &Path, hours: u64) {
    let time = SystemTime::now() - Duration::from_secs(hours * 3600);
    File::open(path).unwrap().set_modified(time).unwrap();
}

pub const PLENTY: u64 = 1 << 30;
pub const ITEMS: [(ItemKind, u32); 3] = [(ItemKind::States, 4), (ItemKind::Keys, 4), (ItemKind::Keys, 5)];
const LARGE: usize = 40 << 20;

#[test]
fn records_come_back_from_memory_and_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), PLENTY);
    assert!(cache.is_on() && !has(&cache, 1, &ITEMS, 100));
    put(&cache, 1, &ITEMS, 100);
    std::fs::remove_file(&files(folder.path())[0]).unwrap();
    assert!(has(&cache, 1, &ITEMS, 100), "from memory");
    put(&cache, 2, &ITEMS, 1000);
    let counts = cache.counts();
    assert_eq!((counts.hits, counts.misses), (1, 1));
    drop(cache);

    let later = open(folder.path(), PLENTY);
    assert_eq!((later.counts().memory_bytes, held(folder.path())), (0, (1, later.counts().file_bytes)));
    assert!(has(&later, 2, &ITEMS, 1000), "from its file");
    assert!(!has(&later, 1, &ITEMS, 100), "its file is gone");
    assert!(later.counts().memory_bytes > 3000, "and from now on from memory");
    assert!(later.take_warning().is_none());
}

#[test]
fn without_a_folder_memory_takes_the_budget() {
    let cache = FrozenCache::open(Settings { folder: None, budget: Budget::Bytes(10_000) });
    (0..5).for_each(|row| put(&cache, row, &ITEMS, 1000));
    let found: Vec<usize> = (0..5).filter(|row| has(&cache, *row, &ITEMS, 1000)).collect();
    assert_eq!(found, [0, 1, 2], "the first ones that fit");
    assert!(cache.counts().memory_bytes <= 10_000);
}

#[test]
fn a_record_with_more_serves_and_one_with_less_does_not() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path(), PLENTY), 1, &ITEMS, 64);
    let memory = FrozenCache::open(Settings { folder: None, budget: Budget::Bytes(PLENTY) });
    put(&memory, 1, &ITEMS, 64);
    for cache in [memory, open(folder.path(), PLENTY)] {
        assert!(has(&cache, 1, &[(ItemKind::Keys, 5)], 64));
        assert!(has(&cache, 1, &[(ItemKind::Keys, 5), (ItemKind::States, 4)], 64));
        assert!(!has(&cache, 1, &[(ItemKind::Keys, 5), (ItemKind::States, 5)], 64));
        assert!(!has(&cache, 2, &ITEMS, 64));
        assert_eq!(cache.get(&segment(1), &ITEMS[..1]).unwrap().values(ItemKind::Keys, 5), None, "not asked for");
        put(&cache, 1, &[(ItemKind::States, 5), (ItemKind::Keys, 5)], 64);
        assert!(has(&cache, 1, &[(ItemKind::Keys, 5), (ItemKind::States, 5)], 64));
        assert!(has(&cache, 1, &ITEMS, 64));
    }
    assert_eq!(held(folder.path()).0, 2);
}

#[test]
fn a_changed_byte_is_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path(), PLENTY), 1, &ITEMS, 70);
    let path = &files(folder.path())[0];
    let whole = std::fs::read(path).unwrap();
    let mut missed = 0;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(path, bytes).unwrap();
        let cache = open(folder.path(), PLENTY);
        // Between the values lie zeros that nobody reads.
        let found = has(&cache, 1, &ITEMS, 70);
        assert_eq!(path.exists(), found, "byte {at}");
        assert_eq!(cache.counts().file_bytes > 0, found, "byte {at}");
        missed += usize::from(!found);
    }
    assert!(missed >= 3 * 70 + 250, "the values and the header: {missed} of {}", whole.len());
}

#[test]
fn a_file_of_another_length_is_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path(), PLENTY), 1, &ITEMS, 70);
    let path = &files(folder.path())[0];
    let whole = std::fs::read(path).unwrap();
    let longer = [whole.as_slice(), &[0; 64]].concat();
    for bytes in (0..whole.len()).map(|length| &whole[..length]).chain([longer.as_slice()]) {
        std::fs::write(path, bytes).unwrap();
        assert!(!has(&open(folder.path(), PLENTY), 1, &ITEMS, 70), "{} bytes", bytes.len());
        assert!(!path.exists(), "{} bytes", bytes.len());
    }
}

#[test]
fn a_damaged_file_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path(), PLENTY), 1, &ITEMS, 70);
    let path = &files(folder.path())[0];
    std::fs::write(path, b"reftc").unwrap();
    let cache = open(folder.path(), PLENTY);
    assert!(!has(&cache, 1, &ITEMS, 70));
    put(&cache, 1, &ITEMS, 70);
    assert!(has(&open(folder.path(), PLENTY), 1, &ITEMS, 70));
}

#[test]
fn a_small_budget_keeps_what_came_first() {
    let folder = tempfile::tempdir().unwrap();
    // A record of one item of 40 MiB; the first three are held in memory too.
    let names = [(ItemKind::Keys, 0)];
    let budget = 4 * (LARGE as u64 + 256);
    let cache = open(folder.path(), budget);
    (0..6).for_each(|row| put(&cache, row, &names, LARGE));
    assert!(cache.counts().memory_bytes <= MEMORY_SHARE);
    assert!(cache.counts().file_bytes <= budget && held(folder.path()) == (4, cache.counts().file_bytes));
    let found: Vec<usize> = (0..6).filter(|row| has(&cache, *row, &names, LARGE)).collect();
    assert_eq!(found, [0, 1, 2, 3]);
    put(&cache, 9, &names, budget as usize + 1);
    assert_eq!(held(folder.path()).0, 4, "what can never fit throws nothing out");
    assert_eq!(mapped(folder.path()), 0, "nothing stays mapped");
    let hold = cache.get(&segment(3), &names);
    assert!(mapped(folder.path()) == 1 || !Path::new("/proc/self/maps").exists());
    drop(hold);
}

/// How many files of a folder this process has mapped, where the system says.
fn mapped(folder: &Path) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter(|line| line.contains(folder.to_str().unwrap())).count()
}

#[test]
fn only_records_of_earlier_runs_make_room_the_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for row in 0..5 {
        put(&open(folder.path(), PLENTY), row, &ITEMS, 1000);
        let new = files(folder.path()).into_iter().find(|path| !paths.contains(path)).unwrap();
        // Row 2 was used longest ago, row 1 last.
        age(&new, [30, 10, 50, 40, 20][row]);
        paths.push(new);
    }
    let there = || (0..9).filter(|row| paths.get(*row).is_some_and(|path| path.exists())).collect::<Vec<_>>();
    let one = held(folder.path()).1 / 5;

    let cache = open(folder.path(), 5 * one);
    assert!(has(&cache, 2, &ITEMS, 1000), "used by this run");
    put(&cache, 5, &ITEMS, 1000);
    assert_eq!(there(), [0, 1, 2, 4]);
    put(&cache, 6, &ITEMS, 1000);
    assert_eq!(there(), [1, 2, 4]);
    // Another run uses row 4 meanwhile.
    assert!(has(&open(folder.path(), 5 * one), 4, &ITEMS, 1000));
    put(&cache, 7, &ITEMS, 1000);
    assert_eq!(there(), [2, 4]);
    put(&cache, 8, &ITEMS, 1000);
    assert_eq!(there(), [2, 4], "nothing is left that may go");
    assert_eq!(held(folder.path()), (5, 5 * one));
    let found: Vec<usize> = (5..9).filter(|row| has(&open(folder.path(), PLENTY), *row, &ITEMS, 1000)).collect();
    assert_eq!(found, [5, 6, 7]);

    let later = open(folder.path(), 2 * one);
    put(&later, 8, &ITEMS, 1000);
    assert_eq!(held(folder.path()), (2, 2 * one), "a smaller budget is kept to as soon as something is put");
}

#[test]
fn a_budget_of_nothing_is_off() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path(), PLENTY), 1, &ITEMS, 10);
    for cache in [open(folder.path(), 0), FrozenCache::off()] {
        assert!(!cache.is_on());
        put(&cache, 2, &ITEMS, 10);
        assert!(!has(&cache, 1, &ITEMS, 10) && !has(&cache, 2, &ITEMS, 10));
        assert_eq!(cache.counts(), Default::default());
    }
    assert_eq!(held(folder.path()).0, 1);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_once_and_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let cache = open(&file.join("frozen"), PLENTY);
    put(&cache, 1, &ITEMS, 10);
    put(&cache, 2, &ITEMS, 10);
    let warning = cache.take_warning().unwrap();
    assert_eq!(warning.code, Code::CacheUnwritable);
    assert!(
        warning.message.starts_with("cannot write the frozen cache in ") && warning.help[0].contains("--cache-dir")
    );
    assert!(cache.take_warning().is_none());
    assert!(has(&cache, 1, &ITEMS, 10) && has(&cache, 2, &ITEMS, 10), "memory serves on");
    assert_eq!(cache.counts().file_bytes, 0);
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_only_be_read_serves() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path(), PLENTY), 1, &ITEMS, 10);
    let allow = |mode| {
        for path in [files(folder.path())[0].parent().unwrap(), folder.path()] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    allow(0o555);
    if std::fs::write(folder.path().join("probe"), "").is_ok() {
        return eprintln!("skipped: this user may write everywhere");
    }
    let cache = open(folder.path(), PLENTY);
    assert!(has(&cache, 1, &ITEMS, 10));
    put(&cache, 2, &ITEMS, 10);
    assert_eq!(cache.take_warning().map(|warning| warning.code), Some(Code::CacheUnwritable));
    allow(0o755);
}

#[test]
fn only_what_killed_writers_left_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path(), PLENTY), 1, &ITEMS, 10);
    let record = files(folder.path()).remove(0);
    let beside = |name: &str| record.with_file_name(name);
    let record_name = record.file_name().unwrap().to_str().unwrap();
    let (old, new) = (beside(&format!(".{record_name}.17-0.tmp")), beside(&format!(".{record_name}.17-1.tmp")));
    let foreign = [beside("notes.tmp"), beside("my.states"), folder.path().join("README")];
    for path in foreign.iter().chain([&old, &new]) {
        std::fs::write(path, "half").unwrap();
    }
    foreign.iter().chain([&old]).for_each(|path| age(path, 25));
    let cache = open(folder.path(), 1);
    put(&cache, 2, &ITEMS, 10);
    assert!(!old.exists() && new.exists());
    assert!(foreign.iter().all(|path| path.exists()), "files of others are left alone");
    assert!(has(&open(folder.path(), PLENTY), 1, &ITEMS, 10));
}

#[test]
fn threads_share_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), PLENTY);
    std::thread::scope(|scope| {
        for first in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for row in (0..40).map(|row| (row + first * 10) % 40) {
                    if !has(cache, row, &ITEMS, 500) {
                        put(cache, row, &ITEMS, 500);
                    }
                }
            });
        }
    });
    assert!((0..40).all(|row| has(&cache, row, &ITEMS, 500)));
    assert_eq!(held(folder.path()), (40, cache.counts().file_bytes));
    assert_eq!(cache.counts().hits + cache.counts().misses, 200);
}
