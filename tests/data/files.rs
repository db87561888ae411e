use super::support::{shared, shared_rows};
use proptest::prelude::*;
use reftc::data::read::{cannot_open, read};
use reftc::data::rows::Rows;
use reftc::data::source::{Format, Separated};
use std::path::Path;

fn separated(header: bool, columns: &[&str], quote: Option<char>) -> Separated {
    Separated { header, columns: columns.iter().map(ToString::to_string).collect(), quote }
}

fn csv() -> Format {
    Format::Csv(separated(true, &[], Some('"')))
}

fn table(text: &str, format: &Format) -> Vec<(usize, Vec<Option<String>>)> {
    let rows = read(text.as_bytes(), Path::new("rows"), format).unwrap();
    rows.rows.into_iter().map(|row| (row.line.unwrap(), row.values)).collect()
}

fn values(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some(value.to_string())).collect()
}

#[test]
fn json_values_become_text() {
    let text = r#"
[
  {"z": "a\"b\\", "n": -1.50, "big": 123456789012345678901, "yes": true, "none": null, "list": [1, {"b": " ", "a": "]"}], "u": "\u00e9"},
  {"n": 1e3,
   "extra": "x", "n": 2}
]
"#;
    let rows = read(text.as_bytes(), Path::new("rows.json"), &Format::Json).unwrap();
    assert_eq!(rows.columns, ["z", "n", "big", "yes", "none", "list", "u", "extra"]);
    let first = [
        Some("a\"b\\"),
        Some("-1.50"),
        Some("123456789012345678901"),
        Some("true"),
        None,
        Some("[1,{\"b\":\" \",\"a\":\"]\"}]"),
        Some("é"),
        None,
    ];
    assert_eq!(rows.rows[0].values, first.map(|value| value.map(str::to_string)));
    assert_eq!((rows.line(0), rows.line(1)), (Some(3), Some(4)));
    assert_eq!((rows.value(1, "n"), rows.value(1, "z"), rows.value(1, "extra")), (Some("2"), None, Some("x")));
    assert_eq!(rows.value(2, "n"), None);
    assert_eq!(rows.pick(&[1, 0, 9]).rows.iter().map(|row| row.line).collect::<Vec<_>>(), [Some(4), Some(3)]);
}

#[test]
fn json_lines_with_blank_lines() {
    let text = "{\"a\": 1}\r\n\n{\"a\": 2}";
    let expected = [(1, values(&["1"])), (3, values(&["2"]))];
    assert_eq!(table(text, &Format::Jsonl), expected);
    assert_eq!(table(text, &Format::Json), expected);
    assert_eq!(table("\u{feff}[{\"a\": 1}]", &Format::Json), [(1, values(&["1"]))]);
    for empty in ["", "\n", "[]", " [ ] \n"] {
        assert_eq!(table(empty, &Format::Json), []);
    }
}

#[test]
fn separated_values() {
    assert_eq!(
        table("a,b\r\n\"x, \"\"y\"\"\nz\",1\n\n2,\n", &csv()),
        [(2, values(&["x, \"y\"\nz", "1"])), (5, values(&["2", ""]))]
    );
    let literal = Format::Tsv(separated(false, &["source", "text"], None));
    assert_eq!(
        table("s\t\"He said\n\nt\t\"\"\n", &literal),
        [(1, values(&["s", "\"He said"])), (3, values(&["t", "\"\""]))]
    );
    let renamed = Format::Csv(separated(true, &["x", "y"], Some('\'')));
    let rows = read(b"a,b\n'1,2',3", Path::new("rows.csv"), &renamed).unwrap();
    assert_eq!((rows.columns.clone(), rows.value(0, "x")), (vec!["x".to_string(), "y".to_string()], Some("1,2")));
    let unnamed = read(b"1,2\n", Path::new("rows.csv"), &Format::Csv(separated(false, &[], None))).unwrap();
    assert_eq!(unnamed.columns, ["column1", "column2"]);
    assert_eq!(read(b"a,b\n", Path::new("rows.csv"), &csv()).unwrap().len(), 0);
}

#[test]
fn what_cannot_be_read_is_named_with_its_line() {
    let seven = format!("{}{{\"a\": 1,}}\n{{\"a\": 1}}\n", "{\"a\": 1}\n".repeat(6));
    let rows: &[(&str, Format, usize, &str)] = &[
        (&seven, Format::Jsonl, 7, "line 7 of `rows` is not valid JSON: key must be a string, in column 9"),
        (&seven, Format::Json, 7, "line 7 of `rows` is not valid JSON: key must be a string, in column 9"),
        (
            "{\"a\": 1\n{\"a\": 2}\n",
            Format::Jsonl,
            1,
            "line 1 of `rows` is not valid JSON: EOF while parsing an object, in column 7",
        ),
        (
            "[\n{\"a\": 1},\n{\"a\": tru},\n{}]",
            Format::Json,
            3,
            "line 3 of `rows` is not valid JSON: expected ident, in column 10",
        ),
        (
            "[\n{\"a\":\n\n 1x},\n{}]",
            Format::Json,
            4,
            "line 4 of `rows` is not valid JSON: expected `,` or `}`, in column 3",
        ),
        (
            "[\n{}\n{}]",
            Format::Json,
            3,
            "line 3 of `rows` is not valid JSON: expected `,` or `]` after a row, found `{`",
        ),
        (
            "[\n{}\n",
            Format::Json,
            3,
            "line 3 of `rows` is not valid JSON: expected `,` or `]` after a row, found the end of the file",
        ),
        (
            "[{}]\n[]",
            Format::Json,
            2,
            "line 2 of `rows` is not valid JSON: expected nothing after the closing `]`, found `[`",
        ),
        (
            "[\n{},\n]",
            Format::Json,
            3,
            "expected a row, an object `{…}`, in line 3 of `rows`, found the end of the array after a comma",
        ),
        ("[\n", Format::Json, 2, "expected a row, an object `{…}`, in line 2 of `rows`, found the end of the file"),
        ("[{},\n3]", Format::Json, 2, "expected a row, an object `{…}`, in line 2 of `rows`, found a number"),
        ("\n\"a\"", Format::Json, 2, "expected a row, an object `{…}`, in line 2 of `rows`, found a string"),
        (
            "a,b\n1,2\n",
            Format::Json,
            1,
            "expected a row, an object `{…}`, in line 1 of `rows`, found text that is not JSON",
        ),
        ("[{}]", Format::Jsonl, 1, "expected a row, an object `{…}`, in line 1 of `rows`, found an array"),
        ("{}\nnull\n", Format::Jsonl, 2, "expected a row, an object `{…}`, in line 2 of `rows`, found a bare value"),
        ("\n{\n\"data\": [{}]}", Format::Json, 2, "`rows` holds one object, not rows"),
        ("{\"a\": \"\\ud800\"}", Format::Jsonl, 1, "line 1 of `rows` is not valid JSON: unexpected end of hex escape"),
        ("a,b\n1,2\n\n\n1\n", csv(), 5, "line 5 of `rows` has 1 field for 2 columns"),
        ("a,b\n1,2,3\n", csv(), 2, "line 2 of `rows` has 3 fields for 2 columns"),
        ("a,b,a\n", csv(), 1, "two columns of `rows` are named `a`"),
        ("a,b\n", Format::Csv(separated(true, &["x"], None)), 1, "line 1 of `rows` has 2 fields for 1 columns"),
    ];
    for (text, format, line, message) in rows {
        let error = read(text.as_bytes(), Path::new("rows"), format).unwrap_err();
        assert_eq!(error.to_string(), format!("E0402: {message}"), "{text}");
        assert_eq!(error.place.unwrap().line, Some(*line), "{text}");
    }
}

#[test]
fn an_open_quote_is_offered_as_the_cause() {
    let format = Format::Tsv(separated(true, &[], Some('"')));
    let error = read(b"a\tb\n1\t2\n\"x\ty\nz\tw\n", Path::new("rows.tsv"), &format).unwrap_err();
    assert_eq!(error.to_string(), "E0402: line 3 of `rows.tsv` has 1 field for 2 columns");
    assert!(
        error.help[0].contains("goes on over 2 lines") && error.help[0].contains("quote: none"),
        "{:?}",
        error.help
    );
}

#[test]
fn other_encodings_and_files_that_are_not_there() {
    let error = read(b"{\"a\": 1}\n{\"a\": \"\xe9\"}", Path::new("rows.jsonl"), &Format::Jsonl).unwrap_err();
    assert_eq!(error.to_string(), "E0402: line 2 of `rows.jsonl` is not UTF-8 text");
    let error = read(b"a", Path::new("rows.csv"), &Format::Csv(separated(true, &[], Some('“')))).unwrap_err();
    assert_eq!(error.to_string(), "E0207: the quote character `“` is not an ASCII character");
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no.json");
    assert_eq!(cannot_open(&missing, &std::fs::read(&missing).unwrap_err()).code.as_str(), "E0401");
    let error = cannot_open(folder.path(), &std::fs::read(folder.path()).unwrap_err());
    assert!(error.to_string().ends_with("is a folder, not a file of rows"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..60), json in "[\\[\\]{}:,\"\\\\ an1\n]{0,40}") {
        for format in [Format::Json, Format::Jsonl, csv(), Format::Tsv(separated(false, &[], None))] {
            for bytes in [bytes.as_slice(), json.as_bytes()] {
                if let Ok(rows) = read(bytes, Path::new("rows"), &format) {
                    prop_assert!(rows.rows.iter().all(|row| row.values.len() == rows.columns.len()));
                }
            }
        }
    }

    #[test]
    fn objects_come_back(names in prop::collection::btree_set(".{0,6}", 1..5), value in "\\PC*", pretty: bool) {
        let object: serde_json::Map<String, serde_json::Value> =
            names.iter().enumerate().map(|(at, name)| (name.clone(), format!("{value}{at}").into())).collect();
        let document = serde_json::Value::from(vec![object]);
        let text = if pretty { serde_json::to_string_pretty(&document).unwrap() } else { document.to_string() };
        let rows = read(text.as_bytes(), Path::new("rows"), &Format::Json).unwrap();
        for (at, name) in names.iter().enumerate() {
            prop_assert_eq!(rows.value(0, name).map(str::to_string), Some(format!("{value}{at}")));
        }
    }

    #[test]
    fn separated_fields_come_back(fields in prop::collection::vec(prop::collection::vec("[a\",\n\t ]{0,5}", 3), 0..5)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["x", "y", "z"]).unwrap();
        for record in &fields {
            writer.write_record(record).unwrap();
        }
        let rows = read(&writer.into_inner().unwrap(), Path::new("rows"), &csv()).unwrap();
        let expected: Vec<Vec<Option<String>>> = fields.into_iter().map(|record| record.into_iter().map(Some).collect()).collect();
        prop_assert_eq!(rows.rows.into_iter().map(|row| row.values).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn real_files() {
    let Some(folder) = shared() else { return };
    let unquoted = Format::Tsv(separated(true, &[], None));
    let cola = Format::Tsv(separated(false, &["source", "label", "mark", "sentence"], None));
    let rows: Vec<(&str, Format, usize, &str)> = vec![
        ("glue/CoLA/dev.tsv", cola.clone(), 1043, "source label mark sentence"),
        ("glue/CoLA/train.tsv", cola, 5000, "source label mark sentence"),
        ("glue/MRPC/train.tsv", unquoted.clone(), 3667, "Quality #1 ID #2 ID #1 String #2 String"),
        ("glue/RTE/train.tsv", unquoted.clone(), 2490, "index sentence1 sentence2 label"),
        ("glue/SST-2/dev.tsv", unquoted.clone(), 872, "sentence label"),
        ("glue/QNLI/dev.tsv", unquoted.clone(), 5463, "index question sentence label"),
        (
            "glue/STS-B/dev.tsv",
            unquoted,
            1500,
            "index genre filename year old_index source1 source2 sentence1 sentence2 score",
        ),
        (
            "arithmetic/SVAMP/mawps-asdiv-a_train.csv",
            csv(),
            3138,
            "Question Numbers Equation Answer group_nums Body Ques",
        ),
        ("arithmetic/gsm8k/train.jsonl", Format::Jsonl, 7473, "question answer"),
        ("arithmetic/AQuA/dev.json", Format::Json, 254, "question options rationale correct"),
        ("arithmetic/mawps/trainset.json", Format::Json, 1898, "id original_text segmented_text equation ans"),
        ("commonsense/hellaswag/test.json", Format::Json, 10042, "instruction input output answer"),
        ("instruct/ultrafeedback_1k.json", Format::Json, 1000, "instruction input output"),
        ("sentiment/train.json", Format::Json, 8787, "instruction input output answer src_id rating"),
    ];
    for (path, format, count, columns) in rows {
        let rows = shared_rows(&folder, path, &format);
        assert_eq!((rows.len(), rows.columns.join(" ").as_str()), (count, columns), "{path}");
        lines_are_true(&rows, &folder.join("data").join(path));
    }
}

/// The line that a row names holds the beginning of its longest value, or begins the object that does.
fn lines_are_true(rows: &Rows, path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for row in rows.rows.iter().step_by(97) {
        let number = row.line.unwrap();
        let line = lines[number - 1];
        let plain = |value: &&String| {
            value.len() > 3 && value.chars().all(|character| character.is_alphanumeric() || character == ' ')
        };
        if let Some(value) = row
            .values
            .iter()
            .flatten()
            .find(plain)
            .filter(|_| !line.trim_start().starts_with('{') || line.contains("\": "))
        {
            assert!(line.contains(value.as_str()), "{value:?} is not in line {} of {}", number, path.display());
        }
    }
}

#[test]
fn real_values() {
    let Some(folder) = shared() else { return };
    let mrpc = shared_rows(&folder, "glue/MRPC/dev.tsv", &Format::Tsv(separated(true, &[], None)));
    assert_eq!((mrpc.line(0), mrpc.value(0, "Quality"), mrpc.value(0, "#1 ID")), (Some(2), Some("1"), Some("1355540")));
    let cola = shared_rows(
        &folder,
        "glue/CoLA/dev.tsv",
        &Format::Tsv(separated(false, &["source", "label", "mark", "sentence"], None)),
    );
    assert_eq!(cola.value(0, "sentence"), Some("The sailors rode the breeze clear of the rocks."));
    let sentiment = shared_rows(&folder, "sentiment/train.json", &Format::Json);
    assert_eq!(
        (sentiment.value(0, "rating"), sentiment.value(0, "answer")),
        (Some("-1.33333333333"), Some("negative"))
    );
    let aqua = shared_rows(&folder, "arithmetic/AQuA/dev.json", &Format::Json);
    assert_eq!(aqua.value(0, "options"), Some("[\"A)32400\",\"B)6000\",\"C)600\",\"D)60000\",\"E)10\"]"));
}
