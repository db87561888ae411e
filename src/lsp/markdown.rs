//! The tables of the language as Markdown, for hover and completion.

use crate::check::schema::{self, Block, Bound, Field, Form, Parameter};
use crate::diag::Code;
use crate::intervention::Kind;
use std::fmt::Write;

/// A block: how it begins, what it is, and its fields.
pub fn block(block: &Block) -> String {
    let mut out = format!("```reft\n{}\n```\n{}\n\n", block.head, block.doc);
    for field in block.fields {
        let _ = writeln!(out, "- `{}`: {} {}", field.name, field.holds.name(), field.fallback());
    }
    out
}

/// A field: type, default, documentation, and the words that it takes.
pub fn field(field: &Field) -> String {
    let mut out = format!("```reft\n{}: {} {}\n```\n{}", field.name, field.holds.name(), field.fallback(), field.doc);
    if field.bound != Bound::Any {
        let _ = write!(out, " (allowed: {})", field.bound.describe());
    }
    let words: Vec<String> = schema::forms(field.holds).map(|form| format!("`{}`", form.signature())).collect();
    if !words.is_empty() {
        let _ = write!(out, "\n\n{}", words.join(" · "));
    }
    out
}

/// A word or call, and its arguments.
pub fn form(form: &Form) -> String {
    let mut out = format!("```reft\n{}\n```\n{}: {}", form.signature(), form.makes.name(), form.doc);
    if form.later {
        out.push_str(" (comes in a later version)");
    }
    for parameter in form.parameters {
        let _ = write!(out, "\n- `{}`: {}, {}", parameter.name, parameter.holds.name(), parameter.doc);
    }
    out
}

/// An argument of a call.
pub fn parameter(form: &Form, parameter: &Parameter) -> String {
    let default = parameter.default.map_or("(required)".to_owned(), |default| format!("= {default}"));
    let mut out = format!(
        "```reft\n{}: {} {default}\n```\n{}, of `{}`",
        parameter.name,
        parameter.holds.name(),
        parameter.doc,
        form.signature()
    );
    if parameter.bound != Bound::Any {
        let _ = write!(out, " (allowed: {})", parameter.bound.describe());
    }
    out
}

/// A warning: its name and code, and what it means.
pub fn warning(code: Code) -> String {
    format!("```reft\nallow({})\n```\n{}: {}", code.name(), code.as_str(), code.meaning())
}

/// A kind of intervention: its formula, and the shapes of what it trains.
pub fn kind(kind: Kind) -> String {
    let entry = kind.entry();
    // Any two sizes that are not alike tell which side of a matrix is which.
    let (hidden, rank) = (3, 2);
    let letter = |size: usize| if size == hidden { "d" } else { "r" };
    let shapes = entry.parameters(hidden, rank, false).into_iter().map(|shape| match shape.rows {
        1 => format!("`{}` {}", shape.name, letter(shape.columns)),
        rows => format!("`{}` {} × {}", shape.name, letter(rows), letter(shape.columns)),
    });
    format!(
        "```reft\n{} {{ … }}\n```\n{}\n\n{}\n\ntrains {} for each unit; d is the size of a state, r the rank\n\nfields: {}",
        entry.name,
        entry.formula,
        entry.doc,
        shapes.collect::<Vec<_>>().join(", "),
        entry.fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
    )
}
