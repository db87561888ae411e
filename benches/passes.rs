//! Times the passes of the plan: what must be computed of each row, for rows of many lengths.
//!
//!     cargo bench --bench passes
#![allow(clippy::print_stdout)]

use reftc::data::positions::{RowTokens, Segment};
use reftc::intervention::{Activation, At, Intervention, Kind};
use reftc::plan::passes::{Passes, Readers, Shape, Tokens, sites, work};
use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

/// Tokens of the prompts and of what follows them.
const PROMPTS: Range<usize> = 16..528;
const TARGET: usize = 7;

fn main() {
    println!("{} row shapes each; microseconds for a row", PROMPTS.len());
    for (name, layers, segments, tied) in [
        ("all layers, f7+l7 tied", (0..32).collect(), vec![Segment::First(7), Segment::Last(7)], true),
        ("all layers, f7+l7", (0..32).collect(), vec![Segment::First(7), Segment::Last(7)], false),
        ("three layers, l1", vec![15, 20, 25], vec![Segment::Last(1)], false),
        ("one layer, all tokens", vec![31], vec![Segment::All], false),
    ] {
        let block = block(layers, segments, tied);
        for (model, window) in [("full attention", None), ("window of 128", Some(128))] {
            let shape = Shape { layers: 32, window };
            let all = time(shape, &block, Passes::ALL);
            let none = time(shape, &block, Passes::NONE);
            println!("{name:<24} {model:<16} {all:>8.1} all passes {none:>8.1} none");
        }
    }
}

/// Microseconds for a row, the least of five rounds over all shapes.
fn time(shape: Shape, block: &Intervention, passes: Passes) -> f64 {
    let round = || {
        let begun = Instant::now();
        for prompt in PROMPTS {
            let inputs = prompt + TARGET - 1;
            let readers = Readers { inputs, head: Tokens::from(prompt - 1..inputs), decoding: false };
            black_box(work(
                shape,
                &sites(std::slice::from_ref(block), &RowTokens::new(prompt, inputs)),
                &readers,
                passes,
            ));
        }
        1e6 * begun.elapsed().as_secs_f64() / PROMPTS.len() as f64
    };
    (0..5).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn block(layers: Vec<usize>, segments: Vec<Segment>, tied: bool) -> Intervention {
    Intervention {
        name: "edit".to_owned(),
        kind: Kind::Loreft,
        at: At::BlockOutput,
        layers,
        segments,
        tied,
        rank: 8,
        dropout: 0.0,
        activation: Activation::Linear,
        bias: false,
    }
}
