//! Descriptions for the terminal.

use super::parts::{allowed, assignment, block_with, holders, notes, smallest};
use crate::check::foreign;
use crate::check::schema::{self, BLOCKS, Block, Field, Form};
use crate::check::types::Type;
use crate::diag::Code;
use crate::intervention::Kind;
use crate::intervention::registry::Entry;
use std::fmt::Write;

/// Everything of that name: a block, fields, a kind, a type, words and calls; or what other tools call so.
pub fn text(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase().replace('-', "_");
    own(&name).or_else(|| foreign(&name))
}

fn own(name: &str) -> Option<String> {
    if let Some((block, rest)) = name.split_once('.') {
        // `intervene.edit.rank` has the name of a block in the middle, as paths of a sweep do.
        let block = schema::block(block)?;
        let field = rest.rsplit('.').next().unwrap_or(rest);
        return block
            .field(field)
            .map(|field| field_text(block, field))
            .or_else(|| block.known_as(field).map(|found| called_here(field, block, found)));
    }
    let mut found: Vec<String> = schema::block(name).map(block_text).into_iter().collect();
    found.extend(Kind::find(name).map(|kind| kind_text(kind.entry())));
    let fields = BLOCKS.iter().filter_map(|block| block.field(name).map(|field| (block, field)));
    // A field that is called as its block says nothing that the block does not.
    found
        .extend(fields.filter(|_| found.is_empty()).map(|(block, field)| field_text(block, field)).collect::<Vec<_>>());
    let holds = Type::find(&name.replace('_', " ")).or(Type::find(name));
    let shown_already = found.iter().any(|text| holds.is_some_and(|holds| text.ends_with(&type_text(holds))));
    found.extend(holds.filter(|_| !shown_already).map(type_text));
    if found.is_empty() {
        let forms = schema::FORMS.iter().filter(|form| form.name == name);
        found.extend(forms.map(|form| format!("{}\n{}", form.makes.name(), form_text(form))));
    }
    (!found.is_empty()).then(|| found.join("\n"))
}

/// What other tools call by that name.
fn foreign(name: &str) -> Option<String> {
    let fields = BLOCKS.iter().filter_map(|block| block.known_as(name).map(|field| called_here(name, block, field)));
    let mut found: Vec<String> = fields.collect();
    for (_, ours) in foreign::WORDS.iter().filter(|(theirs, _)| *theirs == name) {
        found.extend(own(ours).map(|text| format!("{name} is called {ours} here\n\n{text}")));
    }
    if let (true, Some(code)) = (found.is_empty(), Code::find(name)) {
        found.push(format!("{} is the code of a finding: `reftc explain {0}` tells more\n", code.as_str()));
    }
    (!found.is_empty()).then(|| found.join("\n"))
}

fn called_here(name: &str, block: &Block, field: &Field) -> String {
    format!("{name} is called {}.{} here\n\n{}", block.name, field.name, field_text(block, field))
}

/// What other tools call fields and words, for near misses.
pub fn foreign_names() -> Vec<&'static str> {
    let fields = BLOCKS.iter().flat_map(|block| block.fields).flat_map(|field| field.aliases.iter().copied());
    fields.chain(foreign::WORDS.iter().map(|(theirs, _)| *theirs)).collect()
}

/// Every name of the language, for near misses.
pub fn names() -> Vec<&'static str> {
    let fields = || BLOCKS.iter().flat_map(|block| block.fields);
    let mut names: Vec<&str> = BLOCKS.iter().map(|block| block.name).collect();
    names.extend(Kind::ALL.iter().map(|kind| kind.name()));
    names.extend(fields().map(|field| field.name));
    names.extend(Type::ALL.iter().map(|holds| holds.name()));
    names.extend(schema::FORMS.iter().map(|form| form.name));
    names
}

/// All blocks and kinds.
pub fn overview() -> String {
    let blocks = BLOCKS.iter().map(|block| [block.name.to_owned(), block.head.to_owned(), block.doc.to_owned()]);
    let kinds = Kind::ALL.iter().map(|kind| kind.entry());
    let kinds = kinds.map(|entry| [entry.name.to_owned(), entry.formula.to_owned(), entry.doc.to_owned()]);
    let types: Vec<&str> = Type::ALL.iter().map(|holds| holds.name()).collect();
    format!(
        "Blocks\n{}\nKinds of interventions\n{}\nTypes\n{}\n`reftc describe NAME` tells more about a block, field, kind, type or word.\n",
        columns(&blocks.collect::<Vec<_>>()),
        columns(&kinds.collect::<Vec<_>>()),
        wrapped(&types),
    )
}

fn block_text(block: &Block) -> String {
    let row = |field: &Field| {
        let holds = format!("{} {}", field.holds.name(), field.fallback()).trim().to_owned();
        [field.name.to_owned(), holds, field.doc.to_owned()]
    };
    let rows: Vec<[String; 3]> = block.fields.iter().map(row).collect();
    let example = smallest(block).map_or(String::new(), |example| format!("\nexample: {example}\n"));
    format!("{}\n{}\n\n{}{example}", block.head, block.doc, columns(&rows))
}

fn kind_text(entry: &Entry) -> String {
    let intervene = schema::block("intervene").and_then(smallest).unwrap_or_default().replace("loreft", entry.name);
    let fields = entry.fields.join(", ");
    format!("{}: {}\n{}\nfields: {fields}\nexample: {intervene}\n", entry.name, entry.formula, entry.doc)
}

fn field_text(block: &Block, field: &Field) -> String {
    let name = format!("{}.{}", block.name, field.name);
    let mut out = format!("{name}: {} {}\n{}\n", field.holds.name(), field.fallback(), field.doc);
    if let Some(allowed) = allowed(field.bound) {
        let _ = writeln!(out, "allowed: {allowed}");
    }
    if !field.aliases.is_empty() {
        let _ = writeln!(out, "elsewhere called {}", field.aliases.join(", "));
    }
    let _ = writeln!(out, "example: {}", block_with(block, &[assignment(field)]));
    if schema::forms(field.holds).next().is_some() || !notes(field.holds).is_empty() {
        let _ = write!(out, "\n{}", type_text(field.holds));
    }
    out
}

fn type_text(holds: Type) -> String {
    let mut out = format!("{}, for example {}\n", holds.name(), holds.example());
    let fields: Vec<String> =
        holders(holds).iter().map(|(block, field)| format!("{}.{}", block.name, field.name)).collect();
    if !fields.is_empty() {
        let _ = writeln!(out, "fields: {}", fields.join(", "));
    }
    schema::forms(holds).for_each(|form| out.push_str(&form_text(form)));
    if holds == Type::Kind {
        for kind in Kind::ALL {
            let _ = writeln!(out, "  {}: {}", kind.name(), kind.entry().formula);
        }
    }
    for (written, doc) in notes(holds) {
        let _ = writeln!(out, "  {written}: {doc}");
    }
    out
}

fn form_text(form: &Form) -> String {
    let later = if form.later { " (comes in a later version)" } else { "" };
    let mut out = format!("  {}: {}{later}\n", form.signature(), form.doc);
    for parameter in form.parameters {
        let _ = writeln!(out, "    {}: {} {}", parameter.name, parameter.holds.name(), parameter.doc);
    }
    out
}

/// Three columns, the first two padded.
fn columns(rows: &[[String; 3]]) -> String {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[a, b, c]| format!("  {a:first$}  {b:second$}  {c}\n")).collect()
}

/// Words with commas between them, in lines of at most 100 columns.
fn wrapped(words: &[&str]) -> String {
    let mut lines = vec![String::new()];
    for word in words {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < 96 => line.push_str(&format!(", {word}")),
            _ => lines.push((*word).to_owned()),
        }
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}
