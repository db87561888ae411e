//! Layers: `all`, `[3, 9]`, `4..12`, `first(4)`; and layers and rank against the model.

use super::Checker;
use super::evaluate::Expected;
use super::model::ModelDeclaration;
use super::schema::Bound;
use super::types::Type;
use super::value::{FormValue, Layers, Value};
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Expr, ExprKind, Operator};

impl Checker<'_> {
    /// `all`, `[3, 9]`, `4..12`, `first(4)`, …
    pub(super) fn layers(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        let index = Expected { holds: Type::Int, bound: Bound::AtLeast(0), what: "a layer" };
        let layers = match &expr.kind {
            ExprKind::List(items) if items.is_empty() => {
                self.sink.push(
                    Diagnostic::at(Code::OutOfRange, expr.span, "a list of layers needs at least one", "no layers")
                        .help("write `all`, or the layers: `[3, 9, 18]`"),
                );
                return None;
            }
            ExprKind::List(items) => {
                let found: Vec<_> = items.iter().map(|item| self.listed_layer(item, index)).collect();
                Layers::List(found.into_iter().collect::<Option<_>>()?)
            }
            ExprKind::Range { start, end, inclusive } => {
                let (Some(start), Some(end)) = (start, end) else {
                    self.sink.push(
                        Diagnostic::at(Code::WrongType, expr.span, "a range of layers needs both ends", "an open end")
                            .help("write for example `4..12`, `first(4)` or `last(4)`"),
                    );
                    return None;
                };
                let (start, end) = (self.int(start, index), self.int(end, index));
                Layers::Range { start: start?, end: end?, inclusive: *inclusive }
            }
            ExprKind::Sum(terms) => {
                if let Some(diagnostic) = self.range_before_sum(expr, terms) {
                    self.sink.push(diagnostic);
                    return None;
                }
                let terms: Vec<_> =
                    terms.iter().map(|(operator, term)| self.layer_term(*operator, term, expected)).collect();
                Layers::Sum(terms.into_iter().collect::<Option<_>>()?)
            }
            ExprKind::Word(path) | ExprKind::Call { name: path, .. } => {
                let arguments = match &expr.kind {
                    ExprKind::Call { arguments, .. } => Some(arguments),
                    _ => None,
                };
                let Value::Form(value) = self.form(&path.segments, arguments, expr, expected)? else { return None };
                self.layer_form(&value)?
            }
            _ => {
                self.sink.push(self.mismatch(expr, expected));
                return None;
            }
        };
        Some(Value::Layers(layers))
    }

    /// `4..n-1`, which takes 1 from the range, where the range up to n - 1 is meant.
    fn range_before_sum(&self, expr: &Expr, terms: &[(Operator, Expr)]) -> Option<Diagnostic> {
        let [(_, Expr { kind: ExprKind::Range { end: Some(end), .. }, .. }), (_, number)] = terms else { return None };
        if !self.is_number(number) {
            return None;
        }
        self.mention(expr.span);
        let last = end.span.to(number.span);
        let meant = format!("({})", self.slice(last));
        let diagnostic =
            Diagnostic::at(Code::WrongType, last, "a number is no layer that a range can do without", "not layers")
                .help(format!("put the end of the range into parentheses: `..{meant}`"))
                .note("`..` is read before `+` and `-`, so that `0..4 + 8..12` are two ranges");
        Some(diagnostic.fix(last, meant))
    }

    fn layer_term(
        &mut self,
        operator: Operator,
        term: &Expr,
        expected: Expected<'_>,
    ) -> Option<(Operator, Spanned<Layers>)> {
        let found = self.evaluate(term, expected)?;
        match found.value {
            Value::Layers(layers) => Some((operator, Spanned::new(layers, term.span))),
            _ => None,
        }
    }

    fn listed_layer(&mut self, item: &Expr, index: Expected<'_>) -> Option<Spanned<i64>> {
        let ExprKind::Int(layer @ ..0) = item.kind else { return self.int(item, index) };
        self.sink.push(
            Diagnostic::at(Code::OutOfRange, item.span, "layers are counted from 0 up", "must be 0 or more")
                .help(format!("write `last({})` for layers at the end", layer.unsigned_abs())),
        );
        None
    }

    fn layer_form(&self, value: &FormValue) -> Option<Layers> {
        let count = || {
            let argument = value.argument("count")?;
            Some(Spanned::new(argument.value.as_int()?, argument.span))
        };
        Some(match value.form.name {
            "first" => Layers::First(count()?),
            "last" => Layers::Last(count()?),
            "every" => Layers::Every(usize::try_from(count()?.value).ok()?),
            "depth" => match &value.argument("shares")?.value {
                Value::List(shares) => {
                    Layers::Depth(shares.iter().filter_map(|share| share.value.as_number()).collect())
                }
                _ => return None,
            },
            _ => Layers::All,
        })
    }

    /// The layers that are meant, ascending and without repeats, checked against the model's layer count.
    pub(super) fn resolve_layers(
        &mut self,
        layers: &Layers,
        span: Span,
        model: &ModelDeclaration,
    ) -> Option<Vec<usize>> {
        let count = model.checked.config.layers;
        let last = count as i64 - 1;
        let mut found: Vec<usize> = match layers {
            Layers::All => (0..count).collect(),
            Layers::Every(step) => (0..count).step_by((*step).max(1)).collect(),
            Layers::Depth(shares) => {
                shares.iter().map(|share| ((share * count as f64).floor() as usize).min(count - 1)).collect()
            }
            Layers::List(items) => {
                let found: Vec<Option<usize>> = items.iter().map(|item| self.layer(item, last, model)).collect();
                found.into_iter().collect::<Option<_>>()?
            }
            Layers::Range { start, end, inclusive } => {
                let upper = if *inclusive { end.value } else { end.value - 1 };
                if upper < start.value {
                    let diagnostic =
                        Diagnostic::at(Code::OutOfRange, span, "this range of layers is empty", "no layers");
                    self.sink.push(diagnostic.help("write the smaller layer first: `4..12`"));
                    return None;
                }
                self.layer(start, last, model)?;
                self.layer(&Spanned::new(upper, end.span), last, model)?;
                (start.value as usize..=upper as usize).collect()
            }
            Layers::Sum(terms) => {
                let mut sum: Vec<usize> = Vec::new();
                let resolved: Vec<_> = terms
                    .iter()
                    .map(|(operator, term)| Some((*operator, self.resolve_layers(&term.value, term.span, model)?)))
                    .collect();
                for (operator, layers) in resolved.into_iter().collect::<Option<Vec<_>>>()? {
                    match operator {
                        Operator::Add => sum.extend(layers),
                        Operator::Subtract => sum.retain(|layer| !layers.contains(layer)),
                    }
                }
                sum
            }
            Layers::First(wanted) | Layers::Last(wanted) => {
                if wanted.value > last + 1 {
                    self.sink.push(
                        Diagnostic::at(
                            Code::LayerOutOfRange,
                            wanted.span,
                            format!("there are no {} layers", wanted.value),
                            format!("`{}` has {count} layers", model.name.text),
                        )
                        .label(model.name.span, "the model is declared here")
                        .help(format!("write {count} or less, or `all`")),
                    );
                    return None;
                }
                let wanted = wanted.value as usize;
                if matches!(layers, Layers::First(_)) {
                    (0..wanted).collect()
                } else {
                    (count - wanted..count).collect()
                }
            }
        };
        found.sort_unstable();
        found.dedup();
        if found.is_empty() {
            self.sink.push(
                Diagnostic::at(Code::OutOfRange, span, "no layer is left", "every layer is taken away")
                    .help("write for example `all - [0]`"),
            );
            return None;
        }
        Some(found)
    }

    fn layer(&mut self, layer: &Spanned<i64>, last: i64, model: &ModelDeclaration) -> Option<usize> {
        if layer.value <= last {
            return usize::try_from(layer.value).ok();
        }
        self.sink.push(
            Diagnostic::at(
                Code::LayerOutOfRange,
                layer.span,
                format!("layer {} is out of range", layer.value),
                format!("`{}` has layers 0 to {last}", model.name.text),
            )
            .label(model.name.span, "the model is declared here")
            .help(format!("write a layer from 0 to {last}; the last one is {last}, as layers are counted from 0")),
        );
        None
    }

    /// A rank cannot exceed the hidden size: R has orthonormal columns.
    pub(super) fn check_rank(&mut self, rank: usize, span: Span, model: &ModelDeclaration) {
        let hidden = model.checked.config.hidden_size;
        if rank > hidden {
            self.sink.push(
                Diagnostic::at(
                    Code::RankTooHigh,
                    span,
                    format!("rank {rank} is more than the hidden size"),
                    format!("`{}` has hidden size {hidden}", model.name.text),
                )
                .label(model.name.span, "the model is declared here")
                .help(format!("write `rank = {hidden}` or less; most published runs use 1 to 32")),
            );
        }
    }
}
