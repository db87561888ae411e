//! Blocks and their entries.

use super::allow::bare_allow;
use super::chunk::{needs_block, shorten};
use super::declaration::{DECLARATIONS, SECTIONS};
use super::{Builder, Pair, Rule};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::tree::{Block, Comparison, Entry, Expr, ExprKind, Field, Ident, Path, Remove, Section};

/// The block that an entry stands in.
#[derive(Clone, Copy)]
struct Inside<'k> {
    keyword: &'k str,
    /// Whether it is the block of a section, not of a declaration.
    section: bool,
}

/// The parts of a statement or a declaration behind its keyword.
#[derive(Default)]
pub(super) struct Parts<'t> {
    pub name: Option<Ident>,
    pub parent: Option<Path>,
    /// `=`, or what stands for it.
    pub mark: Option<Pair<'t>>,
    pub value: Option<Pair<'t>>,
    pub block: Option<Pair<'t>>,
}

impl<'t> Builder<'_> {
    /// Sorts what follows the keyword, and reports a `:` for `=` and a `{` on a line of its own.
    pub(super) fn parts(&mut self, pairs: impl Iterator<Item = Pair<'t>>) -> Parts<'t> {
        let mut parts = Parts::default();
        for pair in pairs {
            match pair.as_rule() {
                Rule::name => parts.name = Some(self.name(&pair)),
                Rule::path => parts.parent = Some(self.path(&pair)),
                Rule::equals | Rule::colon_equals | Rule::compare => parts.mark = Some(pair),
                Rule::value => parts.value = Some(pair).filter(|pair| pair.clone().into_inner().next().is_some()),
                Rule::block | Rule::inner_block => parts.block = Some(pair),
                Rule::lost_newline => self.lost_newline(&pair),
                _ => {}
            }
        }
        if let Some(mark) = parts.mark.as_ref().filter(|mark| mark.as_rule() == Rule::colon_equals)
            && (parts.value.is_some() || parts.block.is_none())
        {
            self.colon_for_equals(mark);
        }
        parts
    }

    fn colon_for_equals(&mut self, mark: &Pair) {
        let span = self.span(mark);
        let before = &self.text[..span.range().start];
        let spaced = before.ends_with([' ', '\t']);
        let name = before.trim_end().rsplit(|c: char| c.is_whitespace() || "{,".contains(c)).next().unwrap_or("name");
        self.sink.push(
            Diagnostic::at(
                Code::ColonForEquals,
                span,
                format!("`{}` is set with `=`, not with `{}`", shorten(name), mark.as_str()),
                "expected `=`",
            )
            .help(format!("write `{} = …`", shorten(name)))
            .fix(span, if spaced { "=" } else { " =" }),
        );
    }

    fn lost_newline(&mut self, pair: &Pair) {
        let span = self.span(pair);
        let brace = Span { start: span.end, end: span.end + 1, ..span };
        let start = self.text[..span.range().start].trim_end().len();
        self.sink.push(
            Diagnostic::at(
                Code::UnexpectedText,
                brace,
                "a `{` stands on the line that it belongs to",
                "on its own line",
            )
            .help("write the `{` at the end of the line above")
            .fix(Span::new(self.file, start, span.range().end), " "),
        );
    }

    /// The block of a section or declaration with this keyword.
    pub(super) fn block(&mut self, pair: Pair<'t>, keyword: &str) -> Block {
        let span = self.span(&pair);
        let entries = self.deeper(span, |builder| builder.entries(pair, keyword));
        Block { entries: entries.unwrap_or_else(|| vec![Entry::Bad(span)]), span }
    }

    /// The block, or a bad one right behind what needs it: that it is missing was reported.
    pub(super) fn block_or_empty(&mut self, pair: Option<Pair<'t>>, keyword: &str, end: usize) -> Block {
        match pair {
            Some(pair) => self.block(pair, keyword),
            None => Block { entries: vec![Entry::Bad(self.empty_span(end))], span: self.empty_span(end) },
        }
    }

    fn entries(&mut self, pair: Pair<'t>, keyword: &str) -> Vec<Entry> {
        let opener = Span::new(self.file, pair.as_span().start(), pair.as_span().start() + 1);
        let inside = Inside { keyword, section: pair.as_rule() == Rule::inner_block };
        let mut entries: Vec<Entry> = Vec::new();
        let mut doc: Vec<&str> = Vec::new();
        let mut previous: Option<(Span, bool)> = None;
        let mut end = opener.end as usize;
        let mut closed = false;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::open_brace | Rule::comma => continue,
                Rule::comment => doc.extend(self.doc_line(&part, "///")),
                Rule::foreign_comment => self.foreign_comment(&part),
                Rule::semicolon => self.semicolon(&part),
                Rule::close_brace => {
                    closed = true;
                    self.unclosed.closed(self.text, opener, part.as_span().start());
                }
                _ => {
                    let start = part.as_span().start();
                    end = part.as_span().end();
                    let bad = part.as_rule() == Rule::bad_entry;
                    let joined = previous
                        .filter(|(before, _)| !self.text[before.end as usize..start].contains(['\n', ',', ';']));
                    if let Some((before, false)) = joined
                        && !bad
                    {
                        self.missing_separator(before, &part);
                    }
                    previous = Some((self.span(&part), bad));
                    let doc = std::mem::take(&mut doc).join("\n");
                    entries.push(self.entry(part, doc, inside, joined.is_some()));
                }
            }
        }
        if !closed {
            self.unclosed.push(self.text, opener, end);
        }
        entries
    }

    fn missing_separator(&mut self, before: Span, entry: &Pair) {
        let start = entry.as_span().start();
        let first = Span::new(self.file, start, start + entry.as_str().find([' ', '=', '{', ':']).unwrap_or(1).max(1));
        let left = self.text[before.range()].split_whitespace().collect::<Vec<_>>().join(" ");
        self.sink.push(
            Diagnostic::at(
                Code::MissingSeparator,
                first,
                format!("missing `,` or line break before `{}`", &self.text[first.range()]),
                "expected `,` before this",
            )
            .help(format!("write `{}, {}`, or begin a new line", shorten(&left), shorten(entry.as_str())))
            .fix(Span::new(self.file, before.end as usize, start), ", "),
        );
    }

    fn entry(&mut self, pair: Pair<'t>, doc: String, inside: Inside, follows: bool) -> Entry {
        let span = self.span(&pair);
        match pair.as_rule() {
            Rule::remove => {
                let mut words = pair.into_inner().filter(|part| part.as_rule() == Rule::word);
                match (words.next(), words.next()) {
                    (Some(keyword), _) if inside.section && keyword.as_str() == "intervene" => {
                        self.misplaced("remove", inside, span);
                        Entry::Bad(span)
                    }
                    (Some(keyword), Some(name)) => {
                        Entry::Remove(Remove { keyword: self.ident(&keyword), name: self.ident(&name), span })
                    }
                    _ => Entry::Bad(span),
                }
            }
            Rule::allow => Entry::Allow(self.allow(pair)),
            Rule::statement => self.statement(pair, doc, inside),
            Rule::no_equals => self.no_equals(pair, doc),
            _ if inside.keyword == "expect" && !follows && pair.as_str().contains(['<', '>', '=']) => {
                self.sink.push(
                    Diagnostic::at(
                        Code::UnexpectedText,
                        span,
                        "a comparison begins with what is measured",
                        "not a name",
                    )
                    .help("write for example `eval.test.exact_match >= 72%`"),
                );
                Entry::Bad(span)
            }
            _ => {
                self.bad_entry(&pair, follows);
                Entry::Bad(span)
            }
        }
    }

    fn statement(&mut self, pair: Pair<'t>, doc: String, inside: Inside) -> Entry {
        let span = self.span(&pair);
        let mut pairs = pair.into_inner();
        let Some(name) = pairs.next().map(|name| self.path(&name)) else { return Entry::Bad(span) };
        let parts = self.parts(pairs);
        let Some(mark) = parts.mark.clone() else { return self.section(name, parts, doc, inside, span) };
        if parts.block.is_some() {
            return self.section(name, parts, doc, inside, span);
        }
        if let Some(second) = &parts.name {
            if name.text() == "intervene" && mark.as_rule() != Rule::compare {
                // What the value names may say all of its fields.
                return self.section(name, parts, doc, inside, span);
            }
            let words = format!("{} {}", name.text(), second.text);
            return match self.two_words(&name, Some(second), &words, span) {
                true => self.section(name, parts, doc, inside, span),
                false => {
                    let _ = self.value(parts.value, mark.as_span().end());
                    Entry::Bad(span)
                }
            };
        }
        if let Some(place) = self.turned_comparison(&mark, inside) {
            return Entry::Bad(name.span.to(place));
        }
        let value = self.value(parts.value, mark.as_span().end());
        let span = name.span.to(self.span(&mark)).to(value.span);
        let compares = mark.as_rule() == Rule::compare;
        if inside.keyword == "expect" {
            return self.comparison(name, mark, value, span);
        }
        if compares && mark.as_str() != "==" {
            self.misplaced_comparison(&mark);
            return Entry::Bad(span);
        }
        if compares {
            let place = self.span(&mark);
            self.sink.push(
                Diagnostic::at(Code::UnexpectedText, place, "a field is set with `=`, not with `==`", "expected `=`")
                    .help(format!("write `{} = …`", name.text()))
                    .fix(place, "="),
            );
        }
        Entry::Field(Field { doc, name, value, span })
    }

    /// `=>` and `=<` for `>=` and `<=`, which are reported.
    fn turned_comparison(&mut self, mark: &Pair, inside: Inside) -> Option<Span> {
        let start = mark.as_span().start();
        let sign = match self.text.get(start..start + 2)? {
            "=>" => ">=",
            "=<" => "<=",
            _ => return None,
        };
        if inside.keyword != "expect" {
            return None;
        }
        let place = Span::new(self.file, start, start + 2);
        let message = format!("a comparison is written `{sign}`");
        self.sink.push(
            Diagnostic::at(Code::UnexpectedText, place, message, "the other way round")
                .help(format!("write `{sign}`"))
                .fix(place, sign),
        );
        Some(place)
    }

    fn misplaced_comparison(&mut self, mark: &Pair) {
        let message = format!("a comparison with `{}` stands only in `expect`", mark.as_str());
        self.sink.push(
            Diagnostic::at(Code::UnexpectedText, self.span(mark), message, "expected `=`")
                .help("write `name = value`, or move the comparison into `expect { … }`"),
        );
    }

    fn comparison(&mut self, left: Path, mark: Pair, right: Expr, span: Span) -> Entry {
        let mut operator = self.ident(&mark);
        if mark.as_rule() == Rule::equals {
            self.sink.push(
                Diagnostic::at(
                    Code::UnexpectedText,
                    operator.span,
                    "`expect` compares, it sets nothing",
                    "expected `==`",
                )
                .help(format!("write `{} == …`", left.text()))
                .fix(operator.span, "=="),
            );
        }
        if mark.as_rule() != Rule::compare {
            "==".clone_into(&mut operator.text);
        }
        Entry::Comparison(Comparison { left, operator, right, span })
    }

    /// `name other = value` without a block: whether it is a section that lacks its block.
    fn two_words(&mut self, first: &Path, second: Option<&Ident>, words: &str, span: Span) -> bool {
        let keyword = first.text();
        if SECTIONS.contains(&keyword.as_str()) {
            self.sink.push(needs_block(span, &self.text[span.range()]));
            return true;
        }
        let diagnostic = if DECLARATIONS.iter().any(|(word, _)| *word == keyword) {
            Diagnostic::at(
                Code::UnexpectedText,
                first.span,
                format!("a `{keyword}` stands at the top level, not inside a block"),
                "not allowed here",
            )
            .help(format!("move the `{keyword}` out of the block"))
        } else {
            Diagnostic::at(
                Code::UnexpectedText,
                first.span,
                format!("a field has one name, not `{words}`"),
                "two words",
            )
            .help(format!("write `{} = …`", words.replace(' ', "_")))
            .maybe_fix(
                second.map_or(first.span, |second| first.span.to(second.span)),
                second.map(|_| words.replace(' ', "_")),
            )
        };
        self.sink.push(diagnostic);
        false
    }

    fn section(&mut self, name: Path, parts: Parts<'t>, doc: String, inside: Inside, span: Span) -> Entry {
        let [keyword] = name.segments.as_slice() else {
            let message = format!("the keyword of a block is one word, not `{}`", name.text());
            self.sink.push(
                Diagnostic::at(Code::UnexpectedText, name.span, message, "expected one word")
                    .help("write `keyword name { … }`"),
            );
            if let Some(block) = parts.block {
                self.block(block, "");
            }
            return Entry::Bad(span);
        };
        if let (Some(mark), None) = (&parts.mark, &parts.value) {
            if let Some(block) = parts.block.as_ref().filter(|_| !SECTIONS.contains(&keyword.text.as_str())) {
                self.bad_value(block);
                let value = Expr { kind: ExprKind::Bad, span: self.span(block) };
                return Entry::Field(Field { doc, name, value, span });
            }
            self.block_with_equals(mark, &keyword.text);
        }
        if inside.section && SECTIONS.contains(&keyword.text.as_str()) {
            self.misplaced(&keyword.text, inside, keyword.span);
            return Entry::Bad(span);
        }
        let value = match (parts.mark, parts.value) {
            (Some(mark), Some(value)) => Some(self.value(Some(value), mark.as_span().end())),
            _ => None,
        };
        let body = self.block_or_empty(parts.block, &keyword.text, span.end as usize);
        Entry::Section(Section { doc, keyword: keyword.clone(), name: parts.name, value, body, span })
    }

    /// A section of an experiment inside another. At the start of a line it would have ended the other's block.
    fn misplaced(&mut self, word: &str, inside: Inside, place: Span) {
        let message = format!("`{word}` cannot stand inside `{}`", inside.keyword);
        self.sink.push(
            Diagnostic::at(Code::MisplacedBlock, place, message, "not allowed here")
                .help(format!("move `{word}` behind the `}}` of `{}`", inside.keyword)),
        );
    }

    /// `train = { … }`
    pub(super) fn block_with_equals(&mut self, mark: &Pair, keyword: &str) {
        let span = self.span(mark);
        let start = self.text[..span.range().start].trim_end().len();
        self.sink.push(
            Diagnostic::at(
                Code::UnexpectedText,
                span,
                format!("no `{}` stands before a block", mark.as_str()),
                "expected `{`",
            )
            .help(format!("write `{keyword} {{ … }}`"))
            .fix(Span::new(self.file, start, span.range().end), ""),
        );
    }

    /// `rank 4`
    fn no_equals(&mut self, pair: Pair<'t>, doc: String) -> Entry {
        let span = self.span(&pair);
        let text = pair.as_str();
        let mut pairs = pair.into_inner();
        let Some(name) = pairs.next().map(|name| self.path(&name)) else { return Entry::Bad(span) };
        let word = name.text();
        let top_level = DECLARATIONS.iter().any(|(keyword, _)| *keyword == word);
        if SECTIONS.contains(&word.as_str()) {
            self.sink.push(needs_block(span, text));
            return Entry::Bad(span);
        }
        if word == "allow" {
            self.sink.push(bare_allow(span, text));
            return Entry::Bad(span);
        }
        if word == "remove" {
            self.sink.push(
                Diagnostic::at(Code::UnexpectedText, span, "`remove` names what it removes", "not complete")
                    .help("write `remove intervene name` or `remove eval name`"),
            );
            return Entry::Bad(span);
        }
        if top_level && matches!(word.as_str(), "let" | "use" | "experiment" | "intervention") {
            self.two_words(&name, None, text, span);
            return Entry::Bad(span);
        }
        let end = self.empty_span(name.span.end as usize);
        let behind = &self.text[end.range().start..span.range().end];
        let gap = behind.len() - behind.trim_start_matches([' ', '\t']).len();
        let rest = shorten(&self.text[name.span.range().end..span.range().end]);
        self.sink.push(
            Diagnostic::at(
                Code::UnexpectedText,
                name.span,
                format!("missing `=` after `{word}`"),
                "expected `=` after this",
            )
            .help(format!("write `{word} = {rest}`"))
            .fix(Span { end: end.end + gap as u32, ..end }, " = "),
        );
        let value = match pairs.next() {
            Some(expression) => self.expression(expression),
            None => Expr { kind: ExprKind::Bad, span: end },
        };
        Entry::Field(Field { doc, name, value, span })
    }
}
