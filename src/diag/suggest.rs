//! Near misses: which of the words that would be right is meant.

/// The candidate that `word` is a slip of, where that is beyond doubt: one letter is wrong, in long words two, the digits are right,
/// and nothing else comes near. What may be put into a text unasked.
pub fn slip_of<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let [only] = near(word, candidates)[..] else { return None };
    let allowed = match word.chars().count().min(only.chars().count()) {
        0..=2 => 0,
        3..=7 => 1,
        _ => 2,
    };
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    (distance(word, only) <= allowed && digits(word) == digits(only)).then_some(only)
}

/// The candidates that are close to `word`, nearest first, at most three.
///
/// Case, `-` and `_` do not count; otherwise a candidate may differ by a third of its letters
/// (restricted Damerau-Levenshtein distance).
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut hits: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .collect();
    hits.sort();
    hits.dedup();
    // What is much farther than the nearest is not meant.
    if let Some(&(best, _)) = hits.first() {
        hits.retain(|(distance, _)| *distance <= if best == 0 { 0 } else { best + 1 });
    }
    hits.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// A line of help for a wrong word: the near miss, or else the whole list where it is short.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match near(word, candidates.iter().copied()).as_slice() {
        [] if candidates.is_empty() => None,
        [] if candidates.len() == 1 => Some(format!("write {}", list(&candidates))),
        [] => Some(format!("write one of {}", list(&candidates))),
        [only] => Some(format!("did you mean `{only}`?")),
        several => Some(format!("did you mean one of {}?", list(several))),
    }
}

/// `` `a`, `b` or `c` ``, cut after twelve.
pub fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().take(12).map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        _ if words.len() > 12 => format!("{}, … ({} in all)", quoted.join(", "), words.len()),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

/// Slips between two words; case, `-` and `_` do not count.
fn distance(one: &str, other: &str) -> usize {
    let fold = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    strsim::osa_distance(&fold(one), &fold(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slips_beyond_doubt_are_mended() {
        for (word, candidates, slip) in [
            ("colum", &["column", "label"][..], Some("column")),
            ("tset", &["test", "train"], Some("test")),
            ("LoReFT", &["loreft", "noreft"], Some("loreft")),
            ("reft", &["loreft", "noreft"], None),
            ("dev.json", &["test.json"], None),
            ("rows_2", &["rows_1"], None),
            ("a", &["b"], None),
            ("learing_rat", &["learning_rate"], Some("learning_rate")),
            ("answer", &["answers", "answered"], None),
        ] {
            assert_eq!(slip_of(word, candidates.iter().copied()), slip, "{word}");
        }
    }
}
