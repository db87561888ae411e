//! What each word of a spec is, for colours: in reports, and in editors, whose tokens know the language's tables too.

use crate::source::{FileId, Span};
use crate::syntax::parse;
use crate::syntax::tree::{Argument, Block, Entry, Expr, ExprKind, File, Item, ItemKind, Path};
use std::collections::BTreeMap;
use std::ops::Range;

/// The sorts of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Keyword,
    Namespace,
    Variable,
    Struct,
    Class,
    Property,
    Function,
    EnumMember,
    Parameter,
    String,
    Number,
    Comment,
}

impl Sort {
    /// In one word, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Sort::Keyword => "keyword",
            Sort::Namespace => "namespace",
            Sort::Variable => "variable",
            Sort::Struct => "struct",
            Sort::Class => "class",
            Sort::Property => "property",
            Sort::Function => "function",
            Sort::EnumMember => "member",
            Sort::Parameter => "parameter",
            Sort::String => "string",
            Sort::Number => "number",
            Sort::Comment => "comment",
        }
    }
}

/// The words of a text that have a sort.
pub struct Words<'t> {
    text: &'t str,
    /// By where they begin: where they end.
    found: BTreeMap<usize, (usize, Sort)>,
}

/// Every word of a text, as far as the file alone tells: names that it declares, and words of the language for all others.
pub fn words(text: &str) -> Vec<(Range<usize>, Sort)> {
    let (tree, _) = parse(FileId(0), text);
    let mut words = Words::of(&tree, text);
    let names: BTreeMap<&str, Sort> = tree.items.iter().filter_map(declared).collect();
    for expr in expressions(&tree) {
        match &expr.kind {
            ExprKind::Word(path) => words.path(path, &names),
            ExprKind::String(_) => words.template(expr.span),
            _ => {}
        }
    }
    words.sorted()
}

/// The name that an item declares.
fn declared(item: &Item) -> Option<(&str, Sort)> {
    Some(match &item.kind {
        ItemKind::Use { name, .. } => (&name.text, Sort::Namespace),
        ItemKind::Let { name, .. } | ItemKind::Model { name, .. } | ItemKind::Intervention { name, .. } => {
            (&name.text, Sort::Variable)
        }
        ItemKind::Data { name, .. } => (&name.text, Sort::Struct),
        ItemKind::Experiment { name, .. } => (&name.text, Sort::Class),
        ItemKind::Edition { .. } | ItemKind::Allow(_) | ItemKind::Bad => return None,
    })
}

/// Every expression of a file, outer ones first.
fn expressions(tree: &File) -> Vec<&Expr> {
    let mut found: Vec<&Expr> = Vec::new();
    for item in &tree.items {
        match &item.kind {
            ItemKind::Edition { value } | ItemKind::Let { value, .. } => found.push(value),
            ItemKind::Model { value, body, .. } | ItemKind::Intervention { value, body, .. } => {
                found.push(value);
                body.iter().for_each(|body| of_block(body, &mut found));
            }
            ItemKind::Data { body, .. } | ItemKind::Experiment { body, .. } => of_block(body, &mut found),
            ItemKind::Use { .. } | ItemKind::Allow(_) | ItemKind::Bad => {}
        }
    }
    let mut at = 0;
    while let Some(expr) = found.get(at) {
        found.extend(expr.children());
        at += 1;
    }
    found
}

fn of_block<'t>(block: &'t Block, found: &mut Vec<&'t Expr>) {
    for entry in &block.entries {
        match entry {
            Entry::Field(field) => found.push(&field.value),
            Entry::Section(section) => {
                found.extend(&section.value);
                of_block(&section.body, found);
            }
            Entry::Comparison(comparison) => found.push(&comparison.right),
            Entry::Remove(_) | Entry::Allow(_) | Entry::Bad(_) => {}
        }
    }
}

impl<'t> Words<'t> {
    /// What the shape of the tree tells, whatever names and words mean.
    pub fn of(tree: &File, text: &'t str) -> Self {
        let mut words = Self { text, found: BTreeMap::new() };
        tree.items.iter().for_each(|item| words.item(item));
        expressions(tree).into_iter().for_each(|expr| words.expression(expr));
        tree.comments.iter().for_each(|comment| words.add(comment.span.range(), Sort::Comment));
        words
    }

    /// Says what a word is, whatever was said of it before.
    pub fn add(&mut self, range: Range<usize>, sort: Sort) {
        if !range.is_empty() {
            self.found.insert(range.start, (range.end, sort));
        }
    }

    /// A string whose `{column}` places stand out in it.
    pub fn template(&mut self, span: Span) {
        let mut at = span.start as usize;
        for column in columns(self.text.get(span.range()).unwrap_or_default()) {
            let column = span.start as usize + column.start..span.start as usize + column.end;
            self.add(at..column.start, Sort::String);
            at = column.end;
            self.add(column, Sort::Variable);
        }
        self.add(at..span.end as usize, Sort::String);
    }

    /// The words in order; of two that overlap, the one that begins first.
    pub fn sorted(self) -> Vec<(Range<usize>, Sort)> {
        let mut sorted: Vec<(Range<usize>, Sort)> = Vec::new();
        for (start, (end, sort)) in self.found {
            if sorted.last().is_none_or(|(before, _)| before.end <= start) {
                sorted.push((start..end, sort));
            }
        }
        sorted
    }

    fn item(&mut self, item: &Item) {
        let start = item.span.start as usize;
        let word = |text: &str| text.chars().take_while(|letter| letter.is_ascii_alphabetic()).count();
        let text = self.text.get(item.span.range()).unwrap_or_default();
        match &item.kind {
            ItemKind::Bad => return,
            ItemKind::Use { path, name } => {
                self.add(path.span.range(), Sort::String);
                self.between(path.span, name.span, "as");
            }
            ItemKind::Experiment { name, parent: Some(parent), .. } => {
                self.between(name.span, parent.span, "extends");
                self.add(parent.span.range(), Sort::Class);
            }
            ItemKind::Let { type_name: Some(word), .. } => self.add(word.span.range(), Sort::EnumMember),
            _ => {}
        }
        self.add(start..start + word(text), Sort::Keyword);
        match &item.kind {
            ItemKind::Use { name, .. } => self.add(name.span.range(), Sort::Namespace),
            ItemKind::Let { name, .. } => self.add(name.span.range(), Sort::Variable),
            ItemKind::Model { name, body, .. } | ItemKind::Intervention { name, body, .. } => {
                self.add(name.span.range(), Sort::Variable);
                body.iter().for_each(|body| self.block(body));
            }
            ItemKind::Data { name, body } => {
                self.add(name.span.range(), Sort::Struct);
                self.block(body);
            }
            ItemKind::Experiment { name, body, .. } => {
                self.add(name.span.range(), Sort::Class);
                self.block(body);
            }
            ItemKind::Allow(allow) => allow.names.iter().for_each(|name| self.add(name.span.range(), Sort::EnumMember)),
            ItemKind::Edition { .. } | ItemKind::Bad => {}
        }
    }

    fn block(&mut self, block: &Block) {
        for entry in &block.entries {
            match entry {
                Entry::Field(field) => self.add(field.name.span.range(), Sort::Property),
                Entry::Section(section) => {
                    self.add(section.keyword.span.range(), Sort::Keyword);
                    section.name.iter().for_each(|name| self.add(name.span.range(), Sort::Variable));
                    self.block(&section.body);
                }
                Entry::Comparison(comparison) => self.add(comparison.left.span.range(), Sort::Property),
                Entry::Remove(remove) => {
                    self.add(remove.span.start as usize..remove.keyword.span.end as usize, Sort::Keyword);
                    self.add(remove.name.span.range(), Sort::Variable);
                }
                Entry::Allow(allow) => {
                    self.add(allow.keyword.span.range(), Sort::Keyword);
                    allow.names.iter().for_each(|name| self.add(name.span.range(), Sort::EnumMember));
                }
                Entry::Bad(_) => {}
            }
        }
    }

    fn expression(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Ratio(_) | ExprKind::Size(_) => {
                self.add(expr.span.range(), Sort::Number);
            }
            ExprKind::Bool(_) => self.add(expr.span.range(), Sort::EnumMember),
            ExprKind::String(_) => self.add(expr.span.range(), Sort::String),
            ExprKind::Call { name, arguments } => {
                self.add(name.span.range(), Sort::Function);
                self.arguments(arguments);
            }
            ExprKind::Method { name, .. } => self.add(name.span.range(), Sort::Function),
            _ => {}
        }
    }

    fn arguments(&mut self, arguments: &[Argument]) {
        for name in arguments.iter().filter_map(|argument| argument.name.as_ref()) {
            self.add(name.span.range(), Sort::Parameter);
        }
    }

    /// A declared name, or a word of the language.
    fn path(&mut self, path: &Path, names: &BTreeMap<&str, Sort>) {
        let Some(first) = path.segments.first() else { return };
        match (names.get(first.text.as_str()), path.segments.len()) {
            (Some(sort), _) => self.add(first.span.range(), *sort),
            (None, 1) => self.add(first.span.range(), Sort::EnumMember),
            (None, _) => self.add(path.span.range(), Sort::Property),
        }
    }

    /// A keyword between two places.
    fn between(&mut self, before: Span, after: Span, keyword: &str) {
        let start = before.end as usize;
        let between = self.text.get(start..after.start as usize).unwrap_or_default();
        if let Some(at) = between.find(keyword) {
            self.add(start + at..start + at + keyword.len(), Sort::Keyword);
        }
    }
}

/// The `{column}` places of a literal.
fn columns(literal: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(step) = literal[at..].find(['{', '}']) {
        at += step;
        let rest = &literal[at..];
        let doubled = rest.starts_with("{{") || rest.starts_with("}}");
        let length = if doubled { 2 } else { rest.find('}').map_or(rest.len(), |end| end + 1) };
        if !doubled && rest.starts_with('{') {
            found.push(at..at + length);
        }
        at += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_sorts() {
        let text =
            "model m = hf(\"a/b\") // c\ndata d { prompt = \"{q}?\" }\nexperiment e { data = d\n layers = all }\n";
        let words = words(text);
        let found: Vec<String> =
            words.iter().map(|(range, sort)| format!("{} {}", sort.name(), &text[range.clone()])).collect();
        let expected = [
            "keyword model",
            "variable m",
            "function hf",
            "string \"a/b\"",
            "comment // c",
            "keyword data",
            "struct d",
            "property prompt",
            "string \"",
            "variable {q}",
            "string ?\"",
            "keyword experiment",
            "class e",
            "property data",
            "struct d",
            "property layers",
            "member all",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn broken_texts_have_words_too() {
        for text in ["", "experiment {", "let \u{fc} = \"{", "model m = hf(\"a", "\u{1f980} } { \" '"] {
            let ends: Vec<usize> = words(text).iter().flat_map(|(range, _)| [range.start, range.end]).collect();
            assert!(ends.is_sorted() && ends.iter().all(|&end| text.is_char_boundary(end)), "{text}");
        }
    }
}
