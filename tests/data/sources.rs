use proptest::prelude::*;
use reftc::data::source::{Format, Source, Step, select};

fn slice(start: Option<i64>, end: Option<i64>) -> Step {
    Step::Slice { start, end }
}

#[test]
fn slices_and_shuffles_apply_in_written_order() {
    let rows: [(&[Step], &[usize]); 9] = [
        (&[], &[0, 1, 2, 3, 4]),
        (&[slice(None, Some(2))], &[0, 1]),
        (&[slice(Some(3), None)], &[3, 4]),
        (&[slice(Some(-2), None)], &[3, 4]),
        (&[slice(None, Some(-2))], &[0, 1, 2]),
        (&[slice(Some(1), Some(-1))], &[1, 2, 3]),
        (&[slice(Some(4), Some(1))], &[]),
        (&[slice(Some(-100), Some(100))], &[0, 1, 2, 3, 4]),
        (&[slice(Some(1), None), slice(Some(1), None)], &[2, 3, 4]),
    ];
    for (steps, expected) in rows {
        assert_eq!(select(5, steps), expected, "{steps:?}");
    }
    let mut cut_after: Vec<usize> = select(12, &[Step::Shuffle { seed: 42 }]);
    cut_after.truncate(3);
    assert_eq!(select(12, &[Step::Shuffle { seed: 42 }, slice(None, Some(3))]), cut_after);
}

/// The order is part of what a spec means; these were computed by another implementation of ChaCha8 from the text of `shuffle`.
#[test]
fn shuffle_keeps_its_order_for_ever() {
    assert_eq!(select(12, &[Step::Shuffle { seed: 0 }]), ORDER_0);
    assert_eq!(select(12, &[Step::Shuffle { seed: 42 }]), ORDER_42);
}

const ORDER_0: [usize; 12] = [9, 7, 3, 4, 10, 5, 8, 0, 1, 11, 2, 6];
const ORDER_42: [usize; 12] = [4, 7, 0, 1, 3, 5, 8, 9, 6, 10, 2, 11];

proptest! {
    #[test]
    fn slices_are_those_of_python(rows in 0usize..20, start in prop::option::of(-25i64..25), end in prop::option::of(-25i64..25)) {
        let length = rows as i64;
        let place = |bound: i64| if bound < 0 { bound + length } else { bound };
        let inside = |row: &usize| {
            let row = *row as i64;
            start.is_none_or(|start| row >= place(start)) && end.is_none_or(|end| row < place(end))
        };
        let expected: Vec<usize> = (0..rows).filter(inside).collect();
        prop_assert_eq!(select(rows, &[slice(start, end)]), expected);
    }

    #[test]
    fn shuffles_are_permutations(rows in 0usize..200, seed: u64) {
        let mut order = select(rows, &[Step::Shuffle { seed }]);
        order.sort_unstable();
        prop_assert_eq!(order, (0..rows).collect::<Vec<_>>());
    }
}

#[test]
fn extreme_bounds_do_not_overflow() {
    assert_eq!(select(3, &[slice(Some(i64::MIN), Some(i64::MAX))]), [0, 1, 2]);
    assert_eq!(select(3, &[slice(Some(i64::MAX), Some(i64::MIN))]), [] as [usize; 0]);
}

#[test]
fn an_empty_split_names_the_step_that_emptied_it() {
    let steps = vec![Step::Shuffle { seed: 1 }, slice(Some(100), None)];
    let source = Source { steps, ..Source::file("train.json", Format::Json) };
    let diagnostic = source.nothing_left("train", 50);
    assert_eq!(
        diagnostic.to_string(),
        "E0404: `train` has no rows: `.shuffle(1)[100..]` leaves nothing of the 50 rows of `train.json`"
    );
    assert_eq!(source.nothing_left("train", 0).to_string(), "E0404: `train` has no rows: `train.json` is empty");
}
