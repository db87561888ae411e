//! Lines of constants, wherever they lie, on their way into one table or onto the host.

use crate::model::decoder::Decoder;
use crate::model::ops::rows::Selection;
use crate::store::frozen::ItemKind;
use candle_core::{DType, Device, Result, Tensor, WithDType, bail};
use rayon::prelude::*;
use std::ops::Range;

/// Numbers that one thread turns into bytes at a time.
const NUMBERS_PER_TASK: usize = 1 << 16;

/// Lines that follow each other.
#[derive(Clone, Debug)]
pub enum Lines<'a> {
    /// Some of the lines of a table on the device, `[lines, width]`.
    Table(Tensor, Range<usize>),
    /// Their bytes on the host.
    Host(&'a [u8]),
}

/// What lines of one kind look like.
#[derive(Clone, Debug)]
pub struct Form {
    /// Numbers of a line.
    pub width: usize,
    pub dtype: DType,
    pub device: Device,
}

impl Form {
    /// Lines of keys and values, or of states, of a decoder.
    pub fn of(decoder: &Decoder, kind: ItemKind) -> Self {
        let width = match kind {
            ItemKind::Keys => decoder.key_width(),
            ItemKind::States => decoder.config().hidden_size,
        };
        Self { width, dtype: decoder.dtype(), device: decoder.device().clone() }
    }

    /// The bytes of a line.
    pub fn bytes(&self) -> usize {
        self.width * self.dtype.size_in_bytes()
    }

    /// All parts in their order as one table, `[lines, width]`; `None` where there is no line.
    ///
    /// What is on the host goes up in one piece. What lies in one table in one run is a view of that table; else lines are copied once.
    pub fn table(&self, parts: &[Lines<'_>]) -> Result<Option<Tensor>> {
        let (mut on_host, mut uploaded) = (Vec::new(), 0);
        // Of each part its table, where `None` stands for the one to be uploaded, and its lines there.
        let mut runs: Vec<(Option<&Tensor>, Range<usize>)> = Vec::with_capacity(parts.len());
        for part in parts {
            let (table, lines) = match part {
                Lines::Table(table, lines) => (Some(table), lines.clone()),
                Lines::Host(bytes) => {
                    let first = uploaded;
                    uploaded += bytes.len() / self.bytes();
                    on_host.push(*bytes);
                    (None, first..uploaded)
                }
            };
            match runs.last_mut() {
                _ if lines.is_empty() => {}
                Some((last, run)) if run.end == lines.start && last.map(Tensor::id) == table.map(Tensor::id) => {
                    run.end = lines.end;
                }
                _ => runs.push((table, lines)),
            }
        }
        let host = self.upload(&on_host, uploaded)?;
        let table = |table: Option<&Tensor>| match (table, &host) {
            (Some(table), _) | (None, Some(table)) => Ok(table.clone()),
            (None, None) => bail!("lines of the host were not uploaded"),
        };
        let runs = runs.into_iter().map(|(of, lines)| Ok((table(of)?, lines)));
        joined(&runs.collect::<Result<Vec<_>>>()?)
    }

    fn upload(&self, parts: &[&[u8]], lines: usize) -> Result<Option<Tensor>> {
        let whole;
        let bytes = match parts {
            _ if lines == 0 => return Ok(None),
            [one] => one,
            _ => {
                whole = parts.concat();
                whole.as_slice()
            }
        };
        Tensor::from_raw_buffer(bytes, self.dtype, &[lines, self.width], &self.device).map(Some)
    }
}

/// The one table in which all of these lines lie, if there is one.
pub fn common_table<'a>(parts: impl IntoIterator<Item = &'a Lines<'a>>) -> Option<&'a Tensor> {
    let mut common: Option<&Tensor> = None;
    for part in parts {
        match part {
            Lines::Table(table, _) if common.is_none_or(|common| common.id() == table.id()) => common = Some(table),
            _ => return None,
        }
    }
    common
}

fn joined(runs: &[(Tensor, Range<usize>)]) -> Result<Option<Tensor>> {
    let Some((first, _)) = runs.first() else { return Ok(None) };
    if runs.len() > 1 && runs.iter().all(|(table, _)| table.id() == first.id()) {
        let lines = runs.iter().flat_map(|(_, lines)| lines.clone()).map(|line| line as u32);
        return Selection::new(lines.collect(), first.device())?.take_constant(first).map(Some);
    }
    let part = |(table, lines): &(Tensor, Range<usize>)| table.narrow(0, lines.start, lines.len());
    Tensor::cat(&runs.iter().map(part).collect::<Result<Vec<_>>>()?, 0).map(Some)
}

/// The bytes of some lines of a table, as they lie in memory: one copy, which waits for the device.
pub fn bytes(table: &Tensor, lines: Range<usize>) -> Result<Vec<u8>> {
    let mut part = table.narrow(0, lines.start, lines.len())?;
    if lines.len() < table.dim(0)? && !table.device().is_cpu() {
        // Reading a tensor reads all of its memory, that of lines beside it too.
        part = part.force_contiguous()?;
    }
    let flat = part.flatten_all()?;
    Ok(match table.dtype() {
        DType::F32 => raw(&flat.to_vec1()?, f32::to_ne_bytes),
        DType::F64 => raw(&flat.to_vec1()?, f64::to_ne_bytes),
        DType::F16 => raw(&flat.to_vec1()?, half::f16::to_ne_bytes),
        DType::BF16 => raw(&flat.to_vec1()?, half::bf16::to_ne_bytes),
        other => bail!("constants of a row cannot be kept as {other:?}"),
    })
}

fn raw<T: WithDType, const SIZE: usize>(values: &[T], to_bytes: fn(T) -> [u8; SIZE]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * SIZE];
    let tasks = bytes.par_chunks_mut(NUMBERS_PER_TASK * SIZE).zip(values.par_chunks(NUMBERS_PER_TASK));
    tasks.for_each(|(bytes, values)| {
        for (place, value) in bytes.chunks_exact_mut(SIZE).zip(values) {
            place.copy_from_slice(&to_bytes(*value));
        }
    });
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        Form { width: 2, dtype: DType::F32, device: Device::Cpu }
    }

    fn table(first: f32, lines: usize) -> Tensor {
        let values: Vec<f32> = (0..2 * lines).map(|place| first + place as f32).collect();
        Tensor::from_vec(values, (lines, 2), &Device::Cpu).unwrap()
    }

    #[test]
    fn lines_of_everywhere_become_one_table() {
        let (a, b) = (table(0.0, 4), table(100.0, 3));
        let host = [7f32, 8.0, 9.0, 10.0].iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<_>>();
        let made = |parts: &[Lines<'_>]| form().table(parts).unwrap().map(|made| made.to_vec2::<f32>().unwrap());
        let of = |table: &Tensor, lines| Lines::Table(table.clone(), lines);
        assert_eq!(made(&[]), None);
        assert_eq!(made(&[of(&a, 2..2), Lines::Host(&[])]), None);
        assert_eq!(made(&[of(&a, 1..2), of(&a, 2..3)]).unwrap(), [[2.0, 3.0], [4.0, 5.0]]);
        assert_eq!(made(&[of(&a, 3..4), of(&a, 0..1)]).unwrap(), [[6.0, 7.0], [0.0, 1.0]]);
        let mixed = made(&[of(&b, 2..3), Lines::Host(&host[..8]), of(&a, 0..1), Lines::Host(&host[8..])]).unwrap();
        assert_eq!(mixed, [[104.0, 105.0], [7.0, 8.0], [0.0, 1.0], [9.0, 10.0]]);
        assert_eq!(made(&[Lines::Host(&host[..8]), Lines::Host(&host[8..])]).unwrap(), [[7.0, 8.0], [9.0, 10.0]]);
        assert_eq!(bytes(&form().table(&[Lines::Host(&host)]).unwrap().unwrap(), 1..2).unwrap(), host[8..]);
    }

    #[test]
    fn neighbours_in_one_table_are_not_copied() {
        let a = table(0.0, 4);
        let parts = [Lines::Table(a.clone(), 1..2), Lines::Table(a.clone(), 2..4)];
        let made = form().table(&parts).unwrap().unwrap();
        assert_eq!((made.dims(), made.layout().start_offset()), (&[3, 2][..], 2));
        assert_eq!(common_table(&parts).map(Tensor::id), Some(a.id()));
        assert!(common_table(&[Lines::Table(a, 0..1), Lines::Host(&[0; 8])]).is_none());
    }
}
