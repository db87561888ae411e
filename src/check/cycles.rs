//! `let`s that are defined by themselves.

use super::schema;
use super::scope::{Declared, Scope};
use crate::diag::{Code, Diagnostic, Sink};
use crate::syntax::tree::{Expr, ExprKind, Ident};
use std::collections::{BTreeMap, BTreeSet};

/// Reports every cycle of `let`s once, beginning with its first name in the alphabet; gives all names in cycles.
pub fn find(scope: &Scope<'_>, sink: &mut Sink) -> BTreeSet<String> {
    let mut uses: BTreeMap<&str, Vec<&Ident>> = BTreeMap::new();
    for entry in scope.entries() {
        if let Declared::Let { value, .. } = entry.declared {
            let mut words = Vec::new();
            collect(value, &mut words);
            uses.insert(&entry.name.text, words);
        }
    }
    let mut found = BTreeSet::new();
    for start in uses.keys() {
        if found.contains(*start) {
            continue;
        }
        if let Some(chain) = path_back(start, &uses) {
            found.extend(chain.iter().map(|link| link.text.clone()));
            chain.iter().for_each(|link| scope.mention(&link.text));
            sink.push(report(start, &chain));
        }
    }
    found
}

/// The uses that lead from `start` back to it, by the shortest way; the last one names `start`.
fn path_back<'t>(start: &str, uses: &BTreeMap<&str, Vec<&'t Ident>>) -> Option<Vec<&'t Ident>> {
    let mut paths: Vec<Vec<&Ident>> = vec![Vec::new()];
    let mut seen = BTreeSet::new();
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        let at = path.last().map_or(start, |link| link.text.as_str());
        for word in uses.get(at).into_iter().flatten() {
            if word.text == start {
                return Some(path.into_iter().chain([*word]).collect());
            }
            if uses.contains_key(word.text.as_str()) && seen.insert(word.text.as_str()) {
                paths.push(path.iter().copied().chain([*word]).collect());
            }
        }
    }
    None
}

fn report(start: &str, chain: &[&Ident]) -> Diagnostic {
    let names: Vec<String> = std::iter::once(start)
        .chain(chain.iter().map(|link| link.text.as_str()))
        .map(|name| format!("`{name}`"))
        .collect();
    let mut diagnostic =
        Diagnostic::new(Code::CyclicDefinition, format!("`{start}` is defined by itself: {}", names.join(" → ")));
    let mut owner = start;
    for link in chain {
        diagnostic = diagnostic.label(link.span, format!("`{owner}` is `{}`", link.text));
        owner = &link.text;
    }
    diagnostic.help("give one of them a value of its own")
}

/// The words of an expression that may name a `let`. Words of the language mean themselves wherever they are wanted.
fn collect<'t>(expr: &'t Expr, words: &mut Vec<&'t Ident>) {
    match &expr.kind {
        ExprKind::Word(path) => match path.segments.as_slice() {
            [name] if schema::FORMS.iter().all(|form| form.name != name.text) => words.push(name),
            _ => {}
        },
        ExprKind::Call { arguments, .. } => arguments.iter().for_each(|argument| collect(&argument.value, words)),
        ExprKind::Method { base, arguments, .. } => {
            collect(base, words);
            arguments.iter().for_each(|argument| collect(&argument.value, words));
        }
        ExprKind::List(items) => items.iter().for_each(|item| collect(item, words)),
        ExprKind::Range { start, end, .. } => start.iter().chain(end).for_each(|bound| collect(bound, words)),
        ExprKind::Slice { base, range } => {
            collect(base, words);
            collect(range, words);
        }
        ExprKind::Sum(terms) => terms.iter().for_each(|(_, term)| collect(term, words)),
        ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Ratio(_)
        | ExprKind::Size(_)
        | ExprKind::String(_)
        | ExprKind::Bool(_)
        | ExprKind::Bad => {}
    }
}
