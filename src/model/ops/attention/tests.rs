//! Attention four ways: one query after another in f64, our kernels, the tensor operations, and autograd through the former.

use super::{Attention, Rows};
use crate::model::branch::{Branch, Run, Source};
use crate::model::ops::tests::{assert_close, check, numbers};
use candle_core::{D, DType, Device, Result, Tensor, Var};

fn fresh(start: usize, length: usize, position: usize) -> Run {
    Run { source: Source::Fresh, start, length, position }
}

fn past(start: usize, length: usize, position: usize) -> Run {
    Run { source: Source::Past, start, length, position }
}

struct Layout {
    name: &'static str,
    branches: Vec<Branch>,
    fresh: usize,
    past: usize,
}

fn layouts() -> Vec<Layout> {
    let branch = |queries: &[Run], keys: &[Run]| Branch { queries: queries.to_vec(), keys: keys.to_vec() };
    let own = |run| branch(&[run], &[run]);
    let decoding =
        |row, start, length| branch(&[fresh(row, 1, length)], &[past(start, length, 0), fresh(row, 1, length)]);
    let shared = fresh(0, 7, 0);
    let child = |start, length| branch(&[fresh(start, length, 7)], &[shared, fresh(start, length, 7)]);
    let layout = |name, branches, fresh, past| Layout { name, branches, fresh, past };
    vec![
        layout("rows", vec![own(fresh(0, 9, 0)), own(fresh(9, 1, 0)), own(fresh(10, 20, 0))], 30, 0),
        layout("a past", vec![branch(&[fresh(0, 8, 5)], &[past(3, 5, 0), fresh(0, 8, 5)]), own(fresh(8, 6, 0))], 14, 9),
        layout("decoding", vec![decoding(0, 11, 9), decoding(1, 0, 1), decoding(2, 1, 10)], 3, 20),
        layout("a shared beginning", vec![own(shared), child(7, 6), child(13, 1), child(14, 9)], 23, 0),
        layout(
            "constants between",
            vec![branch(
                &[fresh(2, 3, 0), fresh(5, 6, 12)],
                &[fresh(2, 3, 0), past(4, 9, 3), fresh(5, 6, 12), past(0, 2, 18)],
            )],
            12,
            13,
        ),
        layout(
            "some ask",
            vec![branch(&[fresh(3, 2, 3), fresh(8, 7, 8)], &[fresh(0, 16, 0)]), branch(&[], &[])],
            16,
            0,
        ),
        layout("apart", vec![branch(&[fresh(9, 6, 4)], &[fresh(2, 4, 0), fresh(9, 6, 4)]), own(fresh(0, 2, 0))], 15, 1),
        layout("a gap", vec![branch(&[fresh(0, 6, 9)], &[past(0, 2, 0), past(2, 3, 4), fresh(0, 6, 9)])], 6, 5),
    ]
}

fn shape(window: Option<usize>) -> Attention {
    Attention { heads: 6, key_value_heads: 2, head_dim: 8, window }
}

impl Layout {
    fn rows(&self, attention: &Attention, dtype: DType) -> Rows {
        let (branches, window) = (self.branches.clone(), attention.window);
        Rows::new(branches, self.fresh, self.past, window, dtype, &Device::Cpu).unwrap()
    }

    fn projected(&self, attention: &Attention) -> Tensor {
        (numbers(&[self.fresh, attention.width()], 9) * 2.0).unwrap()
    }

    fn table(&self, attention: &Attention) -> Option<Tensor> {
        (self.past > 0).then(|| (numbers(&[self.past, attention.line_width()], 10) * 2.0).unwrap())
    }
}

/// Every layout under some windows.
fn each(work: impl Fn(&Layout, &Attention)) {
    for layout in layouts() {
        for window in [None, Some(1), Some(4)] {
            work(&layout, &shape(window));
        }
    }
}

/// One query after another, by the definition.
fn naive(attention: &Attention, projected: &Tensor, past: Option<&Tensor>, branches: &[Branch]) -> Tensor {
    let projected: Vec<Vec<f64>> = projected.to_vec2().unwrap();
    let past: Vec<Vec<f64>> = past.map(|past| past.to_vec2().unwrap()).unwrap_or_default();
    let Attention { heads, key_value_heads, head_dim, window } = *attention;
    let head = |line: &[f64], head: usize| line[head * head_dim..(head + 1) * head_dim].to_vec();
    let mut output = Vec::new();
    for branch in branches {
        for (line, position) in
            branch.queries.iter().flat_map(|run| (0..run.length).map(|i| (run.start + i, run.position + i)))
        {
            for query_head in 0..heads {
                let query = head(&projected[line], query_head);
                let key_head = query_head / (heads / key_value_heads);
                let mut seen = Vec::new();
                for (run, i) in branch.keys.iter().flat_map(|run| (0..run.length).map(move |i| (run, i))) {
                    let at = run.position + i;
                    if at > position || window.is_some_and(|window| at + window <= position) {
                        continue;
                    }
                    let line = match run.source {
                        Source::Fresh => projected[run.start + i][heads * head_dim..].to_vec(),
                        Source::Past => past[run.start + i].clone(),
                    };
                    let key = head(&line, key_head);
                    let score: f64 = query.iter().zip(&key).map(|(q, k)| q * k).sum();
                    seen.push(((score / (head_dim as f64).sqrt()).exp(), head(&line, key_value_heads + key_head)));
                }
                let sum: f64 = seen.iter().map(|(power, _)| power).sum();
                output.extend(
                    (0..head_dim).map(|i| seen.iter().map(|(power, value)| power / sum * value[i]).sum::<f64>()),
                );
            }
        }
    }
    let width = heads * head_dim;
    Tensor::from_vec(output.clone(), (output.len() / width, width), &Device::Cpu).unwrap()
}

#[test]
fn the_answers_are_those_of_the_definition() {
    each(|layout, attention| {
        let (projected, past) = (layout.projected(attention), layout.table(attention));
        let expected = naive(attention, &projected, past.as_ref(), &layout.branches);
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-6), (DType::BF16, 6e-2)] {
            let cast = |tensor: &Tensor| tensor.to_dtype(dtype).unwrap();
            let rows = layout.rows(attention, dtype);
            let output = attention.forward(&cast(&projected), past.as_ref().map(cast).as_ref(), &rows).unwrap();
            assert_close(&output, &expected, tolerance);
        }
    });
}

#[test]
fn gradients_are_those_of_differences() {
    each(|layout, attention| {
        let past = layout.table(attention);
        let past = |dtype| past.as_ref().map(|past| past.to_dtype(dtype).unwrap());
        check(
            &layout.projected(attention),
            |dtype, x| attention.forward(x, past(dtype).as_ref(), &layout.rows(attention, dtype)),
            |dtype, x, g| attention.backward(x, past(dtype).as_ref(), &layout.rows(attention, dtype), g),
        );
    });
}

/// The definition in recorded tensor operations.
fn composite(attention: &Attention, projected: &Tensor, past: Option<&Tensor>, branches: &[Branch]) -> Result<Tensor> {
    let Attention { heads, key_value_heads, head_dim, window } = *attention;
    let table = projected.narrow(1, heads * head_dim, attention.line_width())?;
    let mut output = Vec::new();
    for branch in branches.iter().filter(|branch| !branch.queries.is_empty()) {
        let runs = |runs: &[Run], table: &Tensor| {
            let lines = runs.iter().map(|run| match (run.source, past) {
                (Source::Past, Some(past)) => past.narrow(0, run.start, run.length),
                _ => table.narrow(0, run.start, run.length),
            });
            Tensor::cat(&lines.collect::<Result<Vec<_>>>()?, 0)
        };
        let places = |runs: &[Run]| runs.iter().flat_map(|run| run.position..run.end()).collect::<Vec<_>>();
        let (queries, keys) =
            (runs(&branch.queries, &projected.narrow(1, 0, heads * head_dim)?)?, runs(&branch.keys, &table)?);
        let (asking, answering) = (places(&branch.queries), places(&branch.keys));
        let seen = |query: usize, key: usize| key <= query && window.is_none_or(|window| key + window > query);
        let mask = asking.iter().flat_map(|&query| {
            answering.iter().map(move |&key| if seen(query, key) { 0.0 } else { f64::NEG_INFINITY })
        });
        let mask = Tensor::from_vec(mask.collect::<Vec<f64>>(), (asking.len(), answering.len()), &Device::Cpu)?;
        let mut mixed = Vec::new();
        for head in 0..heads {
            let key_head = head / (heads / key_value_heads);
            let query = queries.narrow(1, head * head_dim, head_dim)?;
            let key = keys.narrow(1, key_head * head_dim, head_dim)?;
            let value = keys.narrow(1, (key_value_heads + key_head) * head_dim, head_dim)?.contiguous()?;
            let scores = ((query.contiguous()?.matmul(&key.t()?.contiguous()?)? * attention.scale())? + &mask)?;
            let powers = scores.exp()?;
            mixed.push(powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?.matmul(&value)?);
        }
        output.push(Tensor::cat(&mixed, 1)?);
    }
    Tensor::cat(&output, 0)
}

#[test]
fn gradients_are_those_of_autograd() {
    each(|layout, attention| {
        let (projected, past) = (Var::from_tensor(&layout.projected(attention)).unwrap(), layout.table(attention));
        let output = composite(attention, &projected, past.as_ref(), &layout.branches).unwrap();
        let gradient = numbers(output.dims(), 11);
        let gradients = (output * &gradient).unwrap().sum_all().unwrap().backward().unwrap();
        let expected = gradients.get(&projected).unwrap();
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 3e-6)] {
            let cast = |tensor: &Tensor| tensor.to_dtype(dtype).unwrap();
            let rows = layout.rows(attention, dtype);
            let projected = cast(&projected.as_detached_tensor());
            let computed = attention.backward(&projected, past.as_ref().map(cast).as_ref(), &rows, &cast(&gradient));
            assert_close(&computed.unwrap(), expected, tolerance);
        }
    });
}

/// Sums over shared keys and the work of lanes do not depend on who does it, nor a branch on its companions.
#[test]
fn bits_depend_neither_on_threads_nor_on_companions() {
    let attention = shape(None);
    let bits = |tensor: Tensor| -> Vec<u32> {
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
    };
    for layout in layouts() {
        let cast = |tensor: Tensor| tensor.to_dtype(DType::F32).unwrap();
        let (projected, past) = (cast(layout.projected(&attention)), layout.table(&attention).map(cast));
        let run = |threads| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let rows = layout.rows(&attention, DType::F32);
                let output = attention.forward(&projected, past.as_ref(), &rows).unwrap();
                let gradient = attention.backward(&projected, past.as_ref(), &rows, &output).unwrap();
                (bits(output), bits(gradient))
            })
        };
        let (output, gradient) = run(1);
        assert_eq!((output.clone(), gradient), run(3), "{}", layout.name);
        let alone = layout.branches.iter().flat_map(|branch| {
            let rows =
                Rows::new(vec![branch.clone()], layout.fresh, layout.past, None, DType::F32, &Device::Cpu).unwrap();
            bits(attention.forward(&projected, past.as_ref(), &rows).unwrap())
        });
        assert_eq!(output, alone.collect::<Vec<_>>(), "{}", layout.name);
    }
}

#[test]
fn runs_that_make_no_sense_are_refused() {
    let refused = |queries: &[Run], keys: &[Run]| {
        let branch = Branch { queries: queries.to_vec(), keys: keys.to_vec() };
        Rows::new(vec![branch], 8, 4, None, DType::F32, &Device::Cpu).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(&[fresh(0, 9, 0)], &[fresh(0, 9, 0)]).contains("outside"));
    assert!(refused(&[fresh(0, 8, 3)], &[past(2, 3, 0), fresh(0, 8, 3)]).contains("outside"));
    assert!(refused(&[past(0, 1, 0)], &[past(0, 1, 0)]).contains("cannot ask"));
    assert!(refused(&[fresh(0, 2, 0)], &[fresh(0, 2, 0), past(0, 2, 1)]).contains("order"));
    assert!(refused(&[fresh(4, 2, 2)], &[fresh(0, 4, 0)]).contains("own key"));
    let attention = shape(None);
    let rows = Rows::new(Vec::new(), 8, 4, None, DType::F32, &Device::Cpu).unwrap();
    let projected = numbers(&[8, attention.width()], 12).to_dtype(DType::F32).unwrap();
    assert!(attention.forward(&projected, None, &rows).unwrap_err().to_string().contains("4 earlier lines"));
    assert!(attention.forward(&projected.narrow(0, 0, 7).unwrap(), None, &rows).is_err());
}
