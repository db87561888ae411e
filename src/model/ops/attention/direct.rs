//! Attention of few queries, straight over their keys: decoding asks once for each row at a time, and neither gathering the keys nor
//! packing them for a matrix product would pay.

use super::lane::{Lane, Part, softmax};
use crate::model::ops::arithmetic::{add_scaled, dot, widest};

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
        for key in seen.iter().cloned().flatten() {
            let key_line = lane.line(key, Part::Keys);
            // The query's heads are `lines` apart in the stack.
            let heads = queries.chunks_exact(head_dim).skip(line).step_by(lines);
            for (query, shares) in heads.zip(shares.chunks_exact_mut(keys)) {
                shares[key] = dot::<FUSED>(query, key_line);
            }
        }
        for shares in shares.chunks_exact_mut(keys) {
            softmax::<FUSED>(shares, seen);
        }
        for key in seen.iter().cloned().flatten() {
            let value_line = lane.line(key, Part::Values);
            let heads = mixed.chunks_exact_mut(head_dim).skip(line).step_by(lines);
            for (output, shares) in heads.zip(shares.chunks_exact(keys)) {
                add_scaled::<FUSED>(output, value_line, shares[key]);
            }
        }
    }
    mixed
}
