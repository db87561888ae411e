use super::support::{ids, jsonl, parts, split, tiny_tokenizer};
use reftc::data::chat::ChatTemplate;
use reftc::data::choices::{Choices, Likelihood, encode_choices, fault};
use reftc::data::encode::{Encoded, encode_split};
use reftc::data::report::{Count, EncodeReport};
use reftc::data::template::{Message, Template};
use reftc::plan::{Overlong, Split};

fn choices(texts: &[&str]) -> Choices {
    let texts = texts.iter().map(|text| Template::Text(parts(text))).collect();
    Choices { texts, likelihood: Likelihood::Sum }
}

fn encoded(rows: &str, split: &Split, texts: &[&str]) -> Encoded {
    encode_choices(&jsonl(rows), split, &choices(texts), &tiny_tokenizer(&["<s>", "</s>"]), None).unwrap()
}

/// The prompt, its length, and what follows it in each choice.
fn shape(encoded: &Encoded) -> Option<(Vec<u32>, Vec<Vec<u32>>)> {
    let row = encoded.rows.first()?;
    let follow = |choice: &reftc::data::encode::EncodedRow| {
        assert_eq!((choice.row, choice.prompt_tokens), (row.row, row.ids.len()));
        assert_eq!(choice.supervised(), choice.ids.len() - row.ids.len());
        choice.ids.strip_prefix(row.ids.as_slice()).unwrap().to_vec()
    };
    assert_eq!(row.prompt_tokens, row.ids.len());
    Some((row.ids.clone(), row.choices.iter().map(follow).collect()))
}

const ROW: &str = r#"{"q": "cde", "a": "xyz", "b": "w"}"#;

#[test]
fn a_choice_stands_where_the_target_stands_in_training_without_an_end_token() {
    let split = split("{q}\n", "{a}");
    let found = encoded(ROW, &split, &["{b}", "xyz"]);
    assert_eq!(shape(&found), Some(([vec![0], ids("cde\n")].concat(), vec![ids("w"), ids("xyz")])));
    let row = &found.rows[0];
    assert_eq!((row.prompt.as_str(), row.target.as_str()), ("cde\n", "xyz"));
    assert_eq!(row.choices.iter().map(|choice| choice.target.as_str()).collect::<Vec<_>>(), ["w", "xyz"]);
    assert_eq!(fault(&found.report, "`x`"), None);
    assert_eq!((found.report.tokens, found.report.supervised, found.report.longest), (6 + 8, 1 + 3, 8));
    let bare = Split { eos: false, ..split };
    let training = encode_split(&jsonl(ROW), &bare, &tiny_tokenizer(&["<s>"]), None).unwrap();
    assert_eq!(training.rows[0].ids, row.choices[1].ids);
    assert_eq!(training.rows[0].prompt_tokens, row.choices[1].prompt_tokens);
}

#[test]
fn a_chat_goes_on_where_the_assistant_begins() {
    let source = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}<end>\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    let chat = ChatTemplate::new(source, Some("<s>"), Some("</s>")).unwrap();
    let prompt = Template::Chat(vec![Message { role: "user".to_owned(), content: parts("{q}") }]);
    let split = Split { prompt, ..split("", "{a}") };
    let found = encode_choices(&jsonl(ROW), &split, &choices(&["x", "xyz"]), &tiny_tokenizer(&["<s>"]), Some(&chat));
    let prompt = [vec![0], ids("[user]cde"), vec![2], ids("\n[assistant]")].concat();
    assert_eq!(shape(&found.unwrap()), Some((prompt, vec![ids("x"), ids("xyz")])));
}

#[test]
fn where_a_row_is_too_long_the_prompt_is_cut_before_every_choice_alike() {
    // <s> c d e \n | w, x y z
    let cases = [
        (Overlong::CutRight, 8, Some("cde\n")),
        (Overlong::CutRight, 7, Some("cde")),
        (Overlong::CutRight, 4, Some("")),
        (Overlong::CutRight, 3, None),
        (Overlong::CutLeft, 7, Some("de\n")),
        (Overlong::CutLeft, 4, Some("")),
        (Overlong::CutLeft, 3, None),
        (Overlong::Drop, 8, Some("cde\n")),
        (Overlong::Drop, 7, None),
    ];
    for (overlong, max_length, prompt) in cases {
        let split = Split { overlong, max_length, ..split("{q}\n", "{a}") };
        let found = encoded(ROW, &split, &["w", "xyz"]);
        let expected = prompt.map(|prompt| ([vec![0], ids(prompt)].concat(), vec![ids("w"), ids("xyz")]));
        assert_eq!(shape(&found), expected, "{overlong:?} at {max_length}");
        assert_eq!(found.report.overlong.rows, usize::from(max_length < 8), "{overlong:?} at {max_length}");
        assert_eq!(found.report.dropped.rows, usize::from(prompt.is_none()), "{overlong:?} at {max_length}");
        assert_eq!((found.report.longest_uncut, found.report.longest_prompt_uncut), (8, 5));
    }
    // Without BOS one token of the prompt must stay: a first token is never predicted.
    for (max_length, prompt) in [(4, Some("\n")), (3, None)] {
        let split = Split { overlong: Overlong::CutLeft, max_length, ..split("{q}\n", "{a}") };
        let rows = jsonl(ROW);
        let found = encode_choices(&rows, &split, &choices(&["w", "xyz"]), &tiny_tokenizer(&[]), None).unwrap();
        assert_eq!(shape(&found).map(|(prompt, _)| prompt), prompt.map(ids));
    }
}

#[test]
fn rows_whose_choices_cannot_be_told_apart_or_hold_no_gold_are_counted() {
    let rows = "{\"q\": \"c\", \"a\": \"x\"}\n{\"q\": \"c\", \"a\": \"y\"}\n{\"q\": \"ca\", \"a\": \" x \"}\n";
    let split = split("{q}", "{a}");
    let told = |texts: &[&str]| fault(&encoded(rows, &split, texts).report, "`x`").map(|fault| fault.to_string());
    assert_eq!(told(&["x", "y"]), None, "white space around the gold does not count");
    let expected = "E0410: none of the choices is the gold in 2 rows (the first is row 1) of `x`";
    assert_eq!(told(&["y", "z"]).as_deref(), Some(expected));
    let expected = "E0212: two choices are the same text in 1 row (the first is row 2) of `x`";
    assert_eq!(told(&["{a}", "y"]).as_deref(), Some(expected));
    // `é` makes no token, and `a` and `b` are one token together.
    let found = encoded(rows, &split, &["{a}", "é"]);
    assert_eq!((found.rows.len(), found.report.empty_targets), (0, Count { rows: 3, first: Some(0) }));
    let found = encoded(rows, &split, &["bx", "x", "y"]).report;
    let split_tokens = Count { rows: 1, first: Some(2) };
    assert_eq!(found, EncodeReport { split_tokens, ..found.clone() });
}
