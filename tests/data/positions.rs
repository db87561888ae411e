use proptest::prelude::*;
use reftc::data::positions::{self, RowTokens, Segment};

/// What pyreft's `get_intervention_locations` gives one row, its places outside the prompt left out: one list where the parameters are
/// shared, else that of the prefix and that of the suffix.
fn reference(tokens: usize, first: usize, last: usize, shared: bool) -> Vec<Vec<usize>> {
    let (f, l) = ((tokens / 2).min(first), (tokens / 2).min(last));
    let prefix: Vec<usize> = (0..f).collect();
    let suffix: Vec<usize> = (tokens - l..tokens).collect();
    if shared { vec![[prefix, suffix].concat()] } else { vec![prefix, suffix] }
}

/// The tokens of each set, in a row with a target of two tokens.
fn resolve_all(segments: &[Segment], tied: bool, prompt: usize) -> Vec<Vec<usize>> {
    let sets = positions::resolve_all(segments, tied, &RowTokens::new(prompt, prompt + 2));
    sets.iter().map(|tokens| tokens.iter().collect()).collect()
}

proptest! {
    #[test]
    fn agrees_with_the_reference(tokens in 1usize..200, first in 0usize..10, last in 0usize..10, tied: bool) {
        let segments = [Segment::First(first), Segment::Last(last)];
        prop_assert_eq!(resolve_all(&segments, tied, tokens), reference(tokens, first, last, tied));
    }

    #[test]
    fn tied_segments_edit_each_token_once(tokens in 0usize..50, counts in prop::collection::vec((0usize..3, 0usize..60), 0..5)) {
        let segments: Vec<Segment> = counts.iter().map(|&(kind, count)| match kind {
            0 => Segment::First(count),
            1 => Segment::Last(count),
            _ => Segment::All,
        }).collect();
        let union = resolve_all(&segments, true, tokens);
        prop_assert_eq!(union.len(), 1);
        prop_assert!(union[0].windows(2).all(|pair| pair[0] < pair[1]));
        for (segment, list) in segments.iter().zip(resolve_all(&segments, false, tokens)) {
            prop_assert!(list.iter().all(|place| union[0].contains(place) && *place < tokens));
            if let Segment::First(count) | Segment::Last(count) = *segment {
                prop_assert_eq!(segment.is_clipped(tokens), list.len() < count);
            }
        }
    }
}

/// n, F, L and the places of prefix and suffix that the reference computes.
#[test]
fn golden_table() {
    let range = |start: usize, end: usize| (start..end).collect::<Vec<_>>();
    let rows = [
        (1, 7, 7, vec![], vec![]),
        (2, 7, 7, vec![0], vec![1]),
        (5, 7, 7, vec![0, 1], vec![3, 4]),
        (13, 7, 7, range(0, 6), range(7, 13)),
        (14, 7, 7, range(0, 7), range(7, 14)),
        (15, 7, 7, range(0, 7), range(8, 15)),
        (100, 7, 7, range(0, 7), range(93, 100)),
        (2, 3, 7, vec![0], vec![1]),
        (5, 3, 7, vec![0, 1], vec![3, 4]),
        (13, 3, 7, vec![0, 1, 2], range(7, 13)),
        (15, 3, 7, vec![0, 1, 2], range(8, 15)),
        (100, 3, 7, vec![0, 1, 2], range(93, 100)),
        (5, 3, 0, vec![0, 1], vec![]),
        (100, 3, 0, vec![0, 1, 2], vec![]),
        (1, 0, 1, vec![], vec![]),
        (100, 0, 1, vec![], vec![99]),
    ];
    for (tokens, first, last, prefix, suffix) in rows {
        let segments = [Segment::First(first), Segment::Last(last)];
        assert_eq!(
            resolve_all(&segments, false, tokens),
            [prefix.clone(), suffix.clone()],
            "n = {tokens}, f{first}+l{last}"
        );
        assert_eq!(
            resolve_all(&segments, true, tokens),
            [[prefix, suffix].concat()],
            "n = {tokens}, f{first}+l{last}, tied"
        );
    }
}

#[test]
fn every_token_and_no_segment() {
    assert_eq!(resolve_all(&[Segment::All], false, 3), [[0, 1, 2]]);
    assert_eq!(resolve_all(&[Segment::All, Segment::Last(1)], true, 3), [[0, 1, 2]]);
    assert_eq!(resolve_all(&[], false, 3), Vec::<Vec<usize>>::new());
}
