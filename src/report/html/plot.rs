//! Plots as inline SVG. Colours and sizes of text come from the style sheet; what a pointer shows lies beside the picture as JSON.

use super::markup::{escape, json};
use super::scale::Axis;
use crate::statistics::Interval;
use std::fmt::Write;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;
/// Colours of the style sheet.
const COLOURS: usize = 8;

/// Values against values.
pub struct Plot<'a> {
    pub title: &'a str,
    /// What a reader who does not see it is told.
    pub summary: String,
    pub x: Axis,
    pub y: Axis,
    pub x_title: &'a str,
    pub x_label: &'a dyn Fn(f64) -> String,
    pub y_label: &'a dyn Fn(f64) -> String,
    pub series: Vec<Series>,
    /// Levels that others are compared with.
    pub levels: Vec<Level>,
}

/// Points that belong together.
pub struct Series {
    pub name: String,
    pub mark: Mark,
    pub points: Vec<Point>,
}

/// How points are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Line,
    /// A line in the background, in the colour of the next series.
    Faint,
    /// Dots, each with its interval and its name.
    Dots,
}

/// One point.
pub struct Point {
    pub x: f64,
    pub y: f64,
    pub interval: Option<Interval>,
    /// What a pointer shows.
    pub label: String,
    /// What stands beside a dot.
    pub name: String,
}

/// A level across the plot.
pub struct Level {
    pub y: f64,
    pub name: String,
}

impl Plot<'_> {
    /// The figure.
    pub fn html(&self) -> String {
        let mut svg = String::new();
        self.axes(&mut svg);
        for (number, level) in self.levels.iter().enumerate() {
            let y = self.y(level.y);
            let above = if y < TOP + 16.0 { y + 13.0 } else { y - 5.0 };
            let _ = write!(
                svg,
                "<path class=\"level l{}\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text class=\"note\" x=\"{:.1}\" y=\"{above:.1}\" text-anchor=\"end\">{}</text>",
                number % 2,
                WIDTH - RIGHT,
                WIDTH - RIGHT - 2.0,
                escape(&level.name)
            );
        }
        let mut colour = 0;
        for series in &self.series {
            match series.mark {
                Mark::Line | Mark::Faint => self.line(&mut svg, series, colour),
                Mark::Dots => self.dots(&mut svg, series, colour),
            }
            colour += usize::from(series.mark != Mark::Faint);
        }
        let title = escape(self.title);
        format!(
            "<figure class=\"plot\">\n<figcaption>{title}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" tabindex=\"0\" aria-label=\"{title}: {}\">{svg}<g class=\"cursor\"></g></svg>\n{}<div class=\"tip\" hidden></div>\n<script type=\"application/json\">{}</script>\n</figure>\n",
            escape(&self.summary),
            self.legend(),
            json(&self.shown())
        )
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self, svg: &mut String) {
        let bottom = HEIGHT - BOTTOM;
        for tick in &self.y.ticks {
            let y = self.y(*tick);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                escape(&(self.y_label)(*tick))
            );
        }
        for tick in &self.x.ticks {
            let x = self.x(*tick);
            let _ = write!(
                svg,
                "<path class=\"axis\" d=\"M{x:.1} {bottom}v5\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                escape(&(self.x_label)(*tick))
            );
        }
        let _ = write!(
            svg,
            "<path class=\"axis\" d=\"M{LEFT} {bottom}H{:.1}\"/><text class=\"title\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            WIDTH - RIGHT,
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 6.0,
            escape(self.x_title)
        );
    }

    fn line(&self, svg: &mut String, series: &Series, colour: usize) {
        let mut path = String::new();
        let mut pen = 'M';
        for point in &series.points {
            if !point.x.is_finite() || !point.y.is_finite() {
                pen = 'M';
                continue;
            }
            let _ = write!(path, "{pen}{:.1} {:.1}", self.x(point.x), self.y(point.y));
            pen = 'L';
        }
        let faint = if series.mark == Mark::Faint { " faint" } else { "" };
        let dashed = if colour >= COLOURS { " dashed" } else { "" };
        let _ = write!(svg, "<path class=\"line c{}{faint}{dashed}\" d=\"{path}\"/>", colour % COLOURS);
        // A line of one point is invisible.
        if let [only] = series.points.as_slice() {
            let _ = write!(
                svg,
                "<circle class=\"dot c{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"/>",
                colour % COLOURS,
                self.x(only.x),
                self.y(only.y)
            );
        }
    }

    fn dots(&self, svg: &mut String, series: &Series, colour: usize) {
        let colour = colour % COLOURS;
        for point in series.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite()) {
            let (x, y) = (self.x(point.x), self.y(point.y));
            if let Some([low, high]) = point.interval {
                let (low, high) = (self.y(low), self.y(high));
                let _ = write!(
                    svg,
                    "<path class=\"whisker c{colour}\" d=\"M{x:.1} {low:.1}V{high:.1}M{0:.1} {low:.1}h8M{0:.1} {high:.1}h8\"/>",
                    x - 4.0
                );
            }
            let _ = write!(svg, "<circle class=\"dot c{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>");
            let top = point.interval.map_or(y - 5.0, |[_, high]| self.y(high).min(y - 5.0));
            // A name above the dot, or below where the plot ends.
            let bottom = point.interval.map_or(y + 5.0, |[low, _]| self.y(low).max(y + 5.0));
            let at = if top > TOP + 12.0 { top - 6.0 } else { bottom + 15.0 };
            let middle = x.clamp(LEFT + 30.0, WIDTH - RIGHT - 30.0);
            let _ = write!(
                svg,
                "<text class=\"note\" x=\"{middle:.1}\" y=\"{at:.1}\" text-anchor=\"middle\">{}</text>",
                escape(&point.name)
            );
        }
    }

    /// Names of series, where there are several.
    fn legend(&self) -> String {
        let named: Vec<&Series> = self.series.iter().filter(|series| series.mark != Mark::Faint).collect();
        if named.len() < 2 {
            return String::new();
        }
        let item = |(number, series): (usize, &&Series)| {
            let dashed = if number >= COLOURS { " dashed" } else { "" };
            format!("<li><span class=\"swatch c{}{dashed}\"></span>{}</li>", number % COLOURS, escape(&series.name))
        };
        let items: String = named.iter().enumerate().map(item).collect();
        format!("<ul class=\"legend\">{items}</ul>\n")
    }

    /// Place and label of each point that a pointer can show.
    fn shown(&self) -> Vec<(f64, f64, &str)> {
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        let points = self.series.iter().filter(|series| series.mark != Mark::Faint).flat_map(|series| &series.points);
        let points = points.filter(|point| point.x.is_finite() && point.y.is_finite());
        points.map(|point| (tenth(self.x(point.x)), tenth(self.y(point.y)), point.label.as_str())).collect()
    }
}
