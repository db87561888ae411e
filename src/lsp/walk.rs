//! A walk over a tree with the type that is wanted at each place, as the field table says.

use crate::check::schema::{self, Block, Field, Form, Parameter};
use crate::check::types::Type;
use crate::syntax::tree::{self, Argument, Entry, Expr, ExprKind, File, Item, ItemKind, Section};

/// A part of a tree.
#[derive(Clone, Copy)]
pub enum Node<'t> {
    Item(&'t Item),
    Section(&'t Section),
    Field(&'t tree::Field),
    Argument(&'t Argument),
    Expr(&'t Expr),
    Comparison(&'t tree::Comparison),
    Remove(&'t tree::Remove),
    Allow(&'t tree::Allow),
}

/// What is around a part of a tree.
#[derive(Clone, Copy)]
pub struct Place<'t> {
    pub item: &'t Item,
    /// The innermost section.
    pub section: Option<&'t Section>,
    /// The table's entry of the innermost block.
    pub block: Option<&'static Block>,
    /// The table's entry of the field that the part belongs to.
    pub field: Option<&'static Field>,
    /// The call around the part, and which of its arguments the part belongs to.
    pub form: Option<&'static Form>,
    pub parameter: Option<&'static Parameter>,
    /// The type that is wanted, where the table tells.
    pub holds: Option<Type>,
}

/// Visits every part of a file, outer ones first.
pub fn walk<'t>(file: &'t File, visit: &mut dyn FnMut(Node<'t>, &Place<'t>)) {
    for item in &file.items {
        let mut place =
            Place { item, section: None, block: None, field: None, form: None, parameter: None, holds: None };
        visit(Node::Item(item), &place);
        let (value, body) = match &item.kind {
            ItemKind::Edition { value } => (Some((value, Some(Type::Int))), None),
            ItemKind::Let { type_name, value, .. } => {
                let named = type_name.as_ref().and_then(|word| Type::find(&word.text));
                (Some((value, named.or_else(|| inferred(value)))), None)
            }
            ItemKind::Model { value, body, .. } => (Some((value, Some(Type::ModelSource))), body.as_ref()),
            ItemKind::Intervention { value, body, .. } => (Some((value, Some(Type::Kind))), body.as_ref()),
            ItemKind::Data { body, .. } | ItemKind::Experiment { body, .. } => (None, Some(body)),
            ItemKind::Allow(allow) => {
                visit(Node::Allow(allow), &place);
                (None, None)
            }
            ItemKind::Use { .. } | ItemKind::Bad => (None, None),
        };
        if let Some((value, holds)) = value {
            place.holds = holds;
            expression(value, &place, visit);
        }
        place.holds = None;
        place.block = block_of_item(&item.kind);
        if let Some(body) = body {
            entries(body, &place, visit);
        }
    }
}

/// The parts that contain a byte, outermost first.
pub fn at(file: &File, byte: usize) -> Vec<(Node<'_>, Place<'_>)> {
    let mut found = Vec::new();
    walk(file, &mut |node, place| {
        let span = node.span();
        if span.start as usize <= byte && byte <= span.end as usize {
            found.push((node, *place));
        }
    });
    found
}

impl Node<'_> {
    /// The place of the part.
    pub fn span(&self) -> crate::source::Span {
        match self {
            Node::Item(item) => item.span,
            Node::Section(section) => section.span,
            Node::Field(field) => field.span,
            Node::Argument(argument) => argument.span,
            Node::Expr(expr) => expr.span,
            Node::Comparison(comparison) => comparison.span,
            Node::Remove(remove) => remove.span,
            Node::Allow(allow) => allow.span,
        }
    }
}

/// The table's entry of a declaration.
pub fn block_of_item(kind: &ItemKind) -> Option<&'static Block> {
    schema::block(match kind {
        ItemKind::Model { .. } => "model",
        ItemKind::Data { .. } => "data",
        ItemKind::Intervention { .. } => "intervene",
        ItemKind::Experiment { .. } => "experiment",
        _ => return None,
    })
}

fn entries<'t>(body: &'t tree::Block, around: &Place<'t>, visit: &mut dyn FnMut(Node<'t>, &Place<'t>)) {
    for entry in &body.entries {
        match entry {
            Entry::Field(written) => {
                let (field, holds) = around.block.and_then(|block| field(block, &written.name.text())).unzip();
                let place = Place { field: field.flatten(), holds, ..*around };
                visit(Node::Field(written), &place);
                match &written.value.kind {
                    // Each of the values of a sweep is what the field holds.
                    ExprKind::List(items) if around.block.is_some_and(|block| block.name == "sweep") => {
                        items.iter().for_each(|item| expression(item, &place, visit));
                    }
                    _ => expression(&written.value, &place, visit),
                }
            }
            Entry::Section(section) => {
                let block = schema::block(&section.keyword.text);
                let place = Place { section: Some(section), block, ..*around };
                visit(Node::Section(section), &place);
                if let Some(value) = &section.value {
                    expression(value, &Place { holds: Some(Type::Kind), ..place }, visit);
                }
                entries(&section.body, &place, visit);
            }
            Entry::Comparison(comparison) => {
                visit(Node::Comparison(comparison), around);
                expression(&comparison.right, around, visit);
            }
            Entry::Remove(remove) => visit(Node::Remove(remove), around),
            Entry::Allow(allow) => visit(Node::Allow(allow), around),
            Entry::Bad(_) => {}
        }
    }
}

fn expression<'t>(expr: &'t Expr, place: &Place<'t>, visit: &mut dyn FnMut(Node<'t>, &Place<'t>)) {
    visit(Node::Expr(expr), place);
    let inner = |holds| Place { holds, form: None, parameter: None, ..*place };
    match &expr.kind {
        ExprKind::Call { name, arguments } => {
            let form = form(place.holds, &name.text());
            call(form, arguments, place, visit);
        }
        ExprKind::Method { base, arguments, .. } => {
            expression(base, place, visit);
            arguments.iter().for_each(|argument| expression(&argument.value, &inner(Some(Type::Int)), visit));
        }
        ExprKind::List(items) => {
            let holds = place.holds.and_then(element);
            items.iter().for_each(|item| expression(item, &Place { holds, ..*place }, visit));
        }
        ExprKind::Range { start, end, .. } => {
            let bounds = [start, end].into_iter().flatten();
            bounds.for_each(|bound| expression(bound, &inner(Some(Type::Int)), visit));
        }
        ExprKind::Slice { base, range } => {
            expression(base, place, visit);
            expression(range, &inner(None), visit);
        }
        _ => expr.children().into_iter().for_each(|child| expression(child, place, visit)),
    }
}

fn call<'t>(
    form: Option<&'static Form>,
    arguments: &'t [Argument],
    around: &Place<'t>,
    visit: &mut dyn FnMut(Node<'t>, &Place<'t>),
) {
    for (at, argument) in arguments.iter().enumerate() {
        let name = argument.name.as_ref().map(|name| name.text.as_str());
        let parameter = form.and_then(|form| parameter(form, name, at));
        let holds = parameter.map(|parameter| match (&argument.value.kind, element(parameter.holds)) {
            // `depth(25%, 50%)`: arguments that are gathered into a list.
            (ExprKind::List(_) | ExprKind::Word(_), _) | (_, None) => parameter.holds,
            (_, Some(element)) => element,
        });
        let place = Place { form, parameter, holds, ..*around };
        visit(Node::Argument(argument), &place);
        expression(&argument.value, &place, visit);
    }
}

/// The field of a block, and its type; in a sweep also what a path leads to.
pub fn field(block: &'static Block, name: &str) -> Option<(Option<&'static Field>, Type)> {
    let own = block.field(name).map(|field| (Some(field), field.holds));
    own.or_else(|| (block.name == "sweep").then(|| swept(name))?)
}

/// What `seed`, `train.lr` or `intervene.edit.rank` leads to; the kind of an intervention is no field.
fn swept(path: &str) -> Option<(Option<&'static Field>, Type)> {
    let parts: Vec<&str> = path.split('.').collect();
    let (block, field) = match parts.as_slice() {
        [field] => ("experiment", field),
        ["train", field] => ("train", field),
        ["intervene", _, "kind"] => return Some((None, Type::Kind)),
        [block @ ("intervene" | "eval"), _, field] => (*block, field),
        _ => return None,
    };
    schema::block(block)?.field(field).map(|field| (Some(field), field.holds))
}

/// The form of that name: of the wanted type, or where no type is known the only one.
pub fn form(holds: Option<Type>, name: &str) -> Option<&'static Form> {
    match holds {
        // `logspace(…)` stands for values of any type of number.
        Some(holds) => schema::forms(holds).chain(schema::forms(Type::Spaced)).find(|form| form.name == name),
        None => schema::FORMS.iter().find(|form| form.name == name),
    }
}

/// The parameter that an argument is for: the one of its name, or of its place.
pub fn parameter(form: &'static Form, name: Option<&str>, at: usize) -> Option<&'static Parameter> {
    match (name, form.parameters) {
        (Some(name), parameters) => parameters.iter().find(|parameter| parameter.name == name),
        (None, [only]) if element(only.holds).is_some() => Some(only),
        (None, parameters) => parameters.get(at),
    }
}

/// The type of a list's elements.
pub fn element(holds: Type) -> Option<Type> {
    match holds {
        Type::Strings => Some(Type::String),
        Type::Ratios => Some(Type::Ratio),
        Type::Templates => Some(Type::Template),
        Type::Messages => Some(Type::Message),
        Type::Layers => Some(Type::Int),
        Type::Data => Some(Type::Data),
        _ => None,
    }
}

/// The type of a `let` that does not say one.
fn inferred(value: &Expr) -> Option<Type> {
    match &value.kind {
        ExprKind::Slice { .. } | ExprKind::Method { .. } => Some(Type::Source),
        ExprKind::Call { name, arguments } => {
            let name = name.text();
            let takes = |form: &&Form| {
                let named = arguments.iter().filter_map(|argument| argument.name.as_ref());
                form.name == name && { named }.all(|word| form.parameters.iter().any(|known| known.name == word.text))
            };
            schema::FORMS.iter().find(takes).map(|form| form.makes)
        }
        _ => None,
    }
}
