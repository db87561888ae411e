//! Commands for people to copy.

/// A word as a shell takes it.
pub fn quoted(text: &str) -> String {
    match text.contains(|letter: char| letter.is_whitespace() || "'\"$`\\()*?;&|<>".contains(letter)) {
        true => format!("'{}'", text.replace('\'', "'\\''")),
        false => text.to_owned(),
    }
}
