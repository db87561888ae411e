//! Fields of declared models and data that one point of a sweep, or `--set`, sets: `model.dtype`, `data.prompt`. The declarations stay as
//! they are for everyone else.

use super::Checker;
use super::data::DataDeclaration;
use super::model::ModelDeclaration;
use super::scope::Declared;
use super::spec::FieldOrigin;
use crate::source::Span;
use crate::syntax::tree::{Block, Entry, Expr, ExprKind, Field, Ident};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a point sets in declarations.
#[derive(Clone, Default)]
pub struct Changes {
    /// Fields of the experiment's model.
    pub model: Vec<Field>,
    /// Fields of data, each with the place where the name of the data is declared.
    pub data: Vec<(Span, Field)>,
}

/// The data that an experiment may be given.
#[derive(Default)]
pub struct DataNames {
    /// The names in their declarations.
    pub names: Vec<Ident>,
    /// Several are trained on at once.
    pub together: bool,
}

impl Checker<'_> {
    /// Sets the changes of the point that is checked from now on.
    pub(super) fn change(&mut self, changes: Changes) {
        self.changes = changes;
        self.changed_data = BTreeMap::new();
        self.changed_origins = BTreeMap::new();
    }

    /// The fields of a declaration, as the point has them.
    pub(super) fn origins_of(&self, name: Span) -> &[FieldOrigin] {
        let changed = self.changed_origins.get(&name);
        changed.or_else(|| self.declared.get(&name)).map_or(&[], Vec::as_slice)
    }

    /// Looks at a declaration with changes; its fields are kept apart from those of the declaration itself.
    fn apart<T>(&mut self, name: Span, look: impl FnOnce(&mut Self) -> T) -> T {
        let own = self.declared.remove(&name);
        let found = look(self);
        let changed = self.declared.remove(&name);
        self.changed_origins.extend(changed.map(|origins| (name, origins)));
        self.declared.extend(own.map(|origins| (name, origins)));
        found
    }

    /// The model of that name as the point has it.
    pub(super) fn changed_model(&mut self, name: &Ident) -> Option<Rc<ModelDeclaration>> {
        self.reached.insert(name.span);
        if self.changes.model.is_empty() {
            return self.model(name);
        }
        let entry = self.scope.declared_at(name.span)?;
        let Declared::Model { value, body } = entry.declared else { return None };
        let empty = Block { entries: Vec::new(), span: value.span };
        let body = with_fields(body.unwrap_or(&empty), self.changes.model.iter());
        self.apart(name.span, |checker| checker.model_declaration(entry.name, value, Some(&body))).map(Rc::new)
    }

    /// The data of that name as the point has it, looked at once for each point.
    pub(super) fn data(&mut self, name: &Ident) -> Option<Rc<DataDeclaration>> {
        self.reached.insert(name.span);
        let of_it = |(of, _): &&(Span, Field)| *of == name.span;
        if !self.changes.data.iter().any(|change| of_it(&change)) {
            return self.declared_data(name);
        }
        if let Some(known) = self.changed_data.get(&name.span) {
            return known.clone();
        }
        let entry = self.scope.declared_at(name.span)?;
        let Declared::Data { body } = entry.declared else { return None };
        let body = with_fields(body, self.changes.data.iter().filter(of_it).map(|(_, field)| field));
        let data = self.apart(name.span, |checker| checker.data_declaration(entry.name, &body)).map(Rc::new);
        self.changed_data.insert(name.span, data.clone());
        data
    }

    /// The data that values of an experiment's `data` name.
    pub(super) fn data_names<'e>(&self, values: impl Iterator<Item = &'e Expr>) -> DataNames {
        let mut found = DataNames::default();
        for value in values {
            let mut names = Vec::new();
            self.collect_names(value, &mut Vec::new(), &mut names);
            found.together |= names.len() > 1;
            for name in names {
                if found.names.iter().all(|known| known.span != name.span) {
                    found.names.push(name);
                }
            }
        }
        found
    }

    /// `active` are the `let`s on the way.
    fn collect_names(&self, value: &Expr, active: &mut Vec<Span>, names: &mut Vec<Ident>) {
        match &value.kind {
            ExprKind::List(items) => items.iter().for_each(|item| self.collect_names(item, active, names)),
            ExprKind::Word(path) => {
                let Some((entry, [])) = self.scope.resolve(path) else { return };
                match entry.declared {
                    Declared::Data { .. } => names.push(entry.name.clone()),
                    Declared::Let { value, .. } if !active.contains(&entry.name.span) => {
                        active.push(entry.name.span);
                        self.collect_names(value, active, names);
                        active.pop();
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// The block with these fields in the place of those of their names.
fn with_fields<'f>(body: &Block, fields: impl Iterator<Item = &'f Field>) -> Block {
    let mut body = body.clone();
    for field in fields {
        set(&mut body, field.clone());
    }
    body
}

/// Puts a field in the place of one of that name, or adds it.
pub fn set(body: &mut Block, field: Field) {
    let same = |entry: &Entry| matches!(entry, Entry::Field(other) if other.name.text() == field.name.text());
    match body.entries.iter().position(same) {
        Some(at) => body.entries[at] = Entry::Field(field),
        None => body.entries.push(Entry::Field(field)),
    }
}
