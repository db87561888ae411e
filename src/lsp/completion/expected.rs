//! Which sort of thing may stand at a place, from the text before it.

use super::super::cursor::{Cursor, Open};
use super::super::walk;
use crate::check::schema::{self, Block, Form};
use crate::check::types::Type;

/// What may stand at a place.
#[derive(Clone, Copy)]
pub enum Expected {
    Declaration,
    /// A field or a section of a block.
    Entry(&'static Block),
    /// A value, as the argument of `form` if there is one.
    Value {
        holds: Option<Type>,
        form: Option<&'static Form>,
    },
    /// The name of an experiment.
    Experiment,
    /// The name of a type.
    Type,
    /// The name of a warning.
    Warning,
    Nothing,
}

/// What surrounds an expression.
enum Around {
    /// A field, or a declaration's value.
    Entry(Option<Type>),
    Call(Option<&'static Form>),
    List(Option<Type>),
    /// `rows[…]`: numbers alone.
    Slice,
}

impl Expected {
    /// Reads what the writer is at.
    pub fn new(cursor: &Cursor) -> Self {
        if cursor.inside().last().is_some_and(|open| open.bracket == '(' && open.head.trim() == "allow") {
            return Expected::Warning;
        }
        let block = cursor.block().map(block);
        let entry = cursor.block_entry();
        let nested = !cursor.inside().is_empty();
        let first = entry.split_whitespace().next().unwrap_or_default();
        if !entry.contains('=') && !nested && cursor.string.is_none() {
            let words = entry.split_whitespace().count() + usize::from(entry.ends_with(char::is_whitespace));
            return match block {
                None if entry.contains(" extends ") => Expected::Experiment,
                None if first == "let" && entry.contains(':') => Expected::Type,
                None if words <= 1 => Expected::Declaration,
                Some(Some(block)) if words <= 1 => Expected::Entry(block),
                _ => Expected::Nothing,
            };
        }
        let holds = match block {
            None => declared(first, entry),
            Some(block) => field(block, first, entry),
        };
        value(holds, cursor)
    }

    /// Whether a value may stand there.
    pub fn is_value(self) -> bool {
        matches!(self, Expected::Value { .. })
    }

    /// The type that is wanted, of a value.
    pub fn holds(self) -> Option<Type> {
        match self {
            Expected::Value { holds, .. } => holds,
            _ => None,
        }
    }
}

/// The table's entry of an open block.
fn block(open: &Open) -> Option<&'static Block> {
    let keyword = open.head.split_whitespace().next()?;
    schema::block(if keyword == "intervention" { "intervene" } else { keyword })
}

/// The type of what follows the `=` of a declaration.
fn declared(keyword: &str, entry: &str) -> Option<Type> {
    match keyword {
        "model" => Some(Type::ModelSource),
        "intervention" => Some(Type::Kind),
        "edition" => Some(Type::Int),
        "let" => {
            let (_, named) = entry.split('=').next()?.split_once(':')?;
            Type::find(named.trim())
        }
        _ => None,
    }
}

/// The type of what follows the `=` of a field or a section.
fn field(block: Option<&'static Block>, name: &str, entry: &str) -> Option<Type> {
    let words = entry.split('=').next().unwrap_or_default().split_whitespace().count();
    if name == "intervene" && words == 2 {
        return Some(Type::Kind);
    }
    let name = name.split('=').next().unwrap_or_default();
    block?.field(name).map(|field| field.holds)
}

/// Follows the open brackets inwards.
fn value(holds: Option<Type>, cursor: &Cursor) -> Expected {
    let mut around = Around::Entry(holds);
    let mut commas = 0;
    for open in cursor.inside() {
        let holds = around.holds(&open.head, commas);
        let head = open.head.trim_end();
        around = match open.bracket {
            '(' => Around::Call(walk::form(holds, callee(head))),
            _ if head.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | ')' | ']')) => {
                Around::Slice
            }
            _ => Around::List(holds.and_then(walk::element)),
        };
        commas = open.commas;
    }
    let form = match around {
        Around::Call(form) if !cursor.entry.contains(':') => form,
        Around::Slice => return Expected::Nothing,
        _ => None,
    };
    Expected::Value { holds: around.holds(&cursor.entry, commas), form }
}

impl Around {
    /// The type of the expression that `text` begins, behind so many separators.
    fn holds(&self, text: &str, commas: usize) -> Option<Type> {
        match self {
            Around::Entry(holds) | Around::List(holds) => *holds,
            Around::Call(form) => {
                let name = text.split_once(':').map(|(name, _)| name.trim());
                let parameter = walk::parameter((*form)?, name, commas)?;
                // A gathered list of strings or shares.
                Some(
                    walk::element(parameter.holds)
                        .filter(|_| parameter.holds != Type::Messages)
                        .unwrap_or(parameter.holds),
                )
            }
            Around::Slice => Some(Type::Int),
        }
    }
}

/// The word that ends a text: what a bracket behind it calls.
fn callee(head: &str) -> &str {
    let start = head.rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '.');
    &head[start.map_or(0, |at| at + 1)..]
}
