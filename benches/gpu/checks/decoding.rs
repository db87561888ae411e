//! Greedy decoding with the cache of keys beside decoding that reads each text anew for every token.

use super::trainings::{model, prompts};
use super::{Checks, Largest};
use crate::oracle::training::whole_batch;
use crate::told;
use candle_core::{Device, IndexOp, Result};
use reftc::data::encode::EncodedRow;
use reftc::data::positions::Segment;
use reftc::execute::engine::Engine;
use reftc::execute::generate::Generator;
use reftc::intervention::units::Interventions;
use reftc::intervention::{At, Kind};
use reftc::model::config::Precision;
use reftc::model::decoder::Decoder;
use reftc::plan::passes::Passes;

const NEW_TOKENS: usize = 9;

pub fn check(checks: &mut Checks) {
    let (device, seed) = (checks.device.clone(), checks.seed);
    checks.check("decoding with and without a cache of keys", 0.0, |largest| with_and_without(&device, seed, largest));
}

fn with_and_without(device: &Device, seed: u64, largest: &mut Largest) -> Result<()> {
    let decoder = model(Precision::F32, device, seed)?;
    let rows = prompts();
    let segments = [Segment::First(2), Segment::Last(3)];
    let block = super::trainings::block(Kind::Loreft, At::BlockOutput, &[0, 2], &segments, 0.0);
    let interventions = Interventions::new(&[block], decoder.config().hidden_size, seed, device)?;
    let engine = Engine::new(&decoder, &interventions.blocks, Passes::ALL, None);
    let generator = Generator::new(&engine, Some(&interventions)).map_err(told)?;
    let found = generator.greedy(&rows.iter().collect::<Vec<_>>(), NEW_TOKENS).map_err(told)?;
    for (row, found) in rows.iter().zip(&found) {
        let expected = read_anew(&decoder, row, &interventions)?;
        let differ = found.iter().zip(&expected).filter(|(found, expected)| found != expected).count();
        largest.take(format!("row {}", row.row), (differ + expected.len().abs_diff(found.len())) as f64);
    }
    Ok(())
}

/// The likeliest tokens where every one of them is found by a pass over the whole text.
fn read_anew(decoder: &Decoder, row: &EncodedRow, interventions: &Interventions) -> Result<Vec<u32>> {
    let mut text = row.clone();
    for _ in 0..NEW_TOKENS {
        let edits = interventions.edits()?;
        let (pass, placed) = whole_batch(decoder, std::slice::from_ref(&text), interventions, &edits);
        let states = decoder.run(&pass, &placed, None)?;
        let logits = decoder.logits(&states.narrow(0, text.ids.len() - 1, 1)?)?;
        text.ids.push(logits.i(0)?.argmax(0)?.to_scalar()?);
    }
    Ok(text.ids.split_off(row.ids.len()))
}
