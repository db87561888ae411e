//! Values on one line, or broken over several.

use super::{Printer, STEP, WIDTH, last_width};
use crate::source::Span;
use crate::syntax::tree::{Argument, Expr, ExprKind, Operator, Scaling};

/// An element of brackets: a value with or without a name.
#[derive(Clone, Copy)]
struct Element<'e> {
    name: Option<&'e str>,
    value: &'e Expr,
    span: Span,
}

impl<'t> Printer<'t> {
    /// The text under a span, as it was written.
    pub(super) fn source(&self, span: Span) -> &'t str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// The value on one line; `None` if a comment or a string of several lines is in it.
    pub(super) fn flat(&self, expr: &Expr) -> Option<String> {
        if self.comments.any_in(expr.span) {
            return None;
        }
        Some(self.flat_text(expr)).filter(|text| !text.contains('\n'))
    }

    fn flat_text(&self, expr: &Expr) -> String {
        let side = |side: &Option<Box<Expr>>| side.as_ref().map_or(String::new(), |side| self.flat_text(side));
        match &expr.kind {
            ExprKind::Word(path) => path.text(),
            ExprKind::Call { name, arguments } => format!("{}({})", name.text(), self.flat_arguments(arguments)),
            ExprKind::Method { base, name, arguments } => {
                format!("{}.{}({})", self.flat_text(base), name.text, self.flat_arguments(arguments))
            }
            ExprKind::List(elements) => {
                let elements: Vec<String> = elements.iter().map(|element| self.flat_text(element)).collect();
                format!("[{}]", elements.join(", "))
            }
            ExprKind::Range { start, end, inclusive } => {
                format!("{}{}{}", side(start), if *inclusive { "..=" } else { ".." }, side(end))
            }
            ExprKind::Slice { base, range } => format!("{}[{}]", self.flat_text(base), self.flat_text(range)),
            ExprKind::Sum(terms) => self.chain(terms, |operator| joiner(terms, operator)),
            ExprKind::Product(factors) => self.chain(factors, sign),
            ExprKind::Negation(inner) => format!("-{}", self.flat_text(inner)),
            ExprKind::Group(inner) => format!("({})", self.flat_text(inner)),
            _ => self.source(expr.span).replace("\r\n", "\n"),
        }
    }

    fn flat_arguments(&self, arguments: &[Argument]) -> String {
        let argument = |argument: &Argument| {
            let name = argument.name.as_ref().map_or(String::new(), |name| format!("{}: ", name.text));
            name + &self.flat_text(&argument.value)
        };
        arguments.iter().map(argument).collect::<Vec<_>>().join(", ")
    }

    /// Parts with what `between` gives for their operators between them.
    fn chain<O: Copy>(&self, parts: &[(O, Expr)], between: impl Fn(O) -> &'static str) -> String {
        let mut out = String::new();
        for (index, (operator, part)) in parts.iter().enumerate() {
            if index > 0 {
                out.push_str(between(*operator));
            }
            out.push_str(&self.flat_text(part));
        }
        out
    }

    fn broken_chain<O: Copy>(
        &mut self,
        parts: &[(O, Expr)],
        between: impl Fn(O) -> &'static str,
        indentation: usize,
        column: usize,
    ) -> String {
        let mut out = String::new();
        for (index, (operator, part)) in parts.iter().enumerate() {
            if index > 0 {
                out.push_str(between(*operator));
            }
            let column = end_column(&out, column);
            out.push_str(&self.broken(part, indentation, column));
        }
        out
    }

    /// The value, broken over lines if it does not fit behind `column`; its closing brackets stand at `indentation`.
    ///
    /// Takes the comments inside the value.
    pub(super) fn broken(&mut self, expr: &Expr, indentation: usize, column: usize) -> String {
        match self.flat(expr) {
            Some(flat) if column + flat.chars().count() <= WIDTH => return flat,
            _ => {}
        }
        match &expr.kind {
            ExprKind::List(elements) => {
                let elements: Vec<Element> =
                    elements.iter().map(|value| Element { name: None, value, span: value.span }).collect();
                self.brackets("[", &elements, "]", expr.span, indentation)
            }
            ExprKind::Call { name, arguments } => {
                let opener = name.text() + "(";
                let column = column + opener.chars().count();
                self.arguments(&opener, arguments, expr.span, indentation, column)
            }
            ExprKind::Method { base, name, arguments } => {
                let base = self.broken(base, indentation, column);
                let opener = format!("{base}.{}(", name.text);
                let column = end_column(&base, column) + name.text.len() + 2;
                let rest = Span { start: name.span.end, ..expr.span };
                let flat = self.flat_arguments(arguments);
                if !self.comments.any_in(rest) && !flat.contains('\n') && column + flat.chars().count() < WIDTH {
                    return format!("{opener}{flat})");
                }
                self.arguments(&opener, arguments, rest, indentation, column)
            }
            ExprKind::Slice { base, range } => {
                let rest = Span { start: base.span.end, ..expr.span };
                let base = self.broken(base, indentation, column);
                if self.comments.any_in(rest) {
                    let element = Element { name: None, value: range, span: range.span };
                    return self.brackets(&(base + "["), &[element], "]", rest, indentation);
                }
                format!("{base}[{}]", self.flat_text(range))
            }
            ExprKind::Range { start, end, inclusive } => {
                let start = start.as_ref().map_or(String::new(), |start| self.broken(start, indentation, column));
                let dots = if *inclusive { "..=" } else { ".." };
                let column = end_column(&start, column) + dots.len();
                let end = end.as_ref().map_or(String::new(), |end| self.broken(end, indentation, column));
                format!("{start}{dots}{end}")
            }
            ExprKind::Sum(terms) => self.broken_chain(terms, |operator| joiner(terms, operator), indentation, column),
            ExprKind::Product(factors) => self.broken_chain(factors, sign, indentation, column),
            ExprKind::Negation(inner) => format!("-{}", self.broken(inner, indentation, column + 1)),
            ExprKind::Group(inner) if self.comments.any_in(expr.span) => {
                let element = Element { name: None, value: inner, span: inner.span };
                self.brackets("(", &[element], ")", expr.span, indentation)
            }
            ExprKind::Group(inner) => format!("({})", self.broken(inner, indentation, column + 1)),
            _ => self.flat_text(expr),
        }
    }

    /// What stands behind the name of a call, from `column` on. A single list or call keeps the brackets together: `chat([`.
    fn arguments(
        &mut self,
        opener: &str,
        arguments: &[Argument],
        span: Span,
        indentation: usize,
        column: usize,
    ) -> String {
        if let [Argument { name: None, value, .. }] = arguments
            && matches!(value.kind, ExprKind::List(_) | ExprKind::Call { .. })
            && !self.comments.any_in(Span { end: value.span.start, ..span })
            && !self.comments.any_in(Span { start: value.span.end, ..span })
        {
            // One column is for the closing parenthesis.
            return format!("{opener}{})", self.broken(value, indentation, column + 1));
        }
        let elements: Vec<Element> = arguments
            .iter()
            .map(|argument| Element {
                name: argument.name.as_ref().map(|name| name.text.as_str()),
                value: &argument.value,
                span: argument.span,
            })
            .collect();
        self.brackets(opener, &elements, ")", span, indentation)
    }

    /// Elements one a line, or as many as fit where all are short.
    fn brackets(&mut self, opener: &str, elements: &[Element], closer: &str, span: Span, indentation: usize) -> String {
        // A comma would make a list of the value in parentheses.
        let comma = if opener == "(" { "" } else { "," };
        let inner = indentation + STEP;
        let mut lines = vec![opener.to_owned()];
        let short = |element: &Element| element.name.is_none() && is_short(&element.value.kind);
        if !self.comments.any_in(span) && elements.len() > 1 && elements.iter().all(short) {
            self.fill(elements, inner, &mut lines);
        } else {
            for element in elements {
                self.inner_comments(element.span.start as usize, inner, &mut lines);
                // Comments that belong to no bracket inside the element move before it, with all others of the element.
                if self.has_loose_comments(element.value) || self.comments.any_in(self.before_value(*element)) {
                    while let Some(comment) = self.comments.next_before(element.span.end as usize) {
                        lines.push(format!("{:inner$}{}", "", comment.text));
                    }
                }
                let name = element.name.map_or(String::new(), |name| format!("{name}: "));
                let value = self.broken(element.value, inner, inner + name.len() + 1);
                lines.push(format!("{:inner$}{name}{value}{comma}", ""));
            }
        }
        self.inner_comments(span.end as usize, inner, &mut lines);
        lines.push(format!("{:indentation$}{closer}", ""));
        lines.join("\n")
    }

    /// As many elements a line as fit.
    fn fill(&self, elements: &[Element], indentation: usize, lines: &mut Vec<String>) {
        let mut line = String::new();
        for element in elements {
            let text = self.flat_text(element.value) + ",";
            if !line.is_empty() && indentation + line.chars().count() + 1 + text.chars().count() > WIDTH {
                lines.push(format!("{:indentation$}{line}", ""));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&text);
        }
        lines.push(format!("{:indentation$}{line}", ""));
    }

    /// Prints comments between the elements of brackets.
    fn inner_comments(&mut self, until: usize, indentation: usize, lines: &mut Vec<String>) {
        while let Some(comment) = self.comments.next_before(until) {
            let behind = lines.len() > 1 && comment.trailing;
            match lines.last_mut().filter(|_| behind) {
                Some(line) => {
                    line.push_str("  ");
                    line.push_str(comment.text);
                }
                None => lines.push(format!("{:indentation$}{}", "", comment.text)),
            }
        }
    }

    fn before_value(&self, element: Element) -> Span {
        Span { end: element.value.span.start, ..element.span }
    }

    /// Whether a comment lies in a value but in none of its brackets; such comments move before the value.
    fn has_loose_comments(&self, expr: &Expr) -> bool {
        self.comments.any_in(expr.span) && {
            let total = self.comments.starts_in(expr.span.range()).count();
            total > self.bracketed_comments(expr)
        }
    }

    /// How many comments of a value are printed by its brackets.
    fn bracketed_comments(&self, expr: &Expr) -> usize {
        let inside = |span: Span| self.comments.starts_in(span.range()).count();
        match &expr.kind {
            ExprKind::List(_) => inside(expr.span),
            ExprKind::Call { name, .. } => inside(Span { start: name.span.end, ..expr.span }),
            ExprKind::Method { base, name, .. } => {
                self.bracketed_comments(base) + inside(Span { start: name.span.end, ..expr.span })
            }
            ExprKind::Slice { base, .. } => {
                self.bracketed_comments(base) + inside(Span { start: base.span.end, ..expr.span })
            }
            ExprKind::Range { start, end, .. } => {
                start.iter().chain(end).map(|side| self.bracketed_comments(side)).sum()
            }
            ExprKind::Sum(terms) => terms.iter().map(|(_, term)| self.bracketed_comments(term)).sum(),
            ExprKind::Product(factors) => factors.iter().map(|(_, factor)| self.bracketed_comments(factor)).sum(),
            ExprKind::Negation(inner) => self.bracketed_comments(inner),
            ExprKind::Group(_) => inside(expr.span),
            _ => 0,
        }
    }
}

/// What stands before a term: `f3+l3`, but `all - [0]`.
fn joiner(terms: &[(Operator, Expr)], operator: Operator) -> &'static str {
    let tight = terms.iter().all(|(operator, term)| *operator == Operator::Add && is_position(term));
    match operator {
        Operator::Add if tight => "+",
        Operator::Add => " + ",
        Operator::Subtract => " - ",
    }
}

fn sign(operator: Scaling) -> &'static str {
    match operator {
        Scaling::Times => " * ",
        Scaling::Divided => " / ",
    }
}

/// The column behind `text`, which begins at `column`.
fn end_column(text: &str, column: usize) -> usize {
    if text.contains('\n') { last_width(text) } else { column + text.chars().count() }
}

fn is_position(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Word(path) => {
            path.segments.len() == 1
                && path
                    .text()
                    .strip_prefix(['f', 'l'])
                    .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        }
        _ => false,
    }
}

fn is_short(kind: &ExprKind) -> bool {
    kind.is_number() || matches!(kind, ExprKind::Word(_))
}
