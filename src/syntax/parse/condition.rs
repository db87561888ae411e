//! Conditions on runs, and values alone.

use super::{Builder, DEPTH_LIMIT, Grammar, Pair, Rule};
use crate::diag::{Code, Diagnostic};
use crate::source::{FileId, Span};
use crate::syntax::condition::{Compared, Condition};
use crate::syntax::tree::Expr;
use pest::Parser as _;
use pest::error::{Error, ErrorVariant, InputLocation};

/// Reads a condition such as `train.lr < 1e-3 and not seed in [1, 2]`; `None` where it has errors.
pub fn parse_condition(file: FileId, text: &str) -> (Option<Condition>, Vec<Diagnostic>) {
    let mut builder = Builder::new(file, text);
    if let Some(at) = too_deep(text) {
        builder.nested_too_deeply(Span::new(file, at, at));
        return (None, builder.sink.into_sorted());
    }
    let condition = match Grammar::parse(Rule::condition, text) {
        Ok(mut pairs) => pairs.next().and_then(|pair| {
            pair.into_inner().find(|part| part.as_rule() == Rule::alternatives).map(|part| builder.alternatives(part))
        }),
        Err(error) => {
            builder.sink.push(unreadable(file, text, &error));
            None
        }
    };
    builder.unclosed.report(text, &mut builder.sink);
    let diagnostics = builder.sink.into_sorted();
    (condition.filter(|_| diagnostics.is_empty()), diagnostics)
}

/// Reads a value that stands alone, as plans hold them; `None` where the text is none.
pub fn parse_value(text: &str) -> Option<Expr> {
    let mut builder = Builder::new(FileId(0), text);
    let mut pairs = Grammar::parse(Rule::lone_value, text).ok().filter(|_| too_deep(text).is_none())?;
    let value = pairs.next()?.into_inner().find(|part| part.as_rule() == Rule::nested)?;
    let value = builder.expression(value);
    builder.sink.is_empty().then_some(value)
}

/// Where brackets are open in too great a number, strings included: the parser calls itself for each.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_LIMIT
    })
}

impl Builder<'_> {
    fn alternatives(&mut self, pair: Pair) -> Condition {
        self.joined(pair, Rule::conjunction, Self::conjunction, Condition::Any)
    }

    fn conjunction(&mut self, pair: Pair) -> Condition {
        self.joined(pair, Rule::demand, Self::demand, Condition::All)
    }

    /// The parts of one rule; a part alone is itself.
    fn joined(
        &mut self,
        pair: Pair,
        rule: Rule,
        build: impl Fn(&mut Self, Pair) -> Condition,
        join: impl Fn(Vec<Condition>) -> Condition,
    ) -> Condition {
        let parts = self.without_comments(pair).into_iter().filter(|part| part.as_rule() == rule);
        let mut parts: Vec<Condition> = parts.map(|part| build(self, part)).collect();
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => join(parts.into_iter().chain(last).collect()),
        }
    }

    fn demand(&mut self, pair: Pair) -> Condition {
        let span = self.span(&pair);
        let (mut negated, mut inner, mut path, mut relation, mut value) = (false, None, None, None, None);
        for part in self.without_comments(pair) {
            match part.as_rule() {
                Rule::not_word => negated = !negated,
                Rule::alternatives => inner = Some(self.alternatives(part)),
                Rule::path => path = Some(self.path(&part)),
                Rule::nested => value = Some(self.expression(part)),
                Rule::compare | Rule::contains_word | Rule::in_word => relation = Some(self.ident(&part)),
                _ => {}
            }
        }
        let demand = match (inner, path, relation.zip(value)) {
            (Some(inner), _, _) => inner,
            (None, Some(path), Some((relation, value))) => {
                let span = path.span.to(value.span);
                Condition::Compared(Compared { path, relation, value, span })
            }
            (None, Some(path), None) => Condition::True(path),
            // The grammar has no demand without either.
            (None, None, _) => Condition::True(crate::syntax::tree::Path { segments: Vec::new(), span }),
        };
        if negated { Condition::Not(Box::new(demand)) } else { demand }
    }
}

/// What other languages write, and what is written here.
const SLIPS: [(&str, &str); 5] = [("&&", "and"), ("||", "or"), ("!", "not"), ("=~", "contains"), ("=", "==")];

fn unreadable(file: FileId, text: &str, error: &Error<Rule>) -> Diagnostic {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let rest = text.get(at..).unwrap_or("");
    let slip = SLIPS.iter().find(|(slip, _)| rest.starts_with(slip));
    let length = slip.map_or_else(|| rest.chars().next().map_or(0, char::len_utf8), |(slip, _)| slip.len());
    let message = match rest.trim().is_empty() {
        true if text.trim().is_empty() => "the condition is empty".to_owned(),
        true => "the condition ends too early".to_owned(),
        false => format!("the condition cannot be read from `{}` on", rest.trim().chars().take(20).collect::<String>()),
    };
    let span = Span::new(file, at, at + length);
    let diagnostic = Diagnostic::at(Code::BadCondition, span, message, format!("expected {}", expected(error)));
    match slip {
        Some((slip, right)) => diagnostic.help(format!("write `{right}`, not `{slip}`")),
        None => diagnostic.help("write for example `intervene.edit.rank > 4 and eval.test.accuracy >= 60%`"),
    }
}

/// What could have stood there, in the words of the language.
fn expected(error: &Error<Rule>) -> &'static str {
    let ErrorVariant::ParsingError { positives, .. } = &error.variant else { return "a condition" };
    let has = |rules: &[Rule]| positives.iter().any(|rule| rules.contains(rule));
    if has(&[Rule::compare, Rule::contains_word, Rule::in_word]) {
        "a comparison (`==`, `<`, `in`, …), `and`, `or`, or the end"
    } else if has(&[Rule::demand, Rule::path, Rule::word, Rule::alternatives, Rule::conjunction]) {
        "a path such as `train.lr`, `not` or `(`"
    } else if has(&[Rule::nested, Rule::number, Rule::call, Rule::list]) {
        "a value: a number, a word, a list or a text in quotes"
    } else if has(&[Rule::close_paren]) {
        "`and`, `or` or `)`"
    } else {
        "`and`, `or`, or the end"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Condition {
        let (condition, diagnostics) = parse_condition(FileId(0), text);
        assert_eq!(diagnostics, [], "{text}");
        condition.unwrap()
    }

    /// The condition with every bracket written out.
    fn shape(text: &str) -> String {
        fn walk(condition: &Condition, text: &str) -> String {
            let join = |parts: &[Condition], word: &str| {
                format!("({})", parts.iter().map(|part| walk(part, text)).collect::<Vec<_>>().join(word))
            };
            match condition {
                Condition::Any(parts) => join(parts, " or "),
                Condition::All(parts) => join(parts, " and "),
                Condition::Not(inner) => format!("not {}", walk(inner, text)),
                Condition::Compared(one) => {
                    format!("{} {} {}", one.path.text(), one.relation.text, &text[one.value.span.range()])
                }
                Condition::True(path) => path.text(),
            }
        }
        walk(&read(text), text)
    }

    #[test]
    fn conditions_bind_as_everywhere() {
        for (text, expected) in [
            ("a.b > 4", "a.b > 4"),
            ("a>4 and b<=60% or c", "((a > 4 and b <= 60%) or c)"),
            ("a == 1 and (b == 2 or not c)", "(a == 1 and (b == 2 or not c))"),
            ("not not a", "a"),
            ("not (a or b) and c", "(not (a or b) and c)"),
            ("  seed in [1,\n 2] ", "seed in [1,\n 2]"),
            ("name contains \"and x\"", "name contains \"and x\""),
            ("train.schedule == linear(warmup: 10%)", "train.schedule == linear(warmup: 10%)"),
            ("intervene.edit.positions == f3 + l3 and x", "(intervene.edit.positions == f3 + l3 and x)"),
            ("android or order", "(android or order)"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_at_its_place() {
        for (text, at, help) in [
            ("", 0, "write for example"),
            ("a = 4", 2, "write `==`, not `=`"),
            ("a == 4 && b", 7, "write `and`, not `&&`"),
            ("a == 4 || b", 7, "write `or`, not `||`"),
            ("!a", 0, "write `not`, not `!`"),
            ("a > ", 4, "write for example"),
            ("(a > 4", 6, "write for example"),
            ("a > 4 b", 6, "write for example"),
            ("a and and b", 6, "write for example"),
            ("> 4", 0, "write for example"),
        ] {
            let (condition, diagnostics) = parse_condition(FileId(0), text);
            let [only] = diagnostics.as_slice() else { panic!("{text}: {diagnostics:?}") };
            assert_eq!((condition, only.code), (None, Code::BadCondition), "{text}");
            assert_eq!(only.span().map(|span| span.start), Some(at), "{text}: {only:?}");
            assert!(only.help[0].starts_with(help), "{text}: {:?}", only.help);
        }
        let (_, diagnostics) = parse_condition(FileId(0), "a > 1__0");
        assert_eq!(diagnostics.iter().map(|found| found.code).collect::<Vec<_>>(), [Code::BadNumber]);
        for text in ["(".repeat(200_000), "not ".repeat(200_000), format!("a == {}", "[".repeat(200_000))] {
            assert!(!parse_condition(FileId(0), &text).1.is_empty());
        }
    }

    #[test]
    fn values_stand_alone() {
        assert!(parse_value("[0, 1, 2]").is_some() && parse_value(" f1+l1 ").is_some());
        assert!(parse_value("").is_none() && parse_value("1 2").is_none() && parse_value("a ==").is_none());
    }
}
