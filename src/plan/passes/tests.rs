//! The passes against an oracle that knows nothing: touch a number of the toy model and see what moves.

use super::toy::{Pass, Touch, Toy};
use super::*;
use crate::data::positions::{RowTokens, Segment};
use crate::intervention::{Activation, Intervention, Kind};
use proptest::prelude::*;

const PLACES: [At; 4] = [At::BlockInput, At::AttentionOutput, At::MlpOutput, At::BlockOutput];

/// One row and what acts on it and reads it.
#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    sites: Vec<Site>,
    readers: Readers,
}

/// The tokens whose numbers differ.
fn moved(left: &[u64], right: &[u64]) -> Tokens {
    (0..left.len()).filter(|&token| left[token] != right[token]).collect()
}

impl Case {
    fn toy(&self) -> Toy<'_> {
        Toy { shape: self.shape, sites: &self.sites, inputs: self.readers.inputs }
    }

    /// Whether the readers see a difference between two passes.
    fn see(&self, left: &Pass, right: &Pass) -> bool {
        let last = self.shape.layers;
        let read = self.readers.keys_read(self.shape);
        let keys = |layer: usize| moved(&left.keys[layer], &right.keys[layer]).and(&read);
        !moved(&left.after[last], &right.after[last]).and(&self.readers.head).is_empty()
            || (0..last).any(|layer| !keys(layer).is_empty())
    }

    fn check_reach(&self) {
        let (still, touched) = (self.toy().run(Touch::Nothing), self.toy().run(Touch::Edits));
        let reached = Reached::new(self.shape, &self.sites, self.readers.inputs);
        for point in 0..=self.shape.layers {
            assert_eq!(reached.stream[point], moved(&still.after[point], &touched.after[point]), "{point} of {self:?}");
        }
        for layer in 0..self.shape.layers {
            let expected = moved(&still.before[layer + 1], &touched.before[layer + 1]);
            assert_eq!(reached.leaving[layer], expected, "{layer} of {self:?}");
        }
    }

    fn check_live(&self) {
        let still = self.toy().run(Touch::Nothing);
        let is_seen = |touch: Touch| self.see(&still, &self.toy().run(touch));
        let seen = |touch: fn(usize, usize) -> Touch, place: usize| -> Tokens {
            (0..self.readers.inputs).filter(|&token| is_seen(touch(place, token))).collect()
        };
        let live = Live::new(self.shape, &self.readers);
        for point in 0..=self.shape.layers {
            assert_eq!(live.entering[point], seen(Touch::State, point), "{point} of {self:?}");
        }
        for layer in 0..self.shape.layers {
            assert_eq!(live.asking[layer], seen(Touch::FeedForward, layer), "{layer} of {self:?}");
        }
    }

    /// Work alone, constants taken from the untouched model, gives what the whole edited model gives.
    fn check_work(&self, passes: Passes) -> Work {
        let work = work(self.shape, &self.sites, &self.readers, passes);
        let edited = self.toy().run(Touch::Nothing);
        let untouched = Toy { sites: &[], ..self.toy() }.run(Touch::Nothing);
        let (states, keys) = self.toy().run_work(&work, &untouched);
        assert_eq!(states.keys().copied().collect::<Tokens>(), work.head(), "{self:?}");
        assert!(self.readers.head.without(&work.head()).is_empty(), "{self:?}");
        for (&token, &state) in &states {
            assert_eq!(state, edited.after[self.shape.layers][token], "token {token} of {self:?}");
        }
        for (layer, keys) in keys.iter().enumerate() {
            for token in self.readers.keys_read(self.shape).iter() {
                assert_eq!(keys.get(&token), Some(&edited.keys[layer][token]), "key {token} of {layer} of {self:?}");
            }
        }
        work
    }

    /// Nothing is worked that does not move or that no one sees, no constant is taken in that is not used.
    fn check_least(&self, work: &Work) {
        let reached = Reached::new(self.shape, &self.sites, self.readers.inputs);
        let live = Live::new(self.shape, &self.readers);
        for (layer, block) in work.blocks.iter().enumerate() {
            let BlockWork { input, output, constant_keys } = block;
            assert_eq!(*output, reached.leaving[layer].and(&live.asking[layer]));
            assert!(input.without(output).without(&reached.stream[layer]).is_empty(), "{self:?}");
            assert!(input.without(&live.entering[layer]).is_empty(), "{self:?}");
            assert!(constant_keys.and(&reached.stream[layer]).is_empty(), "{self:?}");
            let read = self.shape.seen_by(output).or(&self.readers.keys_read(self.shape));
            assert!(constant_keys.without(&read).is_empty(), "{self:?}");
        }
        assert_eq!(work.head(), self.readers.head.and(&Tokens::from(0..self.readers.inputs)));
    }

    fn check(&self) {
        self.check_reach();
        self.check_live();
        for reach in [false, true] {
            for live in [false, true] {
                let work = self.check_work(Passes { reach, live, ..Passes::NONE });
                if !reach {
                    assert!(work.joining[1..work.joining.len() - 1].iter().all(Tokens::is_empty), "{self:?}");
                }
                if reach && live {
                    self.check_least(&work);
                }
            }
        }
    }
}

fn edit(at: At, layers: &[usize], segments: &[Segment], tied: bool) -> Intervention {
    Intervention {
        name: "edit".into(),
        kind: Kind::Loreft,
        at,
        layers: layers.to_vec(),
        segments: segments.to_vec(),
        tied,
        rank: 1,
        dropout: 0.0,
        activation: Activation::Linear,
        bias: true,
    }
}

fn segment_sets() -> Vec<(Vec<Segment>, bool)> {
    use Segment::{All, First, Generated, Last};
    vec![
        (vec![First(1)], false),
        (vec![First(2)], false),
        (vec![Last(1)], false),
        (vec![Last(2)], false),
        (vec![All], false),
        (vec![First(1), Last(1)], false),
        (vec![First(2), Last(1)], true),
        (vec![Generated], false),
        (vec![Last(1), Generated], true),
    ]
}

fn readers(prompt: usize, targets: usize) -> [Readers; 2] {
    [Readers::training(prompt, (prompt + targets).saturating_sub(1)), Readers::decoding(prompt)]
}

#[test]
fn every_place_and_position_of_small_rows() {
    let layer_sets: [&[usize]; 5] = [&[0], &[1], &[2], &[0, 2], &[0, 1, 2]];
    for window in [None, Some(1), Some(2), Some(3)] {
        let shape = Shape { layers: 3, window };
        for (prompt, targets) in [(0, 2), (1, 1), (3, 2), (4, 1)] {
            for (at, layers) in PLACES.iter().flat_map(|&at| layer_sets.map(|layers| (at, layers))) {
                for (segments, tied) in segment_sets() {
                    for readers in readers(prompt, targets) {
                        let row = RowTokens::new(prompt, readers.inputs);
                        let sites = sites(&[edit(at, layers, &segments, tied)], &row);
                        Case { shape, sites, readers }.check();
                    }
                }
            }
        }
    }
}

fn block() -> impl Strategy<Value = Intervention> {
    let segment = prop_oneof![
        (1usize..4).prop_map(Segment::First),
        (1usize..4).prop_map(Segment::Last),
        Just(Segment::All),
        Just(Segment::Generated),
    ];
    let layers = prop::collection::btree_set(0usize..5, 1..4).prop_map(|layers| layers.into_iter().collect::<Vec<_>>());
    (prop::sample::select(&PLACES), layers, prop::collection::vec(segment, 1..3), any::<bool>())
        .prop_map(|(at, layers, segments, tied)| edit(at, &layers, &segments, tied))
}

proptest! {
    #[test]
    fn several_blocks_on_rows_of_any_length(
        blocks in prop::collection::vec(block(), 0..4),
        window in prop::option::of(1usize..9),
        prompt in 0usize..9,
        targets in 0usize..5,
    ) {
        for readers in readers(prompt, targets) {
            let sites = sites(&blocks, &RowTokens::new(prompt, readers.inputs));
            Case { shape: Shape { layers: 5, window }, sites, readers }.check();
        }
    }

    #[test]
    fn sites_and_readers_of_any_shape(
        sites in prop::collection::vec((0usize..4, prop::sample::select(&PLACES), prop::collection::btree_set(0usize..8, 0..5)), 0..5),
        window in prop::option::of(1usize..9),
        inputs in 0usize..7,
        head in prop::collection::btree_set(0usize..8, 0..5),
        decoding: bool,
    ) {
        let sites = sites.into_iter().map(|(layer, at, tokens)| Site { layer, at, tokens: tokens.into_iter().collect() });
        let head: Tokens = head.into_iter().filter(|&token| token < inputs).collect();
        let readers = Readers { inputs, head, decoding };
        Case { shape: Shape { layers: 4, window }, sites: sites.collect(), readers }.check();
    }
}

/// The last token of a prompt of five, edited in block 1 of four; two target tokens.
#[test]
fn the_last_token_alone_leaves_little_to_do() {
    let sites = sites(&[edit(At::BlockOutput, &[1], &[Segment::Last(1)], false)], &RowTokens::new(5, 6));
    let work = work(Shape { layers: 4, window: None }, &sites, &Readers::training(5, 6), Passes::ALL);
    let (none, both) = (Tokens::none(), Tokens::from(4..6));
    let rest = BlockWork { input: both.clone(), output: both.clone(), constant_keys: Tokens::from(0..4) };
    assert_eq!(work.blocks[..2], [BlockWork::default(), BlockWork::default()]);
    assert_eq!(work.joining, [none.clone(), none.clone(), both, none.clone(), none.clone()]);
    assert_eq!(work.blocks[2..], [rest.clone(), rest]);
    assert_eq!(work.kept(0..5), Kept { keys: vec![2, 3], states: vec![2] });
    assert_eq!(work.kept(5..6), Kept { keys: vec![], states: vec![2] });
}

#[test]
fn an_untouched_row_is_constant() {
    let work = work(Shape { layers: 2, window: None }, &[], &Readers::training(3, 4), Passes::ALL);
    assert!(work.blocks.iter().all(|block| *block == BlockWork::default()));
    assert_eq!(work.joining[2], Tokens::from(2..4));
    assert_eq!(work.kept(0..3), Kept { keys: vec![], states: vec![2] });
}
