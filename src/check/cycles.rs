//! `let`s that are defined by themselves.

use super::schema;
use super::scope::{Declared, Scope};
use crate::diag::{Code, Diagnostic, Sink};
use crate::source::Span;
use crate::syntax::tree::{Expr, ExprKind, Path};
use std::collections::{BTreeMap, BTreeSet};

/// A `let`: its name, and the `let`s that its value names.
struct Node<'t> {
    name: &'t str,
    links: Vec<Link>,
}

/// A use of a `let` in the value of another.
#[derive(Clone)]
struct Link {
    /// As written.
    text: String,
    place: Span,
    /// The declaration that is meant.
    target: Span,
}

/// Reports every cycle of `let`s once, beginning with its first declaration; gives the places of all names in cycles.
pub fn find(scope: &Scope<'_>, sink: &mut Sink) -> BTreeSet<Span> {
    let mut nodes: BTreeMap<Span, Node<'_>> = BTreeMap::new();
    for entry in scope.all_entries() {
        if let Declared::Let { value, .. } = entry.declared {
            let mut paths = Vec::new();
            collect(value, &mut paths);
            let links = paths.into_iter().filter_map(|path| {
                let (target, _) = scope.resolve(path)?;
                let is_let = matches!(target.declared, Declared::Let { .. });
                is_let.then(|| Link { text: path.text(), place: path.span, target: target.name.span })
            });
            nodes.insert(entry.name.span, Node { name: &entry.name.text, links: links.collect() });
        }
    }
    let mut found = BTreeSet::new();
    for (start, node) in &nodes {
        if found.contains(start) {
            continue;
        }
        if let Some(chain) = path_back(*start, &nodes) {
            found.extend(chain.iter().map(|link| link.target));
            sink.push(report(node.name, &chain));
        }
    }
    found
}

/// The uses that lead from `start` back to it, by the shortest way; the last one names `start`.
fn path_back(start: Span, nodes: &BTreeMap<Span, Node<'_>>) -> Option<Vec<Link>> {
    let mut paths: Vec<Vec<Link>> = vec![Vec::new()];
    let mut seen = BTreeSet::new();
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        let at = path.last().map_or(start, |link| link.target);
        for link in nodes.get(&at).into_iter().flat_map(|node| &node.links) {
            let longer = || path.iter().chain([link]).cloned().collect();
            if link.target == start {
                return Some(longer());
            }
            if seen.insert(link.target) {
                paths.push(longer());
            }
        }
    }
    None
}

fn report(start: &str, chain: &[Link]) -> Diagnostic {
    let names: Vec<String> = std::iter::once(start)
        .chain(chain.iter().map(|link| link.text.as_str()))
        .map(|name| format!("`{name}`"))
        .collect();
    let mut diagnostic =
        Diagnostic::new(Code::CyclicDefinition, format!("`{start}` is defined by itself: {}", names.join(" → ")));
    let mut owner = start;
    for link in chain {
        diagnostic = diagnostic.label(link.place, format!("`{owner}` is `{}`", link.text));
        owner = &link.text;
    }
    diagnostic.help("give one of them a value of its own")
}

/// The words of an expression that may name a `let`. Words of the language mean themselves wherever they are wanted.
fn collect<'t>(expr: &'t Expr, paths: &mut Vec<&'t Path>) {
    match &expr.kind {
        ExprKind::Word(path) => match path.segments.as_slice() {
            [name] if schema::FORMS.iter().any(|form| form.name == name.text) => {}
            _ => paths.push(path),
        },
        // The word in `field(question)` is a column.
        ExprKind::Call { name, .. } if name.text() == "field" => {}
        _ => expr.children().into_iter().for_each(|child| collect(child, paths)),
    }
}
