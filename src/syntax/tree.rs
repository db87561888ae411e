//! The tree of a `.reft` file: what was written, where, with every comment.
//!
//! Nothing is resolved here: `f3`, `smol` and `linear` are all [`ExprKind::Word`]s. A place that could not be parsed is
//! an [`Entry::Bad`], [`ItemKind::Bad`] or [`ExprKind::Bad`]; its error is in the list that came with the tree.

use crate::source::Span;

/// A whole file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// The `//!` lines at the top, joined by newlines, without the marks.
    pub doc: String,
    pub items: Vec<Item>,
    /// Every comment of the file in order, doc comments included.
    pub comments: Vec<Comment>,
    pub span: Span,
}

/// One comment as written, from its `//` to the end of its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    pub text: String,
    pub span: Span,
}

/// A name and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ident {
    pub text: String,
    pub span: Span,
}

/// Names joined by dots: `sentiment.validation`, `train.lr`. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    pub segments: Vec<Ident>,
    pub span: Span,
}

impl Path {
    /// The path as written, without spaces.
    pub fn text(&self) -> String {
        self.segments.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(".")
    }
}

/// A declaration at the top level.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The `///` lines before it.
    pub doc: String,
    pub kind: ItemKind,
    pub span: Span,
}

/// What a declaration declares.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    /// `edition = 1`
    Edition { value: Expr },
    /// `use "path.reft" as name`
    Use { path: Expr, name: Ident },
    /// `let rows: source = json("…")`
    Let { name: Ident, type_name: Option<Ident>, value: Expr },
    /// `model smol = hf("…") { … }`
    Model { name: Ident, value: Expr, body: Option<Block> },
    /// `data sentiment { … }`
    Data { name: Ident, body: Block },
    /// `intervention edit = loreft { … }`
    Intervention { name: Ident, value: Expr, body: Option<Block> },
    /// `experiment name extends parent { … }`
    Experiment { name: Ident, parent: Option<Path>, body: Block },
    /// `allow(unused-name)`, for the whole file
    Allow(Allow),
    /// Text that is no declaration; already reported.
    Bad,
}

/// `{ … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub entries: Vec<Entry>,
    /// From `{` to `}` inclusive.
    pub span: Span,
}

/// One entry of a block, in written order.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Field(Field),
    Section(Section),
    Comparison(Comparison),
    Remove(Remove),
    Allow(Allow),
    /// Text that is none of these; already reported.
    Bad(Span),
}

impl Entry {
    /// The whole entry.
    pub fn span(&self) -> Span {
        match self {
            Entry::Field(field) => field.span,
            Entry::Section(section) => section.span,
            Entry::Comparison(comparison) => comparison.span,
            Entry::Remove(remove) => remove.span,
            Entry::Allow(allow) => allow.span,
            Entry::Bad(span) => *span,
        }
    }
}

/// `rank = 4`; in a sweep the name is a path: `train.lr = [ … ]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub doc: String,
    pub name: Path,
    pub value: Expr,
    pub span: Span,
}

/// A block inside a block: `train { … }`, `eval dev { … }`, `intervene edit = loreft { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    pub doc: String,
    /// `train`, `eval`, `intervene`, `sweep`, `expect`, or whatever word stands there.
    pub keyword: Ident,
    pub name: Option<Ident>,
    /// What follows the `=`: the kind of an intervention.
    pub value: Option<Expr>,
    pub body: Block,
    pub span: Span,
}

impl Section {
    /// Whether it stands without a block: `intervene edit = small`.
    pub fn is_bare(&self) -> bool {
        self.body.span.start == self.body.span.end
    }
}

/// `eval.test.exact_match >= 72%`, inside `expect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub left: Path,
    /// `==`, `!=`, `<`, `<=`, `>` or `>=`, as written.
    pub operator: Ident,
    pub right: Expr,
    pub span: Span,
}

/// `remove intervene edit`
#[derive(Clone, Debug, PartialEq)]
pub struct Remove {
    pub keyword: Ident,
    pub name: Ident,
    pub span: Span,
}

/// `allow(trailing-space, twin-points)`: warnings that are meant, in the block or file that it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Allow {
    pub keyword: Ident,
    /// The names of the warnings as written, with their `-`.
    pub names: Vec<Ident>,
    pub span: Span,
}

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

impl Expr {
    /// The expressions that it is made of, in written order.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Call { arguments, .. } => arguments.iter().map(|argument| &argument.value).collect(),
            ExprKind::Method { base, arguments, .. } => {
                std::iter::once(&**base).chain(arguments.iter().map(|argument| &argument.value)).collect()
            }
            ExprKind::List(items) => items.iter().collect(),
            ExprKind::Range { start, end, .. } => start.iter().chain(end).map(|bound| &**bound).collect(),
            ExprKind::Slice { base, range } => vec![base, range],
            ExprKind::Sum(terms) => terms.iter().map(|(_, term)| term).collect(),
            ExprKind::Product(factors) => factors.iter().map(|(_, factor)| factor).collect(),
            ExprKind::Negation(inner) | ExprKind::Group(inner) => vec![inner],
            _ => Vec::new(),
        }
    }

    /// As [`Expr::children`], to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.kind {
            ExprKind::Call { arguments, .. } => arguments.iter_mut().map(|argument| &mut argument.value).collect(),
            ExprKind::Method { base, arguments, .. } => {
                std::iter::once(&mut **base).chain(arguments.iter_mut().map(|argument| &mut argument.value)).collect()
            }
            ExprKind::List(items) => items.iter_mut().collect(),
            ExprKind::Range { start, end, .. } => start.iter_mut().chain(end).map(|bound| &mut **bound).collect(),
            ExprKind::Slice { base, range } => vec![base, range],
            ExprKind::Sum(terms) => terms.iter_mut().map(|(_, term)| term).collect(),
            ExprKind::Product(factors) => factors.iter_mut().map(|(_, factor)| factor).collect(),
            ExprKind::Negation(inner) | ExprKind::Group(inner) => vec![inner],
            _ => Vec::new(),
        }
    }
}

/// The forms of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1_000`; a leading minus is part of the number.
    Int(i64),
    /// `9e-4`, `0.5`
    Float(f64),
    /// `10%` is 0.1.
    Ratio(f64),
    /// `4GiB`, in bytes.
    Size(u64),
    /// A string after its escapes and, for `"""`, after its indentation is removed.
    String(String),
    /// `true`, `false`
    Bool(bool),
    /// `all`, `f3`, `smol`, `sentiment.validation`
    Word(Path),
    /// `greedy(max_tokens: 8)`
    Call { name: Path, arguments: Vec<Argument> },
    /// `rows.shuffle(42)`
    Method { base: Box<Expr>, name: Ident, arguments: Vec<Argument> },
    /// `[1, 2, 4]`
    List(Vec<Expr>),
    /// `4..12`, `4..=12`, and, inside a slice, `..n`, `n..`, `..`
    Range { start: Option<Box<Expr>>, end: Option<Box<Expr>>, inclusive: bool },
    /// `rows[-200..]`; the range is always [`ExprKind::Range`] (or [`ExprKind::Bad`]).
    Slice { base: Box<Expr>, range: Box<Expr> },
    /// `f3 + l3`: a whole chain of `+` and `-`, flat; the first term's operator is [`Operator::Add`].
    Sum(Vec<(Operator, Expr)>),
    /// `2 * rank / 3`: a whole chain of `*` and `/`, flat; the first factor's operator is [`Scaling::Times`].
    Product(Vec<(Scaling, Expr)>),
    /// `-held_out`; the minus of a number is part of the number.
    Negation(Box<Expr>),
    /// `(a + b)`
    Group(Box<Expr>),
    /// Already reported.
    Bad,
}

impl ExprKind {
    /// Whether it is written as one number: `8`, `9e-4`, `10%`, `4GiB`.
    pub fn is_number(&self) -> bool {
        matches!(self, ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Ratio(_) | ExprKind::Size(_))
    }
}

/// The operator in front of a term of a [`ExprKind::Sum`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Add,
    Subtract,
}

/// The operator in front of a factor of a [`ExprKind::Product`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    Times,
    Divided,
}

/// One argument of a call: `8` or `max_tokens: 8`.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    pub name: Option<Ident>,
    pub value: Expr,
    pub span: Span,
}
