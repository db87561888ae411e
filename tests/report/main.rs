//! `report.html` and event files of TensorBoard, made by the binary from real runs and read by real readers.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod browser;
mod driver;
mod pages;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line")]
mod support;
mod tensorboard;

use support::Place;

/// A finished run of the small spec, and its folder.
fn finished() -> (Place, String) {
    let place = Place::new();
    place.run(&[]);
    let folder = place.run_folder("runs", "small");
    (place, folder)
}

/// A sweep of two ranks and two seeds.
fn swept() -> Place {
    let place = Place::new();
    let sweep = "\n  sweep { intervene.edit.rank = [1, 4], seed = [1, 2] }\n}\n";
    let text = support::SPEC.trim_end().trim_end_matches('}').to_owned() + sweep;
    place.write("spec.reft", &text);
    place.run(&[]);
    place
}

/// The JSON of a file.
fn json(place: &Place, name: &str) -> serde_json::Value {
    serde_json::from_str(&place.read(name)).unwrap()
}
