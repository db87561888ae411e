use reftc::data::answer::Extractor;

fn regex(pattern: &str, last: bool) -> Extractor {
    Extractor::Regex { pattern: pattern.to_string(), last }
}

fn choice(options: &[&str]) -> Extractor {
    Extractor::Choice(options.iter().map(ToString::to_string).collect())
}

#[test]
fn golden_table() {
    let after = || Extractor::After("the correct answer is ".to_string());
    let rows = [
        (after(), "the correct answer is true", Some("true")),
        (
            after(),
            "I think the correct answer is  true\n and the correct answer is false ",
            Some("true\n and the correct answer is false"),
        ),
        (after(), "the correct answer is ", Some("")),
        (after(), "The correct answer is true", None),
        (after(), "", None),
        (Extractor::LastNumber, "So 3 + 4 = 7", Some("7")),
        (Extractor::LastNumber, "#### 1,234,567", Some("1234567")),
        (Extractor::LastNumber, "It costs $1,080.50.", Some("1080.50")),
        (Extractor::LastNumber, "The answer is 42.", Some("42")),
        (Extractor::LastNumber, "from 5 to -3 degrees", Some("-3")),
        (Extractor::LastNumber, "5-3", Some("-3")),
        (Extractor::LastNumber, "1.2.3", Some("3")),
        (Extractor::LastNumber, "about .5", Some("5")),
        (Extractor::LastNumber, "no number", None),
        (choice(&["A", "B", "C"]), "Answer: b", Some("B")),
        (choice(&["A", "B", "C"]), "(C), not A", Some("C")),
        (choice(&["A", "B", "C"]), "Apples", None),
        (choice(&["answer1", "answer10"]), "it is answer10", Some("answer10")),
        (choice(&["answer1", "answer10"]), "it is ANSWER1, answer10", Some("answer1")),
        (choice(&["New", "New York"]), "in New York", Some("New York")),
        (choice(&["no", "yes"]), "now yes_no or yes", Some("yes")),
        (choice(&["+", "c++"]), "c++", Some("c++")),
        (choice(&["(a)", "(b)"]), "x(b)", Some("(b)")),
        (choice(&["größer", "kleiner"]), "Er ist GRÖSSER, nein: GRÖßER", Some("größer")),
        (choice(&["yes"]), "", None),
        (regex(r"answer: (\w+)", false), "answer: one, answer: two", Some("one")),
        (regex(r"answer: (\w+)", true), "answer: one, answer: two", Some("two")),
        (regex(r"\d+", true), "1 22 333", Some("333")),
        (regex(r"(x)|y", false), "y x", Some("y")),
        (regex(r"z", false), "y x", None),
        (Extractor::Text, " whole text\n", Some("whole text")),
        (Extractor::Text, "", Some("")),
    ];
    for (extractor, output, expected) in rows {
        assert_eq!(extractor.extract(output).as_deref(), expected, "{extractor:?} of {output:?}");
        assert_eq!(extractor.validate(), Ok(()));
    }
}

#[test]
fn what_is_wrong_with_an_extractor() {
    let rows = [
        (regex("(a", false), "unclosed group"),
        (regex("*", false), "repetition operator missing expression"),
        (choice(&[]), "there are no options"),
        (choice(&["a", " "]), "an option is blank"),
        (Extractor::After(String::new()), "the trigger is empty"),
    ];
    for (extractor, message) in rows {
        assert_eq!(extractor.validate(), Err(message.to_string()), "{extractor:?}");
    }
    assert_eq!(regex("(a", false).extract("a"), None);
}
