//! Arithmetic: numbers, ratios and sizes that are computed from others.

use super::Checker;
use super::evaluate::Expected;
use super::mismatch::describe;
use super::schema::Bound;
use super::types::Type;
use super::value::Value;
use crate::diag::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::in_unit;
use crate::syntax::tree::{Expr, ExprKind, Operator, Scaling};

/// A number and what it counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    Int(i64),
    Float(f64),
    /// `10%` is 0.1.
    Ratio(f64),
    /// In bytes.
    Size(u64),
}

/// A computed number, to six significant digits: the same on every machine.
pub fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// Whether an expression has an operator.
pub fn is_computed(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Sum(_) | ExprKind::Product(_) | ExprKind::Negation(_))
}

impl Checker<'_> {
    /// A computed value as the type that is wanted.
    pub(super) fn computed(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        let amount = self.amount(expr)?;
        let before = self.sink.len();
        let found = self.literal(&Expr { kind: amount.literal(), span: expr.span }, expected);
        if found.is_none() {
            let written = self.slice(expr.span).to_owned();
            self.sink.note_from(before, &format!("`{written}` comes to {}", amount.text()));
        }
        found
    }

    /// The number that an expression comes to; `None` after an error, which is then reported.
    pub(super) fn amount(&mut self, expr: &Expr) -> Option<Amount> {
        match &expr.kind {
            ExprKind::Int(value) => Some(Amount::Int(*value)),
            ExprKind::Float(value) => Some(Amount::Float(*value)),
            ExprKind::Ratio(value) => Some(Amount::Ratio(*value)),
            ExprKind::Size(bytes) => Some(Amount::Size(*bytes)),
            ExprKind::Group(inner) => self.amount(inner),
            ExprKind::Negation(inner) => {
                let amount = self.amount(inner)?;
                self.amount_or_slip(product(Amount::Int(-1), Scaling::Times, amount), expr.span)
            }
            ExprKind::Sum(terms) => self.folded(terms, sum),
            ExprKind::Product(factors) => self.folded(factors, product),
            ExprKind::Word(path) if self.is_let(path, Type::Float) => {
                let numbers = [Type::Int, Type::Float, Type::Ratio, Type::Size];
                self.through_let(path, |declared| numbers.contains(&declared), NUMBER, Self::amount)
            }
            ExprKind::Word(path) => self.form(&path.segments, None, expr, NUMBER).and(None),
            ExprKind::Bad => {
                self.mention(expr.span);
                None
            }
            _ => {
                self.mention(expr.span);
                let found = describe(expr);
                let message = format!("arithmetic takes numbers, found {found}");
                self.sink.push(
                    Diagnostic::at(Code::WrongType, expr.span, message, format!("this is {found}"))
                        .help("write a number such as `8`, `9e-4`, `10%` or `2GiB`"),
                );
                None
            }
        }
    }

    fn folded<O: Copy>(
        &mut self,
        parts: &[(O, Expr)],
        join: impl Fn(Amount, O, Amount) -> Result<Amount, Slip>,
    ) -> Option<Amount> {
        let found: Vec<Option<Amount>> = parts.iter().map(|(_, part)| self.amount(part)).collect();
        let amounts = found.into_iter().collect::<Option<Vec<Amount>>>()?;
        let mut all = parts.iter().zip(amounts);
        let ((_, first), mut total) = all.next()?;
        let mut place = first.span;
        for ((operator, part), amount) in all {
            place = place.to(part.span);
            total = self.amount_or_slip(join(total, *operator, amount), place)?;
        }
        Some(total)
    }

    fn amount_or_slip(&mut self, result: Result<Amount, Slip>, span: Span) -> Option<Amount> {
        result
            .map_err(|slip| self.sink.push(Diagnostic::at(slip.code, span, slip.message, slip.label).help(slip.help)))
            .ok()
    }
}

/// What a part of a computed value must be.
const NUMBER: Expected<'static> = Expected { holds: Type::Float, bound: Bound::Any, what: "arithmetic" };

impl Amount {
    /// The value in a tree.
    pub fn literal(self) -> ExprKind {
        match self {
            Amount::Int(value) => ExprKind::Int(value),
            Amount::Float(value) => ExprKind::Float(rounded(value)),
            Amount::Ratio(value) => ExprKind::Ratio(rounded(value)),
            Amount::Size(bytes) => ExprKind::Size(bytes),
        }
    }

    /// The bare number: a share of 1, or bytes.
    pub fn number(self) -> f64 {
        match self {
            Amount::Float(_) | Amount::Ratio(_) => rounded(self.exact()),
            Amount::Int(_) | Amount::Size(_) => self.exact(),
        }
    }

    /// The number before it is rounded.
    fn exact(self) -> f64 {
        match self {
            Amount::Int(value) => value as f64,
            Amount::Float(value) | Amount::Ratio(value) => value,
            Amount::Size(bytes) => bytes as f64,
        }
    }

    /// As it would be written.
    pub fn text(self) -> String {
        match self {
            Amount::Int(value) => value.to_string(),
            Amount::Float(value) => rounded(value).to_string(),
            Amount::Ratio(value) => format!("{}%", rounded(value * 100.0)),
            Amount::Size(bytes) => {
                let (count, unit) = in_unit(bytes);
                format!("{}{unit}", rounded(count))
            }
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Amount::Int(_) | Amount::Float(_) => "a number",
            Amount::Ratio(_) => "a ratio",
            Amount::Size(_) => "a size",
        }
    }
}

/// Why two amounts cannot be joined.
struct Slip {
    code: Code,
    message: String,
    label: &'static str,
    help: &'static str,
}

fn too_large() -> Slip {
    Slip {
        code: Code::OutOfRange,
        message: "this comes to more than a number can hold".into(),
        label: "too large",
        help: "write smaller numbers",
    }
}

fn wrong(message: String, help: &'static str) -> Slip {
    Slip { code: Code::WrongType, message, label: "these do not go together", help }
}

/// Numbers and ratios mix, as a ratio is a share of 1; sizes only go with sizes.
fn sum(left: Amount, operator: Operator, right: Amount) -> Result<Amount, Slip> {
    use Amount::{Float, Int, Ratio, Size};
    let subtract = operator == Operator::Subtract;
    let value = if subtract { left.exact() - right.exact() } else { left.exact() + right.exact() };
    match (left, right) {
        (Int(a), Int(b)) => {
            let exact = if subtract { a.checked_sub(b) } else { a.checked_add(b) };
            exact.map(Int).ok_or_else(too_large)
        }
        (Size(a), Size(b)) => {
            let exact = if subtract { a.checked_sub(b) } else { a.checked_add(b) };
            exact.map(Size).ok_or_else(|| if subtract { negative_size() } else { too_large() })
        }
        (Size(_), _) | (_, Size(_)) => Err(wrong(
            format!("{} and {} cannot be {}", left.what(), right.what(), if subtract { "subtracted" } else { "added" }),
            "write both as sizes, for example `2GiB + 512MiB`",
        )),
        (Ratio(_), _) | (_, Ratio(_)) => finite(value).map(Ratio),
        (Int(_) | Float(_), Int(_) | Float(_)) => finite(value).map(Float),
    }
}

/// A ratio of a number or of a size is a number or a size: `10% * 2000` is 200.
fn product(left: Amount, operator: Scaling, right: Amount) -> Result<Amount, Slip> {
    use Amount::{Float, Int, Ratio, Size};
    let divide = operator == Scaling::Divided;
    if divide && right.exact() == 0.0 {
        return Err(Slip {
            code: Code::OutOfRange,
            message: "a division by 0".into(),
            label: "the divisor is 0",
            help: "divide by another number",
        });
    }
    let value = if divide { left.exact() / right.exact() } else { left.exact() * right.exact() };
    match (left, right) {
        (Int(a), Int(b)) if !divide => a.checked_mul(b).map(Int).ok_or_else(too_large),
        (Int(a), Int(b)) => match (a.checked_div(b), a.checked_rem(b)) {
            (Some(quotient), Some(0)) => Ok(Int(quotient)),
            (Some(_), _) => finite(value).map(Float),
            (None, _) => Err(too_large()),
        },
        (Int(_), Ratio(_)) | (Ratio(_), Int(_)) if !(divide && matches!(left, Ratio(_))) => {
            finite(value).map(|value| whole(value).map_or(Float(value), Int))
        }
        (Size(_), Size(_)) if divide => finite(value).map(Ratio),
        (Size(_), Size(_)) => Err(wrong("two sizes cannot be multiplied".into(), "multiply a size by a number")),
        (_, Size(_)) if divide => {
            Err(wrong(format!("{} cannot be divided by a size", left.what()), "divide a size by a number"))
        }
        (Size(_), _) | (_, Size(_)) if value < 0.0 => Err(negative_size()),
        (Size(_), _) | (_, Size(_)) if value < u64::MAX as f64 => Ok(Size(value.round() as u64)),
        (Size(_), _) | (_, Size(_)) => Err(too_large()),
        (Ratio(_), Ratio(_)) if !divide => finite(value).map(Ratio),
        (Ratio(_), Int(_) | Float(_)) if divide => finite(value).map(Ratio),
        _ => finite(value).map(Float),
    }
}

fn negative_size() -> Slip {
    Slip {
        code: Code::OutOfRange,
        message: "this comes to less than no bytes".into(),
        label: "a size is 0 or more",
        help: "write the larger size first",
    }
}

fn finite(value: f64) -> Result<f64, Slip> {
    if value.is_finite() { Ok(value) } else { Err(too_large()) }
}

/// The whole number that a share of a whole number comes to, but for the last bits of a float.
fn whole(value: f64) -> Option<i64> {
    let nearest = value.round();
    let is_whole = (value - nearest).abs() <= 1e-9 * nearest.abs().max(1.0) && nearest.abs() < 1e15;
    is_whole.then_some(nearest as i64)
}

#[cfg(test)]
mod tests {
    use super::Amount::{Float, Int, Ratio, Size};
    use super::*;

    #[test]
    fn amounts_keep_what_they_count() {
        let times = |a, b| product(a, Scaling::Times, b).ok();
        let divided = |a, b| product(a, Scaling::Divided, b).ok();
        let added = |a, b| sum(a, Operator::Add, b).ok();
        let less = |a, b| sum(a, Operator::Subtract, b).ok();
        assert_eq!(times(Int(3), Int(4)), Some(Int(12)));
        assert_eq!(divided(Int(12), Int(4)), Some(Int(3)));
        assert_eq!(divided(Int(1), Int(4)), Some(Float(0.25)));
        assert_eq!(times(Int(2000), Ratio(0.1)), Some(Int(200)));
        assert_eq!(times(Ratio(0.3), Int(10)), Some(Int(3)));
        assert_eq!(times(Ratio(0.25), Int(10)), Some(Float(2.5)));
        assert_eq!(divided(Ratio(0.5), Int(2)), Some(Ratio(0.25)));
        assert_eq!(divided(Int(1), Ratio(0.5)), Some(Int(2)));
        assert_eq!(times(Ratio(0.5), Ratio(0.5)), Some(Ratio(0.25)));
        assert_eq!(divided(Ratio(0.5), Ratio(0.25)), Some(Float(2.0)));
        assert_eq!(less(Int(1), Ratio(0.25)), Some(Ratio(0.75)));
        assert_eq!(added(Size(1 << 30), Size(1 << 20)), Some(Size((1 << 30) + (1 << 20))));
        assert_eq!(times(Size(1 << 30), Ratio(0.5)), Some(Size(1 << 29)));
        assert_eq!(divided(Size(1 << 30), Int(4)), Some(Size(1 << 28)));
        assert_eq!(divided(Size(1), Size(4)), Some(Ratio(0.25)));
        assert_eq!(added(Size(1), Int(1)), None);
        assert_eq!(less(Size(1), Size(2)), None);
        assert_eq!(times(Size(2), Size(2)), None);
        assert_eq!(divided(Int(2), Size(2)), None);
        assert_eq!(divided(Int(1), Int(0)), None);
        assert_eq!(added(Int(i64::MAX), Int(1)), None);
        assert_eq!(divided(Int(i64::MIN), Int(-1)), None);
        assert_eq!(times(Float(f64::MAX), Int(2)), None);
    }

    #[test]
    fn computed_numbers_have_six_digits() {
        assert_eq!(rounded(0.1 + 0.2), 0.3);
        assert_eq!(Amount::Float(9e-4 * 2.0 / 3.0).number(), 0.0006);
        assert_eq!(Amount::Int(123_456_789).number(), 123_456_789.0);
    }
}
