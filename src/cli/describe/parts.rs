//! What texts and pages both say of a field, a form or a type.

use crate::check::schema::{BLOCKS, Block, Bound, Fallback, Field};
use crate::check::types::Type;

/// The field as it may be written: `lr = 9e-4`.
pub fn assignment(field: &Field) -> String {
    let value = match (field.holds, field.default) {
        // Whole numbers of unlike size have nothing but their defaults in common.
        (Type::Int, Fallback::Text(default)) => default,
        (holds, _) => holds.example(),
    };
    format!("{} = {value}", field.name)
}

/// A block with these entries: `eval test { on = sentiment.test }`.
pub fn block_with(block: &Block, entries: &[String]) -> String {
    let name = match block.name {
        "model" => "smol",
        "data" => "sentiment",
        "experiment" => "sentiment_loreft",
        "eval" => "test",
        _ => "edit",
    };
    let head = block.head.replace("NAME", name).replace("KIND", "loreft");
    head.replace("SOURCE", Type::ModelSource.example()).replace('…', &entries.join(", "))
}

/// A block with what it must have, if there is such a thing.
pub fn smallest(block: &Block) -> Option<String> {
    let required = block.fields.iter().filter(|field| field.default == Fallback::Required);
    let required: Vec<String> = required.map(assignment).collect();
    (!required.is_empty()).then(|| block_with(block, &required))
}

/// Which numbers are allowed, where not all are.
pub fn allowed(bound: Bound) -> Option<String> {
    (bound != Bound::Any).then(|| bound.describe())
}

/// The fields of a type, as `train.lr`.
pub fn holders(holds: Type) -> Vec<(&'static Block, &'static Field)> {
    let fields = BLOCKS.iter().flat_map(|block| block.fields.iter().map(move |field| (block, field)));
    fields.filter(|(_, field)| field.holds == holds).collect()
}

/// What is written of a type besides its words and calls.
pub fn notes(holds: Type) -> &'static [(&'static str, &'static str)] {
    match holds {
        Type::Layers => &[
            ("[3, 9, 18]", "these layers, counted from 0"),
            ("4..12, 4..=12", "a range, without or with its end"),
            ("all - [0], first(2) + last(2)", "sums and differences"),
        ],
        Type::Positions => &[
            ("fN", "the first N prompt tokens, at most half of the prompt"),
            ("lN", "the last N, at most half"),
            ("f3+l3", "several segments"),
            ("all - l1", "a segment without the tokens of others"),
        ],
        Type::Source => &[("[..n], [n..], [-n..], [..-n]", "slices of the rows"), (".shuffle(seed)", "another order")],
        Type::Template => &[
            ("\"{column}\"", "the row's text of that column"),
            ("{\\\"odd name\\\"}", "a column whose name has other characters"),
            ("{{, }}", "braces"),
        ],
        Type::Split => &[("DATA.train, DATA.validation, DATA.test", "the rows of a data block")],
        Type::Bool => &[("true, false", "yes or no")],
        Type::Ratio => &[("10%, 0.1", "a share")],
        Type::Size => &[("512MiB, 4GiB, 2GB", "bytes, by powers of 2 or of 10")],
        _ => &[],
    }
}
