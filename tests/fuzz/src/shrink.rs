//! The smallest text that still fails.

/// Leaves out ever smaller pieces as long as the failure stays.
pub fn shrunk(text: &str, fails: impl Fn(&str) -> bool) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let mut size = letters.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < letters.len() {
            let mut fewer = letters.clone();
            fewer.drain(at..(at + size).min(letters.len()));
            match fails(&fewer.iter().collect::<String>()) {
                true => letters = fewer,
                false => at += size,
            }
        }
        size /= 2;
    }
    letters.into_iter().collect()
}
