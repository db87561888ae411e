//! Values that are computed from others: a path in an expression stands for the value that it has at a point of a sweep.

use crate::syntax::tree::{Argument, Expr, ExprKind};

/// The expression with every path of `known` replaced by its value.
pub fn substitute(expr: &Expr, known: &[(String, Expr)]) -> Expr {
    let inner = |expr: &Expr| substitute(expr, known);
    let boxed = |expr: &Expr| Box::new(substitute(expr, known));
    let arguments = |arguments: &[Argument]| {
        arguments.iter().map(|argument| Argument { value: inner(&argument.value), ..argument.clone() }).collect()
    };
    let kind = match &expr.kind {
        ExprKind::Word(path) => {
            let text = path.text();
            match known.iter().find(|(name, _)| *name == text) {
                Some((_, value)) => value.kind.clone(),
                None => expr.kind.clone(),
            }
        }
        ExprKind::Call { name, arguments: given } => ExprKind::Call { name: name.clone(), arguments: arguments(given) },
        ExprKind::Method { base, name, arguments: given } => {
            ExprKind::Method { base: boxed(base), name: name.clone(), arguments: arguments(given) }
        }
        ExprKind::List(items) => ExprKind::List(items.iter().map(inner).collect()),
        ExprKind::Range { start, end, inclusive } => ExprKind::Range {
            start: start.as_deref().map(boxed),
            end: end.as_deref().map(boxed),
            inclusive: *inclusive,
        },
        ExprKind::Slice { base, range } => ExprKind::Slice { base: boxed(base), range: boxed(range) },
        ExprKind::Sum(terms) => ExprKind::Sum(terms.iter().map(|(operator, term)| (*operator, inner(term))).collect()),
        ExprKind::Product(factors) => {
            ExprKind::Product(factors.iter().map(|(operator, factor)| (*operator, inner(factor))).collect())
        }
        ExprKind::Negation(negated) => ExprKind::Negation(boxed(negated)),
        ExprKind::Group(grouped) => ExprKind::Group(boxed(grouped)),
        ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Ratio(_)
        | ExprKind::Size(_)
        | ExprKind::String(_)
        | ExprKind::Bool(_)
        | ExprKind::Bad => expr.kind.clone(),
    };
    Expr { kind, span: expr.span }
}
