//! Positions that name texts: through chat templates, and from what an earlier check remembered.

use crate::support::{checked, planned, rows};
use reftc::data::positions::{PromptText, Segment};
use reftc::diag::Code;
use reftc::world::MemoryWorld;
use std::path::Path;

/// A folder with the files of the embedded model that a check reads, and this chat template.
fn model(folder: &Path, template: &str) -> String {
    let tiny = reftc::model::embedded::find("tiny").expect("it is part of the binary");
    std::fs::write(folder.join("config.json"), tiny.config).expect("the folder is there");
    std::fs::write(folder.join("tokenizer.json"), tiny.tokenizer).expect("the folder is there");
    std::fs::write(folder.join("model.safetensors"), tiny.weights).expect("the folder is there");
    std::fs::write(folder.join("chat_template.jinja"), template).expect("the folder is there");
    folder.display().to_string()
}

fn spec(model: &str, prompt: &str, positions: &str) -> String {
    format!(
        r#"
model chatty = path("{model}")
data reviews {{
  train  = json("train.json")
  test   = json("test.json")
  prompt = {prompt}
  target = "{{answer}}"
}}
experiment example {{
  model = chatty
  data  = reviews
  intervene edit = loreft {{ layers = all, positions = {positions}, rank = 4 }}
  train {{ epochs = 1, lr = 1e-3 }}
  eval test {{ on = reviews.test, decode = greedy(max_tokens: 4) }}
}}
"#
    )
}

const CHAT: &str = r#"chat([system("Judge. "), user("Question: {question}\nReview: {text}")])"#;
const PLAIN: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}\n{% endfor %}<assistant>";

fn world() -> MemoryWorld {
    let other = rows(24).lines().skip(20).map(|line| line.to_owned() + "\n").collect::<String>();
    MemoryWorld::default().with("train.json", rows(20)).with("test.json", other)
}

#[test]
fn texts_are_found_through_a_chat_template() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = spec(&model(folder.path(), PLAIN), CHAT, r#"field(question)+match("Review:")+match("Judge.")"#);
    let plan = planned(&text, &world());
    let example = plan.experiments[0].example.as_ref().expect("texts are named");
    assert!(example.texts.iter().all(|(_, tokens)| !tokens.is_empty()), "{example:?}");
    let tokens = |text: PromptText| example.texts.iter().find(|(of, _)| *of == text).map(|(_, tokens)| tokens.clone());
    let review = tokens(PromptText::Constant("Review:".to_owned())).expect("it is asked about");
    let question = tokens(PromptText::Column("question".to_owned())).expect("it is asked about");
    assert!(question.iter().max() < review.first(), "the question comes first");
}

#[test]
fn a_chat_template_that_changes_messages_hides_their_texts() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = model(folder.path(), &PLAIN.replace("m.content", "m.content.replace('cup', 'glass')"));
    let (found, _) = checked(&spec(&model, CHAT, "field(question)"), &world());
    assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), [Code::NoPositions], "{found:?}");
    let expected =
        "where `field(question)` is in the prompt cannot be told in 20 rows (the first is row 1) of `reviews.train`";
    assert_eq!(found[0].message, expected);
    assert_eq!(checked(&spec(&model, CHAT, "f3+generated"), &world()).0, [], "who names no text does not care");
}

#[test]
fn what_was_remembered_says_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = model(folder.path(), PLAIN);
    let world = world();
    // The first check remembers lengths and rows, the next ones how other positions fit them.
    for positions in ["f3", "field(text).last(2)", "all-field(text).last(2)", "field(text).last(2)"] {
        let text = spec(&model, r#""{question}\n{text}\n""#, positions);
        let (again, anew) = (planned(&text, &world), planned(&text, &self::world()));
        assert_eq!(again, anew, "{positions}");
        assert_eq!(again.experiments[0].example.is_some(), positions != "f3");
    }
}

#[test]
fn the_order_in_which_things_are_taken_away_is_that_of_the_text() {
    let text = spec("unused", r#""{text}\n""#, "f3+all - l1 - field(text).first(1)+l2")
        .replace("path(\"unused\")", "embedded(\"tiny\")");
    let plan = planned(&text, &world());
    let segments: Vec<String> = plan.experiments[0].interventions[0].segments.iter().map(Segment::to_string).collect();
    assert_eq!(segments, ["f3", "all-l1-field(text).first(1)", "l2"]);
    let json = serde_json::to_string(&plan).expect("a plan is plain data");
    assert_eq!(serde_json::from_str::<reftc::plan::Plan>(&json).expect("it is one"), plan);
}
