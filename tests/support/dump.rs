//! A tree as compact text, one node a line, every node with its place.

use reftc::source::{SourceFile, Span};
use reftc::syntax::tree::{
    Allow, Argument, Block, Entry, Expr, ExprKind, File, Ident, Item, ItemKind, Operator, Path, Scaling,
};

/// Dumps a file; `source` gives the lines and columns.
pub fn dump(file: &File, source: &SourceFile) -> String {
    let mut dump = Dump { source, out: String::new() };
    if !file.doc.is_empty() {
        dump.line(0, &format!("doc {:?}", file.doc));
    }
    file.items.iter().for_each(|item| dump.item(item));
    dump.line(0, &format!("comments {}", file.comments.len()));
    dump.out
}

struct Dump<'s> {
    source: &'s SourceFile,
    out: String,
}

impl Dump<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        self.out.push_str(&"  ".repeat(depth));
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn place(&self, span: Span) -> String {
        let (line, column) = self.source.line_column(span.start as usize);
        let (end_line, end_column) = self.source.line_column(span.end as usize);
        match line == end_line {
            true => format!("@{line}:{column}-{end_column}"),
            false => format!("@{line}:{column}-{end_line}:{end_column}"),
        }
    }

    fn item(&mut self, item: &Item) {
        let place = self.place(item.span);
        let doc = if item.doc.is_empty() { String::new() } else { format!(" doc {:?}", item.doc) };
        let (head, body) = match &item.kind {
            ItemKind::Edition { value } => (format!("edition = {}", self.expr(value)), None),
            ItemKind::Use { path, name } => (format!("use {} as {}", self.expr(path), self.ident(name)), None),
            ItemKind::Let { name, type_name, value } => {
                let type_name = type_name.as_ref().map_or(String::new(), |name| format!(": {}", self.ident(name)));
                (format!("let {}{type_name} = {}", self.ident(name), self.expr(value)), None)
            }
            ItemKind::Model { name, value, body } => {
                (format!("model {} = {}", self.ident(name), self.expr(value)), body.as_ref())
            }
            ItemKind::Data { name, body } => (format!("data {}", self.ident(name)), Some(body)),
            ItemKind::Intervention { name, value, body } => {
                (format!("intervention {} = {}", self.ident(name), self.expr(value)), body.as_ref())
            }
            ItemKind::Experiment { name, parent, body } => {
                let parent = parent.as_ref().map_or(String::new(), |path| format!(" extends {}", self.path(path)));
                (format!("experiment {}{parent}", self.ident(name)), Some(body))
            }
            ItemKind::Allow(allow) => (format!("allow {}", self.names(allow)), None),
            ItemKind::Bad => ("bad".to_owned(), None),
        };
        self.line(0, &format!("{head}{doc} {place}"));
        if let Some(body) = body {
            self.block(1, body);
        }
    }

    fn block(&mut self, depth: usize, block: &Block) {
        self.line(depth, &format!("block {}", self.place(block.span)));
        for entry in &block.entries {
            self.entry(depth + 1, entry);
        }
    }

    fn entry(&mut self, depth: usize, entry: &Entry) {
        let doc = |doc: &str| if doc.is_empty() { String::new() } else { format!(" doc {doc:?}") };
        match entry {
            Entry::Field(field) => {
                let text = format!("{} = {}", self.path(&field.name), self.expr(&field.value));
                self.line(depth, &format!("field {text}{} {}", doc(&field.doc), self.place(field.span)));
            }
            Entry::Section(section) => {
                let name = section.name.as_ref().map_or(String::new(), |name| format!(" {}", self.ident(name)));
                let value = section.value.as_ref().map_or(String::new(), |value| format!(" = {}", self.expr(value)));
                let head = format!("section {}{name}{value}", self.ident(&section.keyword));
                self.line(depth, &format!("{head}{} {}", doc(&section.doc), self.place(section.span)));
                self.block(depth + 1, &section.body);
            }
            Entry::Comparison(comparison) => {
                let operator = format!("{}{}", comparison.operator.text, self.place(comparison.operator.span));
                let text = format!("{} {operator} {}", self.path(&comparison.left), self.expr(&comparison.right));
                self.line(depth, &format!("comparison {text} {}", self.place(comparison.span)));
            }
            Entry::Remove(remove) => {
                let text = format!("{} {}", self.ident(&remove.keyword), self.ident(&remove.name));
                self.line(depth, &format!("remove {text} {}", self.place(remove.span)));
            }
            Entry::Allow(allow) => {
                self.line(depth, &format!("allow {} {}", self.names(allow), self.place(allow.span)));
            }
            Entry::Bad(span) => self.line(depth, &format!("bad {}", self.place(*span))),
        }
    }

    fn ident(&self, ident: &Ident) -> String {
        format!("{}{}", ident.text, self.place(ident.span))
    }

    fn names(&self, allow: &Allow) -> String {
        allow.names.iter().map(|name| self.ident(name)).collect::<Vec<_>>().join(", ")
    }

    fn path(&self, path: &Path) -> String {
        path.segments.iter().map(|segment| self.ident(segment)).collect::<Vec<_>>().join(".")
    }

    fn expr(&self, expr: &Expr) -> String {
        let text = match &expr.kind {
            ExprKind::Int(value) => format!("int {value}"),
            ExprKind::Float(value) => format!("float {value:?}"),
            ExprKind::Ratio(value) => format!("ratio {value:?}"),
            ExprKind::Size(value) => format!("size {value}"),
            ExprKind::String(value) => format!("{value:?}"),
            ExprKind::Bool(value) => format!("bool {value}"),
            ExprKind::Word(path) => path.text(),
            ExprKind::Call { name, arguments } => format!("{}({})", name.text(), self.arguments(arguments)),
            ExprKind::Method { base, name, arguments } => {
                format!("{} .{}({})", self.expr(base), name.text, self.arguments(arguments))
            }
            ExprKind::List(elements) => {
                format!("[{}]", elements.iter().map(|element| self.expr(element)).collect::<Vec<_>>().join(", "))
            }
            ExprKind::Range { start, end, inclusive } => {
                let side = |side: &Option<Box<Expr>>| side.as_ref().map_or(String::new(), |expr| self.expr(expr));
                format!("{{{}{}{}}}", side(start), if *inclusive { "..=" } else { ".." }, side(end))
            }
            ExprKind::Slice { base, range } => format!("{} slice {}", self.expr(base), self.expr(range)),
            ExprKind::Sum(terms) => {
                let term = |(operator, term): &(Operator, Expr)| {
                    format!("{} {}", if *operator == Operator::Add { "+" } else { "-" }, self.expr(term))
                };
                format!("{{{}}}", terms.iter().map(term).collect::<Vec<_>>().join(" "))
            }
            ExprKind::Product(factors) => {
                let factor = |(operator, factor): &(Scaling, Expr)| {
                    format!("{} {}", if *operator == Scaling::Times { "*" } else { "/" }, self.expr(factor))
                };
                format!("{{{}}}", factors.iter().map(factor).collect::<Vec<_>>().join(" "))
            }
            ExprKind::Negation(operand) => format!("negative {}", self.expr(operand)),
            ExprKind::Group(inner) => format!("({})", self.expr(inner)),
            ExprKind::Bad => "bad".to_owned(),
        };
        format!("{text}{}", self.place(expr.span))
    }

    fn arguments(&self, arguments: &[Argument]) -> String {
        let argument = |argument: &Argument| match &argument.name {
            Some(name) => format!("{}: {}", self.ident(name), self.expr(&argument.value)),
            None => self.expr(&argument.value),
        };
        arguments.iter().map(argument).collect::<Vec<_>>().join(", ")
    }
}
