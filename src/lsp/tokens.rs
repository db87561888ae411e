//! Semantic tokens: what each word is, for colours.

use super::documents::Document;
use super::names::{Names, Sort, Target, is_word_of};
use super::walk::{Node, Place, walk};
use crate::check::types::Type;
use crate::source::Span;
use crate::syntax::tree::{Expr, ExprKind, Item, ItemKind};
use lsp_types::{SemanticToken, SemanticTokenType, SemanticTokens, SemanticTokensLegend};
use std::collections::BTreeMap;
use std::ops::Range;

/// The sorts of tokens, in the order of the legend.
const SORTS: [SemanticTokenType; 12] = [
    SemanticTokenType::KEYWORD,
    SemanticTokenType::NAMESPACE,
    SemanticTokenType::VARIABLE,
    SemanticTokenType::STRUCT,
    SemanticTokenType::CLASS,
    SemanticTokenType::PROPERTY,
    SemanticTokenType::FUNCTION,
    SemanticTokenType::ENUM_MEMBER,
    SemanticTokenType::PARAMETER,
    SemanticTokenType::STRING,
    SemanticTokenType::NUMBER,
    SemanticTokenType::COMMENT,
];

/// What the numbers of tokens mean.
pub fn legend() -> SemanticTokensLegend {
    SemanticTokensLegend { token_types: SORTS.to_vec(), token_modifiers: Vec::new() }
}

/// The tokens of a whole text.
pub fn tokens(document: &Document) -> SemanticTokens {
    let names = Names::of(document.tree());
    let mut found = Found { text: document.content(), tokens: BTreeMap::new() };
    walk(document.tree(), &mut |node, place| found.visit(node, place));
    for mention in &names.mentions {
        let sort = match &mention.target {
            Target::Section { .. } => SemanticTokenType::VARIABLE,
            Target::Name { module: Some(_), .. } => SemanticTokenType::VARIABLE,
            Target::Name { module: None, name } => match names.find(name).map(|definition| definition.sort) {
                Some(Sort::Module) => SemanticTokenType::NAMESPACE,
                Some(Sort::Data) => SemanticTokenType::STRUCT,
                Some(Sort::Experiment) => SemanticTokenType::CLASS,
                _ => SemanticTokenType::VARIABLE,
            },
        };
        found.add(mention.span.range(), sort);
    }
    for comment in &document.tree().comments {
        found.add(comment.span.range(), SemanticTokenType::COMMENT);
    }
    SemanticTokens { result_id: None, data: encode(document, found.tokens) }
}

struct Found<'t> {
    text: &'t str,
    /// By where they begin.
    tokens: BTreeMap<usize, (usize, SemanticTokenType)>,
}

impl Found<'_> {
    fn add(&mut self, range: Range<usize>, sort: SemanticTokenType) {
        if !range.is_empty() {
            self.tokens.insert(range.start, (range.end, sort));
        }
    }

    fn visit(&mut self, node: Node<'_>, place: &Place<'_>) {
        match node {
            Node::Item(item) => self.item(item),
            Node::Section(section) => self.add(section.keyword.span.range(), SemanticTokenType::KEYWORD),
            Node::Field(field) => self.add(field.name.span.range(), SemanticTokenType::PROPERTY),
            Node::Argument(argument) => {
                let name = argument.name.as_ref().map(|name| name.span.range());
                self.add(name.unwrap_or_default(), SemanticTokenType::PARAMETER);
            }
            Node::Comparison(comparison) => self.add(comparison.left.span.range(), SemanticTokenType::PROPERTY),
            Node::Remove(remove) => {
                let end = remove.keyword.span.end as usize;
                self.add(remove.span.start as usize..end, SemanticTokenType::KEYWORD);
            }
            Node::Allow(allow) => {
                self.add(allow.keyword.span.range(), SemanticTokenType::KEYWORD);
                allow.names.iter().for_each(|name| self.add(name.span.range(), SemanticTokenType::ENUM_MEMBER));
            }
            Node::Expr(expr) => self.expression(expr, place),
        }
    }

    fn item(&mut self, item: &Item) {
        let start = item.span.start as usize;
        let word = |text: &str| text.chars().take_while(|letter| letter.is_ascii_alphabetic()).count();
        let text = self.text.get(item.span.range()).unwrap_or_default();
        let (name, inner) = match &item.kind {
            ItemKind::Bad => return,
            ItemKind::Use { path, name } => {
                self.add(path.span.range(), SemanticTokenType::STRING);
                (Some((path.span, name)), "as")
            }
            ItemKind::Experiment { name, parent: Some(parent), .. } => {
                self.between(name.span, parent.span, "extends");
                (None, "")
            }
            ItemKind::Let { type_name: Some(word), .. } => {
                self.add(word.span.range(), SemanticTokenType::ENUM_MEMBER);
                (None, "")
            }
            _ => (None, ""),
        };
        if let Some((before, after)) = name {
            self.between(before, after.span, inner);
        }
        self.add(start..start + word(text), SemanticTokenType::KEYWORD);
    }

    /// A keyword between two places.
    fn between(&mut self, before: Span, after: Span, keyword: &str) {
        let start = before.end as usize;
        let between = self.text.get(start..after.start as usize).unwrap_or_default();
        if let Some(at) = between.find(keyword) {
            self.add(start + at..start + at + keyword.len(), SemanticTokenType::KEYWORD);
        }
    }

    fn expression(&mut self, expr: &Expr, place: &Place<'_>) {
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Ratio(_) | ExprKind::Size(_) => {
                self.add(expr.span.range(), SemanticTokenType::NUMBER);
            }
            ExprKind::Bool(_) => self.add(expr.span.range(), SemanticTokenType::ENUM_MEMBER),
            ExprKind::String(_) => self.string(expr.span, place.holds == Some(Type::Template)),
            ExprKind::Word(path) if is_word_of(path, place.holds) => {
                self.add(expr.span.range(), SemanticTokenType::ENUM_MEMBER);
            }
            ExprKind::Call { name, .. } => self.add(name.span.range(), SemanticTokenType::FUNCTION),
            ExprKind::Method { name, .. } => self.add(name.span.range(), SemanticTokenType::FUNCTION),
            _ => {}
        }
    }

    /// A string; the places of a template stand out in it.
    fn string(&mut self, span: Span, template: bool) {
        let mut at = span.start as usize;
        let literal = self.text.get(span.range()).unwrap_or_default();
        let columns = if template { columns(literal) } else { Vec::new() };
        for column in columns {
            let column = span.start as usize + column.start..span.start as usize + column.end;
            self.add(at..column.start, SemanticTokenType::STRING);
            at = column.end;
            self.add(column, SemanticTokenType::VARIABLE);
        }
        self.add(at..span.end as usize, SemanticTokenType::STRING);
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

/// Each token relative to the one before it, none over more than one line.
fn encode(document: &Document, tokens: BTreeMap<usize, (usize, SemanticTokenType)>) -> Vec<SemanticToken> {
    let mut data = Vec::new();
    let (mut line, mut column, mut end_of_last) = (0, 0, 0);
    for (start, (end, sort)) in tokens {
        let Some(token_type) = SORTS.iter().position(|known| *known == sort) else { continue };
        if start < end_of_last {
            continue;
        }
        end_of_last = end;
        let mut at = start;
        for piece in document.content().get(start..end).unwrap_or_default().split_inclusive('\n') {
            let shown = piece.trim_end_matches(['\n', '\r']);
            let place = document.text.position(at);
            at += piece.len();
            let length = document.text.encoding().width(shown) as u32;
            if length == 0 {
                continue;
            }
            let delta_line = place.line - line;
            let delta_start = if delta_line == 0 { place.character - column } else { place.character };
            (line, column) = (place.line, place.character);
            let token_type = token_type as u32;
            data.push(SemanticToken { delta_line, delta_start, length, token_type, token_modifiers_bitset: 0 });
        }
    }
    data
}
