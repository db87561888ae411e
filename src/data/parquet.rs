//! Rows from Parquet files: flat columns of texts, numbers and booleans. Columns of other types are passed over, and named where a
//! template asks for them.

use super::read::unreadable;
use super::rows::{Row, Rows, Unread};
use crate::diag::{Diagnostic, Result};
use crate::guard::attempt;
use bytes::Bytes;
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};
use std::path::Path;
use std::sync::Arc;

/// What a Parquet file begins and ends with.
pub(super) const MAGIC: &[u8] = b"PAR1";

/// Reads every row. Errors (E0402): another file, one that was cut short, damaged or encrypted, a compression that is not part of reftc.
pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Rows> {
    check_ends(bytes, path)?;
    // The crate holds some of what a file says to be true, and panics where it is not.
    attempt(|| table(bytes, path)).unwrap_or_else(|| Err(damaged(path, "what it says about itself is not so")))
}

fn table(bytes: &[u8], path: &Path) -> Result<Rows> {
    let broken = |error: ParquetError| {
        let reason = error.to_string();
        damaged(path, reason.split_once(": ").map_or(reason.as_str(), |(_, reason)| reason))
    };
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(bytes)).map_err(broken)?;
    let schema = reader.metadata().file_metadata().schema();
    let (flat, unread): (Vec<&TypePtr>, Vec<&TypePtr>) =
        schema.get_fields().iter().partition(|column| other_type(column).is_none());
    let unread = unread.into_iter().map(|column| Unread { name: column.name().to_owned(), holds: describe(column) });
    let columns: Vec<String> = flat.iter().map(|column| column.name().to_owned()).collect();
    let mut table = Rows { rows: Vec::new(), unread: unread.collect(), columns };
    check_compression(reader.metadata(), &table.columns, path)?;
    if table.columns.is_empty() {
        return Ok(table);
    }
    let fields = flat.into_iter().map(Arc::clone).collect();
    let wanted = Type::group_type_builder(schema.name()).with_fields(fields).build().map_err(broken)?;
    for row in reader.get_row_iter(Some(wanted)).map_err(broken)? {
        let values = row.map_err(broken)?.into_columns();
        let values = values.into_iter().map(|(name, value)| text(&name, value, path)).collect::<Result<_>>()?;
        table.rows.push(Row { line: None, values });
    }
    Ok(table)
}

/// Tells a whole Parquet file from others by its first and last bytes.
fn check_ends(bytes: &[u8], path: &Path) -> Result<()> {
    let file = path.display();
    let diagnostic = if bytes.starts_with(b"version https://git-lfs") {
        unreadable(path, None, format!("`{file}` is a pointer of Git LFS, not the file itself"))
            .help("fetch the file: `git lfs pull`")
    } else if !bytes.starts_with(MAGIC) {
        return Err(Box::new(unreadable(path, None, format!("`{file}` is not a Parquet file"))));
    } else if !bytes.ends_with(MAGIC) || bytes.len() < 3 * MAGIC.len() {
        unreadable(path, None, format!("`{file}` is a Parquet file that was cut short: its end is missing"))
            .help("download or write it again")
    } else {
        return Ok(());
    };
    Err(Box::new(diagnostic))
}

fn damaged(path: &Path, reason: &str) -> Box<Diagnostic> {
    let message = format!("the Parquet file `{}` cannot be read: {reason}", path.display());
    Box::new(unreadable(path, None, message).help("download or write it again, with snappy, zstd or gzip"))
}

/// The columns that are read must be compressed in a way that reftc knows.
fn check_compression(metadata: &ParquetMetaData, columns: &[String], path: &Path) -> Result<()> {
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    let foreign =
        chunks.filter(|chunk| columns.iter().any(|name| chunk.column_path().string() == *name)).find(|chunk| {
            use Compression::{GZIP, SNAPPY, UNCOMPRESSED, ZSTD};
            !matches!(chunk.compression(), UNCOMPRESSED | SNAPPY | GZIP(_) | ZSTD(_))
        });
    let Some(chunk) = foreign else { return Ok(()) };
    let codec = chunk.compression().to_string();
    let codec = codec.split(['(', '_']).next().unwrap_or_default().to_lowercase();
    let name = chunk.column_path().string();
    let message = format!("the column `{name}` of `{}` is compressed with {codec}", path.display());
    Err(Box::new(unreadable(path, None, message).help("write the file again, with snappy, zstd or gzip")))
}

/// What a column holds that does not become text; `None` for texts, numbers and booleans.
fn other_type(column: &Type) -> Option<&'static str> {
    let info = column.get_basic_info();
    if info.has_repetition() && info.repetition() == Repetition::REPEATED {
        return Some("lists");
    }
    if column.is_group() {
        return Some(match (info.converted_type(), info.logical_type_ref()) {
            (ConvertedType::LIST, _) | (_, Some(LogicalType::List)) => "lists",
            (ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, _) | (_, Some(LogicalType::Map)) => "maps",
            _ => "structs",
        });
    }
    match info.logical_type_ref() {
        Some(LogicalType::Decimal { .. }) => return Some("decimals"),
        Some(LogicalType::Date) => return Some("dates"),
        Some(LogicalType::Time { .. }) => return Some("times"),
        Some(LogicalType::Timestamp { .. }) => return Some("timestamps"),
        Some(LogicalType::Uuid) => return Some("UUIDs"),
        _ => {}
    }
    let is_text = matches!(info.logical_type_ref(), Some(LogicalType::String | LogicalType::Enum | LogicalType::Json));
    match (column.get_physical_type(), info.converted_type()) {
        (_, ConvertedType::DECIMAL) => Some("decimals"),
        (_, ConvertedType::DATE) => Some("dates"),
        (_, ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => Some("times"),
        (_, ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS) | (Physical::INT96, _) => {
            Some("timestamps")
        }
        (_, ConvertedType::INTERVAL) => Some("intervals"),
        (Physical::BOOLEAN | Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE, _) => None,
        (Physical::BYTE_ARRAY, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON) => None,
        (Physical::BYTE_ARRAY, ConvertedType::NONE) if is_text => None,
        (Physical::FIXED_LEN_BYTE_ARRAY, _) if info.logical_type_ref() == Some(&LogicalType::Float16) => None,
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => Some("bytes"),
    }
}

fn describe(column: &Type) -> String {
    other_type(column).unwrap_or_default().to_owned()
}

/// A value as text: numbers in the shortest form that means the same number, as JSON would write them.
fn text(column: &str, value: Field, path: &Path) -> Result<Option<String>> {
    Ok(Some(match value {
        Field::Null => return Ok(None),
        Field::Str(text) => text,
        Field::Bool(value) => value.to_string(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float16(value) => format!("{:?}", value.to_f32()),
        Field::Float(value) => format!("{value:?}"),
        Field::Double(value) => format!("{value:?}"),
        Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec()).map_err(|_| {
            let message = format!("the column `{column}` of `{}` holds bytes that are not UTF-8 text", path.display());
            Box::new(unreadable(path, None, message))
        })?,
        other => {
            let message = format!("the column `{column}` of `{}` holds `{other}`, which is no text", path.display());
            return Err(Box::new(unreadable(path, None, message)));
        }
    }))
}
