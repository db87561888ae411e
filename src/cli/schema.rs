//! `reftc schema`: the tables of the language as one document for other programs, described in `docs/tools.md`.

use super::output::Output;
use crate::check::schema::{self, BLOCKS, Bound, Fallback, Form};
use crate::check::types::Type;
use crate::check::{EDITION, foreign};
use crate::diag::Code;
use crate::intervention::Kind;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Grows when something in the document changes its meaning or goes; what is new does not count.
const VERSION: u32 = 1;

/// Prints the document.
pub fn schema(output: &Output) -> ExitCode {
    output.data(&format!("{:#}\n", document()));
    ExitCode::SUCCESS
}

/// Blocks with their fields, types with their words and calls, kinds, codes, and what other tools call words.
pub fn document() -> Value {
    let words = foreign::WORDS.iter().map(|(theirs, ours)| json!({ "elsewhere": theirs, "here": ours }));
    json!({
        "version": VERSION,
        "reftc": env!("CARGO_PKG_VERSION"),
        "edition": EDITION,
        "blocks": BLOCKS.iter().map(block).collect::<Vec<_>>(),
        "types": Type::ALL.iter().map(|holds| type_entry(*holds)).collect::<Vec<_>>(),
        "kinds": Kind::ALL.iter().map(|kind| kind_entry(*kind)).collect::<Vec<_>>(),
        "codes": Code::ALL.iter().map(|code| code_entry(*code)).collect::<Vec<_>>(),
        "words": words.collect::<Vec<_>>(),
    })
}

fn block(block: &schema::Block) -> Value {
    let field = |field: &schema::Field| {
        json!({
            "name": field.name,
            "type": field.holds.name(),
            "required": field.default == Fallback::Required,
            "default": match field.default {
                Fallback::Text(text) => Some(text),
                _ => None,
            },
            "later": field.default == Fallback::Later,
            "allowed": allowed(field.bound),
            "doc": field.doc,
            "elsewhere": field.aliases,
        })
    };
    let fields: Vec<Value> = block.fields.iter().map(field).collect();
    json!({ "name": block.name, "head": block.head, "doc": block.doc, "fields": fields })
}

fn type_entry(holds: Type) -> Value {
    let forms: Vec<Value> = schema::forms(holds).map(form).collect();
    json!({ "name": holds.name(), "example": holds.example(), "forms": forms })
}

fn form(form: &Form) -> Value {
    let parameter = |parameter: &schema::Parameter| {
        json!({
            "name": parameter.name,
            "type": parameter.holds.name(),
            "required": parameter.default.is_none(),
            "default": parameter.default,
            "allowed": allowed(parameter.bound),
            "doc": parameter.doc,
        })
    };
    let parameters: Vec<Value> = form.parameters.iter().map(parameter).collect();
    json!({ "name": form.name, "doc": form.doc, "later": form.later, "parameters": parameters })
}

fn kind_entry(kind: Kind) -> Value {
    let entry = kind.entry();
    json!({ "name": entry.name, "formula": entry.formula, "doc": entry.doc, "fields": entry.fields })
}

fn code_entry(code: Code) -> Value {
    json!({ "code": code.as_str(), "name": code.name(), "severity": code.severity().name() })
}

/// The numbers that are allowed, `null` where all are.
fn allowed(bound: Bound) -> Value {
    match bound {
        Bound::Any => Value::Null,
        Bound::AtLeast(least) => json!({ "at_least": least }),
        Bound::Positive => json!({ "more_than": 0 }),
        Bound::Share => json!({ "at_least": 0, "less_than": 1 }),
        Bound::Ratio => json!({ "at_least": 0, "at_most": 1 }),
    }
}
