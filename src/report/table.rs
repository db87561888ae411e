//! Tables: the results of a run, aligned for a terminal or as Markdown.

use super::units;
use crate::data::metric::Metric;
use crate::store::result::EvalRecord;
use unicode_width::UnicodeWidthStr;

/// Longer values are cut.
const WIDTH: usize = 60;

/// Which signs a picture or a table may be drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Unicode,
    Ascii,
}

/// On which side a column is filled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows of text under a heading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(title, align)| ((*title).to_owned(), *align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; cells that are missing stay empty, and those beyond the last column are dropped.
    pub fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// The table for a terminal: lines under the heading and at both ends, each row ended by a newline.
    pub fn text(&self, style: Style) -> String {
        let line = match style {
            Style::Unicode => "─",
            Style::Ascii => "-",
        };
        let widths = self.widths();
        let rule = format!("{}\n", line.repeat(widths.iter().map(|width| width + 2).sum()));
        let write = |cells: Vec<&str>| {
            let cells = cells.iter().zip(&self.columns).zip(&widths);
            let cells = cells.map(|((cell, (_, align)), width)| format!(" {} ", fill(cell, *width, *align)));
            format!("{}\n", cells.collect::<String>().trim_end())
        };
        let heading = write(self.columns.iter().map(|(title, _)| title.as_str()).collect());
        let rows: String = self.rows.iter().map(|row| write(row.iter().map(String::as_str).collect())).collect();
        format!("{rule}{heading}{rule}{rows}{rule}")
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let widths = self.widths();
        let write = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let filled = |cells: Vec<&str>| {
            let cells = cells.iter().zip(&self.columns).zip(&widths);
            // A bar inside a cell would end it.
            write(cells.map(|((cell, (_, align)), width)| fill(&cell.replace('|', "\\|"), *width, *align)).collect())
        };
        let heading = filled(self.columns.iter().map(|(title, _)| title.as_str()).collect());
        let rule = self.columns.iter().zip(&widths).map(|((_, align), width)| match align {
            Align::Left => "-".repeat((*width).max(3)),
            Align::Right => format!("{}:", "-".repeat((*width).max(3) - 1)),
        });
        let rows = self.rows.iter().map(|row| filled(row.iter().map(String::as_str).collect()));
        format!("{heading}{}{}", write(rule.collect()), rows.collect::<String>())
    }

    fn widths(&self) -> Vec<usize> {
        let width = |(column, (title, _)): (usize, &(String, Align))| {
            let cells = self.rows.iter().map(|row| row[column].width());
            cells.chain([title.width()]).max().unwrap_or(0)
        };
        self.columns.iter().enumerate().map(width).collect()
    }
}

/// The results of a run: each eval beside the untouched model and the most frequent answer.
pub fn results(evals: &[EvalRecord]) -> Table {
    let numbers = ["baseline", "tuned", "change", "majority class", "rows"].map(|title| (title, Align::Right));
    let mut table = Table::new(&[[("eval", Align::Left), ("metric", Align::Left)].as_slice(), &numbers].concat());
    for eval in evals {
        let score = |value: f64| number(eval.metric, value);
        let optional = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), score);
        table.push([
            eval.name.clone(),
            name(eval.metric).to_owned(),
            optional(eval.baseline),
            score(eval.tuned),
            eval.baseline.map_or_else(|| "–".to_owned(), |baseline| change(eval.metric, baseline, eval.tuned)),
            eval.majority.map_or_else(|| "–".to_owned(), units::percent),
            units::count(eval.rows as u64),
        ]);
    }
    table
}

/// A metric by the name that the language gives it.
pub fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::Accuracy => "accuracy",
        Metric::ExactMatch => "exact_match",
        Metric::Perplexity => "perplexity",
    }
}

/// A score in the unit of its metric: `76.5 %`, `12.31`.
pub fn number(metric: Metric, score: f64) -> String {
    match metric {
        Metric::Accuracy | Metric::ExactMatch => units::percent(score),
        Metric::Perplexity if !score.is_finite() => "–".to_owned(),
        Metric::Perplexity => format!("{score:.2}"),
    }
}

/// The difference of two scores: of shares in points of a hundred, `+26.5`.
pub fn change(metric: Metric, before: f64, after: f64) -> String {
    let difference = after - before;
    match metric {
        _ if !difference.is_finite() => "–".to_owned(),
        Metric::Accuracy | Metric::ExactMatch => format!("{:+.1}", difference * 100.0 + 0.0),
        Metric::Perplexity => format!("{:+.2}", difference + 0.0),
    }
}

/// One line of a length that fits into a cell.
pub fn shorten(value: &str) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn fill(text: &str, width: usize, align: Align) -> String {
    let space = " ".repeat(width.saturating_sub(text.width()));
    match align {
        Align::Left => format!("{text}{space}"),
        Align::Right => format!("{space}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, metric: Metric, tuned: f64, baseline: Option<f64>, majority: Option<f64>) -> EvalRecord {
        let (name, hash, device, seconds) = (name.into(), "h".into(), "cpu".into(), 1.0);
        EvalRecord { name, hash, device, metric, tuned, baseline, majority, rows: 1200, seconds }
    }

    fn three() -> Table {
        results(&[
            record("test", Metric::ExactMatch, 0.765, Some(0.5), Some(0.5167)),
            record("dev", Metric::Accuracy, 0.9, None, Some(0.5)),
            record("held_out", Metric::Perplexity, 12.345, Some(30.0), None),
        ])
    }

    #[test]
    fn results_are_aligned() {
        let expected = "\
────────────────────────────────────────────────────────────────────────
 eval      metric       baseline   tuned  change  majority class   rows
────────────────────────────────────────────────────────────────────────
 test      exact_match    50.0 %  76.5 %   +26.5          51.7 %  1 200
 dev       accuracy            –  90.0 %       –          50.0 %  1 200
 held_out  perplexity      30.00   12.35  -17.66               –  1 200
────────────────────────────────────────────────────────────────────────
";
        let text = three().text(Style::Unicode);
        assert_eq!(text, expected, "\n{text}");
        assert!(three().text(Style::Ascii).starts_with("-----"));
    }

    #[test]
    fn results_are_markdown() {
        let expected = "\
| eval     | metric      | baseline |  tuned | change | majority class |  rows |
| -------- | ----------- | -------: | -----: | -----: | -------------: | ----: |
| test     | exact_match |   50.0 % | 76.5 % |  +26.5 |         51.7 % | 1 200 |
";
        assert!(three().markdown().starts_with(expected), "\n{}", three().markdown());
        let mut table = Table::new(&[("a", Align::Left)]);
        table.push(["x|y".to_owned()]);
        assert!(table.markdown().ends_with("| x\\|y |\n"));
    }

    #[test]
    fn no_change_is_plus_zero_and_no_number_a_dash() {
        assert_eq!(change(Metric::Accuracy, 0.5, 0.5), "+0.0");
        assert_eq!(change(Metric::Accuracy, 0.5, 0.25), "-25.0");
        assert_eq!(number(Metric::Perplexity, f64::NAN), "–");
    }
}
