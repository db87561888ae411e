//! The spec with its colours and the numbers of its lines.

use super::markup::escape;
use crate::highlight::words;
use std::fmt::Write;

/// The whole text.
pub fn html(text: &str) -> String {
    let mut lines = vec![String::new()];
    let mut put = |text: &str, class: Option<&str>| {
        for (number, piece) in text.split('\n').enumerate() {
            if number > 0 {
                lines.push(String::new());
            }
            let Some(line) = lines.last_mut().filter(|_| !piece.is_empty()) else { continue };
            let piece = escape(piece.trim_end_matches('\r'));
            let _ = match class {
                Some(class) => write!(line, "<span class=\"w-{class}\">{piece}</span>"),
                None => write!(line, "{piece}"),
            };
        }
    };
    let mut at = 0;
    for (range, sort) in words(text) {
        put(text.get(at..range.start).unwrap_or_default(), None);
        put(text.get(range.clone()).unwrap_or_default(), Some(sort.name()));
        at = range.end;
    }
    put(text.get(at..).unwrap_or_default(), None);
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let lines: String = lines.iter().map(|line| format!("<span class=\"row\">{line}\n</span>")).collect();
    format!("<pre class=\"spec\" tabindex=\"0\" aria-label=\"spec\"><code>{lines}</code></pre>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_and_words_coloured() {
        let page = html("let a = \"\"\"\n  <b>\n  \"\"\" // </pre>\r\n\nlet \u{fc}\n");
        assert!(page.contains("<span class=\"w-keyword\">let</span> <span class=\"w-variable\">a</span>"), "{page}");
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>") && page.matches("</pre>").count() == 1, "{page}");
        assert_eq!(page.matches("class=\"row\"").count(), 5, "{page}");
    }
}
