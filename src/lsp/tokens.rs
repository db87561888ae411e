//! Semantic tokens: what each word is, for colours.

use super::documents::Document;
use super::names::{Names, Sort, Target, is_word_of};
use super::walk::{Node, walk};
use crate::check::types::Type;
use crate::highlight::{self, Words};
use crate::syntax::tree::ExprKind;
use lsp_types::{SemanticToken, SemanticTokenType, SemanticTokens, SemanticTokensLegend};
use std::ops::Range;

/// The sorts of tokens, in the order of [`highlight::Sort`].
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
    let mut words = Words::of(document.tree(), document.content());
    walk(document.tree(), &mut |node, place| {
        let Node::Expr(expr) = node else { return };
        match &expr.kind {
            ExprKind::String(_) if place.holds == Some(Type::Template) => words.template(expr.span),
            ExprKind::Word(path) if is_word_of(path, place.holds) => {
                words.add(expr.span.range(), highlight::Sort::EnumMember);
            }
            _ => {}
        }
    });
    for mention in &names.mentions {
        let sort = match &mention.target {
            Target::Section { .. } => highlight::Sort::Variable,
            Target::Name { module: Some(_), .. } => highlight::Sort::Variable,
            Target::Name { module: None, name } => match names.find(name).map(|definition| definition.sort) {
                Some(Sort::Module) => highlight::Sort::Namespace,
                Some(Sort::Data) => highlight::Sort::Struct,
                Some(Sort::Experiment) => highlight::Sort::Class,
                _ => highlight::Sort::Variable,
            },
        };
        words.add(mention.span.range(), sort);
    }
    SemanticTokens { result_id: None, data: encode(document, words.sorted()) }
}

/// Each token relative to the one before it, none over more than one line.
fn encode(document: &Document, words: Vec<(Range<usize>, highlight::Sort)>) -> Vec<SemanticToken> {
    let mut data = Vec::new();
    let (mut line, mut column) = (0, 0);
    for (range, sort) in words {
        let mut at = range.start;
        for piece in document.content().get(range).unwrap_or_default().split_inclusive('\n') {
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
            // The legend has the order of the sorts.
            let token_type = sort as u32;
            data.push(SemanticToken { delta_line, delta_start, length, token_type, token_modifiers_bitset: 0 });
        }
    }
    data
}
