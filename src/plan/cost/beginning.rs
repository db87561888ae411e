//! What all rows of a split begin with: the same tokens, edited in the same way.

use crate::check::spec::SplitFacts;
use crate::data::positions::Segment;
use crate::data::token_set::Tokens;
use crate::intervention::Intervention;

/// Leading tokens that are alike in all rows, and edited alike. Dropout draws for each row by itself.
pub fn alike(interventions: &[Intervention], facts: &SplitFacts) -> usize {
    if interventions.iter().any(|block| block.dropout > 0.0) {
        return 0;
    }
    let segments = interventions.iter().flat_map(|block| &block.segments);
    let edited = segments.filter_map(|segment| first_difference(segment, facts)).min();
    edited.map_or(facts.shared_start, |edited| edited.min(facts.shared_start))
}

/// The first token that the segment edits in one row and not in another.
fn first_difference(segment: &Segment, facts: &SplitFacts) -> Option<usize> {
    let mut rows = facts.shapes.iter().map(|shape| segment.resolve(&shape.row));
    let first = rows.next()?;
    let difference = |other: Tokens| [first.without(&other).first(), other.without(&first).first()];
    rows.flat_map(difference).flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::positions::{PromptText, RowTokens, Share};
    use crate::data::report::RowShape;

    fn facts(rows: Vec<RowTokens>) -> SplitFacts {
        SplitFacts {
            rows: rows.len(),
            usable: rows.len(),
            mean_prompt: 0.0,
            mean_tokens: 0.0,
            longest_tokens: 0,
            shapes: rows.into_iter().map(|row| RowShape { row, rows: 1 }).collect(),
            shared_start: 4,
        }
    }

    #[test]
    fn rows_differ_where_a_segment_does() {
        let rows = |prompts: &[usize]| prompts.iter().map(|&prompt| RowTokens::new(prompt, prompt + 2)).collect();
        let difference = |segment, prompts: &[usize]| first_difference(&segment, &facts(rows(prompts)));
        assert_eq!(difference(Segment::First(3), &[8, 9, 20]), None);
        assert_eq!(difference(Segment::First(3), &[4, 9, 20]), Some(2));
        assert_eq!(difference(Segment::Last(3), &[8, 9, 20]), Some(5));
        assert_eq!(difference(Segment::Last(3), &[9, 9]), None);
        assert_eq!(difference(Segment::All, &[8, 9]), Some(8));
        assert_eq!(difference(Segment::Generated, &[8, 9]), Some(8));
    }

    #[test]
    fn rows_of_one_length_differ_where_their_texts_do() {
        let of = PromptText::Column("question".to_owned());
        let row = |tokens| RowTokens { texts: vec![(of.clone(), Tokens::from(tokens))], ..RowTokens::new(9, 12) };
        let segment = Segment::Text { of: of.clone(), share: Share::All };
        assert_eq!(first_difference(&segment, &facts(vec![row(2..5), row(2..7)])), Some(5));
        assert_eq!(first_difference(&segment, &facts(vec![row(2..5), row(2..5)])), None);
    }
}
