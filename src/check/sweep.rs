//! `sweep { … }` and `--set`: from one experiment to its points.

use super::Checker;
use super::arithmetic::rounded;
use super::changes::{Changes, DataNames};
use super::evaluate::Expected;
use super::place::Place;
use super::schema::{self, Bound};
use super::scope::Declared;
use super::spec::{FieldOrigin, PointValue};
use super::substitute::substitute;
use super::types::Type;
use super::value::Value;
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Block, Entry, Expr, ExprKind, Field, Ident, Path, Section};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// More runs than this are a slip.
const MOST_POINTS: usize = 10_000;

/// An experiment at every point of its sweep; one point without values where it has none.
pub struct Sweep {
    pub points: Vec<SweptPoint>,
    /// The value of `select`, and its place.
    pub select: Option<Spanned<Value>>,
    /// Its fields, and the paths that it varies as `sweep.train.lr`: what they mean, their points say.
    pub fields: Vec<FieldOrigin>,
}

/// One point.
pub struct SweptPoint {
    pub values: Vec<PointValue>,
    pub body: Block,
    /// What is set in the declarations of the model and of data.
    pub changes: Changes,
    /// Where the values are written.
    pub places: Vec<Span>,
}

/// The values of one path.
struct Axis<'t> {
    path: &'t Path,
    place: Place,
    values: Vec<Setting>,
}

/// One value, and how a table shows it.
#[derive(Clone)]
struct Setting {
    value: Expr,
    text: String,
}

/// How the axes are joined.
enum Join {
    Grid,
    Zip,
    Random { count: usize, seed: u64 },
}

impl Checker<'_> {
    /// The points of an experiment; `None` where its sweep or a `--set` has errors, which are reported.
    pub(super) fn points(&mut self, name: &Ident, mut body: Block) -> Option<Sweep> {
        let sections = |entry: &Entry| matches!(entry, Entry::Section(section) if section.keyword.text == "sweep");
        let (sweeps, rest): (Vec<Entry>, Vec<Entry>) = body.entries.into_iter().partition(sections);
        body.entries = rest;
        let sweeps: Vec<&Section> = sweeps
            .iter()
            .filter_map(|entry| if let Entry::Section(section) = entry { Some(section) } else { None })
            .collect();
        if let [first, second, ..] = sweeps.as_slice() {
            self.second_block(second, first, "join them, or write a second experiment");
            return None;
        }
        let settings = self.settings;
        let fields = || settings.iter().chain(sweeps.first().into_iter().flat_map(|sweep| swept(sweep)));
        let data = self.data_of(&body, fields());
        let (mut axes, mut dependent): (Vec<Axis<'_>>, Vec<(&Field, Place)>) = (Vec::new(), Vec::new());
        let mut seen: Vec<&Path> = Vec::new();
        let mut sound = true;
        for field in fields() {
            if let Some(first) = seen.iter().find(|path| path.text() == field.name.text()) {
                // What the command line sets is not swept.
                if first.span.file == field.name.span.file {
                    let text = field.name.text();
                    self.sink.push(
                        Diagnostic::at(
                            Code::DuplicateField,
                            field.name.span,
                            format!("`{text}` is swept twice"),
                            "swept again here",
                        )
                        .label(first.span, "first swept here")
                        .help("join the lists"),
                    );
                    sound = false;
                }
                continue;
            }
            seen.push(&field.name);
            let Some(place) = self.place(&body, &data, &field.name) else {
                self.mention(field.value.span);
                sound = false;
                continue;
            };
            match self.listed(&field.value, place.holds) {
                Ok(Some(values)) => axes.push(Axis { path: &field.name, place, values }),
                Ok(None) => dependent.push((field, place)),
                Err(()) => sound = false,
            }
        }
        self.origins.clear();
        let (join, select) = match sweeps.first() {
            Some(sweep) => self.join(sweep, &axes)?,
            None => (Join::Grid, None),
        };
        if !sound {
            return None;
        }
        let fields = sweeps.first().into_iter().flat_map(|sweep| swept(sweep)).map(|field| FieldOrigin {
            path: format!("sweep.{}", field.name.text()),
            value: self.slice(field.value.span).to_owned(),
            means: String::new(),
            content: None,
            place: Some(field.value.span),
        });
        let fields = self.origins.iter().cloned().chain(fields).collect();
        let points = self.joined(name, &axes, &join)?;
        let points = points.iter().map(|chosen| point(&body, &axes, &dependent, chosen)).collect();
        Some(Sweep { points, select, fields })
    }

    /// The data that an experiment may have: what is set or swept, and else its own.
    fn data_of<'f>(&self, body: &'f Block, mut set: impl Iterator<Item = &'f Field>) -> DataNames {
        let is_data = |field: &Field| field.name.text() == "data";
        let own = || {
            body.entries.iter().find_map(|entry| match entry {
                Entry::Field(field) if is_data(field) => Some(&field.value),
                _ => None,
            })
        };
        match set.find(|field| is_data(field)).map(|field| self.behind_lets(&field.value)) {
            Some(Expr { kind: ExprKind::List(values), .. }) => self.data_names(values.iter()),
            Some(value) => self.data_names(std::iter::once(value)),
            None => self.data_names(own().into_iter()),
        }
    }

    /// The value that a name of a `let` stands for, or the expression itself.
    fn behind_lets<'e>(&'e self, mut expr: &'e Expr) -> &'e Expr {
        while let ExprKind::Word(path) = &expr.kind
            && let Some((entry, [])) = self.scope.resolve(path)
            && let Declared::Let { value, .. } = entry.declared
            && !self.broken.contains(&entry.name.span)
        {
            expr = value;
        }
        expr
    }

    /// `points` and `select` of a sweep.
    fn join(&mut self, sweep: &Section, axes: &[Axis<'_>]) -> Option<(Join, Option<Spanned<Value>>)> {
        let block = schema::block("sweep")?;
        let mut own = sweep.body.clone();
        own.entries.retain(|entry| !matches!(entry, Entry::Field(field) if block.field(&field.name.text()).is_none()));
        let fields = self.fields(block, Some(&own), sweep.keyword.span, None);
        let Value::Form(points) = &fields.get("points")?.value else { return None };
        let number = |name: &str| points.argument(name)?.value.as_int();
        let join = match points.form.name {
            "zip" => Join::Zip,
            "random" => Join::Random {
                count: usize::try_from(number("count")?).ok()?,
                seed: u64::try_from(number("seed")?).ok()?,
            },
            _ => Join::Grid,
        };
        if fields.is_attempted("select") && fields.get("select").is_none() {
            return None;
        }
        let lengths: Vec<(usize, &Axis<'_>)> =
            axes.iter().filter(|axis| !axis.is_seed()).map(|axis| (axis.values.len(), axis)).collect();
        if let (Join::Zip, Some(((first, one), (second, other)))) =
            (&join, lengths.windows(2).find(|pair| pair[0].0 != pair[1].0).map(|pair| (pair[0], pair[1])))
        {
            self.sink.push(
                Diagnostic::at(
                    Code::BadArguments,
                    other.path.span,
                    "`zip` takes lists of one length",
                    format!("{second} values"),
                )
                .label(one.path.span, format!("{first} values"))
                .help("make the lists equally long, or write `points = grid`"),
            );
            return None;
        }
        Some((join, fields.get("select").cloned()))
    }

    /// The chosen value of every axis, for each point: seeds are varied last.
    fn joined(&mut self, name: &Ident, axes: &[Axis<'_>], join: &Join) -> Option<Vec<Vec<usize>>> {
        let free: Vec<usize> = (0..axes.len()).filter(|&at| !axes[at].is_seed()).collect();
        let size = |over: &mut dyn Iterator<Item = &Axis<'_>>| {
            over.fold(1_usize, |product, axis| product.saturating_mul(axis.values.len()))
        };
        let runs = match join {
            Join::Grid => size(&mut axes.iter()),
            Join::Zip => free.first().map_or(1, |&at| axes[at].values.len()),
            Join::Random { count, .. } => (*count).min(size(&mut axes.iter())),
        };
        let grid = size(&mut free.iter().map(|&at| &axes[at]));
        if runs > MOST_POINTS || grid > 100 * MOST_POINTS {
            let place = axes.first().map_or(name.span, |axis| axis.path.span);
            self.sink.push(
                Diagnostic::at(
                    Code::OutOfRange,
                    place,
                    format!("this sweep has more than {MOST_POINTS} runs"),
                    "the product of all lists",
                )
                .help("shorten the lists, or draw some of the points: `points = random(100)`"),
            );
            return None;
        }
        let mut chosen: Vec<Vec<usize>> = match join {
            Join::Zip => (0..runs).map(|at| vec![at; free.len()]).collect(),
            _ => (0..grid).map(|number| digits(number, free.iter().map(|&at| axes[at].values.len()))).collect(),
        };
        if let Join::Random { count, seed } = join {
            let mut order: Vec<usize> = (0..chosen.len()).collect();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(*seed));
            order.truncate(*count);
            order.sort_unstable();
            chosen = order.into_iter().filter_map(|at| chosen.get(at).cloned()).collect();
        }
        let seeds = axes.iter().position(Axis::is_seed);
        let repeats = seeds.map_or(1, |at| axes[at].values.len());
        let points = chosen.into_iter().flat_map(|values| {
            let free = &free;
            (0..repeats).map(move |repeat| {
                let mut point = vec![repeat; axes.len()];
                free.iter().zip(&values).for_each(|(&at, &value)| point[at] = value);
                point
            })
        });
        Some(points.collect())
    }

    /// The values of a list, `logspace(…)`, `linspace(…)`, or a `let` of one of them; `Ok(None)` for a value of its own.
    fn listed(&mut self, expr: &Expr, holds: Type) -> Result<Option<Vec<Setting>>, ()> {
        match &expr.kind {
            ExprKind::List(items) if !is_one_value(items, holds) => match items.as_slice() {
                [] => {
                    self.sink.push(
                        Diagnostic::at(Code::OutOfRange, expr.span, "this list has no values", "nothing to sweep over")
                            .help("write the values, or remove the line"),
                    );
                    Err(())
                }
                items => {
                    let settings: Result<Vec<Setting>, ()> = items.iter().map(|item| self.setting(item)).collect();
                    settings.map(Some)
                }
            },
            ExprKind::Range { start: Some(start), end: Some(end), inclusive } if holds == Type::Int => {
                let bound = Expected { holds: Type::Int, bound: Bound::Any, what: "an end of a range" };
                let (start, end) = (self.int(start, bound), self.int(end, bound));
                let (start, end) = (start.ok_or(())?.value, end.ok_or(())?.value + i64::from(*inclusive));
                if start >= end {
                    self.sink.push(
                        Diagnostic::at(
                            Code::OutOfRange,
                            expr.span,
                            "this range has no values",
                            "nothing to sweep over",
                        )
                        .help("write the smaller number first: `1..=4`"),
                    );
                    return Err(());
                }
                let numbers = (start..end).take(MOST_POINTS + 1);
                let values = numbers.map(|value| number(ExprKind::Int(value), value.to_string(), expr.span));
                Ok(Some(values.collect()))
            }
            ExprKind::Call { name, .. } if matches!(name.text().as_str(), "logspace" | "linspace") => {
                let spaced = Expected { holds: Type::Spaced, bound: Bound::Any, what: "a list to sweep over" };
                let value = self.evaluate(expr, spaced).ok_or(())?;
                let Value::Form(form) = value.value else { return Err(()) };
                let number_of = |name: &str| form.argument(name).and_then(|value| value.value.as_number()).ok_or(());
                let (from, to, count) = (number_of("from")?, number_of("to")?, number_of("count")? as usize);
                let logarithmic = form.form.name == "logspace";
                if logarithmic && (from <= 0.0 || to <= 0.0) {
                    self.sink.push(
                        Diagnostic::at(Code::OutOfRange, expr.span, "`logspace` goes between numbers above 0", "here")
                            .help("write for example `logspace(1e-4, 1e-2, 5)`"),
                    );
                    return Err(());
                }
                let at = |step: usize| {
                    let share = step as f64 / count.saturating_sub(1).max(1) as f64;
                    match logarithmic {
                        true => (from.ln() + share * (to.ln() - from.ln())).exp(),
                        false => from + share * (to - from),
                    }
                };
                let values = (0..count.min(MOST_POINTS + 1)).map(|step| rounded(at(step)));
                Ok(Some(values.map(|value| number(ExprKind::Float(value), value_text(value), expr.span)).collect()))
            }
            ExprKind::Word(path) => match self.scope.resolve(path) {
                Some((entry, [])) => match entry.declared {
                    Declared::Let { value, .. }
                        if matches!(value.kind, ExprKind::List(_) | ExprKind::Call { .. })
                            && !self.broken.contains(&entry.name.span) =>
                    {
                        self.listed(value, holds)
                    }
                    _ => Ok(None),
                },
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }
}

impl Checker<'_> {
    /// One value of a list; of a number what it comes to.
    fn setting(&mut self, item: &Expr) -> Result<Setting, ()> {
        if !item.kind.is_number() && self.is_number(item) {
            let amount = self.amount(item).ok_or(())?;
            return Ok(number(amount.literal(), amount.text(), item.span));
        }
        Ok(Setting { value: item.clone(), text: self.slice(item.span).trim().to_owned() })
    }
}

impl Axis<'_> {
    fn is_seed(&self) -> bool {
        self.path.text() == "seed"
    }
}

/// The fields of a sweep that are paths of the experiment.
fn swept(sweep: &Section) -> impl Iterator<Item = &Field> {
    let block = schema::block("sweep");
    sweep.body.entries.iter().filter_map(move |entry| match entry {
        Entry::Field(field) => block.is_some_and(|block| block.field(&field.name.text()).is_none()).then_some(field),
        _ => None,
    })
}

/// `[3, 9]` of layers is one value; `[all, [3, 9]]` are two.
fn is_one_value(items: &[Expr], holds: Type) -> bool {
    let plain = |item: &Expr| matches!(item.kind, ExprKind::Int(_));
    match holds {
        Type::Layers => items.iter().all(plain),
        Type::Strings | Type::Templates => items.iter().all(|item| !matches!(item.kind, ExprKind::List(_))),
        _ => false,
    }
}

fn point(body: &Block, axes: &[Axis<'_>], dependent: &[(&Field, Place)], chosen: &[usize]) -> SweptPoint {
    let mut point =
        SweptPoint { values: Vec::new(), body: body.clone(), changes: Changes::default(), places: Vec::new() };
    let mut known: Vec<(String, Expr)> = Vec::new();
    for (axis, &at) in axes.iter().zip(chosen) {
        let Some(Setting { value, text }) = axis.values.get(at).cloned() else { continue };
        point.places.push(value.span);
        known.push((axis.path.text(), value.clone()));
        point.values.push(PointValue { path: axis.path.text(), value: text });
        let span = value.span;
        axis.place.set(&mut point, axis.path, value, span);
    }
    for (field, place) in dependent {
        let value = substitute(&field.value, &known);
        place.set(&mut point, &field.name, value, field.value.span);
    }
    point
}

/// The digits of a number in mixed bases, the last of which moves fastest.
fn digits(number: usize, bases: impl DoubleEndedIterator<Item = usize>) -> Vec<usize> {
    let mut rest = number;
    let mut digits: Vec<usize> = bases
        .rev()
        .map(|base| {
            let digit = rest % base.max(1);
            rest /= base.max(1);
            digit
        })
        .collect();
    digits.reverse();
    digits
}

fn number(kind: ExprKind, text: String, span: Span) -> Setting {
    Setting { value: Expr { kind, span }, text }
}

/// `0.001`, `2.5e-5`
fn value_text(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) { format!("{value:e}") } else { format!("{value}") }
}
