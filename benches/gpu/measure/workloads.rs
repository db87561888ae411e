//! Workloads A, B and C: the recipes of `benches/peers/workloads.py` on random tokens, whose lengths are drawn to resemble their data.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use reftc::data::encode::EncodedRow;
use reftc::data::positions::Segment;
use reftc::intervention::{Activation, At, Intervention, Kind};

/// One recipe.
pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    /// Which share of the depth each edited layer has; empty for all layers.
    depths: &'static [f64],
    segments: [Option<Segment>; 2],
    tied: bool,
    rank: usize,
    /// Rows of a step as the recipe has it.
    pub batch: usize,
    pub rate: f64,
    pub epochs: usize,
    /// Steps of one epoch at most.
    steps: usize,
    prompt: Lengths,
    target: Lengths,
}

/// Lengths whose logarithm is normal around that of `middle`.
struct Lengths {
    middle: f64,
    deviation: f64,
    least: usize,
    most: usize,
}

/// Tokens of a row at most.
const LONGEST: usize = 512;

impl Workload {
    /// The workload of that name. Means with the sizes of `benches/peers`: 54 tokens a row (sentiment), 87 (ARC-Easy), 416 (UltraFeedback).
    pub fn find(name: &str) -> Option<Self> {
        let answer = Lengths { middle: 7.0, deviation: 0.0, least: 7, most: 7 };
        match name {
            "A" => Some(Self {
                name: "A",
                title: "A: commonsense recipe",
                depths: &[],
                segments: [Some(Segment::First(7)), Some(Segment::Last(7))],
                tied: true,
                rank: 8,
                batch: 16,
                rate: 9e-4,
                epochs: 1,
                steps: 40,
                prompt: Lengths { middle: 45.0, deviation: 0.3, least: 16, most: 120 },
                target: answer,
            }),
            "B" => Some(Self {
                name: "B",
                title: "B: last-token recipe",
                depths: &[1.0 / 2.0, 2.0 / 3.0, 5.0 / 6.0],
                segments: [Some(Segment::Last(1)), None],
                tied: false,
                rank: 4,
                batch: 16,
                rate: 4e-3,
                epochs: 10,
                steps: 4,
                prompt: Lengths { middle: 76.0, deviation: 0.3, least: 30, most: 200 },
                target: answer,
            }),
            "C" => Some(Self {
                name: "C",
                title: "C: instruction recipe",
                depths: &[0.1, 0.3, 0.6, 0.8],
                segments: [Some(Segment::First(5)), Some(Segment::Last(5))],
                tied: false,
                rank: 4,
                batch: 4,
                rate: 9e-4,
                epochs: 1,
                steps: 40,
                prompt: Lengths { middle: 130.0, deviation: 0.7, least: 40, most: 400 },
                target: Lengths { middle: 330.0, deviation: 0.6, least: 30, most: LONGEST },
            }),
            _ => None,
        }
    }

    /// The layers that are edited, of so many.
    pub fn layers(&self, layers: usize) -> Vec<usize> {
        if self.depths.is_empty() {
            return (0..layers).collect();
        }
        let mut chosen: Vec<usize> = self.depths.iter().map(|depth| (depth * layers as f64) as usize).collect();
        chosen.dedup();
        chosen
    }

    pub fn segments(&self) -> Vec<Segment> {
        self.segments.iter().flatten().cloned().collect()
    }

    /// The `intervene` block of the recipe.
    pub fn block(&self, layers: usize) -> Intervention {
        Intervention {
            name: "edit".to_owned(),
            kind: Kind::Loreft,
            at: At::BlockOutput,
            layers: self.layers(layers),
            segments: self.segments(),
            tied: self.tied,
            rank: self.rank,
            dropout: 0.0,
            activation: Activation::Linear,
            bias: false,
        }
    }

    /// The recipe in words.
    pub fn recipe(&self, layers: usize) -> String {
        let layers = match self.depths {
            [] => "all layers".to_owned(),
            _ => format!("layers {:?}", self.layers(layers)),
        };
        let positions: Vec<String> = self.segments().iter().map(ToString::to_string).collect();
        let tied = if self.tied { " tied" } else { "" };
        let epochs = if self.epochs > 1 { format!(", {} epochs", self.epochs) } else { String::new() };
        format!("{layers}, {}{tied}, rank {}{epochs}", positions.join("+"), self.rank)
    }

    /// Rows of one epoch with steps of `batch` rows, of random tokens.
    pub fn rows(&self, batch: usize, vocabulary: usize, seed: u64) -> Vec<EncodedRow> {
        let mut stream = ChaCha8Rng::seed_from_u64(seed);
        let row = |row| {
            let prompt_tokens = self.prompt.draw(&mut stream);
            let tokens = (prompt_tokens + self.target.draw(&mut stream)).min(LONGEST);
            let ids = (0..tokens).map(|_| stream.random_range(0..vocabulary as u32)).collect();
            EncodedRow { row, ids, prompt_tokens, ..Default::default() }
        };
        (0..batch * self.steps).map(row).collect()
    }
}

impl Lengths {
    fn draw(&self, stream: &mut impl Rng) -> usize {
        let normal: f64 = stream.sample(StandardNormal);
        let length = self.middle * (self.deviation * normal).exp();
        (length.round() as usize).clamp(self.least, self.most)
    }
}
