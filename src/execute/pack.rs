//! From rows to a forward pass: tokens packed block by block, shared beginnings once, constants where they join.

use super::constants::{Constants, Piece};
use super::lines::{Form, Lines, common_table};
use super::strands::{Strand, Strands};
use super::works::RowWork;
use crate::intervention::edits::{Places, RowPlace};
use crate::model::branch::{Branch, Run, Source};
use crate::model::decoder::Decoder;
use crate::model::ops::rows::Selection;
use crate::model::pass::{self, Join, Leaving, Pass, Stage};
use crate::model::place::At;
use crate::plan::passes::Tokens;
use crate::store::frozen::ItemKind;
use candle_core::{DType, Result, Tensor};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A row on its way into a pass.
pub struct PackRow<'a> {
    /// The tokens that go in, prompt first.
    pub tokens: &'a [u32],
    /// The number of the row in its split.
    pub row: usize,
    pub work: Arc<RowWork>,
    pub constants: Constants,
}

/// Rows packed for one forward pass.
pub struct Packed {
    pub pass: Pass,
    strands: Strands,
    rows: Vec<RowPlace>,
    /// The tokens at each point, one more than blocks.
    points: Vec<Layout>,
    /// The tokens that leave each block.
    leaving: Vec<Layout>,
    /// Each block's branches, one for each strand, whether the block has work or not.
    branches: Vec<Arc<Vec<Branch>>>,
}

/// Which tokens of each strand are there, and where they begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Layout {
    strands: Vec<(usize, Tokens)>,
    total: usize,
}

/// The constant keys of a block.
struct Past {
    table: Option<Tensor>,
    /// For each row where its keys lie.
    placed: Vec<Vec<Placed>>,
}

/// Tokens of a row that follow each other in a table, and the line of the first.
struct Placed {
    tokens: Range<usize>,
    line: usize,
}

impl Packed {
    /// Packs rows; with `share`, what they begin with alike is there once.
    pub fn new(decoder: &Decoder, rows: &[PackRow<'_>], share: bool) -> Result<Self> {
        let lengths: Vec<usize> = rows.iter().map(|row| row.tokens.len()).collect();
        let strands = if share { Strands::shared(&lengths, &beginnings(rows)) } else { Strands::apart(&lengths) };
        let packer = Packer { decoder, rows, strands: &strands };
        let layers = decoder.config().layers;
        let point = |point: usize| {
            packer.layout(|work| match work.work.blocks.get(point) {
                Some(block) => block.input.clone(),
                None => work.work.head(),
            })
        };
        let points: Vec<Layout> = (0..=layers).map(point).collect();
        let leaving = |layer: usize| packer.layout(|work| work.work.blocks[layer].output.clone());
        let leaving: Vec<Layout> = (0..layers).map(leaving).collect();
        let (mut stages, mut past) = (Vec::<Option<Arc<Stage>>>::new(), Vec::new());
        let mut branches = Vec::<Arc<Vec<Branch>>>::new();
        for layer in 0..layers {
            let Past { table, placed } = packer.past(layer)?;
            let of_block = packer.branches(&points[layer], &leaving[layer], &placed);
            // Layers in a row are most often alike.
            let alike = layer > 0
                && *branches[layer - 1] == of_block
                && points[layer] == points[layer - 1]
                && leaving[layer] == leaving[layer - 1];
            if alike {
                branches.push(branches[layer - 1].clone());
                stages.push(stages[layer - 1].clone());
            } else {
                let stage = packer.stage(&of_block, &points[layer], &leaving[layer])?;
                branches.push(Arc::new(of_block));
                stages.push(stage.map(Arc::new));
            }
            past.push(table);
        }
        let nothing = Layout::default();
        let join = |point: usize| {
            let before = point.checked_sub(1).map_or(&nothing, |block| &leaving[block]);
            packer.join(point, before, &points[point])
        };
        let joins = (0..=layers).map(join).collect::<Result<_>>()?;
        let pass = Pass { stages, joins, past, recompute: false };
        let place = |row: &PackRow<'_>| RowPlace { tokens: row.work.row.clone(), row: row.row };
        let rows = rows.iter().map(place).collect();
        Ok(Self { pass, strands, rows, points, leaving, branches })
    }

    /// The packed index at the last point of a token that the head reads; `None` where it does not.
    pub fn head(&self, row: usize, token: usize) -> Option<u32> {
        self.index(self.points.last()?, row, token)
    }

    /// How a block sees the keys of a row.
    pub fn branch(&self, layer: usize, row: usize) -> Option<&Branch> {
        self.branches[layer].get(*self.strands.paths[row].last()?)
    }

    /// The number of tokens that enter each block, all rows together.
    pub fn entering(&self, layer: usize) -> usize {
        self.points[layer].total
    }

    fn index(&self, layout: &Layout, row: usize, token: usize) -> Option<u32> {
        layout.index(self.strands.strand_of(row, token)?, token)
    }
}

impl Places for Packed {
    fn rows(&self) -> &[RowPlace] {
        &self.rows
    }

    /// A token that several rows share is edited for its owner alone.
    fn index(&self, layer: usize, at: At, row: usize, token: usize) -> Option<u32> {
        let strand = self.strands.strand_of(row, token)?;
        if self.strands.strands[strand].owner != row {
            return None;
        }
        let layout = match at {
            At::BlockInput => &self.points[layer],
            At::BlockOutput => &self.points[layer + 1],
            At::AttentionOutput | At::MlpOutput => &self.leaving[layer],
        };
        layout.index(strand, token)
    }
}

impl Layout {
    fn index(&self, strand: usize, token: usize) -> Option<u32> {
        let (offset, tokens) = self.strands.get(strand)?;
        rank(tokens, token).map(|rank| (offset + rank) as u32)
    }

    /// Every token with its strand, in packed order.
    fn tokens(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.strands
            .iter()
            .enumerate()
            .flat_map(|(strand, (_, tokens))| tokens.iter().map(move |token| (strand, token)))
    }
}

/// The number of tokens of the set before this one, which is in it.
fn rank(tokens: &Tokens, token: usize) -> Option<usize> {
    let mut before = 0;
    for range in tokens.ranges() {
        if range.contains(&token) {
            return Some(before + token - range.start);
        }
        before += range.len();
    }
    None
}

/// For each prompt token what it is and what is done with it, as one number.
fn beginnings<'a>(rows: &[PackRow<'a>]) -> Vec<Vec<u64>> {
    let row = |row: &PackRow<'a>| {
        let both = row.tokens.iter().zip(&row.work.done);
        both.map(|(&token, done)| done.rotate_left(23) ^ u64::from(token).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
    };
    rows.iter().map(row).collect()
}

struct Packer<'a> {
    decoder: &'a Decoder,
    rows: &'a [PackRow<'a>],
    strands: &'a Strands,
}

impl Packer<'_> {
    fn owner(&self, strand: &Strand) -> &PackRow<'_> {
        &self.rows[strand.owner]
    }

    /// Lays out what `tokens` gives of each row's work.
    fn layout(&self, tokens: impl Fn(&RowWork) -> Tokens) -> Layout {
        let mut total = 0;
        let strands = self.strands.strands.iter().map(|strand| {
            let tokens = tokens(&self.owner(strand).work).and(&strand.tokens.clone().into());
            let offset = total;
            total += tokens.len();
            (offset, tokens)
        });
        let strands = strands.collect();
        Layout { strands, total }
    }

    /// The constant keys of a block: where all lie in one table on the device, as in an arena, that is it; else they are put together, what
    /// rows have in common once.
    fn past(&self, layer: usize) -> Result<Past> {
        let mut pieces: Vec<Vec<Piece<'_>>> = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            pieces.push(row.constants.keys(layer, &row.work.work.blocks[layer].constant_keys)?);
        }
        let common = common_table(pieces.iter().flatten().map(|piece| &piece.lines)).cloned();
        let (mut lines, mut parts, mut known) = (0, Vec::new(), BTreeMap::new());
        let mut placed = Vec::with_capacity(pieces.len());
        for row in pieces {
            let mut of_row = Vec::with_capacity(row.len());
            for Piece { segment, tokens, lines: part } in row {
                let line = match (&common, &part) {
                    (Some(_), Lines::Table(_, lines)) => lines.start,
                    _ => *known.entry((segment, tokens.start, tokens.end)).or_insert_with(|| {
                        parts.push(part);
                        lines += tokens.len();
                        lines - tokens.len()
                    }),
                };
                of_row.push(Placed { tokens, line });
            }
            placed.push(of_row);
        }
        let table = match common {
            Some(table) => Some(table),
            None => Form::of(self.decoder, ItemKind::Keys).table(&parts)?,
        };
        Ok(Past { table, placed })
    }

    fn branches(&self, entering: &Layout, leaving: &Layout, past: &[Vec<Placed>]) -> Vec<Branch> {
        let branch = |(index, strand): (usize, &Strand)| {
            let queries = leaving.strands[index].1.ranges().iter().filter_map(|range| fresh(entering, index, range));
            let kept = past[strand.owner].iter().filter_map(|Placed { tokens, line }| {
                let length = tokens.end.min(strand.tokens.end).saturating_sub(tokens.start);
                let run = Run { source: Source::Past, start: *line, length, position: tokens.start };
                (length > 0).then_some(run)
            });
            let path = self.strands.path_to(index);
            let fresh = path.iter().flat_map(|&strand| {
                let ranges = entering.strands[strand].1.ranges();
                ranges.iter().filter_map(move |range| fresh(entering, strand, range))
            });
            let mut keys: Vec<Run> = kept.chain(fresh).collect();
            keys.sort_by_key(|run| run.position);
            Branch { queries: queries.collect(), keys: joined(keys) }
        };
        self.strands.strands.iter().enumerate().map(branch).collect()
    }

    fn stage(&self, branches: &[Branch], entering: &Layout, leaving: &Layout) -> Result<Option<Stage>> {
        if entering.total == 0 {
            return Ok(None);
        }
        let positions: Vec<usize> = entering.tokens().map(|(_, token)| token).collect();
        let leaving = if leaving.total == entering.total {
            Leaving::All
        } else if leaving.total == 0 {
            Leaving::Nobody
        } else {
            let indices: Option<Vec<u32>> =
                leaving.tokens().map(|(strand, token)| entering.index(strand, token)).collect();
            Leaving::Only(self.selection(indices.unwrap_or_default())?)
        };
        // As far as runs reach, and not what a table may hold beside them: blocks whose branches are alike have one stage.
        let keys = branches.iter().flat_map(|branch| &branch.keys).filter(|run| run.source == Source::Past);
        let lines = keys.map(|run| run.start + run.length).max().unwrap_or(0);
        self.decoder.stage(branches.to_vec(), &positions, lines, leaving).map(Some)
    }

    /// How the stream at a point comes from what left the block before.
    fn join(&self, point: usize, before: &Layout, at: &Layout) -> Result<Option<Join>> {
        let joining = self.layout(|work| work.work.joining[point].clone());
        if joining.total == 0 && before == at {
            return Ok(None);
        }
        let place = |(strand, token)| {
            let constant = || joining.index(strand, token).map(|index| before.total as u32 + index);
            before.index(strand, token).or_else(constant)
        };
        let order: Option<Vec<u32>> = at.tokens().map(place).collect();
        let order = order.unwrap_or_default();
        let is_plain = order.iter().copied().eq(0..(before.total + joining.total) as u32);
        let order = if is_plain { None } else { Some(self.selection(order)?) };
        Ok(Some(Join { constants: self.constants(point, &joining)?, order }))
    }

    fn constants(&self, point: usize, joining: &Layout) -> Result<Option<pass::Constants>> {
        if joining.total == 0 {
            return Ok(None);
        }
        if point == 0 {
            let owner = |strand: usize| self.owner(&self.strands.strands[strand]);
            let tokens = joining.tokens().map(|(strand, token)| owner(strand).tokens[token]).collect();
            return Ok(Some(pass::Constants::Embeddings(self.indices(tokens)?)));
        }
        let mut parts = Vec::new();
        for (strand, (_, tokens)) in self.strands.strands.iter().zip(&joining.strands) {
            let pieces = self.owner(strand).constants.states(point, tokens)?;
            parts.extend(pieces.into_iter().map(|piece| piece.lines));
        }
        let states = Form::of(self.decoder, ItemKind::States).table(&parts)?;
        Ok(states.map(pass::Constants::States))
    }

    fn selection(&self, indices: Vec<u32>) -> Result<Selection> {
        Selection::new(indices, self.decoder.device())
    }

    fn indices(&self, indices: Vec<u32>) -> Result<Tensor> {
        let count = indices.len();
        match count {
            0 => Tensor::zeros(0, DType::U32, self.decoder.device()),
            _ => Tensor::from_vec(indices, count, self.decoder.device()),
        }
    }
}

/// The run of fresh tokens that a range of a strand is; all of it enters.
fn fresh(entering: &Layout, strand: usize, range: &Range<usize>) -> Option<Run> {
    let start = entering.index(strand, range.start)? as usize;
    Some(Run { source: Source::Fresh, start, length: range.len(), position: range.start })
}

/// Joins runs that go on where the one before ends.
fn joined(runs: Vec<Run>) -> Vec<Run> {
    let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        match joined.last_mut() {
            Some(last)
                if last.source == run.source && last.end() == run.position && last.start + last.length == run.start =>
            {
                last.length += run.length;
            }
            _ => joined.push(run),
        }
    }
    joined
}
