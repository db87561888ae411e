//! The frozen operations that act on tokens one by one.

use super::Checks;
use super::ground::{Case, Ground, ONCE, PRODUCT, compare};
use crate::synthetic::numbers;
use candle_core::{Device, Result, Tensor};
use reftc::model::config::{Rope, RopeScaling};
use reftc::model::ops::linear::Linear;
use reftc::model::ops::rms_norm::RmsNorm;
use reftc::model::ops::rope::{Rotary, Turn};
use reftc::model::ops::{cross_entropy, residual, swiglu};

const EPSILON: f64 = 1e-5;

/// Tokens and widths: what fills blocks of threads and what does not.
fn sizes(tiny: bool) -> Vec<(usize, usize)> {
    let small = vec![(1, 7), (3, 31), (5, 64), (37, 576), (2, 1023)];
    if tiny { small } else { [small, vec![(1, 4096), (513, 576), (67, 4100)]].concat() }
}

pub fn check(checks: &mut Checks) {
    let seed = 100 * checks.seed;
    let sizes = sizes(checks.tiny);
    let input =
        |shape: &[usize], number: usize, scale: f64| numbers(shape, seed + number as u64).and_then(|x| x * scale);
    let cases = |make: &dyn Fn(usize, usize, usize) -> Result<Case>| -> Vec<Case> {
        let each = sizes.iter().enumerate().map(|(number, &(tokens, width))| make(number, tokens, width));
        // What cannot be drawn cannot be compared, and a check without cases fails.
        each.collect::<Result<_>>().unwrap_or_default()
    };
    compare(
        checks,
        "rms_norm",
        &cases(&|number, tokens, width| {
            norm(input(&[tokens, width], number, 2.0)?, input(&[width], 50 + number, 0.3)?, None)
        }),
        ONCE,
    );
    compare(
        checks,
        "rms_norm beside a branch",
        &cases(&|number, tokens, width| {
            let around = input(&[tokens, width], 55 + number, 1.0)?;
            norm(input(&[tokens, width], number, 2.0)?, input(&[width], 50 + number, 0.3)?, Some(around))
        }),
        ONCE,
    );
    compare(
        checks,
        "swiglu",
        &cases(&|number, tokens, width| {
            let input = input(&[tokens, 2 * width], number, 3.0)?;
            let at = format!("{:?}", input.dims());
            let (forward, backward) = (
                |_: &Ground, x: &Tensor| swiglu::forward(x),
                |_: &Ground, x: &Tensor, g: &Tensor| swiglu::backward(x, g),
            );
            Ok(Case { at, input, forward: Box::new(forward), backward: Box::new(backward) })
        }),
        ONCE,
    );
    compare(
        checks,
        "linear",
        &cases(&|number, tokens, width| {
            let outputs = 1 + width / 2;
            let weight = input(&[outputs, width], 60 + number, 1.0 / (width as f64).sqrt())?;
            linear(input(&[tokens, width], number, 1.0)?, weight, input(&[outputs], 70 + number, 0.5)?, number % 2 == 1)
        }),
        PRODUCT,
    );
    compare(
        checks,
        "residual",
        &cases(&|number, tokens, width| {
            sum(input(&[tokens, width], number, 1.0)?, input(&[tokens, width], 80 + number, 1.0)?)
        }),
        ONCE,
    );
    compare(
        checks,
        "cross_entropy",
        &cases(&|number, tokens, width| {
            let targets: Vec<u32> = (0..tokens).map(|token| ((token * 7919 + width - 1) % width) as u32).collect();
            losses(input(&[tokens, width], number, 4.0)?, targets)
        }),
        ONCE,
    );
    compare(checks, "rope", &rotations(seed).unwrap_or_default(), ONCE);
}

/// `around` is what comes back beside the branch that the norm begins.
fn norm(input: Tensor, offset: Tensor, around: Option<Tensor>) -> Result<Case> {
    let weight = (offset + 1.0)?;
    let norm = move |ground: &Ground| RmsNorm::new(&ground.place(&weight)?, EPSILON);
    let again = norm.clone();
    Ok(Case {
        at: format!("{:?}", input.dims()),
        input,
        forward: Box::new(move |ground, x| norm(ground)?.forward(x)),
        backward: Box::new(move |ground, x, g| match &around {
            Some(around) => again(ground)?.backward_beside(x, g, &ground.place(around)?),
            None => again(ground)?.backward(x, g),
        }),
    })
}

fn linear(input: Tensor, weight: Tensor, bias: Tensor, biased: bool) -> Result<Case> {
    let layer = move |ground: &Ground| {
        let bias = if biased { Some(ground.place(&bias)?) } else { None };
        Result::Ok(Linear::new(ground.place(&weight)?, bias))
    };
    let again = layer.clone();
    Ok(Case {
        at: format!("{:?}", input.dims()),
        input,
        forward: Box::new(move |ground, x| layer(ground)?.forward(x)),
        backward: Box::new(move |ground, _, g| again(ground)?.backward(g)),
    })
}

/// The sum has no backward of its own; that of two gradients is the same sum.
fn sum(input: Tensor, stream: Tensor) -> Result<Case> {
    let again = stream.clone();
    Ok(Case {
        at: format!("{:?}", input.dims()),
        input,
        // It may write over what it is given.
        forward: Box::new(move |ground, x| residual::add(x.copy()?, &ground.place(&stream)?)),
        backward: Box::new(move |ground, _, g| residual::add(g.copy()?, &ground.place(&again)?)),
    })
}

fn losses(input: Tensor, targets: Vec<u32>) -> Result<Case> {
    let targets = Tensor::new(targets, &Device::Cpu)?;
    let again = targets.clone();
    Ok(Case {
        at: format!("{:?}", input.dims()),
        input,
        forward: Box::new(move |ground, x| cross_entropy::losses(x.copy()?, &targets.to_device(&ground.device)?)),
        backward: Box::new(move |ground, x, g| {
            // On a GPU the gradient is written over the logits.
            let (_, gradient) = cross_entropy::losses_and_gradient(x.copy()?, &again.to_device(&ground.device)?)?;
            gradient.broadcast_mul(&g.to_dtype(gradient.dtype())?.unsqueeze(1)?)
        }),
    })
}

/// Heads of several widths, with keys behind them and values that stay as they are.
fn rotations(seed: u64) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let scaling = RopeScaling::Llama3 {
        factor: 8.0,
        low_frequency_factor: 1.0,
        high_frequency_factor: 4.0,
        original_context: 64,
    };
    for (number, (tokens, heads, rest, head_dim)) in
        [(1, 1, 0, 2), (21, 3, 1, 8), (37, 12, 3, 64), (5, 9, 9, 128), (130, 5, 2, 20)].into_iter().enumerate()
    {
        let scaling = if number % 2 == 0 { RopeScaling::None } else { scaling.clone() };
        let rope = Rope { theta: 1e4, scaling };
        let positions: Vec<usize> = (0..tokens).map(|token| (token * 37) % 2048).collect();
        let turn = move |ground: &Ground, x: &Tensor, turn: Turn| {
            let angles = Rotary::new(&rope, head_dim).angles(&positions, ground.dtype, &ground.device)?;
            angles.rotate(x, heads, turn)
        };
        let again = turn.clone();
        cases.push(Case {
            at: format!("{tokens} tokens, {heads} of {} heads of {head_dim}", heads + rest),
            input: numbers(&[tokens, (heads + rest) * head_dim], seed + number as u64)?,
            forward: Box::new(move |ground, x| turn(ground, x, Turn::Forward)),
            backward: Box::new(move |ground, _, g| again(ground, g, Turn::Backward)),
        });
    }
    Ok(cases)
}
