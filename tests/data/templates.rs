use super::support::{jsonl, parts};
use proptest::prelude::*;
use reftc::data::template::{Message, Missing, Part, Template, parse, render};

fn text(text: &str) -> Part {
    Part::Text(text.to_string())
}

fn column(name: &str) -> Part {
    Part::Column(name.to_string())
}

#[test]
fn places_and_braces() {
    assert_eq!(parts(""), []);
    assert_eq!(parts("{instruction}\n"), [column("instruction"), text("\n")]);
    assert_eq!(parts("{a}{b}"), [column("a"), column("b")]);
    assert_eq!(parts("{\"#1 String\"} = {\"#2 String\"}"), [column("#1 String"), text(" = "), column("#2 String")]);
    assert_eq!(parts("{{{answer}}}"), [text("{"), column("answer"), text("}")]);
    assert_eq!(parts("{{\"a\": 1}}"), [text("{\"a\": 1}")]);
    assert_eq!(parts("Größe: {größe_2}"), [text("Größe: "), column("größe_2")]);
}

#[test]
fn slips_are_found_where_they_stand() {
    let rows = [
        ("a {answer", "{", "a `{` of the template is not closed"),
        ("é {answer\n}", "{", "a `{` of the template is not closed"),
        ("{a {b}", "{", "a `{` of the template is not closed"),
        ("a } b", "}", "a `}` without its `{` stands in the template"),
        ("{}", "{}", "a place of the template names no column"),
        ("{\"\"}", "{\"\"}", "a place of the template names no column"),
        ("é { answer }", "{ answer }", "spaces surround the column's name"),
        ("{#1 String}", "{#1 String}", "a column name of letters, digits and `_` must stand between the braces"),
        ("{1st}", "{1st}", "a column name of letters, digits and `_` must stand between the braces"),
        ("{\"a\": 1}", "{\"", "`{\"` opens a column name that `\"}` does not close"),
    ];
    for (template, place, message) in rows {
        let error = parse(template).unwrap_err();
        assert_eq!((&template[error.range.clone()], error.message.as_str()), (place, message), "{template}");
        assert_eq!(error.range.start, template.find(place).unwrap(), "{template}");
    }
}

proptest! {
    #[test]
    fn escaped_text_is_text(plain in "[^\u{0}]{1,40}") {
        let escaped = plain.replace('{', "{{").replace('}', "}}");
        prop_assert_eq!(parse(&escaped).unwrap(), [text(&plain)]);
    }

    #[test]
    fn any_text_parses_or_points_into_itself(template in "[{}\"a é\n]{0,20}") {
        match parse(&template) {
            Ok(parts) => prop_assert!(parts.iter().all(|part| !matches!(part, Part::Text(text) if text.is_empty()))),
            Err(error) => prop_assert!(template.get(error.range).is_some_and(|place| !place.is_empty())),
        }
    }
}

fn when(condition: &str, then: &str, otherwise: &str) -> Part {
    Part::When { condition: parts(condition), then: parts(then), otherwise: parts(otherwise) }
}

#[test]
fn rows_fill_the_places() {
    let rows = jsonl(
        "{\"a\": \"x\", \"input\": \" \"}\n{\"a\": 1.50, \"input\": \"more\", \"b\": \"{a}\"}\n{\"input\": null}\n",
    );
    let with_input = [text("Q: "), when("{input}", "{a}, {input}", "{a}"), text(".")];
    assert_eq!(render(&with_input, &rows, 0).unwrap(), "Q: x.");
    assert_eq!(render(&with_input, &rows, 1).unwrap(), "Q: 1.50, more.");
    assert_eq!(render(&with_input, &rows, 2), Err(Missing("a".to_string())));
    assert_eq!(render(&parts("{b}"), &rows, 1).unwrap(), "{a}");
    assert_eq!(render(&parts("{colum}"), &rows, 1), Err(Missing("colum".to_string())));
    let nested = Part::When { condition: vec![when("{b}", "yes", "")], then: parts("B"), otherwise: parts("no B") };
    assert_eq!(render(std::slice::from_ref(&nested), &rows, 0).unwrap(), "no B");
    assert_eq!(render(&[nested], &rows, 1).unwrap(), "B");
}

#[test]
fn columns_stand_once_in_the_order_of_use() {
    let template = Template::Text(vec![column("b"), when("{a}", "{b} {c}", "{d}"), column("a")]);
    assert_eq!(template.columns(), ["b", "a", "c", "d"]);
    let chat = Template::Chat(vec![
        Message { role: "system".to_string(), content: parts("Be brief.") },
        Message { role: "user".to_string(), content: parts("{q}") },
    ]);
    assert_eq!(chat.columns(), ["q"]);
}
