//! The canonical form of a spec.
//!
//! Two spaces of indentation, one entry a line, `=` aligned in runs of one-line fields, lists and calls broken where
//! they are too wide, at most one blank line kept. Literals and every comment stay as they were written. A block that was
//! written on one line stays on one if it fits.

mod comments;
mod expression;

use super::tree::{Allow, Argument, Block, Entry, Expr, ExprKind, Field, File, Ident, Item, ItemKind, Path, Section};
use comments::Comments;

/// Columns of a line.
const WIDTH: usize = 100;
/// Spaces of one level.
const STEP: usize = 2;

/// Prints a file that has no syntax errors in canonical form; `text` is what it was parsed from.
///
/// Formatting twice changes nothing more, and the result parses to the same tree.
pub fn format(file: &File, text: &str) -> String {
    let mut printer = Printer { text, comments: Comments::new(file, text), lines: Vec::new(), fresh: true };
    let mut end = 0;
    for item in &file.items {
        printer.own_line_comments(item.span.start as usize, 0, &mut end);
        printer.blank_line(end, item.span.start as usize);
        printer.item(item);
        end = item.span.end as usize;
    }
    printer.own_line_comments(text.len(), 0, &mut end);
    let mut out = printer.lines.join("\n");
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

struct Printer<'t> {
    text: &'t str,
    comments: Comments<'t>,
    lines: Vec<String>,
    /// Whether the file or a block has just begun.
    fresh: bool,
}

impl Printer<'_> {
    fn push(&mut self, indentation: usize, text: &str) {
        self.lines.push(format!("{:indentation$}{text}", ""));
        self.fresh = false;
    }

    /// Keeps a blank line where one stood between two places, but not at the beginning of a file or block.
    fn blank_line(&mut self, from: usize, to: usize) {
        if !self.fresh && has_blank_line(self.text.get(from..to).unwrap_or("")) {
            self.lines.push(String::new());
        }
    }

    /// Prints the comments before `until`: behind the last line where they stood behind text, else on their own.
    /// `end` is where the text that is printed already ends.
    fn own_line_comments(&mut self, until: usize, indentation: usize, end: &mut usize) {
        while let Some(comment) = self.comments.next_before(until) {
            match self.lines.last_mut().filter(|_| comment.trailing) {
                Some(line) => {
                    line.push_str("  ");
                    line.push_str(comment.text);
                }
                None => {
                    self.blank_line(*end, comment.start);
                    self.push(indentation, comment.text);
                }
            }
            *end = comment.start + comment.text.len();
        }
    }

    fn item(&mut self, item: &Item) {
        let (head, body) = match &item.kind {
            ItemKind::Edition { value } => ("edition = ".to_owned() + &self.broken(value, 0, 10), None),
            ItemKind::Use { path, name } => (format!("use {} as {}", self.source(path.span), name.text), None),
            ItemKind::Let { name, type_name, value } => {
                let type_name = type_name.as_ref().map_or(String::new(), |name| format!(": {}", name.text));
                let head = format!("let {}{type_name} = ", name.text);
                let value = self.broken(value, 0, head.chars().count());
                (head + &value, None)
            }
            ItemKind::Model { name, value, body } => {
                let head = format!("model {} = ", name.text);
                let value = self.broken(value, 0, head.chars().count());
                (head + &value, body.as_ref())
            }
            ItemKind::Intervention { name, value, body } => {
                let head = format!("intervention {} = ", name.text);
                let value = self.broken(value, 0, head.chars().count());
                (head + &value, body.as_ref())
            }
            ItemKind::Data { name, body } => (format!("data {}", name.text), Some(body)),
            ItemKind::Experiment { name, parent, body } => {
                let parent = parent.as_ref().map_or(String::new(), |path| format!(" extends {}", path.text()));
                (format!("experiment {}{parent}", name.text), Some(body))
            }
            ItemKind::Allow(allow) => (self.broken(&call_of(allow), 0, 0), None),
            ItemKind::Bad => (self.source(item.span).to_owned(), None),
        };
        self.head_and_block(&head, body, 0);
    }

    fn head_and_block(&mut self, head: &str, body: Option<&Block>, indentation: usize) {
        let Some(block) = body else { return self.push(indentation, head) };
        match self.one_line_block(block) {
            Some(flat) if indentation + last_width(head) + 1 + flat.chars().count() <= WIDTH => {
                self.push(indentation, &format!("{head} {flat}"));
            }
            _ => {
                self.push(indentation, &format!("{head} {{"));
                self.fresh = true;
                self.entries(block, indentation + STEP);
                self.push(indentation, "}");
            }
        }
    }

    /// The block on one line, if it was written on one.
    fn one_line_block(&self, block: &Block) -> Option<String> {
        if block.entries.is_empty() && !self.comments.any_in(block.span) {
            return Some("{}".to_owned());
        }
        if self.text[block.span.range()].contains('\n') {
            return None;
        }
        let entries: Option<Vec<String>> = block.entries.iter().map(|entry| self.one_line_entry(entry)).collect();
        Some(format!("{{ {} }}", entries?.join(", ")))
    }

    fn one_line_entry(&self, entry: &Entry) -> Option<String> {
        Some(match entry {
            Entry::Field(field) => format!("{} = {}", field.name.text(), self.flat(&field.value)?),
            Entry::Section(section) => {
                let head = self.section_head(section)?;
                match section.is_bare() {
                    true => head,
                    false => format!("{head} {}", self.one_line_block(&section.body)?),
                }
            }
            Entry::Comparison(comparison) => {
                let right = self.flat(&comparison.right)?;
                format!("{} {} {right}", comparison.left.text(), comparison.operator.text)
            }
            Entry::Remove(remove) => format!("remove {} {}", remove.keyword.text, remove.name.text),
            Entry::Allow(allow) => self.flat(&call_of(allow))?,
            Entry::Bad(span) => self.source(*span).to_owned(),
        })
    }

    /// A section up to its `{`; `None` if that does not go on one line.
    fn section_head(&self, section: &Section) -> Option<String> {
        let mut head = section.keyword.text.clone();
        if let Some(name) = &section.name {
            head = format!("{head} {}", name.text);
        }
        if let Some(value) = &section.value {
            head = format!("{head} = {}", self.flat(value)?);
        }
        Some(head)
    }

    fn entries(&mut self, block: &Block, indentation: usize) {
        let mut end = block.span.start as usize + 1;
        let columns = self.columns(&block.entries);
        for (entry, column) in block.entries.iter().zip(columns) {
            let span = entry.span();
            let start = span.start as usize;
            self.own_line_comments(start, indentation, &mut end);
            self.blank_line(end, start);
            self.entry(entry, indentation, column);
            end = span.end as usize;
        }
        self.own_line_comments(block.span.end as usize, indentation, &mut end);
    }

    fn entry(&mut self, entry: &Entry, indentation: usize, column: usize) {
        match entry {
            Entry::Field(field) => {
                let name = field.name.text();
                let head = format!("{name:column$} = ");
                let value = self.broken(&field.value, indentation, indentation + head.chars().count());
                self.push(indentation, &(head + &value));
            }
            Entry::Section(section) => {
                let head = self.section_head(section).unwrap_or_else(|| {
                    let name = section.name.as_ref().map_or(String::new(), |name| format!(" {}", name.text));
                    let head = format!("{}{name} = ", section.keyword.text);
                    let value = section.value.as_ref();
                    let value = value.map(|value| self.broken(value, indentation, indentation + head.chars().count()));
                    head + &value.unwrap_or_default()
                });
                self.head_and_block(&head, (!section.is_bare()).then_some(&section.body), indentation);
            }
            Entry::Comparison(comparison) => {
                let head = format!("{:column$} {} ", comparison.left.text(), comparison.operator.text);
                let value = self.broken(&comparison.right, indentation, indentation + head.chars().count());
                self.push(indentation, &(head + &value));
            }
            Entry::Remove(remove) => {
                self.push(indentation, &format!("remove {} {}", remove.keyword.text, remove.name.text));
            }
            Entry::Allow(allow) => {
                let text = self.broken(&call_of(allow), indentation, indentation);
                self.push(indentation, &text);
            }
            Entry::Bad(span) => {
                let text = self.source(*span).to_owned();
                self.push(indentation, &text);
            }
        }
    }

    /// For each entry, how wide its name is printed.
    fn columns(&self, entries: &[Entry]) -> Vec<usize> {
        let mut columns = Vec::new();
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let pairs = rest.iter().zip(&rest[1..]);
            let length = 1 + pairs.take_while(|(before, after)| self.aligned(before, after)).count();
            let (run, later) = rest.split_at(length);
            let width = |entry: &Entry| match entry {
                Entry::Field(field) => field.name.text().len(),
                Entry::Comparison(comparison) => comparison.left.text().len(),
                _ => 0,
            };
            let widest = run.iter().map(width).max().unwrap_or(width(first));
            columns.extend(run.iter().map(|_| widest));
            rest = later;
        }
        columns
    }

    /// Whether the values of two neighbours begin in the same column: both on one line, nothing between them.
    fn aligned(&self, before: &Entry, after: &Entry) -> bool {
        let same_kind = match (before, after) {
            (Entry::Field(before), Entry::Field(after)) => self.one_line(before) && self.one_line(after),
            (Entry::Comparison(_), Entry::Comparison(_)) => true,
            _ => false,
        };
        let between = before.span().end as usize..after.span().start as usize;
        same_kind
            && !has_blank_line(self.text.get(between.clone()).unwrap_or(""))
            && !self.comments.own_line_in(between)
    }

    /// Whether a field goes on one line. Its place in a run does not count, so that the answer does not depend on itself.
    fn one_line(&self, field: &Field) -> bool {
        self.flat(&field.value)
            .is_some_and(|value| field.name.text().len() + 3 + value.chars().count() <= WIDTH - 2 * STEP)
    }
}

/// An `allow` as the call that it looks like, with its names for words.
fn call_of(allow: &Allow) -> Expr {
    let path = |name: &Ident| Path { segments: vec![name.clone()], span: name.span };
    let word = |name: &Ident| {
        let value = Expr { kind: ExprKind::Word(path(name)), span: name.span };
        Argument { name: None, value, span: name.span }
    };
    let arguments = allow.names.iter().map(word).collect();
    Expr { kind: ExprKind::Call { name: path(&allow.keyword), arguments }, span: allow.span }
}

/// Whether an empty line lies in the text between two places.
fn has_blank_line(text: &str) -> bool {
    let mut lines = text.split('\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_some() && line.trim().is_empty() {
            return true;
        }
    }
    false
}

/// The width of the last line.
fn last_width(text: &str) -> usize {
    text.rsplit('\n').next().unwrap_or("").chars().count()
}
