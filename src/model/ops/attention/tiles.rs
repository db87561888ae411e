//! Attention by kernels: branches cut into tiles, as lists that `attention.cu` reads.

use super::view::View;
use super::{Attention, Rows};
use crate::model::kernels::{Launch, uninitialized};
use candle_core::{DType, Device, Result, Tensor, bail};

/// Rows, keys and tokens of a tile.
const SIDE: usize = 32;
const THREADS: usize = 128;

/// Marks a line of the table of earlier keys among lines of fresh ones.
const PAST: u32 = 1 << 31;

/// Widths of heads that kernels are compiled for; a narrower head is filled up with zeros.
const WIDTHS: [usize; 4] = [32, 64, 128, 256];

/// Branches as kernels read them. A row of a tile is a query of one head; those of the `group` heads that share a key head follow each
/// other.
pub struct Tiles {
    /// For each tile of rows its branch, its first row within that, and the fresh and the earlier keys that its rows see: `[tiles, 6]`.
    tiles: Tensor,
    count: usize,
    /// For each branch its first key and the number of keys, its first query and their number, its first tile and their number:
    /// `[branches, 6]`.
    branches: Tensor,
    /// For each query its packed index, and the keys that it sees: `[asking, 5]`.
    queries: Tensor,
    /// The line of each key, `[keys]`.
    keys: Tensor,
    /// Where the entries of each stretch of fresh tokens begin, `[stretches + 1]`.
    begins: Tensor,
    /// The branches that see some of a stretch, in their order, each with the bounds of its keys there: `[entries, 3]`.
    entries: Tensor,
    /// The key that each token of the stretch is to the branch of an entry, or −1: `[entries, SIDE]`.
    members: Tensor,
    stretches: usize,
}

/// A branch that sees some tokens of a stretch.
struct Entry {
    branch: usize,
    members: [i32; SIDE],
}

impl Tiles {
    /// Cuts branches among `fresh` tokens into tiles, for heads in groups of `group`.
    pub fn new(views: &[View], fresh: usize, group: usize, device: &Device) -> Result<Self> {
        let (mut tiles, mut branches, mut queries, mut keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let stretches = fresh.div_ceil(SIDE);
        let mut seen: Vec<Vec<Entry>> = (0..stretches).map(|_| Vec::new()).collect();
        for (number, view) in views.iter().enumerate() {
            let (first_query, first_tile) = (queries.len() / 5, tiles.len() / 6);
            let of_branch = view.seen.iter().map(|[fresh, past]| [fresh.start, fresh.end, past.start, past.end]);
            for (&token, seen) in view.queries.iter().zip(of_branch) {
                queries.push(token);
                queries.extend(seen);
            }
            let rows = view.queries.len() * group;
            for first in (0..rows).step_by(SIDE) {
                let last = (first + SIDE - 1).min(rows - 1);
                let of_tile = &view.seen[first / group..=last / group];
                tiles.extend([number, first]);
                for kind in 0..2 {
                    let filled = || of_tile.iter().map(|seen| &seen[kind]).filter(|seen| !seen.is_empty());
                    tiles.push(filled().map(|seen| seen.start).min().unwrap_or(0));
                    tiles.push(filled().map(|seen| seen.end).max().unwrap_or(0));
                }
            }
            branches.extend([keys.len(), view.keys(), first_query, view.queries.len()]);
            branches.extend([first_tile, tiles.len() / 6 - first_tile]);
            keys.extend(view.fresh.iter().map(|&token| token as u32));
            keys.extend(view.past.iter().map(|&line| line as u32 | PAST));
            if !view.queries.is_empty() {
                for (key, &token) in view.fresh.iter().enumerate() {
                    let entries = &mut seen[token / SIDE];
                    if entries.last().is_none_or(|entry| entry.branch != number) {
                        entries.push(Entry { branch: number, members: [-1; SIDE] });
                    }
                    if let Some(entry) = entries.last_mut() {
                        entry.members[token % SIDE] = key as i32;
                    }
                }
            }
        }
        let (mut begins, mut entries, mut members) = (vec![0u32], Vec::new(), Vec::new());
        for entry in seen.iter().flatten() {
            let keys = || entry.members.iter().filter(|&&key| key >= 0);
            let (lowest, highest) = (keys().min().copied().unwrap_or(0), keys().max().copied().unwrap_or(-1));
            entries.extend([entry.branch as u32, lowest as u32, (highest + 1) as u32]);
            members.extend(entry.members.map(|key| key as u32));
        }
        for stretch in &seen {
            begins.push(begins.last().copied().unwrap_or(0) + stretch.len() as u32);
        }
        let numbers = |numbers: Vec<usize>| numbers.into_iter().map(|number| number as u32).collect::<Vec<_>>();
        Ok(Self {
            count: tiles.len() / 6,
            tiles: upload(numbers(tiles), device)?,
            branches: upload(numbers(branches), device)?,
            queries: upload(numbers(queries), device)?,
            keys: upload(keys, device)?,
            begins: upload(begins, device)?,
            entries: upload(entries, device)?,
            members: upload(members, device)?,
            stretches,
        })
    }
}

/// A list on the device; one number stands where there is none, so that its address exists.
fn upload(mut numbers: Vec<u32>, device: &Device) -> Result<Tensor> {
    if numbers.is_empty() {
        numbers.push(0);
    }
    let count = numbers.len();
    Tensor::from_vec(numbers, count, device)
}

/// A launch over tiles that are `kept` in shared memory at once, with what all kernels of attention begin with.
fn launch<'a>(
    name: &str,
    attention: &Attention,
    projected: &'a Tensor,
    past: Option<&'a Tensor>,
    tiles: &'a Tiles,
    kept: usize,
) -> Result<Launch<'a>> {
    let Some(width) = WIDTHS.into_iter().find(|&width| attention.head_dim <= width) else {
        bail!("kernels take heads of at most {} numbers, not {}", WIDTHS[3], attention.head_dim)
    };
    // As `attention.cu` lays it out: padded tiles, and the weights of one.
    let shared = (kept * SIDE * (width + 4) + SIDE * SIDE) * size_of::<f32>();
    let launch = Launch::new(&format!("{name}_{width}"), projected)?.threads(THREADS).shared(shared);
    let launch = launch.tensor(projected)?.optional(past)?.tensor(&tiles.tiles)?.tensor(&tiles.branches)?;
    let launch = launch.tensor(&tiles.queries)?.tensor(&tiles.keys)?.number(attention.heads)?;
    Ok(launch.number(attention.key_value_heads)?.number(attention.head_dim)?.real(attention.scale()))
}

/// See [`Attention::forward`].
pub fn forward(attention: &Attention, projected: &Tensor, past: Option<&Tensor>, rows: &Rows) -> Result<Tensor> {
    let (tiles, projected) = (rows.tiles(attention.group())?, projected.contiguous()?);
    let past = past.map(Tensor::contiguous).transpose()?;
    let output = uninitialized((rows.asking(), attention.query_width()), projected.dtype(), projected.device())?;
    let launch = launch("attention_forward", attention, &projected, past.as_ref(), tiles, 2)?;
    launch.grid([tiles.count, attention.key_value_heads, 1]).tensor(&output)?.run()?;
    Ok(output)
}

/// See [`Attention::backward`]. The gradient of queries first, with statistics of each row; then, tokens by tokens, that of keys and values.
pub fn backward(
    attention: &Attention,
    projected: &Tensor,
    past: Option<&Tensor>,
    rows: &Rows,
    gradient: &Tensor,
) -> Result<Tensor> {
    let (tiles, projected, gradient) =
        (rows.tiles(attention.group())?, projected.contiguous()?, gradient.contiguous()?);
    let (past, device) = (past.map(Tensor::contiguous).transpose()?, projected.device());
    // Tokens that do not ask have no gradient of a query.
    let output = match rows.asking() == rows.fresh {
        true => uninitialized(projected.shape(), projected.dtype(), device)?,
        false => projected.zeros_like()?,
    };
    let statistics = uninitialized((rows.asking().max(1), attention.heads, 2), DType::F32, device)?;
    let of_queries = launch("attention_queries", attention, &projected, past.as_ref(), tiles, 4)?;
    let of_queries = of_queries.grid([tiles.count, attention.key_value_heads, 1]).tensor(&gradient)?;
    of_queries.tensor(&output)?.tensor(&statistics)?.run()?;
    let of_keys = launch("attention_keys", attention, &projected, past.as_ref(), tiles, 4)?;
    let of_keys = of_keys.grid([tiles.stretches, attention.key_value_heads, 1]).tensor(&gradient)?;
    let of_keys = of_keys.tensor(&statistics)?.tensor(&tiles.begins)?.tensor(&tiles.entries)?;
    of_keys.tensor(&tiles.members)?.tensor(&output)?.number(rows.fresh)?.run()?;
    Ok(output)
}
