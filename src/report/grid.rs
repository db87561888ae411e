//! The layer × token picture of `reftc plan`: which states of a typical row are edited, reached, constant or needless.

use super::table::Style;
use crate::plan::Intervention;

/// Layers are drawn one a line up to this many; beyond it, neighbours that look alike share a line.
const LINES: usize = 16;
/// Prompts are drawn whole up to this many tokens.
const PROMPT: usize = 16;
/// Targets are drawn whole up to this many tokens.
const TARGET: usize = 6;
/// Tokens drawn at each end of a prompt whatever is edited, and at most.
const ENDS: (usize, usize) = (4, 10);

/// The state of one token as it leaves one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Edited,
    /// Edited, but no supervised token sees it: it gets no gradient.
    Dead,
    /// Depends on an edit.
    Reached,
    /// The same in every epoch.
    Constant,
    /// No supervised token sees it.
    Unneeded,
}

impl Cell {
    const ALL: [Self; 5] = [Self::Edited, Self::Dead, Self::Reached, Self::Constant, Self::Unneeded];

    fn sign(self, style: Style) -> char {
        match (self, style) {
            (Self::Edited, Style::Unicode) => '■',
            (Self::Dead, Style::Unicode) => '□',
            (Self::Reached, Style::Unicode) => '▒',
            (Self::Constant, Style::Unicode) => '·',
            (Self::Edited, Style::Ascii) => '#',
            (Self::Dead, Style::Ascii) => 'x',
            (Self::Reached, Style::Ascii) => '+',
            (Self::Constant, Style::Ascii) => '.',
            (Self::Unneeded, _) => ' ',
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Dead => "edited without effect",
            Self::Reached => "reached by an edit",
            Self::Constant => "constant",
            Self::Unneeded => "blank: not needed",
        }
    }
}

/// What of a row is drawn.
enum Column {
    Token(usize),
    Gap,
    /// Between prompt and target.
    Border,
}

/// Draws a row of `prompt` and `target` tokens in a decoder of `layers` blocks, the last layer on top, with a legend.
///
/// An edit of the block output at (layer, token) reaches that state itself and those of later layers at the same and
/// later tokens. Needed is what the tokens that predict a target token see: all below the last layer, in the last
/// layer only those tokens themselves. The last target token is never an input.
pub fn draw(layers: usize, interventions: &[Intervention], prompt: usize, target: usize, style: Style) -> String {
    let grid = Grid { layers, interventions, prompt, target };
    let columns = grid.columns();
    let rows: Vec<Vec<Cell>> = (0..layers).map(|layer| grid.row(layer, &columns)).collect();
    let lines = group(&rows);
    let names: Vec<String> = lines.iter().map(Line::name).collect();
    let margin = names.iter().map(|name| name.chars().count()).chain(["layer".len()]).max().unwrap_or(0);

    let border = columns.iter().position(|column| matches!(column, Column::Border)).unwrap_or(columns.len());
    let tokens = |count: usize| format!("{count} token{}", if count == 1 { "" } else { "s" });
    let heading = format!("prompt, {}", tokens(prompt));
    let width = (2 * border).max(heading.chars().count() + 2);
    let mut text = format!(" {:>margin$}  {heading:<width$}  target, {}\n", "layer", tokens(target));
    for (line, name) in lines.iter().zip(&names) {
        let cells = match line {
            Line::Layers { first, .. } => signs(&rows[*first], &columns, style, width, border),
            Line::Omitted => String::new(),
        };
        text.push_str(format!(" {name:>margin$}  {cells}").trim_end());
        text.push('\n');
    }
    let mut used: Vec<Cell> = rows.into_iter().flatten().collect();
    used.sort();
    used.dedup();
    let legend = Cell::ALL.into_iter().filter(|cell| used.contains(cell)).map(|cell| match cell {
        Cell::Unneeded => cell.meaning().to_owned(),
        _ => format!("{} {}", cell.sign(style), cell.meaning()),
    });
    let legend: Vec<String> = legend.collect();
    format!("{text} {:margin$}  {}\n", "", legend.join("   "))
}

/// One line of drawn cells, each followed by a space; the prompt's part is filled up to `width`.
fn signs(row: &[Cell], columns: &[Column], style: Style, width: usize, border: usize) -> String {
    let mut cells = row.iter();
    let mut sign = |column: &Column| match (column, style) {
        (Column::Token(_), _) => cells.next().map_or(' ', |cell| cell.sign(style)),
        (Column::Gap, Style::Unicode) => '…',
        (Column::Gap, Style::Ascii) => '~',
        (Column::Border, Style::Unicode) => '│',
        (Column::Border, Style::Ascii) => '|',
    };
    let signs: Vec<String> = columns.iter().map(|column| format!("{} ", sign(column))).collect();
    let (prompt, target) = signs.split_at(border);
    format!("{:<width$}{}", prompt.concat(), target.concat())
}

struct Grid<'a> {
    layers: usize,
    interventions: &'a [Intervention],
    prompt: usize,
    target: usize,
}

impl Grid<'_> {
    fn row(&self, layer: usize, columns: &[Column]) -> Vec<Cell> {
        let tokens = columns.iter().filter_map(|column| match column {
            Column::Token(token) => Some(*token),
            Column::Gap | Column::Border => None,
        });
        tokens.map(|token| self.cell(layer, token)).collect()
    }

    fn cell(&self, layer: usize, token: usize) -> Cell {
        let is_input = token + 1 < self.prompt + self.target;
        let is_supervised = is_input && token + 1 >= self.prompt;
        let is_needed = if layer + 1 == self.layers { is_supervised } else { is_input };
        let edits = |intervention: &Intervention| {
            let mut segments = intervention.segments.iter();
            intervention.layers.contains(&layer)
                && segments.any(|segment| segment.resolve(self.prompt).contains(&token))
        };
        let reaches = |intervention: &Intervention| {
            let first = intervention.segments.iter().map(|segment| segment.resolve(self.prompt));
            let first = first.filter(|range| !range.is_empty()).map(|range| range.start).min();
            intervention.layers.iter().any(|&edited| edited < layer) && first.is_some_and(|first| first <= token)
        };
        match (self.interventions.iter().any(edits), is_needed) {
            (true, true) => Cell::Edited,
            (true, false) => Cell::Dead,
            (false, false) => Cell::Unneeded,
            (false, true) if self.interventions.iter().any(reaches) => Cell::Reached,
            (false, true) => Cell::Constant,
        }
    }

    /// The ends of a long prompt reach two tokens beyond what is edited there.
    fn columns(&self) -> Vec<Column> {
        let segments = || self.interventions.iter().flat_map(|intervention| &intervention.segments);
        let ranges =
            || segments().map(|segment| segment.resolve(self.prompt)).filter(|range| range.len() < self.prompt);
        let half = self.prompt / 2;
        let first = ranges().filter(|range| range.start < half).map(|range| range.end + 2).max().unwrap_or(0);
        let last = ranges().filter(|range| range.start >= half).map(|range| self.prompt - range.start + 2).max();
        let (first, last) = (first.clamp(ENDS.0, ENDS.1), last.unwrap_or(0).clamp(ENDS.0, ENDS.1));
        let mut columns = ends(0, self.prompt, first, last, PROMPT);
        columns.push(Column::Border);
        columns.extend(ends(self.prompt, self.target, TARGET / 2, TARGET / 2 - 1, TARGET));
        columns
    }
}

/// `count` tokens from `start` on, or only the first and last of them where they are more than `most`.
fn ends(start: usize, count: usize, first: usize, last: usize, most: usize) -> Vec<Column> {
    if count <= most.max(first + last + 1) {
        return (start..start + count).map(Column::Token).collect();
    }
    let tokens = |range: std::ops::Range<usize>| range.map(Column::Token);
    let (end, gap) = (start + count, std::iter::once(Column::Gap));
    tokens(start..start + first).chain(gap).chain(tokens(end - last..end)).collect()
}

/// A line of the picture.
enum Line {
    /// Layers that look alike, both ends included.
    Layers { first: usize, last: usize },
    /// Layers for which there is no room.
    Omitted,
}

impl Line {
    fn name(&self) -> String {
        match self {
            Self::Layers { first, last } if first == last => first.to_string(),
            Self::Layers { first, last } => format!("{first}..={last}"),
            Self::Omitted => "...".to_owned(),
        }
    }
}

/// The lines from top to bottom.
fn group(rows: &[Vec<Cell>]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for layer in 0..rows.len() {
        match lines.last_mut() {
            Some(Line::Layers { first, last }) if rows.len() > LINES && rows[*first] == rows[layer] => *last = layer,
            _ => lines.push(Line::Layers { first: layer, last: layer }),
        }
    }
    if lines.len() > LINES {
        lines.splice(LINES / 2..lines.len() - LINES / 2, [Line::Omitted]);
    }
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::positions::Segment;
    use crate::intervention::{At, Kind};
    use crate::plan::Activation;

    fn edit(layers: &[usize], segments: &[Segment]) -> Intervention {
        Intervention {
            name: "edit".into(),
            kind: Kind::Loreft,
            at: At::BlockOutput,
            layers: layers.to_vec(),
            segments: segments.to_vec(),
            tied: false,
            rank: 4,
            dropout: 0.0,
            activation: Activation::Linear,
            bias: true,
        }
    }

    #[test]
    fn a_small_model_is_drawn_layer_by_layer() {
        let edits = [edit(&[1, 3], &[Segment::First(2), Segment::Last(1)])];
        let expected = "
 layer  prompt, 6 tokens    target, 3 tokens
     3  □ □       ■       │ ▒ ▒
     2  ▒ ▒ ▒ ▒ ▒ ▒       │ ▒ ▒
     1  ■ ■ · · · ■       │ · ·
     0  · · · · · ·       │ · ·
        ■ edited   □ edited without effect   ▒ reached by an edit   · constant   blank: not needed
";
        assert_eq!(format!("\n{}", draw(4, &edits, 6, 3, Style::Unicode)), expected);
    }

    #[test]
    fn layers_that_look_alike_share_a_line_and_long_rows_are_cut() {
        let layers: Vec<usize> = (0..30).collect();
        let edits = [edit(&layers, &[Segment::First(3), Segment::Last(3)])];
        let text = draw(30, &edits, 48, 9, Style::Ascii);
        let expected = "
  layer  prompt, 48 tokens       target, 9 tokens
     29  x x x     ~     x x # | + + + ~ +
 1..=28  # # # + + ~ + + # # # | + + + ~ +
      0  # # # . . ~ . . # # # | . . . ~ .
";
        assert!(format!("\n{text}").starts_with(expected), "\n{text}");
    }

    #[test]
    fn a_picture_never_has_more_lines_than_fit() {
        let layers: Vec<usize> = (0..80).step_by(2).collect();
        let text = draw(80, &[edit(&layers, &[Segment::All])], 100, 1, Style::Unicode);
        assert!(text.lines().count() <= LINES + 3, "\n{text}");
        assert!(text.contains("\n   ...\n"), "\n{text}");
    }

    #[test]
    fn an_edit_reaches_later_layers_at_later_tokens_only() {
        let edits = [edit(&[1], &[Segment::Last(1)])];
        let grid = Grid { layers: 4, interventions: &edits, prompt: 4, target: 2 };
        let cells = |layer| (0..6).map(|token| grid.cell(layer, token)).collect::<Vec<_>>();
        let (constant, reached, unneeded) = (Cell::Constant, Cell::Reached, Cell::Unneeded);
        assert_eq!(cells(1), [constant, constant, constant, Cell::Edited, constant, unneeded]);
        assert_eq!(cells(2), [constant, constant, constant, reached, reached, unneeded]);
        assert_eq!(cells(3), [unneeded, unneeded, unneeded, reached, reached, unneeded]);
    }

    #[test]
    fn odd_shapes_are_drawn_too() {
        for (layers, prompt, target) in [(0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1), (40, 3, 200)] {
            let edits = [edit(&[0], &[Segment::First(3), Segment::All])];
            assert!(draw(layers, &edits, prompt, target, Style::Unicode).contains("layer"));
        }
    }
}
