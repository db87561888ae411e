//! Reading files of rows: JSON, JSON lines, separated values, and Parquet.

use super::json::{self, Object};
use super::parquet;
use super::rows::{Row, Rows};
use super::source::{Format, Separated};
use crate::diag::{Code, Diagnostic, Result};
use std::path::Path;

/// Reads the rows of a file.
///
/// A byte order mark is passed over. Errors (E0402) name the file and the line: text that is not UTF-8 or not JSON, a row that is not
/// an object, a row with more or fewer fields than there are columns; a Parquet file that is none, or damaged.
pub fn read(bytes: &[u8], path: &Path, format: &Format) -> Result<Rows> {
    match format {
        Format::Json => json::read_document(as_text(bytes, path)?, path).map(from_objects),
        Format::Jsonl => json::read_lines(as_text(bytes, path)?, path).map(from_objects),
        Format::Csv(options) => read_separated(as_text(bytes, path)?, path, options, b','),
        Format::Tsv(options) => read_separated(as_text(bytes, path)?, path, options, b'\t'),
        Format::Parquet => parquet::read(bytes, path),
    }
}

fn as_text<'b>(bytes: &'b [u8], path: &Path) -> Result<&'b str> {
    if bytes.starts_with(parquet::MAGIC) {
        let message = format!("`{}` is a Parquet file, not text", path.display());
        return Err(Box::new(
            unreadable(path, None, message).help("read it as what it is: `parquet(\"file.parquet\")`"),
        ));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        let message = format!("line {line} of `{}` is not UTF-8 text", path.display());
        Box::new(unreadable(path, Some(line), message).help("save the file with the encoding UTF-8"))
    })
}

/// E0401 where the file is not there, E0402 where it cannot be opened.
pub fn cannot_open(path: &Path, error: &std::io::Error) -> Box<Diagnostic> {
    let file = path.display();
    Box::new(if error.kind() == std::io::ErrorKind::NotFound {
        Diagnostic::new(Code::DataNotFound, format!("there is no file `{file}`"))
            .in_file(path, None)
            .help("write the path relative to the spec's own folder")
    } else if path.is_dir() {
        unreadable(path, None, format!("`{file}` is a folder, not a file of rows"))
    } else {
        unreadable(path, None, format!("cannot read `{file}`: {error}"))
    })
}

pub(super) fn unreadable(path: &Path, line: Option<usize>, message: String) -> Diagnostic {
    Diagnostic::new(Code::DataUnreadable, message).in_file(path, line)
}

/// Columns stand in the order of their first appearance: those of the first row, then those that later rows add.
fn from_objects(objects: Vec<Object>) -> Rows {
    let mut columns: Vec<String> = Vec::new();
    let mut rows = Vec::with_capacity(objects.len());
    for object in objects {
        let mut values = vec![None; columns.len()];
        for (name, value) in object.members {
            match columns.iter().position(|column| *column == name) {
                Some(at) => values[at] = value,
                None => {
                    columns.push(name);
                    values.push(value);
                }
            }
        }
        rows.push(Row { line: Some(object.line), values });
    }
    for row in &mut rows {
        row.values.resize(columns.len(), None);
    }
    Rows { columns, rows, unread: Vec::new() }
}

fn read_separated(text: &str, path: &Path, options: &Separated, separator: u8) -> Result<Rows> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(separator).quoting(options.quote.is_some());
    if let Some(quote) = options.quote {
        let Some(quote) = Some(quote).filter(char::is_ascii).and_then(|quote| u8::try_from(quote).ok()) else {
            let message = format!("the quote character `{quote}` is not an ASCII character");
            return Err(Box::new(
                Diagnostic::new(Code::BadArguments, message).help("write `quote: \"'\"`, or `quote: none`"),
            ));
        };
        builder.quote(quote);
    }
    let mut reader = builder.from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut rows = Vec::new();
    let mut columns = (!options.columns.is_empty()).then(|| options.columns.clone());
    let mut header = options.header;
    let (mut counted, mut line) = (0, 1);
    loop {
        let start = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        let more = reader.read_record(&mut record).map_err(|error| {
            Box::new(unreadable(path, Some(line), format!("cannot read `{}`: {error}", path.display())))
        })?;
        // The reader passes over blank lines, which belong to no row.
        let start = start + text[start..].len() - text[start..].trim_start_matches(['\r', '\n']).len();
        line += text[counted..start].matches('\n').count();
        counted = start;
        if !more {
            break;
        }
        if std::mem::take(&mut header) {
            let names: Vec<String> = record.iter().map(str::to_string).collect();
            columns = Some(match columns.take() {
                Some(given) => same_width(path, line, &given, names.len()).map(|()| given)?,
                None => unique(path, line, names)?,
            });
            continue;
        }
        let columns =
            columns.get_or_insert_with(|| (1..=record.len()).map(|number| format!("column{number}")).collect());
        same_width(path, line, columns, record.len()).map_err(|error| {
            let lines = text[counted..usize::try_from(reader.position().byte()).unwrap_or(counted)].trim_end().lines().count();
            match options.quote {
                Some(quote) if lines > 1 => Box::new(error.help(format!(
                    "the row goes on over {lines} lines, as a `{quote}` opens a quoted field: write `quote: none` where quotes are ordinary characters"
                ))),
                _ => error,
            }
        })?;
        rows.push(Row { line: Some(line), values: record.iter().map(|value| Some(value.to_string())).collect() });
    }
    Ok(Rows { columns: columns.unwrap_or_default(), rows, unread: Vec::new() })
}

fn same_width(path: &Path, line: usize, columns: &[String], fields: usize) -> Result<()> {
    if columns.len() == fields {
        return Ok(());
    }
    let plural = if fields == 1 { "" } else { "s" };
    let message =
        format!("line {line} of `{}` has {fields} field{plural} for {} columns", path.display(), columns.len());
    Err(Box::new(unreadable(path, Some(line), message).note(format!("the columns are {}", columns.join(", ")))))
}

fn unique(path: &Path, line: usize, names: Vec<String>) -> Result<Vec<String>> {
    let twin = names.iter().enumerate().find(|(at, name)| !name.is_empty() && names[..*at].contains(name));
    match twin {
        None => Ok(names),
        Some((_, name)) => {
            let message = format!("two columns of `{}` are named `{name}`", path.display());
            Err(Box::new(
                unreadable(path, Some(line), message).help("name the columns in the spec: `columns: [\"…\", \"…\"]`"),
            ))
        }
    }
}
