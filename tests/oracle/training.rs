//! Training on the tiny model as the oracle did it: losses, gradients and parameters by the oracle's names.

use super::{assert_close, largest, tiny};
use candle_core::{DType, Tensor};
use reftc::data::encode::EncodedRow;
use reftc::execute::batch::LossBatch;
use reftc::intervention::edits::BatchEdits;
use reftc::intervention::formula::Edit;
use reftc::intervention::save;
use reftc::intervention::units::{Interventions, Parameter};
use reftc::model::decoder::Decoder;
use reftc::model::pass::Pass;

/// The real tokens of an oracle's tensor `[rows, columns, width]`, packed: it has one padding token in front.
pub fn packed(tensor: &Tensor, rows: &[EncodedRow]) -> Tensor {
    let row = |(number, row): (usize, &EncodedRow)| tensor.get(number).unwrap().narrow(0, 1, row.ids.len()).unwrap();
    Tensor::cat(&rows.iter().enumerate().map(row).collect::<Vec<_>>(), 0).unwrap()
}

/// All tokens of the rows, packed, and edits on their prompts.
pub fn whole_batch(
    decoder: &Decoder,
    rows: &[EncodedRow],
    interventions: &Interventions,
    edits: &[Edit],
) -> (Pass, BatchEdits) {
    let pass = decoder.whole_pass(&rows.iter().map(|row| &row.ids).collect::<Vec<_>>()).unwrap();
    let lengths: Vec<_> = rows.iter().map(|row| (row.prompt_tokens, row.ids.len(), row.row)).collect();
    let edits = BatchEdits::new(interventions, edits, &tiny::WholeRows::new(&lengths), None).unwrap();
    (pass, edits)
}

/// The batch of the rows, as a training step has it.
pub fn loss_batch(decoder: &Decoder, rows: &[EncodedRow], interventions: &Interventions) -> LossBatch {
    LossBatch::new(&tiny::engine(decoder, &interventions.blocks), &rows.iter().collect::<Vec<_>>()).unwrap()
}

/// The mean loss over the target tokens of the batch.
pub fn mean_loss(decoder: &Decoder, rows: &[EncodedRow], interventions: &Interventions, edits: &[Edit]) -> Tensor {
    let batch = loss_batch(decoder, rows, interventions);
    let edits = BatchEdits::new(interventions, edits, &batch.packed, None).unwrap();
    batch.losses(decoder, &edits).unwrap().mean_all().unwrap()
}

/// The end of a parameter's name, as the oracle has it.
pub fn oracle_name(parameter: &Parameter) -> &'static str {
    match parameter.name.rsplit('.').next() {
        Some("original") => "householder_original",
        Some("weight") => "weight",
        _ => "bias",
    }
}

/// Where the reference's gradient is next to nothing Adam turns rounding into a whole step: those elements are not compared.
pub fn assert_trained(what: &str, found: &Tensor, expected: &Tensor, gradient: Option<&Tensor>) {
    let known = match gradient {
        Some(gradient) => gradient.abs().unwrap().ge(1e-6 * largest(gradient)).unwrap().to_dtype(DType::F32).unwrap(),
        None => expected.ones_like().unwrap(),
    };
    let found = (found.detach() * &known).unwrap();
    assert_close(what, &found, &(expected * &known).unwrap(), 1e-4);
}

/// R, X, W and b of a unit, by the oracle's names.
pub fn trained(interventions: &Interventions, ours: usize) -> Vec<(&'static str, Tensor)> {
    let unit = &interventions.units[ours];
    let tensors = save::tensors(interventions).unwrap();
    let named = |name: &'static str, end: &str| (name, tensors[&format!("{}.{end}", unit.name)].clone());
    vec![
        named("rotate_layer", "rotate_layer"),
        named("householder_original", "rotate_layer.original"),
        named("weight", "weight"),
        named("bias", "bias"),
    ]
}
