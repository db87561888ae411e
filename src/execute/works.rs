//! What the passes of the plan say of an experiment's rows, worked out once for each shape of a row.

use crate::data::positions::{PromptText, RowTokens, texts};
use crate::model::config::ModelConfig;
use crate::plan::Intervention;
use crate::plan::passes::{self, BlockWork, Kept, Passes, Readers, Shape, Work};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// At most this many shapes of rows are remembered: where positions name texts, no two rows may be alike.
const KNOWN: usize = 4096;

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
    /// The tokens that go in.
    pub row: RowTokens,
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
    texts: Vec<PromptText>,
    known: RefCell<BTreeMap<Use, BTreeMap<RowTokens, Arc<RowWork>>>>,
}

impl Works {
    /// Nothing is worked out yet.
    pub fn new(config: &ModelConfig, interventions: &[Intervention], passes: Passes) -> Self {
        let texts = texts(interventions.iter().flat_map(|block| &block.segments));
        let (shape, interventions) = (Shape::of(config), interventions.to_vec());
        Self { shape, interventions, passes, texts, known: RefCell::default() }
    }

    /// The passes that are on.
    pub fn passes(&self) -> Passes {
        self.passes
    }

    /// The texts of prompts that the positions name.
    pub fn texts(&self) -> &[PromptText] {
        &self.texts
    }

    /// The work on a row with these tokens, all of which go into the model.
    pub fn of(&self, row: RowTokens, purpose: Use) -> Arc<RowWork> {
        if let Some(known) = self.known.borrow().get(&purpose).and_then(|known| known.get(&row)) {
            return known.clone();
        }
        let work = Arc::new(self.work(&row, purpose));
        let mut known = self.known.borrow_mut();
        let known = known.entry(purpose).or_default();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(row, work.clone());
        work
    }

    fn work(&self, row: &RowTokens, purpose: Use) -> RowWork {
        let (prompt, inputs) = (row.prompt, row.all);
        let readers = match purpose {
            Use::Losses => Readers::training(prompt, inputs),
            Use::Decoding => Readers::decoding(prompt),
        };
        // Those without a token too: each stands for its edit.
        let sites = passes::places(&self.interventions, row);
        let work = passes::work(self.shape, &sites, &readers, self.passes);
        let (prompt, target) = (0..prompt.min(inputs), prompt.min(inputs)..inputs);
        let kept = [work.kept(prompt.clone()), work.kept(target.clone())];
        // Masks of dropout belong to a row.
        let dropped = self.interventions.iter().filter(|block| purpose == Use::Losses && block.dropout > 0.0);
        let own = dropped.flat_map(|block| &block.segments).filter_map(|segment| segment.resolve(row).first());
        let own = own.min().unwrap_or(prompt.end).min(prompt.end);
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
        RowWork { work, row: row.clone(), prompt, target, kept, done }
    }
}
