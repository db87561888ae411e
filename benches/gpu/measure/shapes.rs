//! Shapes of real models.

use crate::synthetic::llama;
use reftc::model::config::{ModelConfig, Rope, RopeScaling};

/// A shape, by the name that the command line has for it.
pub struct Shape {
    pub name: &'static str,
    pub config: ModelConfig,
    /// How many times the rows of a recipe go into a step on a GPU, for it to be filled.
    pub fill: usize,
}

impl Shape {
    pub const NAMES: [&'static str; 4] = ["tiny", "135m", "1b", "7b"];

    pub fn find(name: &str) -> Option<Self> {
        let shape = |name, fill, config| Some(Self { name, config, fill });
        match name {
            "tiny" => shape("tiny", 1, llama(4, 64, 176, [4, 2, 16], 512)),
            // SmolLM2-135M
            "135m" => {
                let rope = Rope { theta: 1e5, scaling: RopeScaling::None };
                let base = llama(30, 576, 1536, [9, 3, 64], 49_152);
                shape("135m", 16, ModelConfig { rope, tied_embeddings: true, ..base })
            }
            // Llama-3.2-1B
            "1b" => {
                let scaling = RopeScaling::Llama3 {
                    factor: 32.0,
                    low_frequency_factor: 1.0,
                    high_frequency_factor: 4.0,
                    original_context: 8192,
                };
                let rope = Rope { theta: 5e5, scaling };
                let base = llama(16, 2048, 8192, [32, 8, 64], 128_256);
                shape("1b", 8, ModelConfig { rope, tied_embeddings: true, ..base })
            }
            // Llama-2-7B
            "7b" => shape("7b", 4, llama(32, 4096, 11_008, [32, 32, 128], 32_000)),
            _ => None,
        }
    }
}
