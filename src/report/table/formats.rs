//! Tables for other programs: CSV and LaTeX.

use super::{Align, Table};

impl Table {
    /// The table as CSV, its heading first.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let titles = self.columns.iter().map(|(title, _)| title.as_str());
        // Memory takes all that is written.
        let _ = writer.write_record(titles);
        for row in &self.rows {
            let _ = writer.write_record(row);
        }
        writer.into_inner().map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The table as a `tabular` of LaTeX with the lines of `booktabs`.
    pub fn tex(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            format!("  {} \\\\\n", cells.map(tex).collect::<Vec<_>>().join(" & "))
        };
        let columns: String =
            self.columns.iter().map(|(_, align)| if *align == Align::Left { 'l' } else { 'r' }).collect();
        let heading = line(&mut self.columns.iter().map(|(title, _)| title.as_str()));
        let rows: String = self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str))).collect();
        format!(
            "\\begin{{tabular}}{{{columns}}}\n  \\toprule\n{heading}  \\midrule\n{rows}  \\bottomrule\n\\end{{tabular}}\n"
        )
    }
}

/// Text in which nothing is a command.
fn tex(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', letter]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '"' => escaped.push_str("\\textquotedbl{}"),
            '±' => escaped.push_str("$\\pm$"),
            '–' => escaped.push_str("--"),
            '…' => escaped.push_str("\\dots{}"),
            '\u{202f}' | '\u{2009}' => escaped.push_str("\\,"),
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("train.max_length", Align::Left), ("score", Align::Right)]);
        table.push(["a, \"b\"".to_owned(), "76.5 % ± 1.2".to_owned()]);
        table.push(["x_1 & ~\\".to_owned(), "–".to_owned()]);
        table
    }

    #[test]
    fn csv_can_be_read_back() {
        let text = table().csv();
        assert_eq!(text, "train.max_length,score\n\"a, \"\"b\"\"\",76.5 % ± 1.2\nx_1 & ~\\,–\n");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.records().next().unwrap().unwrap().get(0), Some("a, \"b\""));
    }

    #[test]
    fn tex_holds_no_command_of_a_cell() {
        let expected = r"\begin{tabular}{lr}
  \toprule
  train.max\_length & score \\
  \midrule
  a, \textquotedbl{}b\textquotedbl{} & 76.5 \% $\pm$ 1.2 \\
  x\_1 \& \textasciitilde{}\textbackslash{} & -- \\
  \bottomrule
\end{tabular}
";
        assert_eq!(table().tex(), expected);
    }
}
