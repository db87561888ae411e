//! Positions: which tokens of a row an intervention edits (`f3+l3`, `field(question).last(1)`, `generated`).

use super::token_set::Tokens;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

/// One segment of a positions value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// `fN`: the first N prompt tokens, clipped to half of the prompt.
    First(usize),
    /// `lN`: the last N prompt tokens, clipped to half of the prompt.
    Last(usize),
    /// Every prompt token.
    All,
    /// `field(question)`, `match("###").last(1)`: the prompt tokens that overlap a text, or some of them.
    Text { of: PromptText, share: Share },
    /// The input tokens behind the prompt: of the target in training, every decoded token in generation.
    Generated,
    /// `all - l1`: the tokens of a segment that no other of these has.
    Without { of: Box<Segment>, taken: Vec<Segment> },
}

/// A text that a row's prompt is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptText {
    /// What `{column}` became, wherever the template writes it.
    Column(String),
    /// A constant of the template, wherever it occurs.
    Constant(String),
}

/// How many of the tokens of a text are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    All,
    First(usize),
    Last(usize),
}

/// The tokens of one row, as far as positions ask about them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowTokens {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens of the prompt and behind it.
    pub all: usize,
    /// The prompt tokens that overlap each text that is asked about.
    pub texts: Vec<(PromptText, Tokens)>,
}

impl RowTokens {
    /// A row of which no text is asked about.
    pub fn new(prompt: usize, all: usize) -> Self {
        Self { prompt, all, texts: Vec::new() }
    }

    /// The row up to a token.
    #[must_use]
    pub fn up_to(&self, all: usize) -> Self {
        Self { all, ..self.clone() }
    }
}

impl Segment {
    /// The tokens of a row that the segment edits.
    ///
    /// `fN` and `lN` are clipped to ⌊prompt/2⌋, as pyreft's `get_intervention_locations` does, so that they never meet. A text that the
    /// row says nothing about hits nothing.
    pub fn resolve(&self, row: &RowTokens) -> Tokens {
        let (prompt, half) = (row.prompt, row.prompt / 2);
        match self {
            Segment::First(count) => Tokens::from(0..(*count).min(half)),
            Segment::Last(count) => Tokens::from(prompt - (*count).min(half)..prompt),
            Segment::All => Tokens::from(0..prompt),
            Segment::Text { of, share } => match row.texts.iter().find(|(text, _)| text == of) {
                Some((_, tokens)) => share.of(tokens),
                None => Tokens::none(),
            },
            Segment::Generated => Tokens::from(prompt..row.all),
            Segment::Without { of, taken } => {
                taken.iter().fold(of.resolve(row), |left, taken| left.without(&taken.resolve(row)))
            }
        }
    }

    /// Whether a prompt of `tokens` tokens is too short for the whole of an `fN` or `lN`.
    pub fn is_clipped(&self, tokens: usize) -> bool {
        match self {
            Segment::First(count) | Segment::Last(count) => *count > tokens / 2,
            _ => false,
        }
    }

    /// Whether the segment is of tokens behind the prompt.
    pub fn is_generated(&self) -> bool {
        match self {
            Segment::Generated => true,
            Segment::Without { of, .. } => of.is_generated(),
            _ => false,
        }
    }

    /// The texts that the segment names: where they stand differs from row to row.
    pub fn texts(&self) -> Vec<&PromptText> {
        match self {
            Segment::Text { of, .. } => vec![of],
            Segment::Without { of, taken } => {
                taken.iter().fold(of.texts(), |texts, taken| [texts, taken.texts()].concat())
            }
            Segment::First(_) | Segment::Last(_) | Segment::All | Segment::Generated => Vec::new(),
        }
    }
}

impl Share {
    fn of(self, tokens: &Tokens) -> Tokens {
        let count = tokens.len();
        match self {
            Share::All => tokens.clone(),
            Share::First(wanted) => tokens.iter().take(wanted).collect(),
            Share::Last(wanted) => tokens.iter().skip(count.saturating_sub(wanted)).collect(),
        }
    }
}

/// As it is written, without spaces.
impl Display for Segment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Segment::First(count) => write!(f, "f{count}"),
            Segment::Last(count) => write!(f, "l{count}"),
            Segment::All => f.write_str("all"),
            Segment::Text { of, share } => write!(f, "{of}{share}"),
            Segment::Generated => f.write_str("generated"),
            Segment::Without { of, taken } => {
                write!(f, "{of}")?;
                taken.iter().try_for_each(|taken| write!(f, "-{taken}"))
            }
        }
    }
}

/// `field(question)`, `field("odd name")`, `match("###")`
impl Display for PromptText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            PromptText::Column(name) if super::template::is_plain(name) => write!(f, "field({name})"),
            PromptText::Column(name) => write!(f, "field({name:?})"),
            PromptText::Constant(text) => write!(f, "match({text:?})"),
        }
    }
}

/// Nothing, `.first(2)` or `.last(2)`.
impl Display for Share {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Share::All => Ok(()),
            Share::First(count) => write!(f, ".first({count})"),
            Share::Last(count) => write!(f, ".last({count})"),
        }
    }
}

/// The tokens that each set of parameters of a block edits: one set for each segment, or, where the segments are tied, one of all their
/// tokens.
pub fn resolve_all(segments: &[Segment], tied: bool, row: &RowTokens) -> Vec<Tokens> {
    let sets = segments.iter().map(|segment| segment.resolve(row));
    match tied {
        true => vec![sets.fold(Tokens::none(), |all, tokens| all.or(&tokens))],
        false => sets.collect(),
    }
}

/// The texts that segments name, each once.
pub fn texts<'a>(segments: impl IntoIterator<Item = &'a Segment>) -> Vec<PromptText> {
    let texts: BTreeSet<&PromptText> = segments.into_iter().flat_map(Segment::texts).collect();
    texts.into_iter().cloned().collect()
}
