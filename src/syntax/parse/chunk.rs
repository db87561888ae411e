//! Text that is no declaration, entry or value: each chunk is explained by exactly one diagnostic.

use super::allow::bare_allow;
use super::declaration::{DECLARATIONS, SECTIONS, example};
use super::{Builder, Pair, Rule};
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::Span;

impl Builder<'_> {
    /// A string in typographic or single quotes.
    pub(super) fn other_quotes(&mut self, span: Span, text: &str) {
        let first = text.chars().next().map_or(0, char::len_utf8);
        let last = text.chars().next_back().map_or(0, char::len_utf8);
        let inner = text.get(first..text.len() - last).unwrap_or("");
        let written = format!("\"{}\"", inner.replace("\\'", "'").replace('"', "\\\""));
        self.sink.push(
            Diagnostic::at(Code::SmartQuotes, span, "a string stands in straight double quotes", "other quotes")
                .help(format!("write `{written}`"))
                .fix(span, written),
        );
    }

    /// A string without its end. Closers that it may have swallowed are not missed again.
    pub(super) fn open_string(&mut self, span: Span, text: &str) {
        let line_end = self.text[span.range().end..].find('\n').map_or(self.text.len(), |at| span.range().end + at);
        self.unclosed.silence(span.range().start..line_end);
        let smart = |c: char| "“”„‟‘’‚«»".contains(c);
        if text.contains(smart) {
            let diagnostic =
                Diagnostic::at(Code::SmartQuotes, span, "a string ends with a straight double quote", "other quotes")
                    .help("write `\"` at both ends of the string");
            let closing = text.strip_suffix(smart).filter(|inner| !inner.contains(smart)).map(str::len);
            let closing = closing.map(|at| Span { start: span.start + at as u32, ..span });
            self.sink.push(match closing {
                Some(closing) => diagnostic.fix(closing, "\""),
                None => diagnostic,
            });
            return;
        }
        let quotes = if text.starts_with("\"\"\"") { "\"\"\"" } else { "\"" };
        let end = Span { start: span.end, ..span };
        let opening = Span { end: span.start + quotes.len() as u32, ..span };
        let place = if quotes.len() == 3 { opening } else { span };
        // Behind a comma or a comment the string may have ended long before.
        let sure = quotes.len() == 1 && !text.contains([',', '=']) && !text.contains("//");
        self.sink.push(
            Diagnostic::at(
                Code::UnterminatedString,
                place,
                format!("a string without its closing `{quotes}`"),
                if quotes.len() == 3 { "opened here, never closed" } else { "the line ends inside this string" },
            )
            .help(format!("write `{quotes}` where the string ends"))
            .maybe_fix(end, sure.then_some(quotes)),
        );
    }

    /// A comment of another language.
    pub(super) fn foreign_comment(&mut self, pair: &Pair) {
        if pair.as_rule() != Rule::foreign_comment {
            return;
        }
        let text = pair.as_str();
        let start = pair.as_span().start();
        let mark = if text.starts_with('#') { 1 } else { 2 };
        let mark = Span::new(self.file, start, start + mark);
        let diagnostic =
            Diagnostic::at(Code::UnexpectedText, mark, "a comment begins with `//`", "not the mark of a comment");
        self.sink.push(match text.strip_prefix('#') {
            Some(rest) => {
                let rest = rest.trim_start_matches('#');
                let marks = Span { end: mark.start + (text.len() - rest.len()) as u32, ..mark };
                diagnostic.help(format!("write `// {}`", shorten(rest))).fix(marks, "//")
            }
            None => {
                let inner = text[2..].strip_suffix("*/").filter(|inner| !inner.contains('\n'));
                let rest = self.text[start + text.len()..].lines().next().unwrap_or("");
                let inner = inner.filter(|_| rest.trim().is_empty());
                let line = inner.map(|inner| format!("//{}", inner.trim_end()));
                diagnostic.help("begin each line of the comment with `//`").maybe_fix(self.span(pair), line)
            }
        });
    }

    /// A `;`, which ends nothing.
    pub(super) fn semicolon(&mut self, pair: &Pair) {
        let span = self.span(pair);
        let rest = self.text[pair.as_span().end()..].trim_start_matches([' ', '\t', '\r']);
        let last = rest.is_empty() || rest.starts_with(['\n', '}', ',', ';']) || rest.starts_with("//");
        let (help, replacement) = if last { ("remove the `;`", "") } else { ("write `,` or a line break", ",") };
        self.sink.push(
            Diagnostic::at(Code::UnexpectedText, span, "a `;` ends nothing in a spec", "not needed")
                .help(help)
                .fix(span, replacement),
        );
    }

    /// Where a value is expected.
    pub(super) fn bad_value(&mut self, pair: &Pair) {
        let text = pair.as_str().trim_end();
        let span = self.trimmed(pair);
        let diagnostic = match text.chars().next() {
            Some('“' | '”' | '„' | '‘' | '’' | '«') => {
                Diagnostic::at(Code::SmartQuotes, span, "a string stands in straight double quotes", "other quotes")
                    .help("write `\"` at both ends of the string")
            }
            Some('\'') => {
                Diagnostic::at(Code::UnterminatedString, span, "a string without its closing quote", "no string")
                    .help("write the string in straight double quotes: `\"…\"`")
            }
            Some('{') if column(text).is_some() => {
                let written = format!("\"{text}\"");
                Diagnostic::at(Code::UnexpectedText, span, "a template stands in quotes", "a column without a text")
                    .help(format!("write `{written}`"))
                    .fix(span, written)
            }
            Some('+') => Diagnostic::at(Code::UnexpectedText, span, "no `+` stands before a number", "not needed")
                .help(format!("write `{}`", shorten(text.trim_start_matches(['+', ' '])))),
            Some('/') => {
                Diagnostic::at(Code::UnexpectedText, span, "names and paths stand in quotes", "outside quotes")
                    .help("write for example `hf(\"org/name\")` or `json(\"data/train.json\")`")
            }
            Some('{') => Diagnostic::at(Code::UnexpectedText, span, "a value cannot be a block", "expected a value")
                .help("write a list such as `[1, 2]`, or a call such as `greedy(max_tokens: 8)`"),
            Some(';') => {
                let commas = (!text.contains(['"', '\n'])).then(|| text.replace(';', ","));
                Diagnostic::at(Code::UnexpectedText, span, "values stand apart by `,`, not by `;`", "expected `,`")
                    .help("write a list as `[1, 2, 3]`")
                    .maybe_fix(span, commas)
            }
            Some(':') => {
                let end = text.trim_start_matches([':', ' ']);
                let number = end.strip_prefix('-').unwrap_or(end);
                let whole = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '_');
                Diagnostic::at(Code::UnexpectedText, span, "a slice is written with `..`", "expected `..`")
                    .help(format!("write `[..{}]`", shorten(end)))
                    .maybe_fix(span, whole.then(|| format!("..{end}")))
            }
            Some('-') => Diagnostic::at(Code::UnexpectedText, span, "nothing follows the `-`", "no number")
                .help("write a number such as `-200`, or `a - b`"),
            _ => Diagnostic::at(
                Code::UnexpectedText,
                span,
                format!("expected a value, found `{}`", shorten(text)),
                "not a value",
            )
            .help("write a number, a string in `\"…\"`, a name, a list `[…]` or a call `name(…)`"),
        };
        self.sink.push(diagnostic);
    }

    /// Where an entry of a block is expected; `follows` when it stands behind another on the same line.
    pub(super) fn bad_entry(&mut self, pair: &Pair, follows: bool) {
        if self.stray_closers(pair) {
            return;
        }
        let text = pair.as_str().trim_end();
        let span = self.trimmed(pair);
        let first = first_word(text);
        let diagnostic = if follows {
            self.string_prefix(span, text).unwrap_or_else(|| after_value(span, text))
        } else if text.starts_with('.') {
            self.broken_line(span)
        } else if first == "allow" {
            bare_allow(span, text)
        } else if SECTIONS.contains(&first) {
            section_without_block(self, span)
        } else if text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '_')
        {
            Diagnostic::at(Code::UnexpectedText, span, format!("`{text}` is no field"), "a number alone")
                .help(format!("write `.` for a decimal comma, as in `0.{text}`, and `_` between thousands"))
        } else if first == text && !text.is_empty() {
            Diagnostic::at(
                Code::UnexpectedText,
                span,
                format!("expected `=` and a value after `{text}`"),
                "neither a field nor a block",
            )
            .help(format!("write `{text} = …`"))
        } else {
            Diagnostic::at(Code::UnexpectedText, span, format!("cannot read `{}`", shorten(text)), "expected a field")
                .help("write `name = value`, or a block such as `train { … }`")
        };
        self.sink.push(diagnostic);
    }

    /// Where a declaration is expected; `follows` when it stands behind another on the same line.
    pub(super) fn bad_item(&mut self, pair: &Pair, follows: bool) {
        if self.stray_closers(pair) {
            return;
        }
        let text = pair.as_str().lines().next().unwrap_or("").trim_end();
        let start = pair.as_span().start();
        let span = Span::new(self.file, start, start + text.len());
        let first = first_word(text);
        let word = Span::new(self.file, start, start + first.len());
        let diagnostic = if follows {
            after_value(span, text)
        } else if text.starts_with('.') {
            self.broken_line(span)
        } else if let Some(odd) = odd_name(span, first, text) {
            odd
        } else if let Some(form) = example(first) {
            let mark = unmarked(first, text).map(|at| self.empty_span(start + at));
            let diagnostic =
                Diagnostic::at(Code::UnexpectedText, span, format!("this `{first}` is not complete"), "cannot be read")
                    .help(format!("write `{form}`"));
            match mark {
                Some(mark) => diagnostic.fix(mark, " ="),
                None => diagnostic,
            }
        } else if first == "allow" {
            bare_allow(span, text)
        } else if !first.is_empty() {
            unknown_declaration(word, first)
        } else {
            let message = format!("cannot read `{}`", shorten(text));
            Diagnostic::at(Code::UnexpectedText, span, message, "expected a declaration")
                .help(format!("write one of {}", suggest::list(&DECLARATIONS.map(|(word, _)| word))))
        };
        self.sink.push(diagnostic);
    }

    /// Indented text at the top level; `closed` is the end of the declaration above it.
    pub(super) fn stray_item(&mut self, pair: &Pair, closed: Option<usize>) {
        let start = pair.as_span().start();
        let word = first_word(pair.as_str());
        let place = Span::new(self.file, start, start + word.len());
        let diagnostic = match example(word) {
            Some(form) => {
                let message = format!("this `{word}` is indented, and stands in no block");
                Diagnostic::at(Code::UnexpectedText, place, message, "no block is open here")
                    .help(format!("begin `{form}` in the first column, or open the block above with `{{`"))
            }
            None => unknown_declaration(place, word),
        };
        let brace = closed.filter(|end| self.text[..*end].ends_with('}'));
        self.sink.push(match brace {
            Some(end) => diagnostic
                .label(Span::new(self.file, end - 1, end), "the declaration above ends here")
                .help("remove a `}` if there is one too many above"),
            None => diagnostic,
        });
    }

    /// A chunk that begins with `)`, `]` or `}`; silent where it follows from closers that are missed already.
    fn stray_closers(&mut self, pair: &Pair) -> bool {
        let text = pair.as_str();
        let Some(closer) = text.chars().next().filter(|c| ")]}".contains(*c)) else { return false };
        let start = pair.as_span().start();
        if closer == '}' || !self.unclosed.ends_before(self.text, start) {
            let span = Span::new(self.file, start, start + 1);
            let message = format!("this `{closer}` closes nothing");
            self.sink.push(
                Diagnostic::at(Code::UnexpectedText, span, message, "nothing is open here")
                    .help(format!("remove the `{closer}`, or look for one too many above"))
                    .fix(span, ""),
            );
        }
        true
    }

    /// `f"…"`, as Python writes a template; what stands before the string was read as a name.
    fn string_prefix(&self, span: Span, text: &str) -> Option<Diagnostic> {
        let before = &self.text[..span.start as usize];
        let letter = before.chars().next_back().filter(|letter| "frbuFRBU".contains(*letter))?;
        let alone = !before[..before.len() - 1].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        (alone && text.starts_with('"')).then(|| {
            let place = Span { start: span.start - 1, end: span.start, ..span };
            let message = format!("no `{letter}` stands before a string");
            Diagnostic::at(Code::UnexpectedText, place, message, "not needed")
                .help("remove the letter: `{column}` in a template is filled in as it is")
                .fix(place, "")
        })
    }

    /// A line that begins with `.`, as methods may stand in other languages.
    fn broken_line(&self, span: Span) -> Diagnostic {
        let start = span.range().start;
        let end = self.text[..start].trim_end().len();
        let line = self.text[..end].lines().next_back().unwrap_or("");
        let diagnostic = Diagnostic::at(Code::UnexpectedText, span, "a line cannot go on with `.`", "expected a field")
            .help("write the call behind the value, on the same line; only brackets go on over lines");
        match line.contains("//") || line.ends_with(['{', '}', ',']) || line.is_empty() {
            true => diagnostic,
            false => diagnostic.fix(Span::new(self.file, end, start), ""),
        }
    }

    fn trimmed(&self, pair: &Pair) -> Span {
        let start = pair.as_span().start();
        Span::new(self.file, start, start + pair.as_str().lines().next().unwrap_or("").trim_end().len())
    }
}

/// A section in other brackets than `{`, or an intervention without the `=` before its kind.
fn section_without_block(builder: &Builder<'_>, span: Span) -> Diagnostic {
    let text = &builder.text[span.range()];
    let head = text.split(['[', '(', '{']).next().unwrap_or_default().trim_end();
    let words: Vec<&str> = head.split_whitespace().collect();
    if let ["intervene", name, kind] = words.as_slice()
        && !head.contains('=')
    {
        let end = span.start as usize + head.len() - kind.len();
        let place = Span::new(span.file, end, end + kind.len());
        let message = format!("missing `=` before `{kind}`");
        return Diagnostic::at(Code::UnexpectedText, place, message, "expected `=` before this")
            .help(format!("write `intervene {name} = {kind} {{ … }}`"))
            .fix(Span { end: place.start, ..place }, "= ");
    }
    if head.len() < text.len() {
        let place = Span::new(span.file, span.start as usize + head.len(), span.end as usize);
        let bracket = builder.text[place.range()].trim_start();
        let place = Span { start: place.end - bracket.len() as u32, ..place };
        let place = Span { end: place.start + 1, ..place };
        return Diagnostic::at(Code::UnexpectedText, place, "the block of a section stands in `{ … }`", "expected `{`")
            .help(format!("write `{head} {{ … }}`"));
    }
    needs_block(span, text)
}

/// A section's keyword without its block.
pub(super) fn needs_block(span: Span, text: &str) -> Diagnostic {
    let end = Span { start: span.end, ..span };
    Diagnostic::at(
        Code::UnexpectedText,
        span,
        format!("expected `{{` after `{}`", shorten(text)),
        "a block without its braces",
    )
    .help(format!("write `{} {{ … }}`", shorten(text)))
    .fix(end, " {}")
}

/// The name in `{name}`.
fn column(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?.strip_suffix('}')?;
    (!name.is_empty() && first_word(name) == name).then_some(name)
}

/// What stands in the place of a declaration's name and is none: `2nd`, `"quoted"`, `my.run`.
fn odd_name(span: Span, keyword: &str, text: &str) -> Option<Diagnostic> {
    if !matches!(keyword, "let" | "model" | "data" | "intervention" | "experiment") {
        return None;
    }
    let rest = text.strip_prefix(keyword)?;
    let name = rest.trim_start().split(['{', '=', '(', '[', ' ', '\t']).next()?;
    if name.is_empty() || first_word(name) == name && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let start = span.start as usize + text.len() - rest.trim_start().len();
    let plain: String = name.chars().filter(|c| !"\"'“”".contains(*c)).collect();
    let mut written: String = plain.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !written.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        written.insert(0, '_');
    }
    let place = Span::new(span.file, start, start + name.len());
    let message = format!("`{}` is no name", shorten(name));
    Some(
        Diagnostic::at(Code::UnexpectedText, place, message, "a name is of the letters a to z, digits and `_`")
            .help(format!("write for example `{keyword} {written}`")),
    )
}

/// A word at the start of a declaration that declares nothing.
pub(super) fn unknown_declaration(span: Span, word: &str) -> Diagnostic {
    let words = DECLARATIONS.map(|(word, _)| word);
    let diagnostic = Diagnostic::at(
        Code::UnknownDeclaration,
        span,
        format!("`{word}` begins no declaration"),
        "unknown declaration",
    );
    if matches!(word, "import" | "include" | "from" | "require") {
        return diagnostic.help("write `use \"path.reft\" as name`");
    }
    if SECTIONS.contains(&word) {
        return diagnostic.help(format!("move `{word}` into an `experiment name {{ … }}`"));
    }
    match suggest::near(word, words).first() {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).maybe_fix(span, suggest::slip_of(word, words)),
        None => diagnostic.help(format!(
            "write one of {}; a field such as `{word} = …` stands inside a block",
            suggest::list(&words)
        )),
    }
}

/// Where the `=` is missing in `let rate 3`: behind the name, or behind the keyword where there is no name.
fn unmarked(keyword: &str, text: &str) -> Option<usize> {
    let rest = text.get(keyword.len()..)?;
    let gap = rest.len() - rest.trim_start().len();
    let end = match keyword {
        "let" | "model" | "intervention" => keyword.len() + gap + first_word(rest.trim_start()).len(),
        "edition" => keyword.len(),
        _ => return None,
    };
    let value = text.get(end..)?;
    let begins = value.trim_start().starts_with(|c: char| c.is_alphanumeric() || "\"[-_".contains(c));
    (value.starts_with([' ', '\t']) && begins).then_some(end)
}

fn after_value(span: Span, text: &str) -> Diagnostic {
    let message = format!("unexpected `{}` after the value", shorten(text));
    let diagnostic = Diagnostic::at(Code::UnexpectedText, span, message, "does not belong to the value");
    match text.chars().next() {
        Some('*' | '/' | '^') => diagnostic.help("write the result; what there is are `+`, `-`, `*` and `/`"),
        Some('%') => diagnostic.help("a spec fills in no text; a template names its columns: `\"{question}\"`"),
        _ if text.starts_with("and ") => diagnostic.help("write each comparison on a line of its own"),
        Some('{') => diagnostic.help("only declarations and sections have a block; remove it"),
        _ => diagnostic.help("end the value with a line break or `,`"),
    }
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The text in one line of at most 30 characters, with invisible characters spelled out.
pub(super) fn shorten(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or("").trim_end();
    let mut shown = String::new();
    for (count, character) in line.chars().enumerate() {
        if count == 30 {
            shown.push('…');
            return shown;
        }
        let invisible = character.is_control() || (character.is_whitespace() && character != ' ');
        match character {
            '\u{200b}'..='\u{200f}' | '\u{feff}' => shown.push_str(&format!("U+{:04X}", character as u32)),
            _ if invisible => shown.push_str(&format!("U+{:04X}", character as u32)),
            _ => shown.push(character),
        }
    }
    if line.len() < text.trim().len() {
        shown.push('…');
    }
    shown
}
