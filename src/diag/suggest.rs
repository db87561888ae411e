//! Near misses: which of the words that would be right is meant.

/// The candidates that are close to `word`, nearest first, at most three.
///
/// Case, `-` and `_` do not count; otherwise a candidate may differ by a third of its letters
/// (restricted Damerau-Levenshtein distance).
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let fold = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let folded = fold(word);
    let mut hits: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&folded, &fold(candidate)), candidate))
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
