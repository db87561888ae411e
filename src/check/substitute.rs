//! Values that are computed from others: a path in an expression stands for the value that it has at a point of a sweep.

use crate::syntax::tree::{Expr, ExprKind};

/// The expression with every path of `known` replaced by its value.
pub fn substitute(expr: &Expr, known: &[(String, Expr)]) -> Expr {
    let mut whole = expr.clone();
    replace(&mut whole, known);
    whole
}

fn replace(expr: &mut Expr, known: &[(String, Expr)]) {
    if let ExprKind::Word(path) = &expr.kind {
        let text = path.text();
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
            expr.kind = value.kind.clone();
        }
        return;
    }
    expr.children_mut().into_iter().for_each(|child| replace(child, known));
}
