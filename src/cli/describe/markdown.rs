//! The reference of the language in Markdown: `docs/reference/` holds these pages.

use super::parts::{allowed, assignment, block_with, holders, notes, smallest};
use crate::check::foreign;
use crate::check::schema::{self, BLOCKS, Block, Fallback, Field, Form};
use crate::check::types::Type;
use crate::intervention::Kind;
use std::fmt::Write;

/// One page.
pub struct Page {
    /// Of its file, `train.md`.
    pub name: String,
    pub text: String,
}

const ORIGIN: &str =
    "Made by `reftc describe --markdown --out docs/reference` from the tables that the checker reads; do not edit.";

/// An index, a page for each block, one for types with their words and calls, and one for kinds.
pub fn pages() -> Vec<Page> {
    let mut pages = vec![Page { name: "README.md".into(), text: index() }];
    pages.extend(BLOCKS.iter().map(|block| Page { name: page_of(block), text: block_page(block) }));
    pages.push(Page { name: "types.md".into(), text: types_page() });
    pages.push(Page { name: "kinds.md".into(), text: kinds_page() });
    pages
}

fn page_of(block: &Block) -> String {
    format!("{}.md", block.name)
}

fn index() -> String {
    let mut out = format!(
        "# Reference of the language\n\n{ORIGIN} [The language](../language.md) explains the ideas.\n\n| block | |\n|---|---|\n"
    );
    for block in BLOCKS {
        let _ = writeln!(out, "| [`{}`]({}) | {} |", block.head, page_of(block), block.doc);
    }
    out.push_str("\n| | |\n|---|---|\n");
    let types: Vec<String> = Type::ALL.iter().map(|holds| type_link(*holds)).collect();
    let _ = writeln!(out, "| [types](types.md), with their words and calls | {} |", types.join(" "));
    let kinds: Vec<String> =
        Kind::ALL.iter().map(|kind| format!("[`{}`](kinds.md#{})", kind.name(), kind.name())).collect();
    let _ = writeln!(out, "| [kinds of interventions](kinds.md) | {} |", kinds.join(" "));
    out.push_str("\n## Every field\n\n| field | type | default | |\n|---|---|---|---|\n");
    for block in BLOCKS {
        for field in block.fields {
            let link = format!("[`{}.{}`]({}#{})", block.name, field.name, page_of(block), field.name);
            let _ = writeln!(out, "| {link} | {} | {} | {} |", type_link(field.holds), default(field), field.doc);
        }
    }
    out.push_str("\n## What other tools call it\n\n| elsewhere | here |\n|---|---|\n");
    for block in BLOCKS {
        for field in block.fields.iter().filter(|field| !field.aliases.is_empty()) {
            let link = format!("[`{}.{}`]({}#{})", block.name, field.name, page_of(block), field.name);
            let _ = writeln!(out, "| {} | {link} |", code_list(field.aliases));
        }
    }
    for (theirs, ours) in foreign::WORDS {
        let _ = writeln!(out, "| `{theirs}` | `{ours}` |");
    }
    out
}

fn block_page(block: &Block) -> String {
    let mut out = format!("# `{}`\n\n{} Written `{}`. {ORIGIN}\n\n", block.name, block.doc, block.head);
    if !block.fields.is_empty() {
        out.push_str("| field | type | default | |\n|---|---|---|---|\n");
    }
    for field in block.fields {
        let link = format!("[`{0}`](#{0})", field.name);
        let _ = writeln!(out, "| {link} | {} | {} | {} |", type_link(field.holds), default(field), field.doc);
    }
    if let Some(smallest) = smallest(block) {
        let _ = write!(out, "\nThe smallest one:\n\n```reft\n{smallest}\n```\n");
    }
    for field in block.fields {
        let _ = write!(out, "\n## `{}`\n\n{}.\n\n", field.name, capitalised(field.doc));
        let _ = writeln!(out, "- Type: {}", type_link(field.holds));
        let _ = writeln!(out, "- Default: {}", default(field));
        if let Some(allowed) = allowed(field.bound) {
            let _ = writeln!(out, "- Allowed: {allowed}");
        }
        if !field.aliases.is_empty() {
            let _ = writeln!(out, "- Elsewhere called {}", code_list(field.aliases));
        }
        if field.default != Fallback::Later {
            let _ = write!(out, "\n```reft\n{}\n```\n", block_with(block, &[assignment(field)]));
        }
    }
    out
}

fn types_page() -> String {
    let mut out = format!("# Types\n\nEvery field and argument has one. {ORIGIN}\n");
    for holds in Type::ALL {
        let _ = write!(out, "\n## {}\n\nFor example `{}`.", escaped(holds.name()), holds.example());
        let fields: Vec<String> = holders(*holds)
            .iter()
            .map(|(block, field)| format!("[`{}.{}`]({}#{})", block.name, field.name, page_of(block), field.name))
            .collect();
        if !fields.is_empty() {
            let _ = write!(out, " Taken by {}.", fields.join(", "));
        }
        if *holds == Type::Kind {
            out.push_str(" [The kinds](kinds.md) have a page of their own.");
        }
        out.push('\n');
        let rows: Vec<String> = schema::forms(*holds)
            .map(form_row)
            .chain(notes(*holds).iter().map(|(written, doc)| format!("| `{written}` | {doc} |\n")))
            .collect();
        if !rows.is_empty() {
            let _ = write!(out, "\n| | |\n|---|---|\n{}", rows.concat());
        }
    }
    out
}

fn form_row(form: &Form) -> String {
    let later = if form.later { " (later version)" } else { "" };
    let mut out = format!("| `{}` | {}{later} |\n", form.signature(), form.doc);
    for parameter in form.parameters {
        let allowed = allowed(parameter.bound).map_or(String::new(), |allowed| format!("; {allowed}"));
        let _ = writeln!(
            out,
            "| &emsp;`{}`: {} | {}{allowed} |",
            parameter.name,
            type_link(parameter.holds),
            parameter.doc
        );
    }
    out
}

fn kinds_page() -> String {
    let mut out = format!(
        "# Kinds of interventions\n\nWhat `intervene NAME = KIND {{ … }}` trains; h is the edited state, R has `rank` orthonormal rows, and f is the field `act`. {ORIGIN}\n"
    );
    for kind in Kind::ALL {
        let entry = kind.entry();
        let fields: Vec<String> =
            entry.fields.iter().map(|field| format!("[`{field}`](intervene.md#{field})")).collect();
        let _ = write!(out, "\n## `{}`\n\n{}.\n\n", entry.name, capitalised(entry.doc));
        let _ = write!(out, "    {}\n\nFields: {}.\n", entry.formula, fields.join(", "));
        let tensors = entry.parameters(0, 0, false);
        let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name).collect();
        let _ = writeln!(out, "Trained tensors of each layer and segment: {}.", code_list(&names));
    }
    out
}

fn default(field: &Field) -> String {
    match field.default {
        Fallback::Required => "required".to_owned(),
        Fallback::None => "–".to_owned(),
        Fallback::Text(text) => format!("`{text}`"),
        Fallback::Later => "later version".to_owned(),
    }
}

/// The type's name, leading to its section; sections are linked by the letters of their headings.
fn type_link(holds: Type) -> String {
    let anchor: String = holds.name().chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect();
    format!("[{}](types.md#{})", escaped(holds.name()), anchor.replace(' ', "-"))
}

fn code_list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn escaped(name: &str) -> String {
    name.replace('<', "&lt;")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
