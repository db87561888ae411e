//! Pest pairs become the tree; chunks that the grammar could not read, and its rules for slips, become diagnostics.
//!
//! `declaration`, `block`, `allow`, `expression` and `brackets` build the tree, `condition` what `reftc runs --where` takes; `chunk` explains text that is none of these, `unclosed`
//! collects what was opened and not closed.

mod allow;
mod block;
mod brackets;
mod chunk;
mod condition;
mod declaration;
mod expression;
mod unclosed;

pub use condition::{parse_condition, parse_value};

use super::tree::{Comment, Expr, ExprKind, Field, File, Ident, Item, ItemKind, Path};
use crate::diag::{Code, Diagnostic, Sink};
use crate::source::{FileId, Span};
use pest::Parser as _;
use pest::error::InputLocation;
use unclosed::Unclosed;

mod grammar {
    /// The parser that pest derives from `grammar/reft.pest`.
    #[derive(pest_derive::Parser)]
    #[grammar = "grammar/reft.pest"]
    pub struct Grammar;
}

use grammar::{Grammar, Rule};

type Pair<'t> = pest::iterators::Pair<'t, Rule>;

/// How deep blocks and brackets may nest, and how long a chain of methods may be.
const DEPTH_LIMIT: usize = 100;

/// Reads a `.reft` file. Never fails: what cannot be read is a `Bad` node and has exactly one diagnostic.
///
/// The diagnostics come in the order of their places.
pub fn parse(file: FileId, text: &str) -> (File, Vec<Diagnostic>) {
    let whole = Span::new(file, 0, text.len());
    let mut builder = Builder::new(file, text);
    match Grammar::parse(Rule::file, text) {
        Ok(mut pairs) => {
            let comments = pairs
                .clone()
                .flatten()
                .filter(|pair| pair.as_rule() == Rule::comment)
                .map(|pair| builder.comment(&pair))
                .collect();
            let (doc, items) = pairs.next().map(|pair| builder.items(pair)).unwrap_or_default();
            builder.unclosed.report(text, &mut builder.sink);
            (File { doc, items, comments, span: whole }, builder.sink.into_sorted())
        }
        // The grammar accepts every text, so pest can only have run out of stack.
        Err(error) => {
            let at = match error.location {
                InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
            };
            builder.nested_too_deeply(Span::new(file, at, at));
            let bad = Item { doc: String::new(), kind: ItemKind::Bad, span: whole };
            (File { doc: String::new(), items: vec![bad], comments: vec![], span: whole }, builder.sink.into_sorted())
        }
    }
}

/// Reads a field that the command line sets: `train.lr=1e-3`. Several values behind commas are a list.
pub fn parse_setting(file: FileId, text: &str) -> (Option<Field>, Vec<Diagnostic>) {
    let mut builder = Builder::new(file, text);
    let Some(setting) = Grammar::parse(Rule::setting, text).ok().and_then(|mut pairs| pairs.next()) else {
        let whole = Span::new(file, 0, text.len());
        let diagnostic = Diagnostic::at(Code::UnexpectedText, whole, "this sets no field", "expected `path=value`")
            .help("write for example `--set train.lr=1e-3`, or `--set seed=42,43` for a run of each; text needs its quotes");
        return (None, vec![diagnostic]);
    };
    let (mut name, mut values) = (None, Vec::new());
    for part in setting.into_inner() {
        match part.as_rule() {
            Rule::field_name => name = Some(builder.path(&part)),
            Rule::nested => values.push(builder.expression(part)),
            _ => {}
        }
    }
    builder.unclosed.report(text, &mut builder.sink);
    let span = values.iter().map(|value| value.span).reduce(Span::to);
    let value = match values.len() {
        1 => values.pop(),
        _ => span.map(|span| Expr { kind: ExprKind::List(values), span }),
    };
    let field = name.zip(value).map(|(name, value)| {
        let span = name.span.to(value.span);
        Field { doc: String::new(), name, value, span }
    });
    (field, builder.sink.into_sorted())
}

/// Whether only whitespace and separators stand before `at` on its line.
pub(super) fn first_on_line(text: &str, at: usize) -> bool {
    let before = &text[..at];
    let line = &before[before.rfind('\n').map_or(0, |newline| newline + 1)..];
    line.chars().all(|c| c.is_whitespace() || c == ',' || c == '\u{feff}')
}

/// The state of one walk over the pairs of a file.
struct Builder<'t> {
    file: FileId,
    text: &'t str,
    sink: Sink,
    unclosed: Unclosed,
    depth: usize,
    too_deep: bool,
}

impl<'t> Builder<'t> {
    fn new(file: FileId, text: &'t str) -> Self {
        Self { file, text, sink: Sink::default(), unclosed: Unclosed::default(), depth: 0, too_deep: false }
    }
}

impl Builder<'_> {
    fn span(&self, pair: &Pair) -> Span {
        Span::new(self.file, pair.as_span().start(), pair.as_span().end())
    }

    fn empty_span(&self, at: usize) -> Span {
        Span::new(self.file, at, at)
    }

    fn comment(&self, pair: &Pair) -> Comment {
        let text = pair.as_str().trim_end();
        let start = pair.as_span().start();
        Comment { text: text.to_owned(), span: Span::new(self.file, start, start + text.len()) }
    }

    /// The line of a doc comment of that mark. A comment behind other text on its line documents nothing.
    fn doc_line<'p>(&self, pair: &Pair<'p>, mark: &str) -> Option<&'p str> {
        let line = pair.as_str().trim_end().strip_prefix(mark)?;
        let own_line = first_on_line(self.text, pair.as_span().start());
        (own_line && !line.starts_with('/')).then(|| line.strip_prefix(' ').unwrap_or(line))
    }

    fn ident(&self, pair: &Pair) -> Ident {
        Ident { text: pair.as_str().to_owned(), span: self.span(pair) }
    }

    /// A name that is being given; reports a `-` in it.
    fn name(&mut self, pair: &Pair) -> Ident {
        let span = self.span(pair);
        let text = pair.as_str().replace('-', "_");
        if text != pair.as_str() {
            self.sink.push(
                Diagnostic::at(
                    Code::UnexpectedText,
                    span,
                    format!("a name cannot hold `-`: `{}`", pair.as_str()),
                    "this name",
                )
                .help(format!("write `{text}`"))
                .fix(span, text.clone()),
            );
        }
        Ident { text, span }
    }

    /// A path of words or of names.
    fn path(&mut self, pair: &Pair) -> Path {
        let segments = pair.clone().into_inner().map(|segment| self.name(&segment)).collect();
        Path { segments, span: self.span(pair) }
    }

    /// Runs `build` one level deeper; `None`, and one diagnostic for the file, below the limit.
    fn deeper<T>(&mut self, span: Span, build: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= DEPTH_LIMIT {
            self.nested_too_deeply(span);
            return None;
        }
        self.depth += 1;
        let result = build(self);
        self.depth -= 1;
        Some(result)
    }

    fn nested_too_deeply(&mut self, span: Span) {
        if !self.too_deep {
            self.too_deep = true;
            self.sink.push(
                Diagnostic::at(
                    Code::NestedTooDeeply,
                    Span::new(span.file, span.start as usize, (span.start as usize + 1).min(self.text.len())),
                    format!("more than {DEPTH_LIMIT} levels of nesting"),
                    "too deep from here on",
                )
                .help("take the inner part out into a `let` of its own"),
            );
        }
    }
}
