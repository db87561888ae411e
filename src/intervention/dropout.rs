//! Masks of dropout: made where they are used, the same everywhere.

use super::random::{Key, Purpose};
use crate::model::kernels::{self, Launch, uninitialized};
use candle_core::{DType, Device, Result, Tensor, bail};
use rand_chacha::rand_core::RngCore;

/// Factors of one thread of the kernel: what one block of ChaCha gives.
const BLOCK: usize = 16;

/// What the masks of dropout are keyed by; evaluation has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropout {
    pub seed: u64,
    pub epoch: usize,
}

/// Where a mask acts.
#[derive(Clone, Copy, Debug)]
pub struct Masked<'a> {
    /// The number of the unit's place.
    pub site: u64,
    /// The share of coordinates that is dropped.
    pub share: f64,
    /// For each token its row and its position in it.
    pub tokens: &'a [(usize, usize)],
    /// Coordinates of a state.
    pub hidden: usize,
}

impl Dropout {
    /// Factors of inverted dropout, `[tokens, hidden]` in f32: 0 with the probability `share`, else 1/(1 − share).
    pub fn mask(self, masked: Masked<'_>, device: &Device) -> Result<Tensor> {
        if kernels::serve(device, DType::F32) { self.by_kernel(masked, device) } else { self.on_host(masked, device) }
    }

    fn key(self, site: u64, row: usize, position: usize) -> Key {
        Key { seed: self.seed, purpose: Purpose::Dropout, epoch: self.epoch, row, site, position }
    }

    fn on_host(self, masked: Masked<'_>, device: &Device) -> Result<Tensor> {
        let Masked { site, tokens, hidden, .. } = masked;
        let (threshold, kept) = masked.factors();
        let mut mask = Vec::with_capacity(tokens.len() * hidden);
        for &(row, position) in tokens {
            let mut stream = self.key(site, row, position).stream();
            mask.extend((0..hidden).map(|_| if u64::from(stream.next_u32()) < threshold { 0.0 } else { kept }));
        }
        Tensor::from_vec(mask, (tokens.len(), hidden), device)
    }

    fn by_kernel(self, masked: Masked<'_>, device: &Device) -> Result<Tensor> {
        let Masked { site, tokens, hidden, .. } = masked;
        let (threshold, kept) = masked.factors();
        let mut numbers = Vec::with_capacity(2 * tokens.len());
        for &(row, position) in tokens {
            match (u32::try_from(row), u32::try_from(position)) {
                (Ok(row), Ok(position)) => numbers.extend([row, position]),
                _ => bail!("row {row} or its position {position} is beyond what a mask can be made for"),
            }
        }
        let numbers = Tensor::from_vec(numbers, (tokens.len(), 2), device)?;
        let mask = uninitialized((tokens.len(), hidden), DType::F32, device)?;
        let launch = Launch::new("dropout_mask", &mask)?.thread_for_each_pack(tokens.len(), hidden.div_ceil(BLOCK));
        let launch = launch.tensor(&numbers)?.tensor(&mask)?.number(hidden)?;
        let key = self.key(site, 0, 0);
        launch.long(key.seed).long(key.purpose_and_epoch()).long(site).long(threshold).real(kept.into()).run()?;
        Ok(mask)
    }
}

impl Masked<'_> {
    /// Draws of 32 bits below the first number drop a coordinate; else it is multiplied with the second.
    fn factors(&self) -> (u64, f32) {
        let threshold = (self.share * (u64::from(u32::MAX) + 1) as f64) as u64;
        (threshold, (1.0 / (1.0 - self.share)) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DROPOUT: Dropout = Dropout { seed: 7 << 40 | 3, epoch: 2 };

    fn numbers(mask: &Tensor) -> Vec<f32> {
        mask.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn it_drops_its_share_and_keeps_the_mean() {
        let masked = Masked { site: 5, share: 0.25, tokens: &[(3, 2)], hidden: 40_000 };
        let mask = numbers(&DROPOUT.mask(masked, &Device::Cpu).unwrap());
        let mean = mask.iter().sum::<f32>() / 40_000.0;
        let dropped = mask.iter().filter(|factor| **factor == 0.0).count() as f64 / 40_000.0;
        assert!((mean - 1.0).abs() < 0.02 && (dropped - 0.25).abs() < 0.01, "{mean} {dropped}");
    }

    #[test]
    fn a_mask_is_the_same_wherever_it_is_made() {
        for hidden in [1, 16, 33, 5000] {
            let tokens = [(0, 0), (3, 2), (70_000, 513), (3, 2)];
            let masked = Masked { site: 5 << 32 | 1 << 30 | 2, share: 0.3, tokens: &tokens, hidden };
            let made = numbers(&DROPOUT.mask(masked, &Device::Cpu).unwrap());
            assert_eq!(made, numbers(&DROPOUT.on_host(masked, &Device::Cpu).unwrap()), "{hidden}");
        }
    }

    #[test]
    fn the_numbers_are_those_of_earlier_versions() {
        let masked = Masked { site: 5, share: 0.5, tokens: &[(3, 2)], hidden: 20 };
        let kept: String = numbers(&DROPOUT.mask(masked, &Device::Cpu).unwrap())
            .iter()
            .map(|factor| if *factor == 0.0 { '.' } else { '2' })
            .collect();
        assert_eq!(kept, "22.2.2222.22.222....");
    }
}
