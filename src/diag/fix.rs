//! Putting fixes into a text, in rounds: what one fix mends may bring the next mistake to light.

use super::{Diagnostic, Fix, Severity};
use crate::source::FileId;

/// More rounds than any text has needed; an end, should two fixes ever undo each other.
const ROUNDS: usize = 20;

/// A text after its fixes.
#[derive(Clone, Debug, PartialEq)]
pub struct Mended {
    pub text: String,
    /// How many findings were fixed.
    pub fixed: usize,
    /// What is still found in `text`.
    pub left: Vec<Diagnostic>,
}

/// Applies the fixes of `file` until none is left; `find` gives the findings for a text.
///
/// Fixes that overlap wait for the next round. A text with more errors than the first one had is never taken: where all fixes of
/// a round would lead to one, the first fix that alone does not is applied.
pub fn mend(text: &str, file: FileId, mut find: impl FnMut(&str) -> Vec<Diagnostic>) -> Mended {
    let mut mended = Mended { text: text.to_owned(), fixed: 0, left: find(text) };
    let limit = errors(&mended.left);
    for _ in 0..ROUNDS {
        let round = apart(&mended.left, file);
        let together = std::iter::once(round.clone());
        let alone = round.iter().filter(|_| round.len() > 1).map(|one| vec![one.clone()]);
        let next = together.chain(alone).filter(|fixes| !fixes.is_empty()).find_map(|fixes| {
            let text = applied(&mended.text, &fixes)?;
            let left = find(&text);
            let fixed = mended.fixed + fixes.iter().map(|planned| planned.findings).sum::<usize>();
            (errors(&left) <= limit).then_some(Mended { text, fixed, left })
        });
        match next {
            Some(next) => mended = next,
            None => break,
        }
    }
    mended
}

/// A fix and the number of findings that ask for it.
#[derive(Clone)]
struct Planned<'d> {
    fix: &'d Fix,
    findings: usize,
}

/// The fixes that can be applied at once, in the order of their places: of two that touch the same text, the first.
fn apart(found: &[Diagnostic], file: FileId) -> Vec<Planned<'_>> {
    let mut fixes: Vec<&Fix> = found.iter().filter_map(|finding| finding.fix.as_ref()).collect();
    fixes.retain(|fix| fix.span.file == file);
    fixes.sort_by_key(|fix| fix.span);
    let mut round: Vec<Planned> = Vec::new();
    for fix in fixes {
        match round.last_mut() {
            Some(last) if last.fix == fix => last.findings += 1,
            Some(last) if fix.span.start < last.fix.span.end || fix.span.start == last.fix.span.start => {}
            _ => round.push(Planned { fix, findings: 1 }),
        }
    }
    round
}

/// The text with the fixes put in; `None` where that changes nothing, or a place is not one of the text's.
fn applied(text: &str, fixes: &[Planned]) -> Option<String> {
    let mut result = text.to_owned();
    for Planned { fix, .. } in fixes.iter().rev() {
        text.get(fix.span.range())?;
        result.replace_range(fix.span.range(), &fix.replacement);
    }
    (result != text).then_some(result)
}

fn errors(found: &[Diagnostic]) -> usize {
    found.iter().filter(|finding| finding.severity == Severity::Error).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;
    use crate::source::Span;

    const FILE: FileId = FileId(0);

    fn finding(start: usize, end: usize, replacement: &str) -> Diagnostic {
        let span = Span::new(FILE, start, end);
        Diagnostic::at(Code::UnknownName, span, "a name", "here").fix(span, replacement)
    }

    /// A finding for each `a`, fixed by `b`.
    fn letters(text: &str) -> Vec<Diagnostic> {
        text.match_indices('a').map(|(at, _)| finding(at, at + 1, "b")).collect()
    }

    #[test]
    fn every_finding_is_counted() {
        let mended = mend("a ca", FILE, letters);
        assert_eq!((mended.text.as_str(), mended.fixed, mended.left.len()), ("b cb", 2, 0));
    }

    #[test]
    fn overlapping_fixes_wait_for_the_next_round() {
        let mut rounds = 0;
        let mended = mend("xyz", FILE, |text| {
            rounds += 1;
            match text {
                "xyz" => vec![finding(1, 3, "Y"), finding(0, 2, "X")],
                "Xz" => vec![finding(1, 2, "Z")],
                _ => vec![],
            }
        });
        assert_eq!((mended.text.as_str(), mended.fixed, rounds), ("XZ", 2, 3));
    }

    #[test]
    fn the_same_fix_asked_for_twice_is_put_in_once() {
        let twice = |text: &str| letters(text).into_iter().flat_map(|found| [found.clone(), found]).collect();
        let mended = mend("a", FILE, twice);
        assert_eq!((mended.text.as_str(), mended.fixed), ("b", 2));
    }

    #[test]
    fn a_fix_that_makes_more_errors_is_left_out_and_the_others_are_not() {
        let find = |text: &str| match text {
            "one two" => vec![finding(0, 3, "1"), finding(4, 7, "2")],
            "one 2" => vec![finding(0, 3, "1")],
            // Whatever has `1` in it is worse than before.
            _ => vec![finding(0, 0, ""); 3],
        };
        let mended = mend("one two", FILE, find);
        assert_eq!((mended.text.as_str(), mended.fixed, mended.left.len()), ("one 2", 1, 1));
    }

    #[test]
    fn other_files_and_endless_fixes_are_left_alone() {
        let mut elsewhere = finding(0, 1, "b");
        if let Some(fix) = &mut elsewhere.fix {
            fix.span.file = FileId(1);
        }
        assert_eq!(mend("a", FILE, |_| vec![elsewhere.clone()]).text, "a");
        let endless = mend("a", FILE, |text| vec![finding(0, text.len(), if text == "a" { "b" } else { "a" })]);
        assert_eq!(endless.fixed, ROUNDS);
    }
}
