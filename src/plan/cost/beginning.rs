//! What all rows of a split begin with: the same tokens, edited in the same way.

use crate::check::spec::SplitFacts;
use crate::data::positions::Segment;
use crate::intervention::Intervention;

/// Leading tokens that are alike in all rows, and edited alike. Dropout draws for each row by itself.
pub fn alike(interventions: &[Intervention], facts: &SplitFacts) -> usize {
    if interventions.iter().any(|block| block.dropout > 0.0) {
        return 0;
    }
    let segments = interventions.iter().flat_map(|block| &block.segments);
    let edited = segments.filter_map(|&segment| first_difference(segment, facts)).min();
    edited.map_or(facts.shared_start, |edited| edited.min(facts.shared_start))
}

/// The first token that the segment edits in one row and not in another.
fn first_difference(segment: Segment, facts: &SplitFacts) -> Option<usize> {
    let mut prompts = facts.shapes.iter().map(|shape| segment.resolve(shape.prompt));
    let first = prompts.next()?;
    let difference = |other: std::ops::Range<usize>| match (first.start == other.start, first.end == other.end) {
        (true, true) => None,
        (true, false) => Some(first.end.min(other.end)),
        (false, _) => Some(first.start.min(other.start)),
    };
    prompts.filter_map(difference).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::report::RowShape;

    #[test]
    fn rows_differ_where_a_segment_does() {
        let shapes = |prompts: &[usize]| SplitFacts {
            digest: String::new(),
            rows: prompts.len(),
            usable: prompts.len(),
            mean_prompt: 0.0,
            mean_tokens: 0.0,
            longest_tokens: 0,
            shapes: prompts.iter().map(|&prompt| RowShape { prompt, tokens: prompt + 2, rows: 1 }).collect(),
            shared_start: 4,
        };
        let difference = |segment, prompts: &[usize]| first_difference(segment, &shapes(prompts));
        assert_eq!(difference(Segment::First(3), &[8, 9, 20]), None);
        assert_eq!(difference(Segment::First(3), &[4, 9, 20]), Some(2));
        assert_eq!(difference(Segment::Last(3), &[8, 9, 20]), Some(5));
        assert_eq!(difference(Segment::Last(3), &[9, 9]), None);
        assert_eq!(difference(Segment::All, &[8, 9]), Some(8));
    }
}
