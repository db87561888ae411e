//! The map X ↦ R and its gradient by kernels, in f64 as [`super::super::reflections`], for rotations of one shape.
//!
//! With V the vectors and s the scales of the reflections under the diagonal of X, Q = H₁…H_r E is worked out column by column, each
//! from the last reflection that moves it to the first. A_ci is the product of v_i with column c just before H_i acts on it; so
//! column c of Z_i = H_{i+1}…H_r E is e_c − Σ_{k>i} s_k A_ck v_k. In the same way the gradient G of Q passes through H₁, H₂, …, with B_ci for
//! A_ci. Put into the gradient of [`super::super::reflections::rotation_gradient`], what is left are products of small matrices: the
//! gradient of V is V·W − (G·A + E·B)·diag(s), with W_ki = s_k s_i Σ_c A_c,max(k,i) B_c,min(k,i).

use crate::intervention::orthogonal::Rotation;
use crate::intervention::reflections::Base;
use crate::model::kernels::{self, Launch, uninitialized};
use candle_core::{DType, Device, Result, Tensor, bail};

/// Longer columns do not fit into the shared memory of every card.
const LONGEST: usize = 12 << 10;

/// Rows that a block of the last kernel takes.
const ROWS: usize = 128;

/// A base as kernels read it, f64: vectors `[rank, hidden]`, then scales, then signs; `None` where kernels do not serve it.
pub fn base_for_kernels(base: &Base, device: &Device) -> Result<Option<Tensor>> {
    let Base::Factored { reflections, signs } = base else { return Ok(None) };
    let fits = reflections.vectors.first().is_some_and(|vector| vector.len() <= LONGEST);
    if !kernels::serve(device, DType::F32) || !fits {
        return Ok(None);
    }
    let parts = reflections.vectors.iter().flatten().chain(&reflections.scales).chain(signs);
    Tensor::from_iter(parts.copied(), device).map(Some)
}

/// As [`super::turn`].
pub fn turn(rotations: &[&Rotation]) -> Result<()> {
    let group = Group::of(rotations)?;
    let reflections = group.reflections()?;
    let products = group.products()?;
    let launch =
        group.for_each_column("rotation_forward")?.tensor(&reflections.vectors)?.tensor(&reflections.scales)?;
    let launch =
        launch.tensors(group.bases())?.tensors(rotations.iter().map(|rotation| rotation.directions().as_tensor()))?;
    launch.tensor(&products)?.number(group.hidden)?.number(group.rank)?.run()
}

/// As [`super::pull_back`].
pub fn pull_back(members: &[(&Rotation, &Tensor)]) -> Result<Vec<Tensor>> {
    let rotations: Vec<&Rotation> = members.iter().map(|(rotation, _)| *rotation).collect();
    let gradients: Vec<Tensor> = members.iter().map(|(_, gradient)| gradient.contiguous()).collect::<Result<_>>()?;
    let group = Group::of(&rotations)?;
    let Group { hidden, rank, device, .. } = group;
    let units = rotations.len();
    let Reflections { vectors, scales } = &group.reflections()?;
    let [forward, backward, mixed] = &[group.products()?, group.products()?, group.products()?];
    let carried = &uninitialized((units, rank, hidden), DType::F64, device)?;
    let output = uninitialized((units, hidden, rank), DType::F32, device)?;

    let launch = group.for_each_column("rotation_forward")?.tensor(vectors)?.tensor(scales)?.tensors(group.bases())?;
    launch.optional(None)?.tensor(forward)?.number(hidden)?.number(rank)?.run()?;
    let launch = group.for_each_column("rotation_carry")?.tensors(&gradients)?.tensor(vectors)?.tensor(scales)?;
    let launch = launch.tensors(group.bases())?.tensor(carried)?.tensor(backward)?;
    launch.number(hidden)?.number(rank)?.run()?;
    let launch =
        Launch::new("rotation_mix", &output)?.grid([rank, units, 1]).threads(rank.next_multiple_of(32).min(256));
    launch.tensor(scales)?.tensor(forward)?.tensor(backward)?.tensor(mixed)?.number(rank)?.run()?;
    let launch = Launch::new("rotation_backward", &output)?.grid([hidden.div_ceil(ROWS), units, 1]).threads(ROWS);
    let launch = launch.tensor(vectors)?.tensor(scales)?.tensor(carried)?.tensor(forward)?.tensor(backward)?;
    launch.tensor(mixed)?.tensor(&output)?.number(hidden)?.number(rank)?.run()?;
    (0..units).map(|unit| output.get(unit)).collect()
}

/// Rotations of one shape on one device.
struct Group<'a> {
    rotations: &'a [&'a Rotation],
    hidden: usize,
    rank: usize,
    device: &'a Device,
}

/// The reflections under the diagonals of all X.
struct Reflections {
    /// `[units, rank, hidden]`, f32
    vectors: Tensor,
    /// For each unit the scale of each reflection, then the sign of each entry of the diagonal: `[units, 2, rank]`, f64.
    scales: Tensor,
}

impl<'a> Group<'a> {
    fn of(rotations: &'a [&'a Rotation]) -> Result<Self> {
        let Some(first) = rotations.first() else { bail!("there is no rotation to turn") };
        let (hidden, rank) = first.original().dims2()?;
        Ok(Self { rotations, hidden, rank, device: first.original().device() })
    }

    fn reflections(&self) -> Result<Reflections> {
        let units = self.rotations.len();
        let vectors = uninitialized((units, self.rank, self.hidden), DType::F32, self.device)?;
        let scales = uninitialized((units, 2, self.rank), DType::F64, self.device)?;
        let launch = self.for_each_column("rotation_vectors")?;
        let launch = launch.tensors(self.rotations.iter().map(|rotation| rotation.original().as_tensor()))?;
        launch.tensor(&vectors)?.tensor(&scales)?.number(self.hidden)?.number(self.rank)?.run()?;
        Ok(Reflections { vectors, scales })
    }

    /// One block for each column of each unit, with room for the column.
    fn for_each_column(&self, kernel: &str) -> Result<Launch<'a>> {
        let launch = Launch::new(kernel, self.rotations[0].original())?.grid([self.rank, self.rotations.len(), 1]);
        let threads = self.hidden.div_ceil(4).next_multiple_of(32).min(512);
        Ok(launch.threads(threads).shared(self.hidden * size_of::<f64>()))
    }

    /// Room for products of columns with vectors, `[units, rank, rank]`.
    fn products(&self) -> Result<Tensor> {
        uninitialized((self.rotations.len(), self.rank, self.rank), DType::F64, self.device)
    }

    fn bases(&self) -> impl Iterator<Item = &'a Tensor> {
        self.rotations.iter().filter_map(|rotation| rotation.base_on_device())
    }
}
