//! The one table of the language: every block, field and form, with types, defaults and a line of documentation.
//!
//! The checker, `reftc describe`, completion and the language reference all read it. Defaults are written in the
//! language itself and go through the same evaluation as what a user writes.

mod blocks;
mod forms;

pub use blocks::BLOCKS;
pub use forms::FORMS;

use super::types::Type;

/// What an edition of the language calls a block and its fields.
pub struct Block {
    pub name: &'static str,
    pub doc: &'static str,
    /// How a block of this kind begins.
    pub head: &'static str,
    pub fields: &'static [Field],
}

/// One field of a block.
pub struct Field {
    pub name: &'static str,
    pub holds: Type,
    pub default: Fallback,
    pub bound: Bound,
    pub doc: &'static str,
    /// What other tools call it.
    pub aliases: &'static [&'static str],
}

/// What a field holds where nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It must be written.
    Required,
    /// It may be left out, and then there is none.
    None,
    /// This text, in the language.
    Text(&'static str),
    /// The field is known but not yet implemented.
    Later,
}

/// Which numbers are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Any,
    AtLeast(i64),
    Positive,
    /// 0 up to, not including, 1.
    Share,
    /// 0 up to and including 1.
    Ratio,
}

impl Bound {
    /// Whether `value` lies inside.
    pub fn holds(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Bound::Any => true,
                Bound::AtLeast(least) => value >= least as f64,
                Bound::Positive => value > 0.0,
                Bound::Share => (0.0..1.0).contains(&value),
                Bound::Ratio => (0.0..=1.0).contains(&value),
            }
    }

    /// The allowed numbers in words.
    pub fn describe(self) -> String {
        match self {
            Bound::Any => "any number".into(),
            Bound::AtLeast(least) => format!("{least} or more"),
            Bound::Positive => "more than 0".into(),
            Bound::Share => "from 0 to less than 1".into(),
            Bound::Ratio => "from 0 to 1".into(),
        }
    }
}

/// A word or call that makes a value of a domain type: `all`, `linear(warmup: 10%)`.
#[derive(Debug)]
pub struct Form {
    pub makes: Type,
    pub name: &'static str,
    pub parameters: &'static [Parameter],
    pub doc: &'static str,
    pub later: bool,
}

/// One argument of a form; those without a default must be given.
#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub holds: Type,
    pub default: Option<&'static str>,
    pub bound: Bound,
    pub doc: &'static str,
}

/// The block of that name.
pub fn block(name: &str) -> Option<&'static Block> {
    BLOCKS.iter().find(|block| block.name == name)
}

/// The forms that make a value of a type.
pub fn forms(makes: Type) -> impl Iterator<Item = &'static Form> {
    FORMS.iter().filter(move |form| form.makes == makes)
}

/// Whether a word is `fN` or `lN`.
pub fn is_position(word: &str) -> bool {
    word.strip_prefix(['f', 'l']).is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
}

impl Block {
    /// The field that other tools call by that name.
    pub fn known_as(&self, alias: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.aliases.contains(&alias))
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}
