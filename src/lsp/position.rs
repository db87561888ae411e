//! Places as editors count them: lines, and units of UTF-16 (or bytes, where the editor offers that) within a line.

use crate::source::Span;
use lsp_types::{Position, PositionEncodingKind, Range};
use std::sync::Arc;

/// What the columns of positions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16,
}

impl Encoding {
    /// Bytes if the editor can, else the protocol's own units.
    pub fn choose(offered: &[PositionEncodingKind]) -> Self {
        if offered.contains(&PositionEncodingKind::UTF8) { Encoding::Utf8 } else { Encoding::Utf16 }
    }

    /// The protocol's name.
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    /// The units that a text takes.
    pub fn width(self, text: &str) -> usize {
        match self {
            Encoding::Utf8 => text.len(),
            Encoding::Utf16 => text.encode_utf16().count(),
        }
    }
}

/// A text whose lines can be found quickly. Lines end with `\n`, `\r\n` or `\r`.
#[derive(Clone, Debug)]
pub struct Text {
    pub content: Arc<str>,
    encoding: Encoding,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl Text {
    /// Finds the lines of a text.
    pub fn new(content: impl Into<Arc<str>>, encoding: Encoding) -> Self {
        let content = content.into();
        let bytes = content.as_bytes();
        let ends = bytes.iter().enumerate().filter(|&(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { content, encoding, starts }
    }

    /// The position of a byte; one inside a character counts as that character's beginning.
    pub fn position(&self, byte: usize) -> Position {
        let byte = self.content.floor_char_boundary(byte);
        let line = self.starts.partition_point(|&start| start <= byte).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let column = self.encoding.width(&self.content[start..byte]);
        Position::new(clamp(line), clamp(column))
    }

    /// The byte of a position; one behind the end of its line, or of the text, counts as that end.
    pub fn byte(&self, position: Position) -> usize {
        let Some(&start) = self.starts.get(position.line as usize) else { return self.content.len() };
        let end = self.starts.get(position.line as usize + 1).copied().unwrap_or(self.content.len());
        let line = self.content[start..end].trim_end_matches(['\n', '\r']);
        let mut left = position.character as usize;
        let mut at = start;
        for character in line.chars() {
            let width = match self.encoding {
                Encoding::Utf8 => character.len_utf8(),
                Encoding::Utf16 => character.len_utf16(),
            };
            if width > left {
                break;
            }
            left -= width;
            at += character.len_utf8();
        }
        at
    }

    /// The range of a span of this text.
    pub fn range(&self, span: Span) -> Range {
        Range::new(self.position(span.start as usize), self.position(span.end as usize))
    }

    /// The text after a change of a range; `None` where the range ends before it begins.
    pub fn changed(&self, range: Range, replacement: &str) -> Option<Self> {
        let (start, end) = (self.byte(range.start), self.byte(range.end));
        let (before, after) = (&self.content[..start], self.content.get(end..).filter(|_| start <= end)?);
        Some(Self::new(format!("{before}{replacement}{after}"), self.encoding))
    }

    /// What the columns of its positions count.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &str = "a é 😀 b\r\nnext\rthird\n";

    #[test]
    fn columns_count_what_was_agreed_on() {
        let behind = SAMPLE.find(" b").unwrap();
        assert_eq!(Text::new(SAMPLE, Encoding::Utf16).position(behind), Position::new(0, 6));
        assert_eq!(Text::new(SAMPLE, Encoding::Utf8).position(behind), Position::new(0, 9));
        let text = Text::new(SAMPLE, Encoding::Utf16);
        assert_eq!(text.position(SAMPLE.find("third").unwrap()), Position::new(2, 0));
        assert_eq!(text.byte(Position::new(0, 6)), behind);
        assert_eq!(text.byte(Position::new(0, 5)), SAMPLE.find('😀').unwrap(), "inside a pair of surrogates");
        assert_eq!(text.byte(Position::new(0, 99)), SAMPLE.find('\r').unwrap());
        assert_eq!(text.byte(Position::new(99, 0)), SAMPLE.len());
    }

    #[test]
    fn a_change_that_ends_before_it_begins_is_refused() {
        let text = Text::new("one\ntwo\n", Encoding::Utf16);
        let place = |line, column| Position::new(line, column);
        assert_eq!(&*text.changed(Range::new(place(0, 3), place(1, 0)), " ").unwrap().content, "one two\n");
        assert!(text.changed(Range::new(place(1, 0), place(0, 0)), "").is_none());
    }

    proptest! {
        #[test]
        fn every_character_keeps_its_place(content in "[a-zé😀\n\r ]{0,40}", utf8: bool) {
            let text = Text::new(content.as_str(), if utf8 { Encoding::Utf8 } else { Encoding::Utf16 });
            for (at, character) in content.char_indices() {
                // What ends a line is at that line's end.
                if !"\n\r".contains(character) {
                    prop_assert_eq!(text.byte(text.position(at)), at);
                }
            }
            prop_assert_eq!(text.byte(text.position(content.len())), content.len());
        }
    }
}
