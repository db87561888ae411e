//! Text that becomes part of a page. Specs and outputs of models are foreign: nothing of them may be read as markup.

use std::fmt::Write;

/// Text for an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // No character reference stands for it, and it may not stand in a page.
            '\0' => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// JSON for a `<script type="application/json">`: no `<` in it, so that nothing ends the element.
pub fn json(value: &impl serde::Serialize) -> String {
    // `<` stands in strings only.
    crate::digest::json(value).replace('<', "\\u003c")
}

/// A section with its heading; `id` is where links lead to.
pub fn section(id: &str, title: &str, body: &str) -> String {
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{}</h2>\n{body}</section>\n",
        escape(title)
    )
}

/// Which side the cells of a column keep to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Text,
    Number,
}

/// A table; its cells are markup, the first of each row is its heading.
pub struct Table<'a> {
    pub caption: &'a str,
    pub columns: Vec<(String, Side)>,
    pub rows: Vec<Vec<String>>,
}

impl Table<'_> {
    /// The table, which scrolls by itself where the page is narrow.
    pub fn html(&self) -> String {
        let class = |side: Side| if side == Side::Number { " class=\"number\"" } else { "" };
        let mut html = format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table><caption>{0}</caption>\n<thead><tr>",
            escape(self.caption)
        );
        for (title, side) in &self.columns {
            let _ = write!(html, "<th scope=\"col\"{}>{}</th>", class(*side), escape(title));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (at, (cell, (_, side))) in row.iter().zip(&self.columns).enumerate() {
                let _ = match at {
                    0 => write!(html, "<th scope=\"row\"{}>{cell}</th>", class(*side)),
                    _ => write!(html, "<td{}>{cell}</td>", class(*side)),
                };
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>\n");
        html
    }
}

/// A list of names and what they stand for; the values are markup.
pub fn definitions(pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("<div><dt>{}</dt><dd>{value}</dd></div>\n", escape(name)));
    format!("<dl class=\"facts\">\n{}</dl>\n", pairs.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_is_markup() {
        assert_eq!(escape("<img src=x onerror='a'>\"&\0"), "&lt;img src=x onerror=&#39;a&#39;&gt;&quot;&amp;\u{fffd}");
        let text = "</script><!--\u{2028}";
        let written = json(&[text]);
        assert!(!written.contains('<'));
        assert_eq!(serde_json::from_str::<Vec<String>>(&written).unwrap(), [text]);
    }
}
