use super::support::{id, ids, jsonl, parts, split, tiny_tokenizer};
use proptest::prelude::*;
use reftc::data::chat::ChatTemplate;
use reftc::data::encode::{EncodedRow, encode_prompts, encode_split};
use reftc::data::positions::{RowTokens, Segment};
use reftc::data::report::{Count, EncodeReport, RowShape};
use reftc::data::template::{Message, Template};
use reftc::data::tokenizer::Tokenizer;
use reftc::plan::{Overlong, Split};

fn count(rows: usize, first: usize) -> Count {
    Count { rows, first: Some(first) }
}

fn one(split: &Split, tokenizer: &Tokenizer) -> Vec<EncodedRow> {
    encode_split(&jsonl(r#"{"q": "cde", "a": "xyz"}"#), split, tokenizer, None).unwrap().rows
}

#[test]
fn a_tokenizer_neither_cuts_nor_pads() {
    let tokenizer = tiny_tokenizer(&["<s>", "</s>"]);
    assert_eq!(tokenizer.encode("abcde", false).unwrap(), [vec![3], ids("cde")].concat());
    assert_eq!(tokenizer.encode("x<end>", true).unwrap(), [0, id('x'), 2, 1]);
    assert_eq!(tokenizer.start(), [0]);
    assert_eq!(tokenizer.encode_batch(&["b", "", "é"], false).unwrap(), [ids("b"), vec![], vec![]]);
    assert_eq!(tokenizer.decode(&[0, 3, id('c'), 1], true).unwrap(), "abc");
    assert_eq!(tokenizer.decode(&[0, 3, id('c'), 1], false).unwrap(), "<s>abc</s>");
    assert_eq!((tokenizer.beginning(), tokenizer.end(), tokenizer.id_of("<end>")), (Some(0), Some(1), Some(2)));
    assert_eq!(
        (tokenizer.text_of(3).as_deref(), tokenizer.vocabulary_size(), tokenizer.largest_id()),
        (Some("ab"), 100, 99)
    );
    assert!(tiny_tokenizer(&[]).start().is_empty());
    let inner = tokenizers::Tokenizer::new(tokenizers::models::bpe::BPE::default());
    let error = Tokenizer::new(inner, None, Some(7)).unwrap_err();
    assert_eq!(error.to_string(), "E0304: token 7, the model's end token, is not in the tokenizer's vocabulary");
}

#[test]
fn prompt_and_target_are_one_text_with_the_special_tokens_around_it() {
    let mut split = split("{q}\n", "{a}");
    let row = &one(&split, &tiny_tokenizer(&["<s>", "</s>"]))[0];
    assert_eq!(row.ids, [vec![0], ids("cde\nxyz"), vec![1]].concat());
    assert_eq!((row.prompt_tokens, row.supervised(), row.prompt.as_str(), row.target.as_str()), (5, 4, "cde\n", "xyz"));
    split.eos = false;
    assert_eq!(one(&split, &tiny_tokenizer(&[]))[0].ids, ids("cde\nxyz"));
    let rows = jsonl(r#"{"q": "cde", "a": "xyz"}"#);
    let encoded = encode_prompts(&rows, &split, &tiny_tokenizer(&["<s>", "</s>"]), None).unwrap();
    assert_eq!(encoded.rows[0].ids, [vec![0], ids("cde\n")].concat());
    assert_eq!((encoded.rows[0].prompt_tokens, encoded.rows[0].target.as_str()), (5, "xyz"));
}

#[test]
fn rows_that_are_too_long() {
    let tokenizer = tiny_tokenizer(&["<s>"]);
    // <s> c d e \n | x y z </s>
    let rows = [
        (Overlong::CutRight, 9, Some(([vec![0], ids("cde\nxyz"), vec![1]].concat(), 5))),
        (Overlong::CutRight, 8, Some(([vec![0], ids("cde\nxyz")].concat(), 5))),
        (Overlong::CutRight, 6, Some(([vec![0], ids("cde\nx")].concat(), 5))),
        (Overlong::CutRight, 5, None),
        (Overlong::CutRight, 3, None),
        (Overlong::CutLeft, 7, Some(([vec![0], ids("e\nxyz"), vec![1]].concat(), 3))),
        (Overlong::CutLeft, 5, Some(([vec![0], ids("xyz"), vec![1]].concat(), 1))),
        (Overlong::CutLeft, 3, Some(([vec![0], ids("xy")].concat(), 1))),
        (Overlong::CutLeft, 1, None),
        (Overlong::Drop, 9, Some(([vec![0], ids("cde\nxyz"), vec![1]].concat(), 5))),
        (Overlong::Drop, 8, None),
    ];
    for (overlong, max_length, expected) in rows {
        let split = Split { overlong, max_length, ..split("{q}\n", "{a}") };
        let found = one(&split, &tokenizer).pop().map(|row| (row.ids, row.prompt_tokens));
        assert_eq!(found, expected, "{overlong:?} at {max_length}");
    }
    // Without BOS nothing comes before a target that fills all; its first token is never predicted.
    let split = Split { overlong: Overlong::CutLeft, max_length: 3, ..split("{q}\n", "{a}") };
    let row = &one(&split, &tiny_tokenizer(&[]))[0];
    assert_eq!((row.ids.clone(), row.prompt_tokens, row.supervised()), (ids("xyz"), 0, 2));
}

#[test]
fn prompts_for_generation_are_cut_alike() {
    let tokenizer = tiny_tokenizer(&["<s>"]);
    let rows = jsonl("{\"q\": \"cde\", \"a\": \"x\"}\n{\"q\": \"\", \"a\": \"x\"}");
    for (overlong, expected) in [
        (Overlong::CutRight, vec![[vec![0], ids("cd")].concat(), vec![0]]),
        (Overlong::CutLeft, vec![[vec![0], ids("de")].concat(), vec![0]]),
        (Overlong::Drop, vec![vec![0]]),
    ] {
        let split = Split { overlong, max_length: 3, ..split("{q}", "{a}") };
        let encoded = encode_prompts(&rows, &split, &tokenizer, None).unwrap();
        assert_eq!(encoded.rows.into_iter().map(|row| row.ids).collect::<Vec<_>>(), expected, "{overlong:?}");
        assert_eq!((encoded.report.overlong, encoded.report.cut_targets.rows), (count(1, 0), 0));
    }
    let nothing = encode_prompts(&rows, &split("{q}", "{a}"), &tiny_tokenizer(&[]), None).unwrap();
    assert_eq!((nothing.report.dropped, nothing.rows.len()), (count(1, 1), 1));
}

#[test]
fn the_report_counts_rows_and_names_the_first() {
    let text = "{\"q\": \"cde\", \"a\": \"x\"}\n{\"q\": \"cda\", \"a\": \"b\"}\n{\"q\": \"c\", \"a\": \"é\"}\n{\"q\": \"cdefgh\", \"a\": \"xyz\"}\n{\"q\": \"c\", \"a\": \"\"}\n";
    let split = Split { max_length: 5, ..split("{q}", "{a}") };
    let encoded = encode_split(&jsonl(text), &split, &tiny_tokenizer(&[]), None).unwrap();
    let report = &encoded.report;
    assert_eq!(encoded.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [0, 1, 2, 4]);
    assert_eq!(encoded.rows[1].ids, [ids("cd"), vec![3, 1]].concat());
    assert_eq!((report.rows, report.kept(), report.dropped), (5, 4, count(1, 3)));
    assert_eq!((report.overlong, report.cut_prompts, report.cut_targets), (count(1, 3), count(1, 3), count(1, 3)));
    assert_eq!((report.empty_targets, report.split_tokens), (count(2, 2), count(1, 1)));
    assert_eq!((report.tokens, report.supervised, report.longest), (13, 5, 5));
    assert_eq!((report.longest_uncut, report.longest_prompt_uncut, report.mean()), (10, 6, 3.25));
    let fit = report.fit(&Segment::First(1));
    assert_eq!((fit.clipped, fit.empty), (count(2, 2), count(2, 2)));
    assert_eq!((report.fit(&Segment::Last(2)).clipped.rows, report.fit(&Segment::All).empty.rows), (4, 0));
    // The prompts are `cde`, `cda`, `c` and `c`.
    assert_eq!(report.shared_start, 1);
    let shape = |prompt, tokens, rows| RowShape { row: RowTokens::new(prompt, tokens), rows };
    assert_eq!(report.shapes(), [shape(1, 2, 2), shape(3, 4, 1), shape(3, 5, 1)]);
    let back: EncodeReport = serde_json::from_str(&serde_json::to_string(report).unwrap()).unwrap();
    assert_eq!(&back, report);
    assert_eq!(EncodeReport::default().mean(), 0.0);
}

#[test]
fn rows_without_a_value_are_counted() {
    let rows = jsonl("{\"q\": \"1\", \"a\": \"x\"}\n\n{\"q\": \"1\"}\n{\"a\": \"x\"}\n{\"q\": \"1\", \"a\": null}\n");
    let error = encode_split(&rows, &split("{q}", "{a}"), &tiny_tokenizer(&[]), None).unwrap_err();
    assert_eq!(error.to_string(), "E0405: the row in line 3 of `rows.jsonl` has no value for `a`");
    assert_eq!((error.note.as_deref(), error.place.unwrap().line), (Some("2 of 4 rows have none"), Some(3)));
}

fn chat_split() -> Split {
    let user = Message { role: "user".to_string(), content: parts("{q}") };
    Split { prompt: Template::Chat(vec![user]), ..split("", "{a}") }
}

#[test]
fn chats_bring_their_own_special_tokens() {
    let rows = jsonl(r#"{"q": "cd", "a": "x"}"#);
    let source = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% if m.role == 'user' %}?{% else %}<end>\n{% endif %}{% endfor %}";
    let chat = ChatTemplate::new(source, Some("<s>"), Some("</s>")).unwrap();
    let tokenizer = tiny_tokenizer(&["<s>", "</s>"]);
    let encoded = encode_split(&rows, &chat_split(), &tokenizer, Some(&chat)).unwrap();
    assert_eq!(encoded.rows[0].ids, [vec![0], ids("cd?x"), vec![2]].concat());
    assert_eq!((encoded.rows[0].prompt_tokens, encoded.rows[0].target.as_str()), (4, "x"));
    let bare = encode_split(&rows, &Split { eos: false, ..chat_split() }, &tokenizer, Some(&chat)).unwrap();
    assert_eq!(bare.rows[0].ids, [vec![0], ids("cd?x")].concat());
    let prompts = encode_prompts(&rows, &chat_split(), &tokenizer, Some(&chat)).unwrap();
    assert_eq!(prompts.rows[0].ids, [vec![0], ids("cd?")].concat());
}

#[test]
fn what_the_model_lacks() {
    let rows = jsonl(r#"{"q": "cd", "a": "x"}"#);
    let error = encode_split(&rows, &chat_split(), &tiny_tokenizer(&[]), None).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.place),
        ("E0310: the prompt is a chat, but the model has no chat template", None)
    );
    let chat = ChatTemplate::new("{{ raise_exception('no') }}", None, None).unwrap();
    let error = encode_split(&rows, &chat_split(), &tiny_tokenizer(&[]), Some(&chat)).unwrap_err();
    assert_eq!(error.place.unwrap().line, Some(1));
    let inner = tokenizers::Tokenizer::new(tokenizers::models::bpe::BPE::default());
    let endless = Tokenizer::new(inner, None, None).unwrap();
    let error = encode_split(&rows, &split("{q}", "{a}"), &endless, None).unwrap_err();
    assert_eq!(error.to_string(), "E0304: the model has no end token to put after the target");
    let chat_target = Split { target: chat_split().prompt, ..split("{q}", "") };
    assert_eq!(encode_split(&rows, &chat_target, &endless, None).unwrap_err().code.as_str(), "E0209");
}

proptest! {
    #[test]
    fn limits_hold(prompt in "[abc]{0,8}", target in "[abc]{0,8}", limit in 1usize..12, kind in 0usize..3, eos: bool, start: bool) {
        let overlong = [Overlong::CutRight, Overlong::CutLeft, Overlong::Drop][kind];
        let split = Split { overlong, max_length: limit, eos, ..split("{q}", "{a}") };
        let rows = jsonl(&serde_json::json!({"q": prompt, "a": target}).to_string());
        let tokenizer = tiny_tokenizer(if start { &["<s>"] } else { &[] });
        let encoded = encode_split(&rows, &split, &tokenizer, None).unwrap();
        let report = &encoded.report;
        prop_assert_eq!(report.kept(), encoded.rows.len());
        prop_assert_eq!(report.overlong.rows == 1, report.longest_uncut > limit);
        for row in &encoded.rows {
            prop_assert!(row.ids.len() <= limit && row.prompt_tokens <= row.ids.len() && row.supervised() > 0);
            prop_assert_eq!(report.cut_prompts.rows + report.cut_targets.rows > 0, report.overlong.rows == 1);
            prop_assert!(overlong != Overlong::CutRight || report.cut_prompts.rows == 0);
            let shape = RowShape { row: RowTokens::new(row.prompt_tokens, row.ids.len()), rows: 1 };
            prop_assert_eq!((report.shapes(), report.shared_start), (vec![shape], row.prompt_tokens));
        }
    }
}
