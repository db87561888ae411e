//! LoReFT at each place of a layer, and at all of them together, against the reference's tensors, as `tests/sites_reference.rs` has it.

use super::Checks;
use super::reference::{Trajectory, Wanted, gradients, logits};
use crate::oracle::training::{mean_loss, packed};
use crate::oracle::{Oracle, sites_facts, tiny};
use reftc::intervention::At;
use reftc::model::config::Precision;

pub fn check(checks: &mut Checks) {
    let device = checks.device.clone();
    let (start, oracle, rows) = (Oracle::tiny(), Oracle::sites(), tiny::rows());
    let (decoder, facts) = (tiny::decoder_on(Precision::F32, &device), sites_facts());
    let settings = At::ALL.into_iter().map(|at| (at.name(), vec![at])).chain([("together", At::ALL.to_vec())]);
    for (setting, places) in settings {
        let interventions = || tiny::interventions_at_on(&start, &places, &device);
        checks.check(&format!("reference, {setting}: logits"), 1e-5, |largest| {
            let interventions = interventions();
            let found = logits(&decoder, &rows, &interventions, &interventions.edits()?)?;
            largest.compare_largest("all tokens", &found, &packed(&oracle.get(&format!("{setting}.logits")), &rows))
        });
        // With eight edits in one pass the reference's own rounding is 3.5e-5 of exact gradients.
        let tolerance = if places.len() == 1 { 1e-5 } else { 1e-4 };
        checks.check(&format!("reference, {setting}: gradients"), tolerance, |largest| {
            let interventions = interventions();
            let loss = mean_loss(&decoder, &rows, &interventions, &interventions.edits()?);
            let expected = |unit, end: &str| oracle.get(&format!("{setting}.grad.{unit}.{end}"));
            gradients(&interventions, &loss, largest, expected)
        });
        let log = &facts["settings"][setting];
        let trajectory = Trajectory {
            losses: &log["losses"],
            norms: &log["gradient_norms_before_clipping"],
            parameter: &|step, unit, name| oracle.find(&format!("{setting}.adamw{step}.{unit}.{name}")),
            gradient: &|unit, name| oracle.find(&format!("{setting}.grad.{unit}.{name}")),
        };
        for (what, tolerance, wanted) in [
            ("losses of ten steps", 1e-5, Wanted::Losses),
            ("norms of gradients of ten steps", 1e-4, Wanted::Norms),
            ("parameters after ten steps", 1e-4, Wanted::Parameters),
        ] {
            checks.check(&format!("reference, {setting}: {what}"), tolerance, |largest| {
                trajectory.follow(&decoder, &rows, interventions(), largest, wanted)
            });
        }
    }
}
