//! Places inside string literals: where a piece of the text stands in the source, escapes and indentation aside.

use std::ops::Range;

/// The bytes of `literal` (with its quotes) that became the bytes `piece` of its text. `None` where a line break lies
/// inside the piece.
pub fn find(literal: &str, text: &str, piece: Range<usize>) -> Option<Range<usize>> {
    let wanted = text.get(piece.clone())?;
    if wanted.is_empty() || wanted.contains('\n') {
        return None;
    }
    let repeats = (0..piece.start).filter(|&at| text.get(at..).is_some_and(|rest| rest.starts_with(wanted))).count();
    let characters = characters(literal);
    let wanted: Vec<char> = wanted.chars().collect();
    let mut hits = characters.windows(wanted.len()).filter(|window| window.iter().map(|(c, _)| c).eq(&wanted));
    let hit = hits.nth(repeats)?;
    Some(hit.first()?.1.start..hit.last()?.1.end)
}

/// The places of columns in the text of a template without slips, braces included, in their order.
pub fn columns(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(step) = text[at..].find(['{', '}']) {
        at += step;
        let rest = &text[at..];
        let length = match rest.strip_prefix("{\"") {
            _ if rest.starts_with("{{") || rest.starts_with('}') => {
                at += 2;
                at = at.min(text.len());
                continue;
            }
            Some(quoted) => quoted.find("\"}").map_or(rest.len(), |end| end + 4),
            None => rest.find('}').map_or(rest.len(), |end| end + 1),
        };
        found.push(at..at + length);
        at += length;
    }
    found
}

/// The characters that a literal stands for, each with its bytes.
fn characters(literal: &str) -> Vec<(char, Range<usize>)> {
    let quotes = if literal.starts_with("\"\"\"") { 3 } else { 1 };
    let end = literal.len().saturating_sub(quotes);
    let mut found = Vec::new();
    let mut at = quotes;
    while let Some(first) = literal.get(at..end).and_then(|rest| rest.chars().next()) {
        let (character, length) = match first {
            '\\' => escape(&literal[at..end]),
            _ => (first, first.len_utf8()),
        };
        found.push((character, at..at + length));
        at += length;
    }
    found
}

/// The character of the escape that `text` begins with, and its length.
fn escape(text: &str) -> (char, usize) {
    let Some(letter) = text[1..].chars().next() else { return ('\\', 1) };
    let length = 1 + letter.len_utf8();
    let character = match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        'u' => {
            let number = text.strip_prefix("\\u{").and_then(|rest| rest.split_once('}')).map(|(digits, _)| digits);
            let character = number.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
            return character.zip(number).map_or(('u', length), |(character, digits)| (character, digits.len() + 4));
        }
        other => other,
    };
    (character, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'l>(literal: &'l str, text: &str, piece: Range<usize>) -> &'l str {
        &literal[find(literal, text, piece).unwrap()]
    }

    #[test]
    fn the_right_one_of_several_pieces_is_found() {
        let literal = r#""{a} {b and {a}""#;
        assert_eq!(find(literal, "{a} {b and {a}", 4..5), Some(5..6));
        assert_eq!(find(literal, "{a} {b and {a}", 11..14), Some(12..15));
    }

    #[test]
    fn escapes_are_one_character() {
        let literal = r#""\u{e9}\n{x} \"{\"odd name\"}""#;
        let text = "é\n{x} \"{\"odd name\"}";
        assert_eq!(found(literal, text, 3..6), "{x}");
        assert_eq!(found(literal, text, 8..20), r#"{\"odd name\"}"#);
        assert_eq!(found("\"\"\"\n  a {x}\n  {x}\n  \"\"\"", "a {x}\n{x}", 6..9), "{x}");
    }

    #[test]
    fn doubled_braces_are_no_columns() {
        let text = "{{a}} {a} {\"b}c\"} {d}";
        let names: Vec<&str> = columns(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(names, ["{a}", "{\"b}c\"}", "{d}"]);
    }
}
