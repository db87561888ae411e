//! The values of numbers and strings.

use super::tree::ExprKind;
use std::ops::Range;

/// What is wrong with a number, and the number that was probably meant.
#[derive(Debug, PartialEq)]
pub struct NumberSlip {
    pub label: String,
    pub help: String,
    pub replacement: Option<String>,
}

impl NumberSlip {
    fn new(label: impl Into<String>, help: impl Into<String>) -> Self {
        Self { label: label.into(), help: help.into(), replacement: None }
    }

    fn instead(label: impl Into<String>, replacement: String) -> Self {
        Self { label: label.into(), help: format!("write `{replacement}`"), replacement: Some(replacement) }
    }
}

/// The units of sizes and their bytes.
const UNITS: [(&str, u64); 10] = [
    ("B", 1),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads `1_000`, `-200`, `9e-4`, `10%`, `4GiB`.
pub fn number(text: &str) -> Result<ExprKind, NumberSlip> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if compact != text {
        return Err(NumberSlip::instead("a space inside a number", compact));
    }
    let unsigned = text.trim_start_matches('-');
    let sign = &text[..text.len() - unsigned.len()];
    let mantissa_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '_' && c != '.').unwrap_or(unsigned.len());
    let (mantissa, rest) = unsigned.split_at(mantissa_end);
    check_mantissa(sign, mantissa, rest)?;
    let exponent_end = exponent_length(rest);
    let (exponent, suffix) = rest.split_at(exponent_end);
    let digits = format!("{sign}{mantissa}{exponent}").replace('_', "");
    let whole = !mantissa.contains('.') && exponent.is_empty();
    match suffix {
        "" if whole => digits
            .parse()
            .map(ExprKind::Int)
            .map_err(|_| NumberSlip::new("too large", format!("write a number between {} and {}", i64::MIN, i64::MAX))),
        "" => float(&digits).map(ExprKind::Float),
        "%" => percent(&digits, exponent).map(ExprKind::Ratio),
        unit => size(&digits, whole, unit, mantissa),
    }
}

/// Reads a size as the command line takes it: `4GiB`, `500MB`, or a plain number of bytes.
///
/// # Errors
/// What to write instead.
pub fn parse_size(text: &str) -> Result<u64, String> {
    match number(text) {
        Ok(ExprKind::Size(bytes)) => Ok(bytes),
        Ok(ExprKind::Int(bytes)) => u64::try_from(bytes).map_err(|_| "write 0 or more".to_owned()),
        Err(NumberSlip { replacement: Some(replacement), .. }) => Err(format!("write `{replacement}`")),
        Ok(_) | Err(_) => Err("write a size such as `4GiB`, `500MB` or `0`".to_owned()),
    }
}

/// A size in the largest unit of 1024 that is not larger than it: how many, and of what.
pub fn in_unit(bytes: u64) -> (f64, &'static str) {
    let fits = |(name, size): &&(&'static str, u64)| name.ends_with("iB") && *size <= bytes;
    let (name, size) = UNITS.iter().rev().find(fits).copied().unwrap_or(UNITS[0]);
    (bytes as f64 / size as f64, name)
}

fn check_mantissa(sign: &str, mantissa: &str, rest: &str) -> Result<(), NumberSlip> {
    if let Some(fraction) = mantissa.strip_prefix('.') {
        return Err(NumberSlip::instead("no digit before the point", format!("{sign}0.{fraction}{rest}")));
    }
    if let Some(whole) = mantissa.strip_suffix('.') {
        return Err(NumberSlip::instead("no digit after the point", format!("{sign}{whole}.0{rest}")));
    }
    if mantissa.matches('.').count() > 1 {
        return Err(NumberSlip::new("two points in one number", "write a number such as `0.5`; a range is `4..12`"));
    }
    let misplaced = mantissa.split('.').any(|part| part.starts_with('_') || part.ends_with('_') || part.contains("__"));
    if misplaced {
        let mut tidy = mantissa.replace('_', "");
        tidy.insert_str(0, sign);
        tidy.push_str(rest);
        return Err(NumberSlip::instead("a `_` that stands between no two digits", tidy));
    }
    Ok(())
}

/// The length of `e-4` at the start of `rest`, 0 if there is no exponent.
fn exponent_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    if !matches!(bytes.first(), Some(b'e' | b'E')) {
        return 0;
    }
    let signed = if matches!(bytes.get(1), Some(b'+' | b'-')) { 2 } else { 1 };
    match bytes[signed.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => 0,
        digits => signed + digits,
    }
}

fn float(digits: &str) -> Result<f64, NumberSlip> {
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(NumberSlip::new("too large", format!("write a number of at most {:e}", f64::MAX))),
    }
}

/// Lets the decimal parser divide by a hundred, so that `10%` is exactly what `0.1` is.
fn percent(digits: &str, exponent: &str) -> Result<f64, NumberSlip> {
    if exponent.is_empty() { float(&format!("{digits}e-2")) } else { float(digits).map(|value| value / 100.0) }
}

fn size(digits: &str, whole: bool, unit: &str, mantissa: &str) -> Result<ExprKind, NumberSlip> {
    let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(unknown_suffix(digits, whole, unit, mantissa));
    };
    let value: Option<u64> = if whole {
        digits.parse::<u64>().ok().and_then(|count| count.checked_mul(*bytes))
    } else {
        let value = digits.parse::<f64>().unwrap_or(-1.0) * *bytes as f64;
        (0.0..u64::MAX as f64).contains(&value).then_some(value.round() as u64)
    };
    value.map(ExprKind::Size).ok_or_else(|| NumberSlip::new("no size", "write a size between `0B` and `16_777_215TiB`"))
}

fn unknown_suffix(digits: &str, whole: bool, suffix: &str, mantissa: &str) -> NumberSlip {
    let folded = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(suffix));
    match suffix {
        "e" | "E" => NumberSlip::new("no digits after the `e`", format!("write for example `{mantissa}e-4`")),
        "f" | "l" if whole => {
            NumberSlip::new("positions begin with their letter", format!("write `{suffix}{digits}` for positions"))
        }
        _ if mantissa == "0" && suffix.starts_with(['x', 'X', 'b', 'B', 'o', 'O']) => {
            NumberSlip::new("not a decimal number", "write the number with decimal digits")
        }
        _ => match folded {
            Some((name, _)) => NumberSlip::instead("units have their letters in this case", format!("{digits}{name}")),
            None => NumberSlip::new(
                format!("`{suffix}` is no unit"),
                "write a plain number, a ratio such as `10%`, or a size in `B`, `KB`, `MB`, `GB`, `TB`, `KiB`, `MiB`, `GiB` or `TiB`",
            ),
        },
    }
}

/// The value of a string in `"` or `"""`, and the places of escapes that mean nothing.
///
/// A `"""` string begins after the first line break and ends before the last one, where these stand alone with the
/// quotes; the whitespace that all its lines share (the line of the closing quotes included) is not part of it.
pub fn string(text: &str) -> (String, Vec<Range<usize>>) {
    let mut bad = Vec::new();
    let mut value = String::new();
    match text.strip_prefix("\"\"\"").and_then(|rest| rest.strip_suffix("\"\"\"")) {
        Some(inner) => {
            for (index, (at, line)) in dedent(inner).into_iter().enumerate() {
                if index > 0 {
                    value.push('\n');
                }
                unescape(line, 3 + at, &mut value, &mut bad);
            }
        }
        None => {
            let inner = text.strip_prefix('"').unwrap_or(text);
            unescape(inner.strip_suffix('"').unwrap_or(inner), 1, &mut value, &mut bad);
        }
    }
    (value, bad)
}

/// The lines of a `"""` string without the indentation they share, each with its offset in `inner`.
fn dedent(inner: &str) -> Vec<(usize, &str)> {
    let mut lines: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    for line in inner.split('\n') {
        lines.push((at, line.strip_suffix('\r').unwrap_or(line)));
        at += line.len() + 1;
    }
    if lines.len() == 1 {
        return lines;
    }
    let blank = |line: &str| line.trim_matches([' ', '\t']).is_empty();
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let last = lines.len() - 1;
    let mut shared: Option<&str> = None;
    for (index, &(_, line)) in lines.iter().enumerate().skip(1) {
        if blank(line) && index != last {
            continue;
        }
        let own = &line[..indentation(line)];
        let common =
            shared.map_or(own.len(), |other| own.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count());
        shared = Some(&own[..common]);
    }
    let shared = shared.unwrap_or("");
    for (at, line) in lines.iter_mut().skip(1) {
        let cut = line.bytes().zip(shared.bytes()).take_while(|(a, b)| a == b).count();
        *at += cut;
        *line = &line[cut..];
        if blank(line) {
            *line = "";
        }
    }
    if lines.last().is_some_and(|(_, line)| line.is_empty()) {
        lines.pop();
    }
    if lines.len() > 1 && lines.first().is_some_and(|(_, line)| blank(line)) {
        lines.remove(0);
    } else if lines.len() == 1 && inner.starts_with(['\n', '\r']) {
        lines.clear();
    }
    lines
}

fn unescape(text: &str, offset: usize, value: &mut String, bad: &mut Vec<Range<usize>>) {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        let here = &rest[at..];
        let (length, meaning) = escape(here);
        match meaning {
            Some(character) => value.push(character),
            None => {
                let start = offset + text.len() - here.len();
                bad.push(start..start + length);
                value.push_str(&here[..length]);
            }
        }
        rest = &here[length..];
    }
    value.push_str(rest);
}

/// The length of the escape that `text` begins with, and its meaning if it has one.
fn escape(text: &str) -> (usize, Option<char>) {
    let Some(letter) = text.chars().nth(1) else { return (1, None) };
    let simple = match letter {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        '0' => Some('\0'),
        '"' | '\\' | '\'' => Some(letter),
        _ => None,
    };
    if letter == 'u' && text[2..].starts_with('{') {
        let Some(close) = text.find('}') else { return (2, None) };
        let character = u32::from_str_radix(&text[3..close], 16).ok().and_then(char::from_u32);
        return (close + 1, character);
    }
    (1 + letter.len_utf8(), simple)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_values() {
        for (text, kind) in [
            ("1_000", ExprKind::Int(1000)),
            ("-200", ExprKind::Int(-200)),
            ("9223372036854775807", ExprKind::Int(i64::MAX)),
            ("9e-4", ExprKind::Float(9e-4)),
            ("0.5", ExprKind::Float(0.5)),
            ("10%", ExprKind::Ratio(0.1)),
            ("0.25%", ExprKind::Ratio(0.0025)),
            ("4GiB", ExprKind::Size(4 << 30)),
            ("1.5KB", ExprKind::Size(1500)),
        ] {
            assert_eq!(number(text), Ok(kind), "{text}");
        }
    }

    #[test]
    fn sizes_of_the_command_line_are_bytes() {
        for (text, bytes) in
            [("0", 0), ("1_000", 1000), ("4GiB", 4 << 30), ("1.5kB", 1500), ("2MB", 2_000_000), ("1TiB", 1 << 40)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        assert_eq!(parse_size("4gib"), Err("write `4GiB`".to_owned()));
        assert_eq!(parse_size("-1"), Err("write 0 or more".to_owned()));
        for text in ["", "much", "10%", "1.5", "4 QB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn slips_of_numbers_say_what_was_meant() {
        for (text, replacement) in [
            ("1e", None),
            ("10 %", Some("10%")),
            ("- 3", Some("-3")),
            ("1_", Some("1")),
            ("1__0", Some("10")),
            ("5.", Some("5.0")),
            (".5", Some("0.5")),
            ("3f", None),
            ("4gb", Some("4GB")),
            ("1.2.3", None),
            ("0x10", None),
            ("12abc", None),
            ("99999999999999999999", None),
            ("1e999", None),
            ("-4GiB", None),
        ] {
            let slip = number(text).expect_err(text);
            assert_eq!(slip.replacement.as_deref(), replacement, "{text}");
        }
    }

    #[test]
    fn strings_have_their_values() {
        for (text, value) in [
            (r#""""#, ""),
            (r#""a\n\t\"\\\u{e9}""#, "a\n\t\"\\é"),
            ("\"\"\"one\"\"\"", "one"),
            ("\"\"\"\n  one\n    two\n\n  three\n  \"\"\"", "one\n  two\n\nthree"),
            ("\"\"\"\r\n  one\r\n  two\\n\r\n  \"\"\"", "one\ntwo\n"),
            ("\"\"\"\n    one\n  \"\"\"", "  one"),
            ("\"\"\"\n\"\"\"", ""),
            ("\"\"\"\n\n\"\"\"", ""),
            ("\"\"\"one\n  two\"\"\"", "one\ntwo"),
        ] {
            assert_eq!(string(text), (value.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn escapes_that_mean_nothing_are_found() {
        assert_eq!(string(r#""\d+""#).1, vec![1..3]);
        assert_eq!(string(r#""a\u{zz}\q""#).1, vec![2..8, 8..10]);
        assert_eq!(string("\"\"\"\n  a\n  \\é\n\"\"\"").1, vec![10..13]);
    }
}
