//! Tables that are wider than the terminal.

use super::{Align, Table};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Text is not cut below this.
const LEAST: usize = 12;

impl Table {
    /// The table in at most `width` columns of a terminal, and the titles of the columns that had to go.
    ///
    /// First long text is cut; then columns are left out in the order of `dispensable`, their numbers.
    #[must_use]
    pub fn fitted(&self, width: usize, dispensable: &[usize]) -> (Self, Vec<String>) {
        let mut kept: Vec<usize> = (0..self.columns.len()).collect();
        let mut left_out: Vec<usize> = Vec::new();
        let mut dispensable = dispensable.iter();
        loop {
            let table = self.only(&kept).cut(width);
            let excess = table.widths().iter().map(|column| column + 2).sum::<usize>() > width;
            match dispensable.next() {
                Some(&next) if excess => {
                    kept.retain(|column| *column != next);
                    left_out.push(next);
                }
                _ => {
                    left_out.sort_unstable();
                    let titles = left_out.iter().filter_map(|column| Some(self.columns.get(*column)?.0.clone()));
                    return (table, titles.collect());
                }
            }
        }
    }

    fn only(&self, kept: &[usize]) -> Self {
        let columns = kept.iter().filter_map(|column| self.columns.get(*column).cloned()).collect();
        let row = |row: &Vec<String>| kept.iter().filter_map(|column| row.get(*column).cloned()).collect();
        Self { columns, rows: self.rows.iter().map(row).collect() }
    }

    /// The table with its longest texts cut until it fits, as far as they may be.
    fn cut(mut self, width: usize) -> Self {
        loop {
            let widths = self.widths();
            let excess = widths.iter().map(|column| column + 2).sum::<usize>().saturating_sub(width);
            let text = |(column, _): &(usize, &usize)| self.columns[*column].1 == Align::Left;
            let widest = widths.iter().enumerate().filter(text).max_by_key(|(column, width)| (**width, *column));
            let Some((column, wide)) = widest.filter(|(_, wide)| excess > 0 && **wide > LEAST) else { return self };
            // Not below the next one at once, so that several long columns share the loss.
            let target = wide.saturating_sub(excess).max(LEAST).max(wide - 1 - (wide - LEAST) / 4);
            self.columns[column].0 = shortened(&self.columns[column].0, target);
            for row in &mut self.rows {
                row[column] = shortened(&row[column], target);
            }
        }
    }
}

/// A text in at most `width` columns, with an ellipsis where it was cut.
fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |letter: &char| {
        used += letter.width().unwrap_or(0);
        used <= width
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::table::Style;

    fn table() -> Table {
        let columns =
            [("name", Align::Left), ("optimizer", Align::Left), ("lr", Align::Right), ("score", Align::Right)];
        let mut table = Table::new(&columns);
        table.push(
            ["small/01234567", "adamw(weight_decay: 0, beta1: 0.9, beta2: 0.999)", "1e-3", "76.5 %"].map(str::to_owned),
        );
        table
    }

    fn width(table: &Table) -> usize {
        table.text(Style::Unicode).lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
    }

    #[test]
    fn text_is_cut_before_columns_go() {
        let (whole, none) = table().fitted(200, &[2, 1]);
        assert_eq!((whole, none), (table(), vec![]));
        let (cut, none) = table().fitted(60, &[2, 1]);
        assert_eq!((width(&cut) <= 60, none.len()), (true, 0));
        assert!(cut.text(Style::Unicode).contains("adamw(weight_d"), "{}", cut.text(Style::Unicode));
        let (cut, gone) = table().fitted(40, &[2, 1]);
        assert_eq!(gone, ["lr"]);
        assert!(width(&cut) <= 40, "{}", cut.text(Style::Unicode));
        let (cut, gone) = table().fitted(10, &[2, 1]);
        assert_eq!(gone, ["optimizer", "lr"], "what must stay stays");
        assert!(cut.text(Style::Unicode).contains("76.5 %"));
    }

    #[test]
    fn wide_letters_count_twice() {
        assert_eq!(shortened("ab", 2), "ab");
        assert_eq!(shortened("abc", 2), "a…");
        assert_eq!(shortened("日本語", 4), "日…");
    }
}
