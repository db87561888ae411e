//! What stands at a place: documentation, the value that a name leads to, and what the check made of it.

use super::documents::Document;
use super::facts::FirstRow;
use super::markdown;
use super::modules::{Key, Modules};
use super::names::{Definition, Sort, is_word_of};
use super::position::Text;
use super::resolved::{self, Resolved};
use super::walk::{self, Node, Place};
use super::workspace::Workspace;
use crate::check::schema::{self, is_position};
use crate::check::types::Type;
use crate::data::positions::Segment;
use crate::diag::Code;
use crate::intervention::Kind;
use crate::report::units;
use crate::source::Span;
use crate::syntax::tree::{Expr, ExprKind, Item, ItemKind};
use lsp_types::{Hover, HoverContents, MarkupContent, MarkupKind};
use std::path::Path;
use std::sync::Arc;

/// The documentation of what stands at a byte; `None` where nothing has one.
pub fn hover(workspace: &Workspace, document: &Document, at: usize) -> Option<Hover> {
    let hovering = Hovering { workspace, document, modules: Modules::load(workspace), at };
    let (text, span) = hovering.name().or_else(|| hovering.part())?;
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value: text }),
        range: Some(document.text.range(span)),
    })
}

struct Hovering<'w> {
    workspace: &'w Workspace,
    document: &'w Document,
    modules: Modules,
    at: usize,
}

/// The longest chain of `let`s that is followed.
const LETS: usize = 8;

impl Hovering<'_> {
    fn touches(&self, span: Span) -> bool {
        span.start as usize <= self.at && self.at <= span.end as usize
    }

    /// A name that is declared somewhere.
    fn name(&self) -> Option<(String, Span)> {
        let (key, span) = self.modules.key_at(&self.document.path, self.at)?;
        let definition = self.modules.definition(&key)?;
        Some((self.declaration(&key, definition), span))
    }

    fn declaration(&self, key: &Key, definition: &Definition) -> String {
        let Some(module) = self.modules.get(&key.path) else { return String::new() };
        let head = head(&module.text.content[definition.whole.range()]);
        let mut out = format!("```reft\n{head}\n```\n{}", definition.sort.description());
        out.push_str(&format!(", declared in {}", self.line(&key.path, &module.text, definition.name.span)));
        if !definition.doc.is_empty() {
            out.push_str(&format!("\n\n{}", definition.doc));
        }
        let facts = self.workspace.facts.get(&key.path);
        let columns = facts.filter(|_| definition.sort == Sort::Data);
        if let Some(columns) = columns.and_then(|facts| facts.columns.get(&definition.name.text)) {
            let columns: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
            out.push_str(&format!("\n\ncolumns: {}", columns.join(", ")));
        }
        let value = module.file.items.iter().find(|item| item.span == definition.whole);
        if let Some(value) = value.and_then(|item| self.leads_to(&key.path, item)) {
            out.push_str(&format!("\n\nvalue: {value}"));
        }
        out
    }

    /// `line 3`, with the file where it is another one.
    fn line(&self, path: &Path, text: &Text, span: Span) -> String {
        let line = text.position(span.start as usize).line + 1;
        match path.file_name().filter(|_| path != self.document.path) {
            Some(file) => format!("line {line} of `{}`", file.display()),
            None => format!("line {line}"),
        }
    }

    /// The text at the end of a chain of `let`s; `None` where a `let` says its value itself.
    fn leads_to(&self, path: &Path, item: &Item) -> Option<String> {
        let ItemKind::Let { value, .. } = &item.kind else { return None };
        self.value(path, value)
    }

    /// What an expression that is a name leads to in the end, and where that is set.
    fn value(&self, path: &Path, expr: &Expr) -> Option<String> {
        let (mut path, mut expr) = (path.to_path_buf(), expr.clone());
        for step in 0..LETS {
            let next = match &expr.kind {
                ExprKind::Word(word) => word.segments.last().and_then(|last| {
                    let (key, _) = self.modules.key_at(&path, last.span.start as usize)?;
                    let whole = self.modules.definition(&key)?.whole;
                    let items = &self.modules.get(&key.path)?.file.items;
                    items.iter().find(|item| item.span == whole).and_then(|item| match &item.kind {
                        ItemKind::Let { value, .. } => Some((key.path.clone(), value.clone())),
                        _ => None,
                    })
                }),
                _ => None,
            };
            match next {
                Some(next) => (path, expr) = next,
                None if step == 0 => return None,
                None => {
                    let text = &self.modules.get(&path)?.text;
                    let value = text.content.get(expr.span.range())?;
                    return Some(format!("`{value}`, set in {}", self.line(&path, text, expr.span)));
                }
            }
        }
        None
    }

    /// A part of the language: field, word, call, argument, kind, block.
    fn part(&self) -> Option<(String, Span)> {
        let parts = walk::at(self.document.tree(), self.at);
        parts.iter().rev().find_map(|(node, place)| self.node(*node, place))
    }

    fn node(&self, node: Node<'_>, place: &Place<'_>) -> Option<(String, Span)> {
        match node {
            Node::Item(item) => {
                let block = walk::block_of_item(&item.kind)?;
                let keyword = Span { end: item.span.start + keyword_length(&item.kind)?, ..item.span };
                self.touches(keyword).then(|| (markdown::block(block), keyword))
            }
            Node::Section(section) => {
                let keyword = section.keyword.span;
                place.block.filter(|_| self.touches(keyword)).map(|block| (markdown::block(block), keyword))
            }
            Node::Field(field) => {
                let known = place.field.filter(|_| self.touches(field.name.span))?;
                let mut out = markdown::field(known);
                if let Some(value) = self.value(&self.document.path, &field.value) {
                    out.push_str(&format!("\n\nvalue: {value}"));
                }
                if let Some(resolved) = self.resolved(place) {
                    out.push_str(&field_facts(known.name, &resolved));
                }
                Some((out, field.name.span))
            }
            Node::Argument(argument) => {
                let name = argument.name.as_ref().filter(|name| self.touches(name.span))?;
                Some((markdown::parameter(place.form?, place.parameter?), name.span))
            }
            Node::Expr(expr) => self.expression(expr, place),
            Node::Allow(allow) => {
                let name = allow.names.iter().find(|name| self.touches(name.span))?;
                Some((markdown::warning(Code::lint(&name.text)?), name.span))
            }
            Node::Comparison(_) | Node::Remove(_) => None,
        }
    }

    fn expression(&self, expr: &Expr, place: &Place<'_>) -> Option<(String, Span)> {
        let text = match &expr.kind {
            ExprKind::Word(path) if is_word_of(path, place.holds) => {
                let word = path.text();
                match place.holds? {
                    Type::Kind => markdown::kind(Kind::find(&word)?),
                    Type::Positions if is_position(&word) => segment(&word)?,
                    holds => schema::forms(holds).find(|form| form.name == word).map(markdown::form)?,
                }
            }
            ExprKind::Call { name, .. } if self.touches(name.span) => {
                markdown::form(walk::form(place.holds, &name.text())?)
            }
            ExprKind::List(_) | ExprKind::Range { .. } | ExprKind::Sum(_) => String::new(),
            _ => return None,
        };
        let facts = self.resolved(place).map(|resolved| match (place.holds, &expr.kind) {
            (Some(Type::Layers), _) => field_facts("layers", &resolved),
            (Some(Type::Positions), ExprKind::Word(path)) => {
                let word = path.text();
                let segments = resolved.intervention.segments.iter().filter(|segment| segment.to_string() == word);
                position_facts(&resolved, segments)
            }
            (Some(Type::Positions), _) => field_facts("positions", &resolved),
            _ => String::new(),
        });
        let text = [text, facts.unwrap_or_default()].concat();
        let text = text.trim();
        (!text.is_empty()).then(|| (text.to_owned(), expr.span))
    }

    fn resolved(&self, place: &Place<'_>) -> Option<Resolved<'_>> {
        resolved::find(self.workspace, self.document, place.item, place.section?)
    }
}

/// The first line of a declaration, without what its block holds.
fn head(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.strip_suffix('{').unwrap_or(line).trim_end()
}

fn keyword_length(kind: &ItemKind) -> Option<u32> {
    Some(match kind {
        ItemKind::Model { .. } => "model",
        ItemKind::Data { .. } => "data",
        ItemKind::Intervention { .. } => "intervention",
        ItemKind::Experiment { .. } => "experiment",
        _ => return None,
    })
    .map(|word| word.len() as u32)
}

/// `f3` in words.
fn segment(word: &str) -> Option<String> {
    let (end, count) = (word.chars().next()?, word.get(1..)?);
    let end = if end == 'f' { "first" } else { "last" };
    Some(format!("```reft\n{word}\n```\nthe {end} {count} prompt tokens, at most half of the prompt"))
}

/// What the check made of a field, as a paragraph of its own.
fn field_facts(field: &str, resolved: &Resolved<'_>) -> String {
    let intervention = resolved.intervention;
    let config = &resolved.experiment.model.config;
    match field {
        "rank" | "tied" => {
            format!("\n\n{} parameters in all", units::count(intervention.parameter_count(config.hidden_size)))
        }
        "layers" => {
            let layers: Vec<String> = intervention.layers.iter().map(usize::to_string).collect();
            format!("\n\n{} of {}: {}", layers.len(), units::counted(config.layers, "layer"), layers.join(", "))
        }
        "positions" => position_facts(resolved, intervention.segments.iter()),
        _ => String::new(),
    }
}

/// The tokens that segments hit in the first row of each data, each segment in a line of its own.
fn position_facts<'s>(resolved: &Resolved<'_>, segments: impl Iterator<Item = &'s Segment> + Clone) -> String {
    let several = resolved.first_rows.len() > 1;
    let in_row = |(number, row): (usize, &Arc<FirstRow>)| {
        let lines = segments.clone().map(|segment| {
            let tokens: Vec<String> = row.hits(segment).iter().map(|token| format!("{token:?}")).collect();
            format!("\n{segment}: {}", tokens.join(" "))
        });
        let lines: String = lines.collect();
        if lines.is_empty() {
            return lines;
        }
        let whose = if several { format!(" of data {}", number + 1) } else { String::new() };
        let prompt = units::counted(row.prompt(), "prompt token");
        format!("\n\nin the first row{whose}, of {prompt}:\n```text{lines}\n```")
    };
    resolved.first_rows.iter().enumerate().map(in_row).collect()
}
