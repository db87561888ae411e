//! Layers and rank against the model.

use super::Checker;
use super::declarations::ModelDeclaration;
use super::value::Layers;
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};

impl Checker<'_> {
    /// The layers that are meant, ascending and without repeats, checked against the model's layer count.
    pub(super) fn resolve_layers(
        &mut self,
        layers: &Layers,
        span: Span,
        model: &ModelDeclaration,
    ) -> Option<Vec<usize>> {
        let count = model.checked.config.layers;
        let last = count as i64 - 1;
        let mut found: Vec<usize> = match layers {
            Layers::All => (0..count).collect(),
            Layers::Every(step) => (0..count).step_by((*step).max(1)).collect(),
            Layers::Depth(shares) => {
                shares.iter().map(|share| ((share * count as f64).floor() as usize).min(count - 1)).collect()
            }
            Layers::List(items) => {
                let found: Vec<Option<usize>> = items.iter().map(|item| self.layer(item, last, model)).collect();
                found.into_iter().collect::<Option<_>>()?
            }
            Layers::Range { start, end, inclusive } => {
                let upper = if *inclusive { end.value } else { end.value - 1 };
                if upper < start.value {
                    let diagnostic =
                        Diagnostic::at(Code::OutOfRange, span, "this range of layers is empty", "no layers");
                    self.sink.push(diagnostic.help("write the smaller layer first: `4..12`"));
                    return None;
                }
                self.layer(start, last, model)?;
                self.layer(&Spanned::new(upper, end.span), last, model)?;
                (start.value as usize..=upper as usize).collect()
            }
            Layers::First(wanted) | Layers::Last(wanted) => {
                if wanted.value > last + 1 {
                    self.sink.push(
                        Diagnostic::at(
                            Code::LayerOutOfRange,
                            wanted.span,
                            format!("there are no {} layers", wanted.value),
                            format!("`{}` has {count} layers", model.name.text),
                        )
                        .label(model.name.span, "the model is declared here")
                        .help(format!("write {count} or less, or `all`")),
                    );
                    return None;
                }
                let wanted = wanted.value as usize;
                if matches!(layers, Layers::First(_)) {
                    (0..wanted).collect()
                } else {
                    (count - wanted..count).collect()
                }
            }
        };
        found.sort_unstable();
        found.dedup();
        Some(found)
    }

    fn layer(&mut self, layer: &Spanned<i64>, last: i64, model: &ModelDeclaration) -> Option<usize> {
        if layer.value <= last {
            return usize::try_from(layer.value).ok();
        }
        self.sink.push(
            Diagnostic::at(
                Code::LayerOutOfRange,
                layer.span,
                format!("layer {} is out of range", layer.value),
                format!("`{}` has layers 0 to {last}", model.name.text),
            )
            .label(model.name.span, "the model is declared here")
            .help(format!("write a layer from 0 to {last}; the last one is {last}, as layers are counted from 0")),
        );
        None
    }

    /// A rank cannot exceed the hidden size: R has orthonormal columns.
    pub(super) fn check_rank(&mut self, rank: usize, span: Span, model: &ModelDeclaration) {
        let hidden = model.checked.config.hidden_size;
        if rank > hidden {
            self.sink.push(
                Diagnostic::at(
                    Code::RankTooHigh,
                    span,
                    format!("rank {rank} is more than the hidden size"),
                    format!("`{}` has hidden size {hidden}", model.name.text),
                )
                .label(model.name.span, "the model is declared here")
                .help(format!("write `rank = {}` or less; most published runs use 1 to 32", hidden.min(8))),
            );
        }
    }
}
