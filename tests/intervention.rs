//! Interventions against tensors of the reference (`tests/oracle/README.md`).
#![allow(clippy::unwrap_used, clippy::panic)]

mod oracle;

use candle_core::{Device, Tensor, Var};
use oracle::Oracle;
use reftc::data::positions::Segment;
use reftc::intervention::Kind;
use reftc::intervention::formula::{Edit, Parameters};
use reftc::intervention::orthogonal::Rotation;
use reftc::intervention::units::Interventions;
use reftc::plan::{Activation, Intervention};

/// `Noreft_bias_silu`: kind, bias of the projection, activation.
const VARIANTS: [(&str, Kind, Activation); 12] = [
    ("Loreft", Kind::Loreft, Activation::Linear),
    ("Loreft_relu", Kind::Loreft, Activation::Relu),
    ("Noreft", Kind::Noreft, Activation::Linear),
    ("Noreft_bias", Kind::Noreft, Activation::Linear),
    ("Noreft_bias_silu", Kind::Noreft, Activation::Silu),
    ("Consreft", Kind::Consreft, Activation::Linear),
    ("Lobireft", Kind::Lobireft, Activation::Linear),
    ("Direft", Kind::Direft, Activation::Linear),
    ("Direft_gelu", Kind::Direft, Activation::Gelu),
    ("Nodireft", Kind::Nodireft, Activation::Linear),
    ("Nodireft_bias", Kind::Nodireft, Activation::Linear),
    ("Nodireft_bias_tanh", Kind::Nodireft, Activation::Tanh),
];

fn variant_parameters(oracle: &Oracle, variant: &str) -> (Parameters, Vec<(&'static str, Var)>) {
    let mut variables = Vec::new();
    let mut variable = |name: &'static str| {
        let tensor = oracle.find(&format!("var.{variant}.param.0.{name}"))?;
        let variable = Var::from_tensor(&tensor).unwrap();
        variables.push((name, variable.clone()));
        Some(variable.as_tensor().clone())
    };
    let directions = match variable("proj_layer.weight") {
        Some(weight) => weight,
        None => oracle.get(&format!("var.{variant}.param.0.rotate_layer")).t().unwrap(),
    };
    let directions_bias = variable("proj_layer.bias");
    let weight = variable("learned_source.weight");
    let bias = variable("learned_source.bias").or_else(|| variable("learned_source_vec")).unwrap();
    (Parameters { directions, directions_bias, weight, bias }, variables)
}

#[test]
fn every_kind_computes_what_the_reference_computes() {
    let oracle = Oracle::tiny();
    for (variant, kind, activation) in VARIANTS {
        let (parameters, variables) = variant_parameters(&oracle, variant);
        let edit = Edit::new(kind.entry(), activation, &parameters).unwrap();
        let states = Var::from_tensor(&oracle.get("unit.x").reshape((6, 32)).unwrap()).unwrap();
        let output = edit.apply(&states).unwrap();
        let expected = oracle.get(&format!("var.{variant}.unit_out")).reshape((6, 32)).unwrap();
        oracle::assert_close(&format!("{variant} output"), &output, &expected, 1e-5);

        let weights = oracle.get("unit.G").reshape((6, 32)).unwrap();
        let gradients = (output * weights).unwrap().sum_all().unwrap().backward().unwrap();
        let expected = oracle.get(&format!("var.{variant}.unit_grad_x")).reshape((6, 32)).unwrap();
        oracle::assert_close(&format!("{variant} states"), gradients.get(&states).unwrap(), &expected, 1e-5);
        for (name, variable) in variables {
            let name = name.trim_end_matches("_vec");
            let expected = oracle.get(&format!("var.{variant}.unit_grad.{name}"));
            match gradients.get(&variable) {
                Some(gradient) => oracle::assert_close(&format!("{variant} {name}"), gradient, &expected, 1e-5),
                // The projection's bias of nodireft is in no formula.
                None => assert_eq!((kind, name, oracle::largest(&expected)), (Kind::Nodireft, "proj_layer.bias", 0.0)),
            }
        }
    }
}

#[test]
fn the_householder_map_is_that_of_torch() {
    let oracle = Oracle::tiny();
    for (setting, units) in [("tied", 2), ("untied", 4)] {
        for unit in 0..units {
            let base = oracle.get(&format!("{setting}.param.{unit}.base"));
            let rotation = Rotation::with_dense_base(&base, 4).unwrap();
            let start = oracle.get(&format!("{setting}.param.{unit}.rotate_layer"));
            oracle::assert_close("start", &rotation.matrix(&Device::Cpu).unwrap(), &start, 1e-6);
            // The plain gradient of R, through the map's backward, is the gradient that torch found for X.
            let plain = oracle.get(&format!("{setting}.grad.{unit}.rotate_layer_plain"));
            let surrogate = (rotation.matrix(&Device::Cpu).unwrap() * plain).unwrap().sum_all().unwrap();
            let gradients = surrogate.backward().unwrap();
            let expected = oracle.get(&format!("{setting}.grad.{unit}.householder_original"));
            oracle::assert_close("gradient", gradients.get(rotation.original()).unwrap(), &expected, 1e-5);
        }
        for steps in [1, 2, 10] {
            let rotation = Rotation::with_dense_base(&oracle.get(&format!("{setting}.param.0.base")), 4).unwrap();
            rotation.original().set(&oracle.get(&format!("{setting}.adamw{steps}.0.householder_original"))).unwrap();
            let expected = oracle.get(&format!("{setting}.adamw{steps}.0.rotate_layer"));
            oracle::assert_close("trained", &rotation.matrix(&Device::Cpu).unwrap(), &expected, 1e-6);
        }
    }
}

fn block(kind: Kind, segments: &[Segment], tied: bool) -> Intervention {
    Intervention {
        name: "edit".to_owned(),
        kind,
        layers: vec![1, 3],
        segments: segments.to_vec(),
        tied,
        rank: 4,
        dropout: 0.0,
        activation: Activation::Linear,
        bias: true,
    }
}

#[test]
fn units_have_the_parameters_that_the_registry_counts() {
    let segments = [Segment::First(2), Segment::Last(2)];
    for kind in Kind::ALL {
        for tied in [false, true] {
            let block = block(kind, &segments, tied);
            let has_bias = kind.entry().has_field("bias");
            let interventions = Interventions::new(&[block], 32, 42, &Device::Cpu).unwrap();
            let count: usize = interventions.parameters().iter().map(|parameter| parameter.variable.elem_count()).sum();
            let units = reftc::intervention::registry::unit_count(2, 2, tied);
            assert_eq!(interventions.units.len(), units);
            assert_eq!(count as u64, units as u64 * kind.entry().parameter_count(32, 4, has_bias), "{kind:?}");
        }
    }
}

#[test]
fn names_say_block_layer_and_segment() {
    let names = |tied| {
        let block = block(Kind::Loreft, &[Segment::First(2), Segment::Last(3), Segment::All], tied);
        let interventions = Interventions::new(&[block], 32, 42, &Device::Cpu).unwrap();
        interventions.units.into_iter().map(|unit| unit.name).collect::<Vec<_>>()
    };
    let untied =
        ["edit.layer1.f2", "edit.layer1.l3", "edit.layer1.all", "edit.layer3.f2", "edit.layer3.l3", "edit.layer3.all"];
    assert_eq!(names(false), untied);
    assert_eq!(names(true), ["edit.layer1.tied", "edit.layer3.tied"]);
}

#[test]
fn starting_values_depend_on_the_seed_and_the_place_alone() {
    let start = |seed, blocks: &[Intervention]| {
        let interventions = Interventions::new(blocks, 32, seed, &Device::Cpu).unwrap();
        let last = interventions.units.last().unwrap();
        last.weight.as_ref().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let edit = block(Kind::Loreft, &[Segment::All], false);
    let elsewhere = Intervention { name: "other".to_owned(), layers: vec![0], ..edit.clone() };
    let renamed = Intervention { name: "renamed".to_owned(), ..edit.clone() };
    assert_eq!(start(1, std::slice::from_ref(&edit)), start(1, &[elsewhere, renamed]));
    assert_ne!(start(1, std::slice::from_ref(&edit)), start(2, std::slice::from_ref(&edit)));
}

#[test]
fn positions_are_the_locations_of_the_reference() {
    let oracle = Oracle::tiny();
    for (setting, tied) in [("tied", true), ("untied", false)] {
        let block = block(Kind::Loreft, &[Segment::First(2), Segment::Last(2)], tied);
        let interventions = Interventions::new(&[block], 32, 42, &Device::Cpu).unwrap();
        let locations = oracle.integers(&format!("{setting}.intervention_locations"));
        let (units, width) = if tied { (2, 4) } else { (4, 2) };
        for (row, prompt) in oracle::TINY_PROMPTS.iter().enumerate() {
            for reference in 0..units {
                // The reference lists prefixes of all layers and then suffixes; ours go by layer.
                let ours = if tied { reference } else { reference % 2 * 2 + reference / 2 };
                let start = (row * units + reference) * width;
                // It counts a padding token in front, which also takes the places that do not exist.
                let mut expected: Vec<usize> = locations[start..start + width]
                    .iter()
                    .filter(|place| **place > 0)
                    .map(|place| *place as usize - 1)
                    .collect();
                expected.sort_unstable();
                assert_eq!(
                    interventions.units[ours].positions(*prompt),
                    expected,
                    "{setting} row {row} unit {reference}"
                );
            }
        }
    }
}

#[test]
fn a_rotation_stays_orthonormal_after_many_steps() {
    let key = reftc::intervention::random::Key {
        seed: 3,
        purpose: reftc::intervention::random::Purpose::Start,
        epoch: 0,
        row: 0,
        site: 0,
        position: 0,
    };
    let rotation = Rotation::random(48, 5, &mut key.stream()).unwrap();
    let target = Tensor::randn(0f32, 1.0, (48, 5), &Device::Cpu).unwrap();
    for _ in 0..200 {
        let gradients =
            (rotation.matrix(&Device::Cpu).unwrap() * &target).unwrap().sum_all().unwrap().backward().unwrap();
        let step = (gradients.get(rotation.original()).unwrap() * 0.05).unwrap();
        rotation.original().set(&(rotation.original().as_detached_tensor() - step).unwrap()).unwrap();
    }
    let matrix = rotation.matrix(&Device::Cpu).unwrap().detach();
    let moved = oracle::largest(&(&matrix - rotation.start()).unwrap());
    let product = matrix.t().unwrap().matmul(&matrix).unwrap();
    let error = oracle::largest(&(product - Tensor::eye(5, candle_core::DType::F32, &Device::Cpu).unwrap()).unwrap());
    assert!(moved > 0.1 && error < 1e-6, "moved {moved}, error {error}");
}
