//! `reftc describe`: the language from its own tables.

use super::args::DescribeArgs;
use super::output::Output;
use crate::check::schema::{self, BLOCKS, Bound, Fallback, Field, Form, Parameter};
use crate::check::types::Type;
use crate::diag::suggest;
use crate::intervention::Kind;
use std::fmt::Write;
use std::process::ExitCode;

/// Prints what the arguments ask for; 2 for a name that the language does not have.
pub fn describe(arguments: &DescribeArgs, output: &Output) -> ExitCode {
    if arguments.markdown {
        output.data(&markdown());
        return ExitCode::SUCCESS;
    }
    let Some(name) = &arguments.name else {
        output.data(&overview());
        return ExitCode::SUCCESS;
    };
    match text(name) {
        Some(text) => {
            output.data(&text);
            ExitCode::SUCCESS
        }
        None => {
            let kinds = Kind::ALL.iter().map(|kind| kind.name());
            let types = Type::ALL.iter().map(|holds| holds.name());
            let names: Vec<&str> = BLOCKS.iter().map(|block| block.name).chain(kinds).chain(types).collect();
            let near = suggest::near(name, names.iter().copied());
            let help = if near.is_empty() { names } else { near };
            output.usage_error(
                &format!("the language has nothing called `{name}`"),
                &format!("try {}", suggest::list(&help)),
            );
            ExitCode::from(2)
        }
    }
}

/// The description of a block, `block.field`, kind, type or form.
fn text(name: &str) -> Option<String> {
    if let Some((block, field)) = name.split_once('.') {
        return schema::block(block)?.field(field).map(|field| field_text(block, field));
    }
    if let Some(block) = schema::block(name) {
        let mut out = format!("{}\n{}\n\n", block.head, block.doc);
        let rows: Vec<[String; 3]> = block.fields.iter().map(field_row).collect();
        out.push_str(&columns(&rows));
        return Some(out);
    }
    if let Some(kind) = Kind::find(name) {
        let entry = kind.entry();
        return Some(format!(
            "{}: {}\n{}\nfields: {}\n",
            entry.name,
            entry.formula,
            entry.doc,
            entry.fields.join(", ")
        ));
    }
    if let Some(holds) = Type::find(name) {
        return Some(type_text(holds));
    }
    let forms: Vec<&Form> = schema::FORMS.iter().filter(|form| form.name == name).collect();
    let fields = BLOCKS.iter().flat_map(|block| block.field(name).map(|field| field_text(block.name, field)));
    let mut out: String = fields.collect::<Vec<_>>().join("\n");
    for form in forms {
        let _ = write!(out, "{}", form_text(form));
    }
    (!out.is_empty()).then_some(out)
}

fn overview() -> String {
    let blocks: Vec<[String; 3]> =
        BLOCKS.iter().map(|block| [block.name.to_owned(), block.head.to_owned(), block.doc.to_owned()]).collect();
    let kinds: Vec<[String; 3]> = Kind::ALL
        .iter()
        .map(|kind| [kind.name().to_owned(), kind.entry().formula.to_owned(), kind.entry().doc.to_owned()])
        .collect();
    format!(
        "Blocks\n{}\nKinds of interventions\n{}\n`reftc describe NAME` tells more about a block, `block.field`, type or kind.\n",
        columns(&blocks),
        columns(&kinds)
    )
}

fn field_row(field: &Field) -> [String; 3] {
    [
        field.name.to_owned(),
        format!("{} {}", field.holds.name(), fallback(field)).trim().to_owned(),
        field.doc.to_owned(),
    ]
}

fn fallback(field: &Field) -> String {
    match field.default {
        Fallback::Required => "(required)".into(),
        Fallback::None => "(optional)".into(),
        Fallback::Text(text) => format!("= {text}"),
        Fallback::Later => "(comes in a later version)".into(),
    }
}

fn field_text(block: &str, field: &Field) -> String {
    let mut out = format!("{block}.{}: {} {}\n{}\n", field.name, field.holds.name(), fallback(field), field.doc);
    if field.bound != Bound::Any {
        let _ = writeln!(out, "allowed: {}", field.bound.describe());
    }
    if !field.aliases.is_empty() {
        let _ = writeln!(out, "elsewhere called {}", field.aliases.join(", "));
    }
    let _ = writeln!(out, "example: {} = {}", field.name, field.holds.example());
    if schema::forms(field.holds).next().is_some() {
        let _ = write!(out, "\n{}", type_text(field.holds));
    }
    out
}

fn type_text(holds: Type) -> String {
    let mut out = format!("{}, for example {}\n", holds.name(), holds.example());
    for form in schema::forms(holds) {
        out.push_str(&form_text(form));
    }
    if holds == Type::Kind {
        for kind in Kind::ALL {
            let _ = writeln!(out, "  {}: {}", kind.name(), kind.entry().formula);
        }
    }
    match holds {
        Type::Layers => out.push_str("  [3, 9, 18]: these layers, counted from 0\n  4..12, 4..=12: a range, without or with its end\n"),
        Type::Positions => out.push_str("  fN: the first N prompt tokens, at most half of the prompt\n  lN: the last N, at most half\n  f3+l3: several segments\n  all-l1: a segment without the tokens of others\n"),
        Type::Source => out.push_str("  [..n], [n..], [-n..], [..-n]: slices\n  .shuffle(seed): another order\n"),
        Type::Template => out.push_str("  \"{column}\": the row's text of that column; {\\\"odd name\\\"} where it has other characters; {{ and }} are braces\n"),
        _ => {}
    }
    out
}

fn form_text(form: &Form) -> String {
    let mut out = format!("  {}: {}", signature(form), form.doc);
    if form.later {
        out.push_str(" (comes in a later version)");
    }
    out.push('\n');
    for parameter in form.parameters {
        let _ = writeln!(out, "    {}: {} {}", parameter.name, parameter.holds.name(), parameter.doc);
    }
    out
}

fn signature(form: &Form) -> String {
    let one = |parameter: &Parameter| match parameter.default {
        None => parameter.name.to_owned(),
        Some(default) => format!("{}: {default}", parameter.name),
    };
    match form.parameters {
        [] => form.name.to_owned(),
        parameters => format!("{}({})", form.name, parameters.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}

/// Three columns, the first two padded.
fn columns(rows: &[[String; 3]]) -> String {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[a, b, c]| format!("  {a:first$}  {b:second$}  {c}\n")).collect()
}

/// The reference of the language: `docs/reference.md` is this text.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Reference of the language\n\nMade by `reftc describe --markdown` from the tables that the checker reads; do not edit.\n",
    );
    for block in BLOCKS {
        let _ = write!(out, "\n## `{}`\n\n{} Written `{}`.\n\n", block.name, block.doc, block.head);
        out.push_str("| field | type | default | |\n|---|---|---|---|\n");
        for field in block.fields {
            let default = match field.default {
                Fallback::Required => "required".to_owned(),
                Fallback::None => "–".to_owned(),
                Fallback::Text(text) => format!("`{text}`"),
                Fallback::Later => "later version".to_owned(),
            };
            let allowed = match field.bound {
                Bound::Any => String::new(),
                bound => format!("; {}", bound.describe()),
            };
            let holds = field.holds.name().replace('<', "&lt;");
            let _ = writeln!(out, "| `{}` | {holds} | {default} | {}{allowed} |", field.name, field.doc);
        }
    }
    out.push_str("\n## Kinds of interventions\n\n| kind | formula | fields | |\n|---|---|---|---|\n");
    for kind in Kind::ALL {
        let entry = kind.entry();
        let _ = writeln!(out, "| `{}` | {} | {} | {} |", entry.name, entry.formula, entry.fields.join(", "), entry.doc);
    }
    out.push_str("\n## Words and calls\n");
    for holds in Type::ALL {
        if schema::forms(*holds).next().is_none() {
            continue;
        }
        let _ = write!(out, "\n### {}\n\n| | |\n|---|---|\n", holds.name());
        for form in schema::forms(*holds) {
            let later = if form.later { " (later version)" } else { "" };
            let _ = writeln!(out, "| `{}` | {}{later} |", signature(form), form.doc);
            for parameter in form.parameters {
                let _ = writeln!(
                    out,
                    "| {} `{}` | {} |",
                    parameter.holds.name().replace('<', "&lt;"),
                    parameter.name,
                    parameter.doc
                );
            }
        }
    }
    out
}
