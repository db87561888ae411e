//! Rows as a tree: what several rows of a forward pass have in common at their beginning is computed once.

use std::ops::Range;

/// Fewer tokens are not worth a strand of their own.
const LEAST: usize = 4;

/// Tokens that one row has for itself, or that several rows have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strand {
    /// The strand that goes before; it stands earlier in the list.
    pub parent: Option<usize>,
    /// Positions in the rows.
    pub tokens: Range<usize>,
    /// The row that speaks for all that share the strand.
    pub owner: usize,
}

/// Strands and how rows are made of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strands {
    pub strands: Vec<Strand>,
    /// For each row its strands, from its first token to its last; the last one is its own, and may be empty.
    pub paths: Vec<Vec<usize>>,
}

impl Strands {
    /// Every row by itself; `lengths` are the tokens of the rows.
    pub fn apart(lengths: &[usize]) -> Self {
        let strand = |(owner, &length): (usize, &usize)| Strand { parent: None, tokens: 0..length, owner };
        let strands = lengths.iter().enumerate().map(strand).collect();
        Self { strands, paths: (0..lengths.len()).map(|row| vec![row]).collect() }
    }

    /// Rows of these lengths that share what they begin with. `beginnings` has for each row a number for each token that may be
    /// shared; where the numbers of two rows agree, so do all states.
    pub fn shared(lengths: &[usize], beginnings: &[Vec<u64>]) -> Self {
        let mut found = Self { strands: Vec::new(), paths: vec![Vec::new(); lengths.len()] };
        let mut rows: Vec<usize> = (0..lengths.len()).collect();
        rows.sort_by_key(|&row| (&beginnings[row], row));
        found.split(&rows, 0, 0, None, lengths, beginnings);
        found
    }

    /// Adds the strands of rows that agree on all tokens before `agreed` and have strands for those before `start`.
    fn split(
        &mut self,
        rows: &[usize],
        start: usize,
        agreed: usize,
        parent: Option<usize>,
        lengths: &[usize],
        beginnings: &[Vec<u64>],
    ) {
        let [first, .., last] = rows else {
            for &row in rows {
                self.add(row..=row, start..lengths[row], parent);
            }
            return;
        };
        // The rows are sorted: what the first and the last agree on, all agree on.
        let (a, b) = (&beginnings[*first], &beginnings[*last]);
        let common = agreed + a[agreed..].iter().zip(&b[agreed..]).take_while(|(a, b)| a == b).count();
        let (start, parent) = match common >= start + LEAST {
            true => {
                self.strands.push(Strand { parent, tokens: start..common, owner: *first });
                let index = self.strands.len() - 1;
                rows.iter().for_each(|&row| self.paths[row].push(index));
                (common, Some(index))
            }
            false => (start, parent),
        };
        // Rows that end here are alone from now on; the others go on with those that have the same next token.
        let next = |row: &usize| beginnings[*row].get(common).copied();
        for group in rows.chunk_by(|a, b| next(a).is_some() && next(a) == next(b)) {
            match group {
                [row] => self.add(*row..=*row, start..lengths[*row], parent),
                _ => self.split(group, start, common + 1, parent, lengths, beginnings),
            }
        }
    }

    fn add(&mut self, rows: std::ops::RangeInclusive<usize>, tokens: Range<usize>, parent: Option<usize>) {
        for owner in rows {
            self.paths[owner].push(self.strands.len());
            self.strands.push(Strand { parent, tokens: tokens.clone(), owner });
        }
    }

    /// The strands from the first token to the end of this one.
    pub fn path_to(&self, strand: usize) -> Vec<usize> {
        let mut path: Vec<usize> = std::iter::successors(Some(strand), |&strand| self.strands[strand].parent).collect();
        path.reverse();
        path
    }

    /// The strand of a row that holds a token.
    pub fn strand_of(&self, row: usize, token: usize) -> Option<usize> {
        self.paths[row].iter().copied().find(|&strand| self.strands[strand].tokens.contains(&token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_share_what_they_begin_with() {
        let rows = [vec![1, 2, 3, 4, 5, 6, 7, 8, 9], vec![1, 2, 3, 4, 5, 6, 7, 8], vec![9, 9], vec![1, 2, 3, 4, 5, 7]];
        let strands = Strands::shared(&[12, 10, 4, 8], &rows);
        let tokens = |row: usize| -> Vec<Range<usize>> {
            strands.paths[row].iter().map(|&strand| strands.strands[strand].tokens.clone()).collect()
        };
        assert_eq!(tokens(3), [0..5, 5..8]);
        assert_eq!(tokens(2), vec![0..4; 1]);
        // Three more tokens in common are too few.
        assert_eq!((tokens(0), tokens(1)), (vec![0..5, 5..12], vec![0..5, 5..10]));
        assert_eq!(strands.strands.iter().filter(|strand| strand.tokens == (0..5)).count(), 1);
    }

    #[test]
    fn equal_rows_have_nothing_left() {
        let row = vec![1, 2, 3, 4, 5];
        let strands = Strands::shared(&[5, 5, 7], &[row.clone(), row.clone(), row]);
        assert_eq!(strands.strands[0].tokens, 0..5);
        assert_eq!(strands.strands[strands.paths[1][1]].tokens, 5..5);
        assert_eq!(strands.strands[strands.paths[2][1]].tokens, 5..7);
    }

    proptest! {
        #[test]
        fn every_token_lies_in_one_strand_and_only_equal_beginnings_are_shared(
            rows in prop::collection::vec(prop::collection::vec(0u64..2, 0..14), 1..7), more in 0usize..4,
        ) {
            let lengths: Vec<usize> = rows.iter().map(|row| row.len() + more).collect();
            let found = Strands::shared(&lengths, &rows);
            for (row, path) in found.paths.iter().enumerate() {
                let mut end = 0;
                for (place, &strand) in path.iter().enumerate() {
                    let Strand { parent, tokens, owner } = &found.strands[strand];
                    prop_assert_eq!(tokens.start, end);
                    prop_assert_eq!(*parent, place.checked_sub(1).map(|before| path[before]));
                    end = tokens.end;
                    let is_own = place + 1 == path.len();
                    prop_assert_eq!(found.paths.iter().filter(|other| other.contains(&strand)).count() == 1, is_own || found.paths.len() == 1);
                    if is_own {
                        prop_assert_eq!(*owner, row);
                    } else {
                        prop_assert_eq!(&rows[*owner][..end], &rows[row][..end]);
                    }
                    prop_assert_eq!(found.path_to(strand), path[..=place].to_vec());
                }
                prop_assert_eq!(end, lengths[row]);
            }
        }
    }
}
