//! A row gives the same numbers alone and in any batch, at once and token by token.

use crate::support::{assert_close, forward, read, rows, step, tiny};
use candle_core::{Device, Tensor};
use reftc::model::config::{ModelConfig, Precision};
use reftc::model::{Decoder, ModelFiles, NoEdits};

fn windowed() -> Decoder {
    let files = ModelFiles::folder(&crate::support::oracle("tiny-llama")).unwrap();
    let config = ModelConfig { sliding_window: Some(3), ..files.config().unwrap() };
    Decoder::load(&files, &config, Precision::F32, &Device::Cpu).unwrap()
}

#[test]
fn a_row_does_not_see_its_companions() {
    for decoder in [tiny().0, windowed()] {
        let rows = rows(&[9, 1, 30, 4, 17], 128);
        let together = forward(&decoder, &rows, &NoEdits);
        let mut start = 0;
        for tokens in &rows {
            let alone = forward(&decoder, &[tokens], &NoEdits);
            assert_close(&together.narrow(0, start, tokens.len()).unwrap(), &alone, 1e-5);
            start += tokens.len();
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
        let starts: Vec<&[u32]> = whole.iter().zip(prompts).map(|(row, length)| &row[..length]).collect();
        let (mut hidden, mut cache) = read(&decoder, &starts);
        let expected: Vec<Tensor> = whole.iter().map(|row| forward(&decoder, &[row], &NoEdits)).collect();
        for number in 0.. {
            for (line, &row) in alive.iter().enumerate() {
                let expected = expected[row].get(prompts[row] + number - 1).unwrap();
                assert_close(&hidden.get(line).unwrap(), &expected, 1e-5);
            }
            let kept: Vec<usize> =
                (0..alive.len()).filter(|&line| prompts[alive[line]] + number < whole[alive[line]].len()).collect();
            if kept.len() < alive.len() {
                cache.keep(&kept);
                alive = kept.iter().map(|&line| alive[line]).collect();
            }
            if alive.is_empty() {
                break;
            }
            let next: Vec<u32> = alive.iter().map(|&row| whole[row][prompts[row] + number]).collect();
            hidden = step(&decoder, &next, &mut cache);
        }
    }
}

#[test]
fn misuse_is_an_error() {
    let (decoder, _) = tiny();
    let empty: [&[u32]; 2] = [&[1], &[]];
    assert!(decoder.whole_pass(&empty).is_err());
    assert!(decoder.whole_pass::<&[u32]>(&[]).is_err());
    let strange = decoder.whole_pass(&[[1, 9999]]).unwrap();
    assert!(decoder.run(&strange, &NoEdits, None).is_err());
    let (_, cache) = read(&decoder, &[&[1, 2], &[3, 4]]);
    assert!(decoder.decoding_pass(&[1], &cache).is_err());
}

/// Half precision is close to f32, and a row's numbers do not depend on its companions there either.
#[test]
fn half_precisions_run() {
    let files = ModelFiles::folder(&crate::support::oracle("tiny-llama")).unwrap();
    let config = files.config().unwrap();
    let rows = rows(&[9, 4], 128);
    let expected = forward(&tiny().0, &rows, &NoEdits);
    for (precision, tolerance) in [(Precision::F16, 5e-3), (Precision::Bf16, 4e-2)] {
        let decoder = Decoder::load(&files, &config, precision, &Device::Cpu).unwrap();
        let hidden = forward(&decoder, &rows, &NoEdits);
        assert_eq!(hidden.dtype(), precision.dtype());
        assert_close(&hidden, &expected, tolerance);
        let (_, mut cache) = read(&decoder, &[&rows[0][..8], &rows[1][..3]]);
        let hidden = step(&decoder, &[rows[0][8], rows[1][3]], &mut cache);
        let last = Tensor::new(&[8u32, 12], &Device::Cpu).unwrap();
        assert_close(&hidden, &expected.index_select(&last, 0).unwrap(), tolerance);
    }
}
