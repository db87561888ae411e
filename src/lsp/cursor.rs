//! What is being written at a place, from the text before it: which brackets are open, what stands before them, and whether a string or comment
//! is. It needs no tree, so it works in text that is broken.

use std::ops::Range;

/// A bracket that is open at the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// `{`, `(` or `[`
    pub bracket: char,
    /// What stands between the last separator and the bracket: `intervene edit = loreft `, `layers = first`.
    pub head: String,
    /// Separators between the bracket and the place.
    pub commas: usize,
}

/// A string that is open at the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenString {
    /// From behind its quotes to the place.
    pub text: String,
}

/// Where the writer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Outermost first.
    pub open: Vec<Open>,
    /// What stands between the last separator and the place, or, in a string, the string.
    pub entry: String,
    pub string: Option<OpenString>,
    pub comment: bool,
}

/// Words that begin a declaration at the start of a line, whatever was left open above.
const DECLARATIONS: [&str; 6] = ["let ", "model ", "data ", "intervention ", "experiment ", "use "];

impl Cursor {
    /// Reads the text before a place.
    pub fn new(before: &str) -> Self {
        let mut scanner = Scanner { text: before, at: 0, start: 0, starts: Vec::new(), cursor: Cursor::default() };
        scanner.run();
        scanner.cursor
    }

    /// The head of the innermost `{`; `None` at the top level.
    pub fn block(&self) -> Option<&Open> {
        self.open.iter().rev().find(|open| open.bracket == '{')
    }

    /// The brackets inside the innermost `{`, outermost first.
    pub fn inside(&self) -> &[Open] {
        let block = self.open.iter().rposition(|open| open.bracket == '{');
        &self.open[block.map_or(0, |at| at + 1)..]
    }

    /// The entry of the block that is being written: from the last separator of the block on.
    pub fn block_entry(&self) -> &str {
        self.inside().first().map_or(self.entry.as_str(), |open| &open.head)
    }
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// Where the entry begins.
    start: usize,
    /// Where the entries around it begin.
    starts: Vec<usize>,
    cursor: Cursor,
}

impl Scanner<'_> {
    fn run(&mut self) {
        self.line();
        while let Some(next) = self.text[self.at..].chars().next() {
            match next {
                '"' => {
                    if let Some(open) = self.string() {
                        self.cursor.entry = self.slice(self.start..open.start).to_owned();
                        self.cursor.string = Some(OpenString { text: self.slice(open).to_owned() });
                        return;
                    }
                }
                '/' if self.text[self.at..].starts_with("//") => {
                    let Some(end) = self.text[self.at..].find('\n') else {
                        self.cursor.comment = true;
                        return;
                    };
                    self.at += end;
                    self.start = self.at;
                }
                '{' | '(' | '[' => self.enter(next),
                '}' | ')' | ']' => self.leave(next),
                ',' | ';' => {
                    self.at += 1;
                    self.separate();
                }
                '\n' => {
                    self.at += 1;
                    self.line();
                }
                other => self.at += other.len_utf8(),
            }
        }
        self.cursor.entry = self.slice(self.start..self.text.len()).to_owned();
    }

    fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default().trim_start()
    }

    fn separate(&mut self) {
        self.start = self.at;
        if let Some(open) = self.cursor.open.last_mut() {
            open.commas += 1;
        }
    }

    /// At the start of a line: it ends an entry, but not inside `(` or `[`. What begins a declaration, a section or a field ends what was
    /// left open, as it does for the parser.
    fn line(&mut self) {
        let line = self.text[self.at..].lines().next().unwrap_or_default();
        if DECLARATIONS.iter().any(|word| line.starts_with(word)) {
            self.close(0);
        } else if begins_section(line) {
            let experiment = self.cursor.open.iter().rposition(|open| open.head.starts_with("experiment "));
            self.close(experiment.map_or(self.cursor.open.len(), |at| at + 1));
        } else if begins_field(line) || self.steps_back(line) {
            let block = self.cursor.open.iter().rposition(|open| open.bracket == '{');
            self.close(block.map_or(0, |at| at + 1));
        }
        if self.cursor.open.last().is_none_or(|open| open.bracket == '{') {
            self.separate();
        }
    }

    /// Whether a line inside brackets is not indented more than what they belong to: then that was left open, and the line begins another.
    fn steps_back(&self, line: &str) -> bool {
        let block = self.cursor.open.iter().rposition(|open| open.bracket == '{').map_or(0, |at| at + 1);
        let Some(&entry) = self.starts.get(block) else { return false };
        let indentation = |text: &str| text.len() - text.trim_start_matches([' ', '\t']).len();
        let entry = self.text[entry..].trim_start();
        let entry = self.text.len() - entry.len();
        let start = self.text[..entry].rfind('\n').map_or(0, |at| at + 1);
        let closes = line.trim_start().starts_with([')', ']', '}', ',']) || line.trim().is_empty();
        !closes && indentation(line) <= indentation(&self.text[start..])
    }

    /// Forgets the brackets from that number on.
    fn close(&mut self, from: usize) {
        self.cursor.open.truncate(from);
        self.starts.truncate(from);
    }

    fn enter(&mut self, bracket: char) {
        let head = self.slice(self.start..self.at).to_owned();
        self.cursor.open.push(Open { bracket, head, commas: 0 });
        self.starts.push(self.start);
        self.at += 1;
        self.start = self.at;
    }

    fn leave(&mut self, bracket: char) {
        self.at += 1;
        let opening = match bracket {
            '}' => '{',
            ')' => '(',
            _ => '[',
        };
        // A bracket that closes nothing is passed over; one that was forgotten inside is closed with what is around it.
        if let Some(open) = self.cursor.open.iter().rposition(|open| open.bracket == opening) {
            self.start = self.starts.get(open).copied().unwrap_or(self.at);
            self.close(open);
        }
    }

    /// Passes over a string; the range behind its quotes where it is still open.
    fn string(&mut self) -> Option<Range<usize>> {
        let rest = &self.text[self.at..];
        let quotes = if rest.starts_with("\"\"\"") { "\"\"\"" } else { "\"" };
        let start = self.at + quotes.len();
        let mut at = start;
        while let Some(rest) = self.text.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(quotes) {
                self.at = at + quotes.len();
                return None;
            }
            // A string that its line does not end was never closed.
            if rest.starts_with('\n') && quotes.len() == 1 {
                self.at = at;
                return None;
            }
            let escaped = rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
            at += escaped.map_or(rest.chars().next().map_or(1, char::len_utf8), |next| 1 + next.len_utf8());
        }
        Some(start..self.text.len())
    }
}

/// Whether a line begins a section of an experiment.
fn begins_section(line: &str) -> bool {
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("train" | "sweep" | "expect"), Some(next), _) => next.starts_with('{'),
        (Some("intervene" | "eval"), Some(_), Some(next)) => next.starts_with(['{', '=']),
        _ => false,
    }
}

/// Whether a line begins with a word and `=`.
fn begins_field(line: &str) -> bool {
    let rest = line.trim_start().trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    let named = line.trim_start().starts_with(|first: char| first.is_ascii_alphabetic());
    let rest = rest.trim_start();
    named && rest.starts_with('=') && !rest.starts_with("==")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heads(cursor: &Cursor) -> Vec<String> {
        cursor.open.iter().map(|open| format!("{}{} {}", open.head, open.bracket, open.commas)).collect()
    }

    #[test]
    fn open_brackets_are_known_with_what_stands_before_them() {
        let cursor =
            Cursor::new("data a { train = 1 }\nexperiment b {\n  eval dev { on = a.test, answer = regex(\"(\", ta");
        let expected = ["experiment b { 1", "eval dev { 1", "answer = regex( 1"];
        assert_eq!((heads(&cursor), cursor.entry.as_str()), (expected.map(str::to_owned).to_vec(), "ta"));
        assert_eq!(cursor.block_entry(), "answer = regex");
    }

    #[test]
    fn strings_and_comments_are_seen() {
        let cursor = Cursor::new("data a {\n  prompt = \"one {two");
        assert_eq!(cursor.string.map(|open| open.text).as_deref(), Some("one {two"));
        assert_eq!(cursor.entry.trim(), "prompt = \"");
        assert!(Cursor::new("let a = 1 // json(").comment);
        let closed = Cursor::new("let a = \"// {\"\nmodel b = ");
        assert!(!closed.comment && closed.string.is_none() && closed.open.is_empty());
    }

    #[test]
    fn a_declaration_ends_what_was_left_open() {
        let cursor = Cursor::new("experiment a {\n  train { lr = (\nmodel b = embedded(\"tiny\") {\n  dt");
        assert_eq!(heads(&cursor), ["model b = embedded(\"tiny\") { 1"]);
        let cursor = Cursor::new("experiment a {\n  train {\n    lr = (\n    keep = [\n  eval dev {\n    o");
        assert_eq!(heads(&cursor), ["experiment a { 2", "eval dev { 1"]);
        let cursor = Cursor::new("data a {\n  train = json(\n    \"x\",\n  te");
        assert_eq!((heads(&cursor), cursor.entry.as_str()), (vec!["data a { 2".to_owned()], "te"));
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "[a{}()\\[\\]\"\\\\/\n ,é]{0,60}") {
            Cursor::new(&text);
        }
    }
}
