//! Attention of few queries, straight over their keys: decoding asks once for each row at a time, and neither gathering the keys nor
//! packing them for a matrix product would pay.

use super::lane::{Lane, Part};
use crate::model::ops::arithmetic::{add_scaled, dot, exponentials, maximum, scale, widest};

/// The mixed values of the group's heads, `[group · queries, head_dim]`.
pub fn mixed(lane: &Lane) -> Vec<f32> {
    widest!(mixed_of(lane))
}

#[inline(always)]
fn mixed_of<const FUSED: bool>(lane: &Lane) -> Vec<f32> {
    let (view, head_dim) = (lane.view, lane.attention.head_dim);
    let (lines, keys) = (view.queries.len(), view.keys());
    let queries = lane.queries();
    let mut mixed = vec![0f32; queries.len()];
    let mut shares = vec![0f32; lane.attention.group() * keys];
    for (line, seen) in view.seen.iter().enumerate() {
        // The query's heads are `lines` apart in the stack.
        for key in seen.iter().cloned().flatten() {
            let heads = queries.chunks_exact(head_dim).skip(line).step_by(lines);
            let key_line = lane.line(key, Part::Keys);
            heads
                .zip(shares.chunks_exact_mut(keys))
                .for_each(|(query, shares)| shares[key] = dot::<FUSED>(query, key_line));
        }
        for shares in shares.chunks_exact_mut(keys) {
            let highest =
                seen.iter().map(|range| maximum::<FUSED>(&shares[range.clone()])).fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = seen.iter().map(|range| exponentials::<FUSED>(&mut shares[range.clone()], highest)).sum();
            seen.iter().for_each(|range| scale::<FUSED>(&mut shares[range.clone()], 1.0 / sum));
        }
        for key in seen.iter().cloned().flatten() {
            let heads = mixed.chunks_exact_mut(head_dim).skip(line).step_by(lines);
            let value = lane.line(key, Part::Values);
            heads
                .zip(shares.chunks_exact(keys))
                .for_each(|(output, shares)| add_scaled::<FUSED>(output, value, shares[key]));
        }
    }
    mixed
}
