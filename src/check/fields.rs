//! The fields of one block: unknown, doubled and missing ones reported, defaults filled in.

use super::Checker;
use super::evaluate::Expected;
use super::schema::{BLOCKS, Block, Fallback, Field};
use super::scope::{Declared, later};
use super::spec::FieldOrigin;
use super::types::Type;
use super::value::Value;
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::{Span, Spanned};
use crate::syntax::tree;
use std::collections::BTreeMap;

/// The values of a block's fields. A field that is absent was reported, or may be left out.
#[derive(Default)]
pub struct Fields {
    values: BTreeMap<&'static str, Spanned<Value>>,
    written: BTreeMap<&'static str, Span>,
    /// Names of no field of this block that stand in it all the same.
    strays: Vec<String>,
    /// Fields that the strays were probably meant as.
    meant: Vec<&'static str>,
}

impl Fields {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Spanned<Value>> {
        self.values.get(name)
    }

    /// Where the field was written, if it was: from its name to the end of its value.
    pub fn written(&self, name: &str) -> Option<Span> {
        self.written.get(name).copied()
    }

    /// Whether the field is written, rightly or wrongly: it is not missing then.
    pub fn is_attempted(&self, name: &str) -> bool {
        self.written.contains_key(name) || self.meant.contains(&name)
    }

    /// Whether a field stands here that the block does not have.
    pub fn has_stray(&self) -> bool {
        !self.strays.is_empty()
    }

    /// Whether a field of that other block stands here, where it has no business.
    pub fn has_stray_of(&self, block: &Block) -> bool {
        self.strays.iter().any(|name| block.field(name).is_some())
    }

    /// A whole number that the table's bounds made fit.
    pub fn count(&self, name: &str) -> Option<usize> {
        usize::try_from(self.get(name)?.value.as_int()?).ok()
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.value.as_number()
    }

    /// A truth value.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// The name of the word or call.
    pub fn word(&self, name: &str) -> Option<&'static str> {
        self.get(name)?.value.form_name()
    }
}

impl Checker<'_> {
    /// Reads the fields of a block; `sections` gets the blocks inside it. `head` is the block's name, for what is missing.
    pub fn fields<'t>(
        &mut self,
        block: &'static Block,
        body: Option<&'t tree::Block>,
        head: Span,
        sections: Option<&mut Vec<&'t tree::Section>>,
    ) -> Fields {
        let mut fields = Fields::default();
        let mut broken = false;
        let mut inner = Vec::new();
        for entry in body.map_or(&[][..], |body| &body.entries) {
            match entry {
                tree::Entry::Field(field) => self.field(block, field, &mut fields),
                tree::Entry::Section(section) => inner.push(section),
                tree::Entry::Comparison(comparison) => {
                    self.mention(comparison.span);
                    self.sink.push(
                        Diagnostic::at(
                            Code::MisplacedBlock,
                            comparison.span,
                            "a comparison belongs into `expect { … }`",
                            format!("inside `{}`", block.name),
                        )
                        .help(format!("write a field: `{} = …`", comparison.left.text())),
                    );
                }
                tree::Entry::Remove(remove) => {
                    self.sink.push(
                        Diagnostic::at(
                            Code::MisplacedBlock,
                            remove.span,
                            "`remove` belongs into an experiment",
                            format!("inside `{}`", block.name),
                        )
                        .help("delete the field itself"),
                    );
                }
                // Where it counts is for `Allowed` to say.
                tree::Entry::Allow(_) => {}
                tree::Entry::Bad(span) => {
                    self.mention(*span);
                    broken = true;
                }
            }
        }
        match sections {
            Some(sections) => sections.extend(inner),
            None => {
                for section in inner {
                    self.mention(section.span);
                    self.sink.push(misplaced(section, block));
                    broken = true;
                }
            }
        }
        for field in block.fields {
            if fields.is_attempted(field.name) {
                continue;
            }
            match field.default {
                Fallback::Text(text) => {
                    if let Some(value) = self.default(text, field.holds, head) {
                        fields.values.insert(field.name, value);
                    }
                }
                Fallback::Required if !broken => self.missing(block, field, head),
                _ => {}
            }
        }
        self.note_origins(block, head, &fields);
        fields
    }

    /// Remembers where the fields of a block were set.
    fn note_origins(&mut self, block: &Block, head: Span, fields: &Fields) {
        let prefix = match block.name {
            "experiment" => String::new(),
            "train" | "sweep" => format!("{}.", block.name),
            named => format!("{named}.{}.", self.slice(head)),
        };
        for field in block.fields {
            let Some(found) = fields.values.get(field.name) else { continue };
            let place = fields.written.contains_key(field.name).then_some(found.span);
            let value = match (place, field.default) {
                (None, Fallback::Text(text)) => text.to_owned(),
                _ => self.slice(found.span).to_owned(),
            };
            self.origins.push(FieldOrigin { path: format!("{prefix}{}", field.name), value, place });
        }
    }

    fn missing(&mut self, block: &Block, field: &Field, head: Span) {
        let wanted = |declared: Declared<'_>| declared.serves(field.holds);
        self.scope.mention_all(wanted);
        let example = match self.scope.names(head, wanted).as_slice() {
            [name, ..] => name,
            [] => field.holds.example(),
        };
        self.sink.push(
            Diagnostic::at(
                Code::MissingField,
                head,
                format!("this `{}` does not say its `{}`", block.name, field.name),
                format!("`{}` is missing", field.name),
            )
            .help(format!("add `{} = {example}`: {}", field.name, field.doc)),
        );
    }

    /// Reads one field.
    fn field(&mut self, block: &'static Block, written: &tree::Field, fields: &mut Fields) {
        let name = written.name.text();
        let Some(field) = block.field(&name) else {
            self.mention(written.value.span);
            let (diagnostic, meant) = unknown(block, &written.name, &name, self.slice(written.value.span));
            self.sink.push(diagnostic);
            fields.strays.push(name);
            fields.meant.extend(meant);
            return;
        };
        if let Some(first) = fields.written.get(field.name) {
            self.sink.push(
                Diagnostic::at(
                    Code::DuplicateField,
                    written.name.span,
                    format!("`{name}` is set twice in this `{}`", block.name),
                    "set again here",
                )
                .label(*first, "first set here")
                .help("remove one of them"),
            );
            let what = format!("`{name}`");
            self.evaluate(&written.value, Expected { holds: field.holds, bound: field.bound, what: &what });
            return;
        }
        fields.written.insert(field.name, written.span);
        if field.default == Fallback::Later {
            self.mention(written.value.span);
            let help = format!("remove the field; `reftc describe {}` lists what there is", block.name);
            self.sink.push(later(written.name.span, &format!("the field `{name}`"), &help));
            return;
        }
        let what = format!("`{name}`");
        let expected = Expected { holds: field.holds, bound: field.bound, what: &what };
        if let Some(value) = self.evaluate(&written.value, expected) {
            fields.values.insert(field.name, value);
        }
    }
}

fn unknown(block: &'static Block, path: &tree::Path, name: &str, value: &str) -> (Diagnostic, Option<&'static str>) {
    let diagnostic = Diagnostic::at(
        Code::UnknownField,
        path.span,
        format!("`{}` has no field `{name}`", block.name),
        "unknown field",
    );
    if let Some(field) = block.known_as(name) {
        // A plain value serves as it is; one with a form of its own does not.
        let plain = match field.holds {
            Type::Schedule | Type::Optimizer | Type::Decode | Type::When | Type::Answer | Type::Overlong => false,
            Type::Split => value.split('.').count() == 2 && !value.contains('"'),
            _ => true,
        };
        let value = if plain && value.len() < 40 && !value.contains('\n') { value } else { field.holds.example() };
        let diagnostic = diagnostic.help(format!("write `{} = {value}`: {}", field.name, field.doc));
        return (if plain { diagnostic.fix(path.span, field.name) } else { diagnostic }, Some(field.name));
    }
    if name == "allow" {
        return (diagnostic.help("warnings are allowed as in a call: `allow(trailing-space)`"), None);
    }
    if matches!(name, "device" | "device_map" | "threads" | "num_workers" | "output_dir" | "report_to") {
        let help = "remove it: where and how a spec runs is said on the command line, as in `reftc run --device cuda`";
        return (diagnostic.help(help), None);
    }
    let names: Vec<&str> = block.fields.iter().map(|field| field.name).collect();
    if let [nearest, ..] = suggest::near(name, names.iter().copied()).as_slice() {
        let meant = block.field(nearest).map(|field| field.name);
        let diagnostic = diagnostic.maybe_fix(path.span, suggest::slip_of(name, names.iter().copied()));
        return (diagnostic.help(format!("did you mean `{nearest}`?")), meant);
    }
    let owner = BLOCKS.iter().find(|other| other.field(name).is_some());
    match owner {
        Some(owner) => (diagnostic.help(format!("`{name}` is a field of `{}`", owner.name)), None),
        None => (diagnostic.help(format!("its fields are {}", suggest::list(&names))), None),
    }
}

/// The error of a block where no such block may stand.
pub fn misplaced(section: &tree::Section, inside: &Block) -> Diagnostic {
    let word = section.keyword.text.as_str();
    let inner = ["intervene", "train", "eval"];
    let diagnostic = Diagnostic::at(
        Code::MisplacedBlock,
        section.keyword.span,
        format!("`{word}` is not a block of `{}`", inside.name),
        format!("inside `{}`", inside.name),
    );
    if inside.name == "experiment" {
        return diagnostic;
    }
    match inner.contains(&word) {
        true => diagnostic.help(format!("move `{word} {{ … }}` into an `experiment`")),
        false => diagnostic.help(format!("its entries are fields; see `reftc describe {}`", inside.name)),
    }
}
