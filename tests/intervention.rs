//! Interventions against tensors of the reference (`tests/oracle/README.md`).
#![allow(clippy::unwrap_used, clippy::panic)]

mod oracle;

use candle_core::{Device, Tensor, Var};
use oracle::{Oracle, tiny};
use reftc::data::positions::{RowTokens, Segment};
use reftc::diag::Code;
use reftc::intervention::edits::{BatchEdits, Dropout};
use reftc::intervention::formula::{Edit, Parameters};
use reftc::intervention::orthogonal::Rotation;
use reftc::intervention::rotations;
use reftc::intervention::units::Interventions;
use reftc::intervention::{At, Kind};
use reftc::intervention::{save, saved, tensor_file};
use reftc::model::decoder::BlockHook;
use reftc::plan::{Activation, Intervention};

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
    for (variant, kind, activation) in tiny::VARIANTS {
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
            oracle::assert_close("start", &rotation.matrix().unwrap(), &start, 1e-6);
            // The plain gradient of R, through the map's backward, is the gradient that torch found for X.
            let plain = oracle.get(&format!("{setting}.grad.{unit}.rotate_layer_plain"));
            let gradients = rotations::pull_back(&[&rotation], &[plain.t().unwrap().contiguous().unwrap()]).unwrap();
            let expected = oracle.get(&format!("{setting}.grad.{unit}.householder_original"));
            oracle::assert_close("gradient", &gradients[0], &expected, 1e-5);
        }
        for steps in [1, 2, 10] {
            let rotation = Rotation::with_dense_base(&oracle.get(&format!("{setting}.param.0.base")), 4).unwrap();
            rotation.original().set(&oracle.get(&format!("{setting}.adamw{steps}.0.householder_original"))).unwrap();
            let expected = oracle.get(&format!("{setting}.adamw{steps}.0.rotate_layer"));
            oracle::assert_close("trained", &rotation.matrix().unwrap(), &expected, 1e-6);
            rotations::turn(&[&rotation]).unwrap();
            oracle::assert_close("turned", &rotation.directions().t().unwrap(), &expected, 1e-6);
        }
    }
}

fn block(kind: Kind, segments: &[Segment], tied: bool) -> Intervention {
    Intervention { segments: segments.to_vec(), bias: true, ..tiny::block(kind, tied) }
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
fn units_are_in_the_order_in_which_a_layer_computes() {
    let place = |at: At| Intervention { name: at.name().to_owned(), at, ..block(Kind::Loreft, &[Segment::All], false) };
    let written: Vec<Intervention> = At::ALL.into_iter().rev().map(place).collect();
    let units = Interventions::new(&written, 32, 42, &Device::Cpu).unwrap().units;
    let found: Vec<(usize, At)> = units.iter().map(|unit| (unit.layer, unit.at)).collect();
    assert_eq!(found, [1, 3].map(|layer| At::ALL.map(|at| (layer, at))).concat());
    let names: Vec<&str> = units[..4].iter().map(|unit| unit.name.as_str()).collect();
    let expected = [
        "block_input.layer1.block_input.all",
        "attention_output.layer1.attention_output.all",
        "mlp_output.layer1.mlp_output.all",
        // The usual place is not in the name, as in files that were saved before there were others.
        "block_output.layer1.all",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_randomness_of_a_unit_depends_on_its_place_and_not_on_what_is_at_others() {
    let all = |at: At| Intervention { name: at.name().to_owned(), at, ..block(Kind::Loreft, &[Segment::All], false) };
    let sites = |blocks: &[Intervention]| {
        let units = Interventions::new(blocks, 32, 42, &Device::Cpu).unwrap().units;
        units.into_iter().map(|unit| ((unit.layer, unit.at), unit.site)).collect::<std::collections::BTreeMap<_, _>>()
    };
    let together = sites(&At::ALL.map(all));
    let different: std::collections::BTreeSet<u64> = together.values().copied().collect();
    assert_eq!(different.len(), 8);
    for at in At::ALL {
        for (place, site) in sites(&[all(at)]) {
            assert_eq!(together[&place], site, "{place:?}");
        }
    }
    assert_eq!(together[&(3, At::BlockOutput)], 3 << 32, "what was trained before keeps its numbers");
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
        for (row, prompt) in tiny::prompts().iter().enumerate() {
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
                    interventions.units[ours]
                        .positions(&RowTokens::new(prompt.ids.len(), prompt.ids.len()))
                        .iter()
                        .collect::<Vec<_>>(),
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
    let rotation = Rotation::random(48, 5, &mut key.stream(), &Device::Cpu).unwrap();
    // Of the sum of products of the directions with these numbers.
    let gradients = [Tensor::randn(0f32, 1.0, (5, 48), &Device::Cpu).unwrap()];
    for _ in 0..200 {
        let step = (&rotations::pull_back(&[&rotation], &gradients).unwrap()[0] * 0.05).unwrap();
        rotation.original().set(&(rotation.original().as_detached_tensor() - step).unwrap()).unwrap();
    }
    rotations::turn(&[&rotation]).unwrap();
    let matrix = rotation.directions().t().unwrap().detach();
    let moved = oracle::largest(&(&matrix - rotation.start()).unwrap());
    let product = matrix.t().unwrap().matmul(&matrix).unwrap();
    let error = oracle::largest(&(product - Tensor::eye(5, candle_core::DType::F32, &Device::Cpu).unwrap()).unwrap());
    assert!(moved > 0.1 && error < 1e-6, "moved {moved}, error {error}");
}

#[test]
fn a_mask_of_dropout_depends_on_the_row_and_not_on_its_batch() {
    let mut interventions = Interventions::new(&[tiny::block(Kind::Loreft, false)], 32, 1, &Device::Cpu).unwrap();
    interventions.units.iter_mut().for_each(|unit| unit.dropout = 0.5);
    let edits = interventions.edits().unwrap();
    let (long, short) = (
        Tensor::randn(0f32, 1.0, (9, 32), &Device::Cpu).unwrap(),
        Tensor::randn(0f32, 1.0, (5, 32), &Device::Cpu).unwrap(),
    );
    let edited = |rows: &[(usize, usize, usize)], states: &Tensor, epoch| {
        let places = tiny::WholeRows::new(rows);
        let edits = BatchEdits::new(&interventions, &edits, &places, Some(Dropout { seed: 3, epoch })).unwrap();
        edits.edit(1, At::BlockOutput, states.clone()).unwrap()
    };
    let both = edited(&[(9, 9, 6), (5, 5, 2)], &Tensor::cat(&[&long, &short], 0).unwrap(), 0);
    let alone = edited(&[(5, 5, 2)], &short, 0);
    oracle::assert_close("row alone", &both.narrow(0, 9, 5).unwrap(), &alone, 1e-6);
    let dropped = |states: &Tensor| {
        let values = states.get(0).unwrap().to_vec1::<f32>().unwrap();
        values.iter().map(|value| value.abs() < 1e-6).collect::<Vec<_>>()
    };
    let share = dropped(&alone).iter().filter(|dropped| **dropped).count();
    assert!((6..=26).contains(&share), "{share} of 32 coordinates dropped");
    assert_ne!(dropped(&alone), dropped(&edited(&[(5, 5, 2)], &short, 1)));
    assert_ne!(dropped(&alone), dropped(&edited(&[(5, 5, 3)], &short, 0)));
}

#[test]
fn blocks_at_one_site_act_in_written_order_and_tied_segments_once() {
    let states = Tensor::randn(0f32, 1.0, (4, 32), &Device::Cpu).unwrap();
    let places = tiny::WholeRows::new(&[(4, 4, 0)]);
    let edited = |blocks: &[Intervention]| {
        let interventions = Interventions::new(blocks, 32, 1, &Device::Cpu).unwrap();
        let edits = interventions.edits().unwrap();
        let placed = BatchEdits::new(&interventions, &edits, &places, None).unwrap();
        let after = placed.edit(1, At::BlockOutput, states.clone()).unwrap();
        let one_by_one = interventions.units.iter().zip(&edits).filter(|(unit, _)| unit.layer == 1);
        (after, one_by_one.fold(states.clone(), |states, (_, edit)| edit.apply(&states).unwrap().detach()))
    };
    let all = |name: &str| Intervention { name: name.to_owned(), ..block(Kind::Loreft, &[Segment::All], false) };
    let (found, expected) = edited(&[all("first"), all("second")]);
    oracle::assert_close("two blocks", &found, &expected, 1e-5);
    let (found, expected) = edited(&[block(Kind::Loreft, &[Segment::All, Segment::First(2)], true)]);
    oracle::assert_close("tied", &found, &expected, 1e-5);
}

#[test]
fn what_is_saved_comes_back_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        let block = Intervention { dropout: 0.1, activation: Activation::Silu, bias: true, ..tiny::block(kind, false) };
        let interventions = Interventions::new(std::slice::from_ref(&block), 32, 5, &Device::Cpu).unwrap();
        for parameter in interventions.parameters() {
            parameter.variable.set(&(parameter.variable.as_detached_tensor() - 0.125).unwrap()).unwrap();
        }
        save::save(folder.path(), &interventions).unwrap();
        let first = std::fs::read(folder.path().join(saved::TENSORS)).unwrap();
        let loaded = save::load(folder.path(), &Device::Cpu).unwrap();
        assert_eq!(loaded.blocks, std::slice::from_ref(&block));
        let tensors = save::tensors(&interventions).unwrap();
        for (name, tensor) in save::tensors(&loaded).unwrap() {
            assert_eq!(oracle::bits(&tensor), oracle::bits(&tensors[&name]), "{name}");
        }
        save::save(folder.path(), &loaded).unwrap();
        assert_eq!(first, std::fs::read(folder.path().join(saved::TENSORS)).unwrap());

        let other = Intervention { rank: 5, ..block.clone() };
        let error = save::load_as(folder.path(), &[other], 32, &Device::Cpu).unwrap_err();
        assert_eq!(error.code, Code::InterventionMismatch);
        assert!(error.message.contains('5') && error.message.contains('4'), "{error}");
        let fewer = Intervention { layers: vec![1], ..block };
        let error = save::load_as(folder.path(), &[fewer], 32, &Device::Cpu).unwrap_err();
        assert!(error.message.contains("edit.layer3.f2"), "{error}");
    }
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [saved::TENSORS, saved::CONFIG]);
}

#[test]
fn a_saved_intervention_says_where_in_the_layer_it_acts() {
    let folder = tempfile::tempdir().unwrap();
    let other = |at: At| At::ALL.into_iter().find(|other| *other != at).unwrap();
    for at in At::ALL {
        let block = Intervention { at, ..tiny::block(Kind::Loreft, false) };
        let interventions = Interventions::new(std::slice::from_ref(&block), 32, 5, &Device::Cpu).unwrap();
        save::save(folder.path(), &interventions).unwrap();
        let config = std::fs::read_to_string(folder.path().join(saved::CONFIG)).unwrap();
        assert!(config.contains(&format!("\"at\": \"{}\"", at.name())), "{config}");
        let loaded = save::load(folder.path(), &Device::Cpu).unwrap();
        assert_eq!(loaded.blocks, std::slice::from_ref(&block));
        assert!(loaded.units.iter().all(|unit| unit.at == at));
        let tensors = save::tensors(&interventions).unwrap();
        for (name, tensor) in save::tensors(&loaded).unwrap() {
            assert_eq!(oracle::bits(&tensor), oracle::bits(&tensors[&name]), "{name}");
        }
        let elsewhere = Intervention { at: other(at), ..block };
        let error = save::load_as(folder.path(), &[elsewhere], 32, &Device::Cpu).unwrap_err();
        assert_eq!(error.code, Code::InterventionMismatch);
        assert!(error.message.contains("layer1"), "{error}");
    }
}

#[test]
fn a_file_that_names_no_place_acts_on_the_block_output() {
    let folder = tempfile::tempdir().unwrap();
    let interventions = Interventions::new(&[tiny::block(Kind::Loreft, true)], 32, 5, &Device::Cpu).unwrap();
    let mut config = serde_json::json!({
        "format": 1, "version": "0.1.0", "hidden": 32, "interventions": &interventions.blocks, "parameters": 0,
    });
    config["interventions"][0].as_object_mut().unwrap().remove("at").unwrap();
    let tensors = save::tensors(&interventions).unwrap();
    tensor_file::write(&folder.path().join(saved::TENSORS), &tensors, &config).unwrap();
    let loaded = save::load(folder.path(), &Device::Cpu).unwrap();
    assert_eq!(loaded.blocks, interventions.blocks);
    assert!(loaded.units.iter().all(|unit| unit.at == At::BlockOutput));
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let missing = save::load(folder.path(), &Device::Cpu).unwrap_err();
    assert_eq!(missing.code, Code::SavedFileUnreadable);
    let interventions = Interventions::new(&[tiny::block(Kind::Loreft, true)], 32, 5, &Device::Cpu).unwrap();
    save::save(folder.path(), &interventions).unwrap();
    let path = folder.path().join(saved::TENSORS);
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = save::load(folder.path(), &Device::Cpu).unwrap_err();
        assert_eq!(error.code, Code::SavedFileUnreadable, "{length} bytes");
        assert!(error.message.contains(saved::TENSORS));
    }
    let mut damaged = whole;
    let end = damaged.len();
    damaged[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let says = |damaged: &[u8], word: &str| {
        std::fs::write(&path, damaged).unwrap();
        let message = save::load(folder.path(), &Device::Cpu).unwrap_err().message;
        assert!(message.contains(word), "{message}");
    };
    says(&damaged, "checksum");
    // Without a checksum, as other tools write it: a line break and 64 digits, behind what is said about the tensors.
    let is_checksum = |part: &[u8]| part.starts_with(b"\\n") && part[2..].iter().all(u8::is_ascii_hexdigit);
    let at = damaged.windows(66).position(is_checksum).unwrap();
    damaged[at..at + 66].fill(b' ');
    says(&damaged, "NaN");
}
