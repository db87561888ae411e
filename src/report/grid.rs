//! The layer × token picture of `reftc plan`: which states of a typical row are edited, worked, reused, constant or skipped.

use super::table::Style;
use crate::data::positions::RowTokens;
use crate::plan::Intervention;
use crate::plan::passes::{ConstantPass, Live, Passes, Readers, Shape, Site, Tokens, Work, sites, work};
use std::ops::Range;

/// Layers are drawn one a line up to this many; beyond it, neighbours that look alike share a line.
const LINES: usize = 16;
/// Prompts are drawn whole up to this many tokens.
const PROMPT: usize = 16;
/// Targets are drawn whole up to this many tokens.
const TARGET: usize = 6;
/// Tokens drawn at each end of a prompt whatever is edited, and at most.
const ENDS: (usize, usize) = (4, 10);
/// Edited texts in the middle of a prompt that are drawn, and the tokens of each.
const TEXTS: (usize, usize) = (3, 4);

/// What becomes of one token in one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cell {
    Edited,
    /// Edited, but no reader sees it: it gets no gradient.
    Dead,
    /// Computed in every step, at least its key and value.
    Worked,
    /// A constant that every step takes in: its state, or its key and value.
    Reused,
    /// A constant that is computed on the way to those that are taken in.
    Constant,
    /// Never computed.
    Skipped,
}

impl Cell {
    pub(super) const ALL: [Self; 6] =
        [Self::Edited, Self::Dead, Self::Worked, Self::Reused, Self::Constant, Self::Skipped];

    fn sign(self, style: Style) -> char {
        match (self, style) {
            (Self::Edited, Style::Unicode) => '■',
            (Self::Dead, Style::Unicode) => '□',
            (Self::Worked, Style::Unicode) => '▒',
            (Self::Reused, Style::Unicode) => '○',
            (Self::Constant, Style::Unicode) => '·',
            (Self::Edited, Style::Ascii) => '#',
            (Self::Dead, Style::Ascii) => 'x',
            (Self::Worked, Style::Ascii) => '+',
            (Self::Reused, Style::Ascii) => 'o',
            (Self::Constant, Style::Ascii) => '.',
            (Self::Skipped, _) => ' ',
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Dead => "edited without effect",
            Self::Worked => "worked",
            Self::Reused => "reused",
            Self::Constant => "constant",
            Self::Skipped => "blank: skipped",
        }
    }
}

/// What of a row is drawn.
pub(super) enum Column {
    Token(usize),
    Gap,
    /// Between prompt and target.
    Border,
}

/// What is drawn: one row of a split in a model, and the passes that are on.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    pub shape: Shape,
    pub interventions: &'a [Intervention],
    pub passes: Passes,
    /// Its last token is never an input.
    pub row: RowTokens,
}

/// Draws the row, the last layer on top, with a legend.
pub fn draw(picture: &Picture<'_>, style: Style) -> String {
    let (prompt, target) = (picture.row.prompt, picture.target());
    let columns = picture.columns();
    let rows = picture.rows(&columns);
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
        Cell::Skipped => cell.meaning().to_owned(),
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

/// The work of the row that is drawn.
struct Grid {
    sites: Vec<Site>,
    live: Live,
    work: Work,
    constants: ConstantPass,
    hoist: bool,
    prompt: usize,
    inputs: usize,
}

impl Grid {
    fn new(picture: &Picture<'_>) -> Self {
        let Picture { shape, passes, ref row, .. } = *picture;
        let (prompt, inputs) = (row.prompt, row.all.saturating_sub(1));
        let readers = Readers::training(prompt, inputs);
        let sites = sites(picture.interventions, &row.up_to(inputs));
        let work = work(shape, &sites, &readers, passes);
        let constants = ConstantPass::new(&work, prompt, inputs);
        Self { sites, live: Live::new(shape, &readers), work, constants, hoist: passes.hoist, prompt, inputs }
    }

    fn row(&self, layer: usize, columns: &[Column]) -> Vec<Cell> {
        let tokens = columns.iter().filter_map(|column| match column {
            Column::Token(token) => Some(*token),
            Column::Gap | Column::Border => None,
        });
        tokens.map(|token| self.cell(layer, token)).collect()
    }

    fn cell(&self, layer: usize, token: usize) -> Cell {
        let block = &self.work.blocks[layer];
        let mut edits = self.sites.iter().filter(|site| site.layer == layer && site.tokens.contains(token)).peekable();
        let is_edited = edits.peek().is_some();
        let here = |site: &Site| Site { tokens: Tokens::from(token..token + 1), ..site.clone() };
        let depth = if token < self.prompt { self.constants.prompt } else { self.constants.target };
        if edits.any(|site| self.live.sees(&here(site))) {
            Cell::Edited
        } else if is_edited {
            Cell::Dead
        } else if block.input.contains(token) {
            Cell::Worked
        } else if self.hoist && (block.constant_keys.contains(token) || self.work.joining[layer + 1].contains(token)) {
            Cell::Reused
        } else if token < self.inputs && layer < depth.keys {
            Cell::Constant
        } else {
            Cell::Skipped
        }
    }
}

impl Picture<'_> {
    /// Tokens of the target.
    pub(super) fn target(&self) -> usize {
        self.row.all.saturating_sub(self.row.prompt)
    }

    /// What becomes of the tokens of these columns, layer by layer.
    pub(super) fn rows(&self, columns: &[Column]) -> Vec<Vec<Cell>> {
        let grid = Grid::new(self);
        (0..self.shape.layers).map(|layer| grid.row(layer, columns)).collect()
    }

    /// Every token, where there are at most that many, and else those that are worth it.
    pub(super) fn columns_up_to(&self, most: usize) -> Vec<Column> {
        if self.row.all > most {
            return self.columns();
        }
        let prompt = (0..self.row.prompt).map(Column::Token).chain([Column::Border]);
        prompt.chain((self.row.prompt..self.row.all).map(Column::Token)).collect()
    }

    /// The ends of a long prompt reach two tokens beyond what is edited there; edited texts between them are drawn with a token at each side.
    fn columns(&self) -> Vec<Column> {
        let prompt = self.row.prompt;
        let segments = || self.interventions.iter().flat_map(|intervention| &intervention.segments);
        let ranges = |of_texts: bool| {
            let segments = segments().filter(move |segment| segment.texts().is_empty() != of_texts);
            let tokens = segments.map(|segment| segment.resolve(&self.row).and(&(0..prompt).into()));
            tokens.flat_map(|tokens| tokens.ranges().to_vec()).filter(|range| range.len() < prompt)
        };
        let half = prompt / 2;
        let first = ranges(false).filter(|range| range.start < half).map(|range| range.end + 2).max().unwrap_or(0);
        let last = ranges(false).filter(|range| range.start >= half).map(|range| prompt - range.start + 2).max();
        let (first, last) = (first.clamp(ENDS.0, ENDS.1), last.unwrap_or(0).clamp(ENDS.0, ENDS.1));
        let texts = ranges(true).take(TEXTS.0);
        let texts = texts.map(|range| range.start.saturating_sub(1)..range.end.min(range.start + TEXTS.1) + 1);
        let mut columns = drawn(0, prompt, [first, last], texts, PROMPT);
        columns.push(Column::Border);
        columns.extend(drawn(prompt, self.target(), [TARGET / 2, TARGET / 2 - 1], std::iter::empty(), TARGET));
        columns
    }
}

/// `count` tokens from `start` on, or only the first and last of them and those `between` where they are more than `most`.
fn drawn(
    start: usize,
    count: usize,
    [first, last]: [usize; 2],
    between: impl Iterator<Item = Range<usize>>,
    most: usize,
) -> Vec<Column> {
    let end = start + count;
    if count <= most.max(first + last + 1) {
        return (start..end).map(Column::Token).collect();
    }
    let runs = between.chain([start..start + first, end - last..end]);
    let (mut columns, mut next) = (Vec::new(), start);
    for run in Tokens::of(runs).and(&(start..end).into()).ranges() {
        // A gap is as wide as a token.
        match run.start - next {
            0 => {}
            1 => columns.push(Column::Token(next)),
            _ => columns.push(Column::Gap),
        }
        columns.extend(run.clone().map(Column::Token));
        next = run.end;
    }
    columns
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
    use crate::data::positions::{PromptText, Segment, Share};
    use crate::intervention::{At, Kind};
    use crate::plan::Activation;

    fn picture(layers: usize, interventions: &[Intervention], prompt: usize, target: usize) -> Picture<'_> {
        let shape = Shape { layers, window: None };
        Picture { shape, interventions, passes: Passes::ALL, row: RowTokens::new(prompt, prompt + target) }
    }

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
     3  □ □ ▒ ▒ ▒ ■       │ ▒ ▒
     2  ▒ ▒ ▒ ▒ ▒ ▒       │ ▒ ▒
     1  ■ ■ ○ ○ ○ ■       │ ○ ○
     0  · · · · · ·       │ · ·
        ■ edited   □ edited without effect   ▒ worked   ○ reused   · constant   blank: skipped
";
        assert_eq!(format!("\n{}", draw(&picture(4, &edits, 6, 3), Style::Unicode)), expected);
    }

    #[test]
    fn layers_that_look_alike_share_a_line_and_long_rows_are_cut() {
        let layers: Vec<usize> = (0..30).collect();
        let edits = [edit(&layers, &[Segment::First(3), Segment::Last(3)])];
        let text = draw(&picture(30, &edits, 48, 9), Style::Ascii);
        let expected = "
  layer  prompt, 48 tokens       target, 9 tokens
     29  x x x + + ~ + + x x # | + + + ~ +
 1..=28  # # # + + ~ + + # # # | + + + ~ +
      0  # # # o o ~ o o # # # | o o o ~ o
";
        assert!(format!("\n{text}").starts_with(expected), "\n{text}");
    }

    #[test]
    fn edited_texts_in_the_middle_are_drawn_and_so_are_edited_targets() {
        let text = |name: &str| PromptText::Column(name.to_owned());
        let segments = [Segment::Text { of: text("question"), share: Share::All }, Segment::Generated];
        let edits = [edit(&[1], &segments)];
        let texts = vec![(text("question"), Tokens::from(10..30))];
        let row = RowTokens { texts, ..RowTokens::new(48, 52) };
        let drawn = draw(&Picture { row, ..picture(3, &edits, 0, 0) }, Style::Ascii);
        let expected = "
 layer  prompt, 48 tokens                 target, 4 tokens
     2  o o o o ~ o + + + + + ~ o o o + | + + +
     1  . . . . ~ . # # # # # ~ . . . o | # # #
     0  . . . . ~ . . . . . . ~ . . . . | . . .
";
        assert!(format!("\n{drawn}").starts_with(expected), "\n{drawn}");
    }

    #[test]
    fn a_picture_never_has_more_lines_than_fit() {
        let layers: Vec<usize> = (0..80).step_by(2).collect();
        let text = draw(&picture(80, &[edit(&layers, &[Segment::All])], 100, 1), Style::Unicode);
        assert!(text.lines().count() <= LINES + 3, "\n{text}");
        assert!(text.contains("\n   ...\n"), "\n{text}");
    }

    #[test]
    fn an_edit_reaches_later_layers_at_later_tokens_only() {
        let edits = [edit(&[1], &[Segment::Last(1)])];
        let grid = Grid::new(&picture(4, &edits, 5, 2));
        let cells = |layer| (0..7).map(|token| grid.cell(layer, token)).collect::<Vec<_>>();
        use Cell::{Constant, Edited, Reused, Skipped, Worked};
        assert_eq!(cells(0), [Constant, Constant, Constant, Constant, Constant, Constant, Skipped]);
        assert_eq!(cells(1), [Constant, Constant, Constant, Constant, Edited, Reused, Skipped]);
        assert_eq!(cells(2), [Reused, Reused, Reused, Reused, Worked, Worked, Skipped]);
        assert_eq!(cells(3), [Reused, Reused, Reused, Reused, Worked, Worked, Skipped]);
        let none = Grid::new(&Picture { passes: Passes::NONE, ..picture(4, &edits, 5, 2) });
        assert!((0..4).all(|layer| none.cell(layer, 0) == Worked));
    }

    #[test]
    fn odd_shapes_are_drawn_too() {
        for (layers, prompt, target) in [(0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1), (40, 3, 200)] {
            let edits = [edit(&[0], &[Segment::First(3), Segment::All])];
            assert!(draw(&picture(layers, &edits, prompt, target), Style::Unicode).contains("layer"));
        }
    }
}
