//! Texts of a prompt and the tokens that overlap them.

use super::support::{jsonl, parts, split, tiny_tokenizer};
use proptest::prelude::*;
use reftc::data::chat::ChatTemplate;
use reftc::data::choices::{Choices, Likelihood, encode_choices};
use reftc::data::encode::{EncodedRow, encode_prompts, encode_split};
use reftc::data::positions::{PromptText, Segment, Share};
use reftc::data::row_bytes;
use reftc::data::template::{Message, Part, Template};
use reftc::data::text_report::TextReport;
use reftc::data::tokenizer::Tokenizer;
use reftc::plan::{Overlong, Split};

fn column(name: &str) -> PromptText {
    PromptText::Column(name.to_owned())
}

fn constant(text: &str) -> PromptText {
    PromptText::Constant(text.to_owned())
}

/// The tokens of a text, or nothing where it cannot be told.
fn tokens(row: &EncodedRow, text: &PromptText) -> Option<Vec<usize>> {
    Some(row.spans.find(text)?.iter().collect())
}

fn hit(row: &EncodedRow, segment: &Segment) -> Vec<usize> {
    let texts: Vec<PromptText> = segment.texts().into_iter().cloned().collect();
    segment.resolve(&row.tokens(row.ids.len(), &texts).unwrap()).iter().collect()
}

fn one(text: &str, split: &Split, tokenizer: &Tokenizer, chat: Option<&ChatTemplate>) -> EncodedRow {
    let rows = jsonl(text);
    let [of_prompt, of_both] =
        [encode_prompts, encode_split].map(|encode| encode(&rows, split, tokenizer, chat).unwrap().rows.remove(0));
    assert_eq!(of_prompt.spans, of_both.spans, "the target has no part in it");
    assert_eq!(of_both.spans.tokens.len(), of_both.prompt_tokens);
    assert_eq!(row_bytes::read(&row_bytes::write(std::slice::from_ref(&of_both))), Some(vec![of_both.clone()]));
    of_both
}

#[test]
fn columns_and_constants_are_found_wherever_they_are() {
    // <s> Q : _ c d e # # f ab . Q :
    let row =
        one(r#"{"q": "cde", "o": "fab", "a": "x"}"#, &split("Q: {q}##{o}.Q:", " {a}"), &tiny_tokenizer(&["<s>"]), None);
    assert_eq!(tokens(&row, &column("q")), Some(vec![4, 5, 6]));
    assert_eq!(tokens(&row, &column("o")), Some(vec![9, 10]));
    assert_eq!(tokens(&row, &column("a")), Some(vec![]), "the target is no part of the prompt");
    assert_eq!(tokens(&row, &constant("##")), Some(vec![7, 8]));
    assert_eq!(tokens(&row, &constant("#")), Some(vec![7, 8]));
    assert_eq!(tokens(&row, &constant("Q:")), Some(vec![1, 2, 12, 13]));
    assert_eq!(tokens(&row, &constant("cd")), Some(vec![]), "columns are not constant");
    let of = |of, share| Segment::Text { of, share };
    assert_eq!(hit(&row, &of(constant("Q:"), Share::First(3))), [1, 2, 12]);
    assert_eq!(hit(&row, &of(column("q"), Share::Last(2))), [5, 6]);
    assert_eq!(hit(&row, &of(column("o"), Share::Last(9))), [9, 10]);
    let rest =
        Segment::Without { of: Box::new(Segment::All), taken: vec![of(column("q"), Share::All), Segment::First(3)] };
    assert_eq!(hit(&row, &rest), [3, 7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(rest.to_string(), "all-field(q)-f3");
    assert_eq!(of(constant("a\n\"b"), Share::First(2)).to_string(), r#"match("a\n\"b").first(2)"#);
    assert_eq!(of(column("#1 String"), Share::All).to_string(), r##"field("#1 String")"##);
}

#[test]
fn a_token_that_two_texts_share_is_of_both() {
    let row = one(r#"{"q": "xa", "o": "by", "a": "z"}"#, &split("{q}{o}", "\n{a}"), &tiny_tokenizer(&[]), None);
    // x ab y
    assert_eq!((tokens(&row, &column("q")), tokens(&row, &column("o"))), (Some(vec![0, 1]), Some(vec![1, 2])));
}

#[test]
fn the_branch_that_is_taken_counts() {
    let branches = Part::When { condition: parts("{h}"), then: parts("{q} hint {h}"), otherwise: parts("{q}") };
    let split = Split { prompt: Template::Text(vec![branches]), ..split("", "\n{a}") };
    let tokenizer = tiny_tokenizer(&[]);
    let with = one(r#"{"q": "c", "h": "de", "a": "z"}"#, &split, &tokenizer, None);
    let without = one(r#"{"q": "c", "h": "", "a": "z"}"#, &split, &tokenizer, None);
    let both = |text| (tokens(&with, &text).unwrap(), tokens(&without, &text).unwrap());
    assert_eq!(both(column("h")), (vec![7, 8], vec![]));
    assert_eq!(both(constant("hint")), (vec![2, 3, 4, 5], vec![]));
    assert_eq!(both(column("q")), (vec![0], vec![0]));
    assert_eq!((split.prompt.written_columns(), split.prompt.constants()), (vec!["q", "h"], vec![" hint "]));
    let segments = [column("h"), column("q")].map(|of| Segment::Text { of, share: Share::All });
    let report = TextReport::of(&[with, without], &segments);
    assert_eq!(report.empty.iter().map(|(_, count)| count.rows).collect::<Vec<_>>(), [1, 0]);
    assert_eq!((report.hidden.rows, report.shapes.len()), (0, 2));
}

#[test]
fn what_is_cut_away_is_not_found() {
    let tokenizer = tiny_tokenizer(&["<s>"]);
    let text = r#"{"q": "cdef", "o": "gh", "a": "xy"}"#;
    // <s> c d e f - g h | x y </s>
    let found = |overlong, max_length| {
        let row = one(text, &Split { overlong, max_length, eos: false, ..split("{q}-{o}", "{a}") }, &tokenizer, None);
        [column("q"), constant("-"), column("o")].map(|text| tokens(&row, &text).unwrap())
    };
    assert_eq!(found(Overlong::CutRight, 9), [vec![1, 2, 3, 4], vec![5], vec![6, 7]]);
    // Prompts alone are cut as well where they are as long; with targets, the excess goes.
    let left = Split { overlong: Overlong::CutLeft, max_length: 7, eos: false, ..split("{q}-{o}", "{a}") };
    let row = &encode_split(&jsonl(text), &left, &tokenizer, None).unwrap().rows[0];
    assert_eq!(tokens(row, &column("q")), Some(vec![1]));
    assert_eq!((tokens(row, &constant("-")), tokens(row, &column("o"))), (Some(vec![2]), Some(vec![3, 4])));
    let right = Split { overlong: Overlong::CutRight, max_length: 4, ..left };
    let row = &encode_prompts(&jsonl(text), &right, &tokenizer, None).unwrap().rows[0];
    assert_eq!((tokens(row, &column("q")), tokens(row, &column("o"))), (Some(vec![1, 2, 3]), Some(vec![])));
    for (overlong, expected) in
        [(Overlong::CutLeft, [vec![1, 2], vec![4, 5]]), (Overlong::CutRight, [vec![1, 2, 3, 4], vec![]])]
    {
        let texts = ["x", "yz"].map(|text| Template::Text(parts(text))).to_vec();
        let choices = Choices { texts, likelihood: Likelihood::Sum };
        let split = Split { overlong, max_length: 8, ..split("{q}-{o}", "yz") };
        let row = encode_choices(&jsonl(text), &split, &choices, &tokenizer, None).unwrap().rows.remove(0);
        for choice in row.choices.iter().chain([&row]) {
            assert_eq!([column("q"), column("o")].map(|text| tokens(choice, &text).unwrap()), expected);
        }
    }
}

/// The text that tokens of the tiny tokenizer stand for, character by character.
fn chat_text(row: &EncodedRow, tokenizer: &Tokenizer, text: &PromptText) -> Option<String> {
    let ids: Vec<u32> = tokens(row, text)?.into_iter().map(|token| row.ids[token]).collect();
    Some(ids.iter().map(|&id| tokenizer.text_of(id).unwrap()).collect())
}

#[test]
fn chat_templates_are_asked_where_they_put_things() {
    let tokenizer = tiny_tokenizer(&[]);
    let message = |role: &str, text: &str| Message { role: role.to_owned(), content: parts(text) };
    let split = Split {
        prompt: Template::Chat(vec![message("system", "Be {s}. "), message("user", "{q}? cc {q}!")]),
        ..split("", "{a}")
    };
    let found = |source: &str, text: &str| {
        let chat = ChatTemplate::new(source, None, Some("</s>")).unwrap();
        let row = one(text, &split, &tokenizer, Some(&chat));
        [column("s"), column("q"), constant("? cc "), constant(". ")].map(|text| chat_text(&row, &tokenizer, &text))
    };
    let text = r#"{"s": "kind", "q": "cc", "a": "x"}"#;
    let all = |texts: [&str; 4]| texts.map(|text| Some(text.to_owned()));
    let plain = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
    assert_eq!(found(plain, text), all(["kind", "cccc", "? cc ", ". "]));
    // A trimmed message has a shorter constant.
    let trimmed = plain.replace("m.content", "m.content | trim");
    assert_eq!(found(&trimmed, text), all(["kind", "cccc", "? cc ", ""]));
    // Messages may be written in another order, and their own text may be elsewhere too.
    let last_first = "cc {{ messages[1].content }}[kind]{{ messages[0].content }}{% if add_generation_prompt %}A:{% else %}A:{{ messages[2].content }}{% endif %}";
    assert_eq!(found(last_first, text), all(["kind", "cccc", "? cc ", ". "]));
    // What is written twice, changed, or only sometimes is nowhere for certain.
    for hidden in [
        format!("{{{{ messages[0].content }}}}{plain}"),
        plain.replace("m.content", "(m.content | upper if m.role == 'user' else m.content)"),
        plain.replace("m.content", "(m.content if 'kind' not in m.content else 'rude')"),
    ] {
        assert_eq!(found(&hidden, text), [None, None, None, None], "{hidden}");
    }
    // A blank message may be left out.
    let optional = plain.replace("<{{ m.role }}>", "{% if m.content %}<{{ m.role }}>{% endif %}");
    let split =
        Split { prompt: Template::Chat(vec![message("system", "{s}"), message("user", "{q}")]), ..split.clone() };
    let chat = ChatTemplate::new(&optional, None, Some("</s>")).unwrap();
    let row = one(r#"{"s": "", "q": "cc", "a": "x"}"#, &split, &tokenizer, Some(&chat));
    assert_eq!(chat_text(&row, &tokenizer, &column("q")).as_deref(), Some("cc"));
    assert_eq!(chat_text(&row, &tokenizer, &column("s")).as_deref(), Some(""));
}

#[test]
fn rows_that_hide_their_texts_are_counted() {
    let shown = one(r#"{"q": "c", "a": "x"}"#, &split("{q}", "\n{a}"), &tiny_tokenizer(&[]), None);
    let mut hidden = EncodedRow { row: 7, ..shown.clone() };
    hidden.spans.parts = None;
    let segment = Segment::Text { of: column("q"), share: Share::All };
    let report = TextReport::of(&[shown, hidden.clone()], &[segment]);
    assert_eq!((report.hidden.rows, report.hidden.first, report.shapes.len()), (1, Some(7), 1));
    assert_eq!(hidden.tokens(2, &[column("q")]), None);
    assert!(hidden.tokens(2, &[]).is_some(), "who asks for no text needs none");
}

#[test]
fn white_space_belongs_to_its_token_and_a_character_to_all_of_its_own() {
    let model = reftc::model::embedded::find("tiny").unwrap();
    let mut file: serde_json::Value = serde_json::from_slice(model.tokenizer).unwrap();
    // As GPT-2 and Llama 3 have it: it would take white space out of the places of tokens.
    let bytes = r#"{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}"#;
    file["post_processor"] = serde_json::from_str(bytes).unwrap();
    let tokenizer =
        Tokenizer::new(tokenizers::Tokenizer::from_bytes(file.to_string()).unwrap(), None, Some(0)).unwrap();
    let row = one(r#"{"q": " two", "o": "é😀", "a": "x"}"#, &split("What is{q}?  {o}\n", "{a}"), &tokenizer, None);
    let places: Vec<&str> =
        row.spans.tokens.iter().map(|bytes| &row.prompt[bytes.start as usize..bytes.end as usize]).collect();
    let whole = |text: &PromptText| -> Vec<&str> {
        tokens(&row, text).unwrap().into_iter().map(|token| places[token]).collect()
    };
    assert_eq!(whole(&column("q")).concat(), " two", "{places:?}");
    assert_eq!(whole(&constant(" ")).concat().trim_end(), " is", "{places:?}");
    let characters = whole(&column("o"));
    assert!(characters.iter().all(|place| ["é", "😀"].contains(&place.trim_start())), "{characters:?}");
    assert_eq!(characters.iter().filter(|place| place.contains('😀')).count(), 4, "{characters:?}");
}

proptest! {
    /// The definition: a token is hit if it and the text have a byte in common, byte by byte.
    #[test]
    fn tokens_are_those_that_share_a_byte(
        pieces in prop::collection::vec((0usize..3, "[abc ]{0,4}"), 1..7), start: bool, target in "[abc]{1,3}",
    ) {
        let mut template = String::new();
        let mut row = serde_json::Map::from_iter([("a".to_owned(), target.clone().into())]);
        // Of each byte of the prompt, what it belongs to.
        let (mut owners, mut prompt) = (Vec::new(), String::new());
        for (number, (kind, text)) in pieces.iter().enumerate() {
            let name = if *kind == 1 { "same".to_owned() } else { format!("c{number}") };
            let text = match row.get(&name) {
                Some(known) => known.as_str().unwrap().to_owned(),
                None => text.clone(),
            };
            if *kind == 2 {
                template.push_str(&text);
                owners.extend(text.bytes().map(|_| None));
            } else {
                template.push_str(&format!("{{{name}}}"));
                row.insert(name.clone(), text.clone().into());
                owners.extend(text.bytes().map(|_| Some(name.clone())));
            }
            prompt.push_str(&text);
        }
        let tokenizer = tiny_tokenizer(if start { &["<s>"] } else { &[] });
        let split = Split { eos: false, ..split(&template, "{a}") };
        let rows = jsonl(&serde_json::Value::Object(row.clone()).to_string());
        let encoded = encode_split(&rows, &split, &tokenizer, None).unwrap();
        prop_assume!(!encoded.rows.is_empty());
        let encoded = &encoded.rows[0];
        prop_assert_eq!(&encoded.prompt, &prompt);
        let mut bytes = Vec::new();
        for (token, &id) in encoded.ids.iter().enumerate() {
            let text = tokenizer.text_of(id).unwrap();
            bytes.extend(text.bytes().filter(|_| id != 0).map(|_| token));
        }
        for name in row.keys() {
            let owned = |&(at, _): &(usize, &Option<String>)| owners[at].as_ref() == Some(name);
            let mut expected: Vec<usize> = owners.iter().enumerate().filter(owned).map(|(at, _)| bytes[at]).collect();
            expected.retain(|token| *token < encoded.prompt_tokens);
            expected.dedup();
            prop_assert_eq!(tokens(encoded, &column(name)), Some(expected), "{} in {:?}", name, template);
        }
        for wanted in ["a", "b c", "ab"] {
            let mut expected = Vec::new();
            for at in 0..prompt.len().saturating_sub(wanted.len() - 1) {
                let range = at..at + wanted.len();
                // Within one constant: templates join neighbours.
                if &prompt[range.clone()] == wanted && owners[range.clone()].iter().all(Option::is_none) && same_part(&pieces, &row, &range) {
                    expected.extend(range.map(|at| bytes[at]));
                }
            }
            expected.retain(|token| *token < encoded.prompt_tokens);
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(tokens(encoded, &constant(wanted)), Some(expected), "{} in {:?}", wanted, template);
        }
    }
}

/// Whether no column, not even an empty one, stands inside these bytes of a prompt.
fn same_part(
    pieces: &[(usize, String)],
    row: &serde_json::Map<String, serde_json::Value>,
    bytes: &std::ops::Range<usize>,
) -> bool {
    let mut at = 0;
    for (number, (kind, text)) in pieces.iter().enumerate() {
        let name = if *kind == 1 { "same".to_owned() } else { format!("c{number}") };
        let length = if *kind == 2 { text.len() } else { row[&name].as_str().unwrap().len() };
        if *kind != 2 && bytes.start < at && at < bytes.end {
            return false;
        }
        at += length;
    }
    true
}
