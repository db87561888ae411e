//! The declarations at the top level.

use super::allow::bare_allow;
use super::block::Parts;
use super::chunk::unknown_declaration;
use super::{Builder, Pair, Rule};
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::Span;
use crate::syntax::tree::{Expr, ExprKind, Ident, Item, ItemKind};

/// The words that begin declarations, each with its form.
pub(super) const DECLARATIONS: [(&str, &str); 7] = [
    ("edition", "edition = 1"),
    ("use", "use \"path.reft\" as name"),
    ("let", "let name = value"),
    ("model", "model name = hf(\"org/name\")"),
    ("data", "data name { … }"),
    ("intervention", "intervention name = loreft { … }"),
    ("experiment", "experiment name { … }"),
];

/// The words that begin sections of an experiment.
pub(super) const SECTIONS: [&str; 5] = ["intervene", "train", "eval", "sweep", "expect"];

/// How a declaration with this keyword is written.
pub(super) fn example(keyword: &str) -> Option<&'static str> {
    DECLARATIONS.iter().find(|(word, _)| *word == keyword).map(|(_, form)| *form)
}

impl<'t> Builder<'_> {
    /// The file's own documentation and its declarations.
    pub(super) fn items(&mut self, pair: Pair<'t>) -> (String, Vec<Item>) {
        let mut items = Vec::new();
        let (mut file_doc, mut doc) = (Vec::new(), Vec::new());
        let mut previous: Option<(usize, bool)> = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::EOI => {}
                Rule::comment => {
                    doc.extend(self.doc_line(&part, "///"));
                    if items.is_empty() {
                        file_doc.extend(self.doc_line(&part, "//!"));
                    }
                }
                Rule::foreign_comment => self.foreign_comment(&part),
                Rule::semicolon => self.semicolon(&part),
                Rule::stray_item => {
                    self.stray_item(&part, previous.map(|(end, _)| end));
                    let span = self.span(&part);
                    previous = Some((part.as_span().end(), true));
                    items.push(Item { doc: std::mem::take(&mut doc).join("\n"), kind: ItemKind::Bad, span });
                }
                rule => {
                    let start = part.as_span().start();
                    let joined = previous.filter(|(end, _)| !self.text[*end..start].contains(['\n', ';']));
                    let bad = rule == Rule::bad_item;
                    if let Some((before, false)) = joined
                        && !bad
                    {
                        self.missing_line_break(before, start, &part);
                    }
                    previous = Some((part.as_span().end(), bad));
                    let span = self.span(&part);
                    let kind = match rule {
                        Rule::use_item => self.use_item(part),
                        Rule::let_item => self.let_item(part),
                        Rule::allow => ItemKind::Allow(self.allow(part)),
                        Rule::declaration => self.declaration(part),
                        _ => {
                            self.bad_item(&part, joined.is_some());
                            ItemKind::Bad
                        }
                    };
                    items.push(Item { doc: std::mem::take(&mut doc).join("\n"), kind, span });
                }
            }
        }
        (file_doc.join("\n"), items)
    }

    fn missing_line_break(&mut self, before: usize, start: usize, item: &Pair) {
        let word = item.as_str().split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
        self.sink.push(
            Diagnostic::at(
                Code::MissingSeparator,
                Span::new(self.file, start, start + word.len().max(1)),
                format!("missing line break before `{word}`"),
                "expected a new line before this",
            )
            .help("begin each declaration on a line of its own")
            .fix(Span::new(self.file, before, start), "\n"),
        );
    }

    fn use_item(&mut self, pair: Pair<'t>) -> ItemKind {
        let mut path = None;
        let mut name = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::use_word | Rule::as_word => {}
                Rule::name => name = Some(self.name(&part)),
                _ => path = Some(Expr { span: self.span(&part), kind: self.string(&part) }),
            }
        }
        let Some(path) = path else { return ItemKind::Bad };
        let name = name.unwrap_or_else(|| self.missing_namespace(&path));
        ItemKind::Use { path, name }
    }

    /// `use "path.reft"` without `as name`; the name of the file serves.
    fn missing_namespace(&mut self, path: &Expr) -> Ident {
        let end = self.empty_span(path.span.end as usize);
        let stem = match &path.kind {
            ExprKind::String(text) => text.rsplit('/').next().and_then(|file| file.split('.').next()).unwrap_or("name"),
            _ => "name",
        };
        let mut text: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            text.insert(0, '_');
        }
        if path.kind != ExprKind::Bad {
            self.sink.push(
                Diagnostic::at(
                    Code::UnexpectedText,
                    path.span,
                    "a `use` names what it brings in",
                    "expected `as` after this",
                )
                .help(format!("write `use {} as {text}`", &self.text[path.span.range()]))
                .fix(end, format!(" as {text}")),
            );
        }
        Ident { text, span: end }
    }

    fn let_item(&mut self, pair: Pair<'t>) -> ItemKind {
        let type_name =
            pair.clone().into_inner().find(|part| part.as_rule() == Rule::word).map(|part| self.ident(&part));
        let parts = self.parts(pair.into_inner());
        let (Some(name), Some(mark)) = (parts.name, parts.mark) else { return ItemKind::Bad };
        let value = self.value(parts.value, mark.as_span().end());
        ItemKind::Let { name, type_name, value }
    }

    fn declaration(&mut self, pair: Pair<'t>) -> ItemKind {
        let span = self.span(&pair);
        let mut pairs = pair.into_inner();
        let Some(keyword) = pairs.next().map(|word| self.ident(&word)) else { return ItemKind::Bad };
        let parts = self.parts(pairs);
        let word = match example(&keyword.text) {
            Some(_) => keyword.text.clone(),
            None if keyword.text == "allow" => {
                self.sink.push(bare_allow(span, &self.text[span.range()]));
                String::new()
            }
            None => {
                self.sink.push(unknown_declaration(keyword.span, &keyword.text));
                let section = SECTIONS.contains(&keyword.text.as_str());
                let near = suggest::near(&keyword.text, DECLARATIONS.map(|(word, _)| word));
                near.first()
                    .filter(|_| !section && parts.name.is_some())
                    .map_or(String::new(), |near| (*near).to_owned())
            }
        };
        self.declared(&word, &keyword, parts, span)
    }

    /// Builds what `word` declares; `keyword` is the word as it was written.
    fn declared(&mut self, word: &str, keyword: &Ident, parts: Parts<'t>, span: Span) -> ItemKind {
        let mark = parts.mark.as_ref().map(|mark| mark.as_span().end());
        let wants_value = matches!(word, "model" | "intervention" | "edition" | "let");
        let wants_name = !matches!(word, "edition" | "");
        let Some(form) = example(word) else {
            self.rest(parts, "");
            return ItemKind::Bad;
        };
        if wants_name && parts.name.is_none() {
            self.incomplete(keyword.span, format!("this `{word}` has no name"), "expected a name after this", form);
            self.rest(parts, word);
            return ItemKind::Bad;
        }
        if let Some(parent) = parts.parent.as_ref().filter(|_| word != "experiment") {
            self.incomplete(parent.span, "only an experiment extends another".to_owned(), "not allowed here", form);
        }
        if let Some(mark) = parts.mark.as_ref().filter(|_| !wants_value) {
            match parts.value {
                None if parts.block.is_some() => {
                    let name = parts.name.as_ref().map_or(String::new(), |name| format!(" {}", name.text));
                    self.block_with_equals(mark, &format!("{}{name}", keyword.text));
                }
                _ => {
                    let place = self.span(mark);
                    self.incomplete(place, format!("a `{word}` takes no value"), "expected `{`", form);
                }
            }
        }
        if wants_value && mark.is_none() {
            let place = parts.name.as_ref().map_or(keyword.span, |name| name.span);
            self.incomplete(place, format!("this `{word}` has no value"), "expected `=` after this", form);
        }
        if let Some(name) = parts.name.as_ref().filter(|_| word == "edition") {
            self.incomplete(name.span, "an `edition` has no name".to_owned(), "not allowed here", form);
        }
        if let Some(block) = parts.block.as_ref().filter(|_| matches!(word, "edition" | "let")) {
            let brace = Span::new(self.file, block.as_span().start(), block.as_span().start() + 1);
            self.incomplete(brace, format!("a `{word}` has no block"), "not allowed here", form);
        }
        let end = span.end as usize;
        let value = match mark {
            Some(after) if wants_value || parts.value.is_some() => self.value(parts.value, after),
            _ => Expr { kind: ExprKind::Bad, span: self.empty_span(end) },
        };
        let name = parts.name.unwrap_or_else(|| keyword.clone());
        match word {
            "edition" => {
                self.rest(Parts { block: parts.block, ..Parts::default() }, word);
                ItemKind::Edition { value }
            }
            "let" => {
                self.rest(Parts { block: parts.block, ..Parts::default() }, word);
                ItemKind::Let { name, type_name: None, value }
            }
            "model" => ItemKind::Model { name, value, body: parts.block.map(|block| self.block(block, word)) },
            "data" => ItemKind::Data { name, body: self.block_or_empty(parts.block, word, end) },
            "intervention" => {
                ItemKind::Intervention { name, value, body: parts.block.map(|block| self.block(block, word)) }
            }
            "experiment" => {
                ItemKind::Experiment { name, parent: parts.parent, body: self.block_or_empty(parts.block, word, end) }
            }
            _ => ItemKind::Bad,
        }
    }

    /// Looks for errors inside parts that the tree has no place for.
    fn rest(&mut self, parts: Parts<'t>, keyword: &str) {
        if let (Some(mark), Some(value)) = (&parts.mark, parts.value) {
            self.value(Some(value), mark.as_span().end());
        }
        if let Some(block) = parts.block {
            self.block(block, keyword);
        }
    }

    fn incomplete(&mut self, place: Span, message: String, label: &str, form: &str) {
        self.sink.push(Diagnostic::at(Code::UnexpectedText, place, message, label).help(format!("write `{form}`")));
    }
}
