//! A row gives the same numbers alone and in any batch, at once and token by token.

use crate::support::{assert_close, rows, tiny};
use candle_core::{Device, Tensor};
use reftc::model::config::{ModelConfig, Precision};
use reftc::model::{Cache, Decoder, ModelFiles, NoEdits, PackedRows};

fn windowed() -> Decoder {
    let files = ModelFiles::folder(&crate::support::oracle("tiny-llama")).unwrap();
    let config = ModelConfig { sliding_window: Some(3), ..files.config().unwrap() };
    Decoder::load(&files, &config, Precision::F32, &Device::Cpu).unwrap()
}

#[test]
fn a_row_does_not_see_its_companions() {
    for decoder in [tiny().0, windowed()] {
        let rows = rows(&[9, 1, 30, 4, 17], 128);
        let packed = PackedRows::new(&rows);
        let together = decoder.forward(&packed, &NoEdits, None).unwrap();
        for (row, tokens) in rows.iter().enumerate() {
            let alone = decoder.forward(&PackedRows::new(&[tokens]), &NoEdits, None).unwrap();
            let range = packed.range(row);
            assert_close(&together.narrow(0, range.start, range.len()).unwrap(), &alone, 1e-5);
        }
    }
}

/// Prompts of all lengths go into the cache, rows end one by one, and each step agrees with a pass over the whole row.
#[test]
fn steps_with_a_cache_agree_with_whole_rows() {
    for decoder in [tiny().0, windowed()] {
        let whole = rows(&[80, 12, 90, 7], 128);
        let prompts = [5, 1, 12, 3];
        let mut alive: Vec<usize> = (0..4).collect();
        let mut cache = Cache::new();
        let starts: Vec<&[u32]> = whole.iter().zip(prompts).map(|(row, length)| &row[..length]).collect();
        let packed = PackedRows::new(&starts);
        let mut hidden = decoder.forward(&packed, &NoEdits, Some(&mut cache)).unwrap();
        let last = Tensor::new(packed.last_tokens(), &Device::Cpu).unwrap();
        hidden = hidden.index_select(&last, 0).unwrap();
        let expected: Vec<Tensor> =
            whole.iter().map(|row| decoder.forward(&PackedRows::new(&[row]), &NoEdits, None).unwrap()).collect();
        for step in 0.. {
            for (line, &row) in alive.iter().enumerate() {
                let expected = expected[row].get(prompts[row] + step - 1).unwrap();
                assert_close(&hidden.get(line).unwrap(), &expected, 1e-5);
            }
            let kept: Vec<usize> =
                (0..alive.len()).filter(|&line| prompts[alive[line]] + step < whole[alive[line]].len()).collect();
            if kept.len() < alive.len() {
                cache.keep(&kept).unwrap();
                alive = kept.iter().map(|&line| alive[line]).collect();
            }
            if alive.is_empty() {
                break;
            }
            let next: Vec<[u32; 1]> = alive.iter().map(|&row| [whole[row][prompts[row] + step]]).collect();
            hidden = decoder.forward(&PackedRows::new(&next), &NoEdits, Some(&mut cache)).unwrap();
        }
    }
}

#[test]
fn misuse_is_an_error() {
    let (decoder, _) = tiny();
    let empty: [&[u32]; 2] = [&[1], &[]];
    assert!(decoder.forward(&PackedRows::new(&empty), &NoEdits, None).is_err());
    assert!(decoder.forward(&PackedRows::new::<&[u32]>(&[]), &NoEdits, None).is_err());
    assert!(decoder.forward(&PackedRows::new(&[[1, 9999]]), &NoEdits, None).is_err());
    let mut cache = Cache::new();
    decoder.forward(&PackedRows::new(&[[1, 2], [3, 4]]), &NoEdits, Some(&mut cache)).unwrap();
    assert!(decoder.forward(&PackedRows::new(&[[1]]), &NoEdits, Some(&mut cache)).is_err());
    assert!(decoder.forward(&PackedRows::new(&[[1, 2], [3, 4]]), &NoEdits, Some(&mut cache)).is_err());
    assert!(cache.keep(&[2]).is_err());
}

/// Half precision is close to f32, and a row's numbers do not depend on its companions there either.
#[test]
fn half_precisions_run() {
    let files = ModelFiles::folder(&crate::support::oracle("tiny-llama")).unwrap();
    let config = files.config().unwrap();
    let rows = rows(&[9, 4], 128);
    let expected = tiny().0.forward(&PackedRows::new(&rows), &NoEdits, None).unwrap();
    for (precision, tolerance) in [(Precision::F16, 5e-3), (Precision::Bf16, 4e-2)] {
        let decoder = Decoder::load(&files, &config, precision, &Device::Cpu).unwrap();
        let hidden = decoder.forward(&PackedRows::new(&rows), &NoEdits, None).unwrap();
        assert_eq!(hidden.dtype(), precision.dtype());
        assert_close(&hidden, &expected, tolerance);
        let mut cache = Cache::new();
        decoder.forward(&PackedRows::new(&[&rows[0][..8], &rows[1][..3]]), &NoEdits, Some(&mut cache)).unwrap();
        let step = PackedRows::new(&[&rows[0][8..], &rows[1][3..]]);
        let step = decoder.forward(&step, &NoEdits, Some(&mut cache)).unwrap();
        let last = Tensor::new(&[8u32, 12], &Device::Cpu).unwrap();
        assert_close(&step, &expected.index_select(&last, 0).unwrap(), tolerance);
    }
}
