//! Parquet files: those that pyarrow wrote, and what damage does.

use proptest::prelude::*;
use reftc::data::read::read;
use reftc::data::rows::{Row, Rows};
use reftc::data::source::Format;
use reftc::diag::{Code, Diagnostic};
use std::path::{Path, PathBuf};

fn bytes(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet");
    std::fs::read(folder.join(name)).unwrap()
}

fn rows(name: &str) -> Result<Rows, Box<Diagnostic>> {
    read(&bytes(name), Path::new(name), &Format::Parquet)
}

#[test]
fn texts_numbers_and_booleans_become_text_whatever_the_compression() {
    let found = rows("zstd.parquet").unwrap();
    let columns = "text large dictionary bool int8 uint32 int64 uint64 half float double nothing";
    assert_eq!(found.columns, columns.split(' ').collect::<Vec<_>>());
    let expected: [&[Option<&str>]; 3] = [
        &[
            Some("a \"b\""),
            Some("x"),
            Some("left"),
            Some("true"),
            Some("-128"),
            Some("0"),
            Some("-9223372036854775808"),
            Some("18446744073709551615"),
            Some("0.5"),
            Some("0.1"),
            Some("1e-7"),
            None,
        ],
        &[
            None,
            Some(""),
            Some("right"),
            Some("false"),
            None,
            Some("4294967295"),
            Some("9223372036854775807"),
            None,
            None,
            None,
            Some("2.5"),
            None,
        ],
        &[
            Some("ü\n"),
            None,
            Some("left"),
            None,
            Some("127"),
            None,
            None,
            Some("1"),
            Some("65504.0"),
            Some("3.0"),
            None,
            None,
        ],
    ];
    let expected =
        expected.map(|values| Row { line: None, values: values.iter().map(|v| v.map(str::to_owned)).collect() });
    assert_eq!(found.rows, expected);
    let unread: Vec<String> = found.unread.iter().map(|column| format!("{}: {}", column.name, column.holds)).collect();
    let kinds = "list: lists, struct: structs, map: maps, bytes: bytes, date: dates, time: times, \
                 nanoseconds: timestamps, decimal: decimals";
    assert_eq!(unread.join(", "), kinds);
    for codec in ["none", "snappy", "gzip"] {
        assert_eq!(rows(&format!("{codec}.parquet")).unwrap(), found, "{codec}");
    }
}

#[test]
fn the_rows_are_those_of_the_same_json() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/train.jsonl");
    let json = read(&std::fs::read(&path).unwrap(), &path, &Format::Jsonl).unwrap();
    let found = rows("train.parquet").unwrap();
    assert_eq!(found.columns, json.columns);
    assert!(found.rows.iter().map(|row| &row.values).eq(json.rows.iter().map(|row| &row.values)));
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    let of_lfs = read(lfs, Path::new("lfs"), &Format::Parquet).unwrap_err();
    let as_text = read(&bytes("train.parquet"), Path::new("rows.json"), &Format::Json).unwrap_err();
    for (error, words) in [
        (rows("cut.parquet").unwrap_err(), "`cut.parquet` is a Parquet file that was cut short"),
        (rows("text.parquet").unwrap_err(), "`text.parquet` is not a Parquet file"),
        (rows("lz4.parquet").unwrap_err(), "the column `text` of `lz4.parquet` is compressed with lz4"),
        (of_lfs, "is a pointer of Git LFS"),
        (as_text, "`rows.json` is a Parquet file, not text"),
        (read(b"PAR1PAR1", Path::new("short"), &Format::Parquet).unwrap_err(), "was cut short"),
        (read(b"", Path::new("empty"), &Format::Parquet).unwrap_err(), "is not a Parquet file"),
    ] {
        assert_eq!(error.code, Code::DataUnreadable, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Damage gives rows or an error, never a panic.
    #[test]
    fn damaged_files_are_read_or_refused(
        name in prop::sample::select(vec!["none.parquet", "snappy.parquet", "gzip.parquet", "zstd.parquet"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        near_end in any::<bool>(),
    ) {
        let mut file = bytes(name);
        for (at, byte) in changes {
            // The footer says where everything is.
            let from = if near_end { file.len() / 2 } else { 0 };
            let at = from + at.index(file.len() - from);
            file[at] = byte;
        }
        let _ = read(&file, Path::new(name), &Format::Parquet);
    }
}
