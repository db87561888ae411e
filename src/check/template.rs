//! Templates: strings with `{column}` places, `chat([…])` and `when(…)`.

use super::Checker;
use super::evaluate::Expected;
use super::literal_place;
use super::value::{FormValue, TemplateValue, Value};
use crate::data::template::{self, Message, Part, Template};
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Expr, ExprKind};
use std::ops::Range;

impl Checker<'_> {
    /// A string with `{column}` places, `chat([…])` or `when(…)`.
    pub(super) fn template(&mut self, expr: &Expr, expected: Expected<'_>) -> Option<Value> {
        match &expr.kind {
            ExprKind::String(text) => {
                let (parts, columns) = self.text_template(text, expr.span)?;
                Some(Value::Template(TemplateValue { template: Template::Text(parts), columns, span: expr.span }))
            }
            ExprKind::Call { name, arguments } => {
                let Value::Form(value) = self.form(&name.segments, Some(arguments), expr, expected)? else {
                    return None;
                };
                self.template_form(&value, expr.span)
            }
            ExprKind::Word(path) => self.form(&path.segments, None, expr, expected).and(None),
            _ => {
                self.sink.push(self.mismatch(expr, expected));
                None
            }
        }
    }

    fn template_form(&mut self, value: &FormValue, span: Span) -> Option<Value> {
        let mut columns = Vec::new();
        let mut text = |sink: &mut crate::diag::Sink, found: &Spanned<Value>| match &found.value {
            Value::Template(TemplateValue { template: Template::Text(parts), columns: inner, .. }) => {
                columns.extend(inner.iter().cloned());
                Some(parts.clone())
            }
            _ => {
                sink.push(
                    Diagnostic::at(Code::BadTemplate, found.span, "a text template is wanted here", "this is a chat")
                        .help("write a string with `{column}` places"),
                );
                None
            }
        };
        let template = if value.form.name == "when" {
            let mut argument = |name| text(&mut self.sink, value.argument(name)?);
            let (condition, then, otherwise) = (argument("condition"), argument("then"), argument("otherwise"));
            Template::Text(vec![Part::When { condition: condition?, then: then?, otherwise: otherwise? }])
        } else {
            let Value::List(items) = &value.argument("messages")?.value else { return None };
            let messages = items.iter().map(|item| {
                let Value::Form(message) = &item.value else { return None };
                let content = text(&mut self.sink, message.argument("content")?)?;
                Some(Message { role: message.form.name.to_owned(), content })
            });
            let messages: Vec<Message> = messages.collect::<Option<_>>()?;
            if messages.is_empty() {
                self.sink.push(
                    Diagnostic::at(Code::BadTemplate, span, "a chat needs at least one message", "no messages")
                        .help("write `chat([user(\"{question}\")])`"),
                );
                return None;
            }
            Template::Chat(messages)
        };
        Some(Value::Template(TemplateValue { template, columns, span }))
    }

    /// Reads the places of a text template, and finds where each column is named in the source.
    fn text_template(&mut self, text: &str, span: Span) -> Option<(Vec<Part>, Vec<Spanned<String>>)> {
        let parts = match template::parse(text) {
            Ok(parts) => parts,
            Err(error) => {
                let tidy = tidied(&text[error.range.clone()]);
                let place = self.inside(span, text, error.range);
                let diagnostic = Diagnostic::at(Code::BadTemplate, place, error.message, "here").help(error.help);
                self.sink.push(diagnostic.maybe_fix(place, tidy.filter(|_| place != span)));
                return None;
            }
        };
        let names = parts.iter().filter_map(|part| match part {
            Part::Column(name) => Some(name.clone()),
            _ => None,
        });
        let places = literal_place::columns(text);
        let columns =
            names.zip(places).map(|(name, place)| Spanned::new(name, self.inside(span, text, place))).collect();
        Some((parts, columns))
    }

    /// The place of a piece of a string's text inside its literal; the whole literal where it cannot be told.
    fn inside(&self, span: Span, text: &str, piece: Range<usize>) -> Span {
        let start = span.start as usize;
        match literal_place::find(self.slice(span), text, piece) {
            Some(found) => Span::new(span.file, start + found.start, start + found.end),
            None => span,
        }
    }
}

/// `{column}` for `{ column }`.
fn tidied(place: &str) -> Option<String> {
    let tidy = format!("{{{}}}", place.strip_prefix('{')?.strip_suffix('}')?.trim());
    (tidy != place && template::parse(&tidy).is_ok()).then_some(tidy)
}
