//! What the passes of the plan say of an experiment's rows, worked out once for each shape of a row.

use crate::model::config::ModelConfig;
use crate::plan::Intervention;
use crate::plan::passes::{self, BlockWork, Kept, Passes, Readers, Shape, Work};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// What is done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Losses of its target tokens.
    Losses,
    /// Its prompt is read so that decoding can go on.
    Decoding,
}

/// The work on rows of one shape.
#[derive(Clone, Debug)]
pub struct RowWork {
    pub work: Work,
    pub prompt: Range<usize>,
    /// The input tokens behind the prompt.
    pub target: Range<usize>,
    /// Constants that are kept of both.
    pub kept: [Kept; 2],
    /// For each prompt token a number that stands for all that is done with it: which edits, in which blocks. Tokens from the
    /// first on whose edits depend on the row itself have none.
    pub done: Vec<u64>,
}

impl RowWork {
    /// Prompt and target, and what is kept of them.
    pub fn segments(&self) -> [(Range<usize>, &Kept); 2] {
        [(self.prompt.clone(), &self.kept[0]), (self.target.clone(), &self.kept[1])]
    }

    /// Whether anything of the row is a constant that must be found or computed.
    pub fn has_constants(&self) -> bool {
        self.kept.iter().any(|kept| *kept != Kept::default())
    }
}

/// The works of an experiment.
pub struct Works {
    shape: Shape,
    interventions: Vec<Intervention>,
    passes: Passes,
    known: RefCell<BTreeMap<(usize, usize, Use), Arc<RowWork>>>,
}

impl Works {
    /// Nothing is worked out yet.
    pub fn new(config: &ModelConfig, interventions: &[Intervention], passes: Passes) -> Self {
        Self { shape: Shape::of(config), interventions: interventions.to_vec(), passes, known: RefCell::default() }
    }

    /// The passes that are on.
    pub fn passes(&self) -> Passes {
        self.passes
    }

    /// The work on a row whose prompt has `prompt` tokens, of `inputs` that go into the model.
    pub fn of(&self, prompt: usize, inputs: usize, purpose: Use) -> Arc<RowWork> {
        let key = (prompt, inputs, purpose);
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let work = Arc::new(self.work(prompt, inputs, purpose));
        self.known.borrow_mut().insert(key, work.clone());
        work
    }

    fn work(&self, prompt: usize, inputs: usize, purpose: Use) -> RowWork {
        let readers = match purpose {
            Use::Losses => Readers::training(prompt, inputs),
            Use::Decoding => Readers::decoding(prompt),
        };
        let sites = passes::sites(&self.interventions, prompt);
        let work = passes::work(self.shape, &sites, &readers, self.passes);
        let (prompt, target) = (0..prompt.min(inputs), prompt.min(inputs)..inputs);
        let kept = [work.kept(prompt.clone()), work.kept(target.clone())];
        // Masks of dropout belong to a row.
        let dropped = self.interventions.iter().filter(|block| purpose == Use::Losses && block.dropout > 0.0);
        let own = dropped.flat_map(|block| &block.segments).map(|segment| segment.resolve(prompt.end));
        let own = own.filter(|range| !range.is_empty()).map(|range| range.start).min().unwrap_or(prompt.end);
        let done = (0..own).map(|token| {
            let mut hasher = DefaultHasher::new();
            sites.iter().for_each(|site| site.tokens.contains(token).hash(&mut hasher));
            work.joining.iter().for_each(|tokens| tokens.contains(token).hash(&mut hasher));
            for block in &work.blocks {
                let BlockWork { input, output, constant_keys } = block;
                [input, output, constant_keys].map(|tokens| tokens.contains(token)).hash(&mut hasher);
            }
            hasher.finish()
        });
        let done = done.collect();
        RowWork { work, prompt, target, kept, done }
    }
}
