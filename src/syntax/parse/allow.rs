//! `allow(…)`: the names of warnings, which hold `-` and are no expressions.

use super::chunk::shorten;
use super::{Builder, Pair, Rule};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::tree::{Allow, Ident};

impl Builder<'_> {
    /// The warnings that an `allow` names. Whether there are such is for the checker to say.
    pub(super) fn allow(&mut self, pair: Pair) -> Allow {
        let span = self.span(&pair);
        let mut keyword = Ident { text: "allow".to_owned(), span };
        let mut names = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::allow_word => keyword = self.ident(&part),
                Rule::arguments => {
                    self.check_brackets(&part);
                    let named: Vec<Pair> = part.into_inner().filter(|part| part.as_rule() == Rule::argument).collect();
                    if named.is_empty() {
                        self.sink.push(
                            Diagnostic::at(
                                Code::UnexpectedText,
                                span,
                                "this `allow` names no warning",
                                "nothing in it",
                            )
                            .help("write for example `allow(trailing-space)`, or remove it"),
                        );
                    }
                    names.extend(named.iter().filter_map(|name| self.warning(name)));
                }
                _ => {}
            }
        }
        Allow { keyword, names, span }
    }

    /// One name; what is none is reported.
    fn warning(&mut self, pair: &Pair) -> Option<Ident> {
        let text = pair.as_str();
        let span = self.span(pair);
        if is_name(text) {
            return Some(Ident { text: text.to_owned(), span });
        }
        let bare = text.trim_matches(['"', '\'', '“', '”']);
        let diagnostic =
            Diagnostic::at(Code::UnexpectedText, span, "`allow` takes names of warnings", "not such a name");
        self.sink.push(match is_name(bare) {
            true => diagnostic.help(format!("write `{bare}`, without quotes")).fix(span, bare),
            false => diagnostic.help("write for example `allow(trailing-space)`"),
        });
        None
    }
}

/// `allow trailing-space` and `allow = …`: what stands for `allow(trailing-space)`.
pub(super) fn bare_allow(span: Span, text: &str) -> Diagnostic {
    let rest = text.strip_prefix("allow").unwrap_or("");
    let name = rest.trim().trim_start_matches(['=', ':', '[', '{']).trim_end_matches([']', '}']).trim();
    let diagnostic =
        Diagnostic::at(Code::UnexpectedText, span, "`allow` takes its names in parentheses", "expected `(`");
    match is_name(name) {
        true => {
            let written = format!("allow({name})");
            diagnostic.help(format!("write `{}`", shorten(&written))).fix(span, written)
        }
        false => diagnostic.help("write for example `allow(trailing-space)`"),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
