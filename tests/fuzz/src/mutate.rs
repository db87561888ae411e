//! Changes of texts: of letters, of words, of lines, and of two texts into one.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// What is put in: marks of the language, its words, numbers at their edges, and letters that tools stumble over.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "\"\"\"",
    "'",
    "“",
    "”",
    ",",
    ";",
    ":",
    "=",
    ":=",
    "==",
    "<=",
    "!=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "..",
    "..=",
    ".",
    "\n",
    "\r\n",
    "\t",
    " ",
    "//",
    "///",
    "//!",
    "#",
    "/*",
    "*/",
    "\\",
    "\\n",
    "\\u{e9}",
    "\\u{",
    "{{",
    "}}",
    "{text}",
    "{colum}",
    "{\"odd name\"}",
    "let ",
    "let x = ",
    "model ",
    "data ",
    "experiment ",
    "intervention ",
    "use \"",
    "edition = 1",
    " extends ",
    "intervene edit = loreft ",
    "train ",
    "eval test ",
    "sweep ",
    "expect ",
    "remove intervene ",
    "all",
    "f3",
    "l3",
    "f32",
    "generated",
    "field(text)",
    "match(\"x\")",
    "first(4)",
    "last(4)",
    "every(2)",
    "depth(25%, 50%)",
    "json(\"train.json\")",
    ".shuffle(1)",
    "[..4]",
    "[-4..]",
    "after(\"x\")",
    "regex(\"(\")",
    "choice([\"a\", \"b\"])",
    "chat([user(\"{text}\")])",
    "when(\"{text}\", \"a\", \"b\")",
    "logspace(1e-4, 1e-2, 5)",
    "random(4, seed: 1)",
    "zip",
    "linear(warmup: 10%)",
    "adamw(weight_decay: 0)",
    "greedy(max_tokens: 8)",
    "true",
    "None",
    "none",
    "0",
    "-1",
    "1e-9",
    "1e999",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "4GiB",
    "16777216TiB",
    "100%",
    "0.1.2",
    "1_",
    "rank = ",
    "lr = ",
    "epochs = ",
    "positions = ",
    "layers = ",
    "\u{feff}",
    "\0",
    "\u{a0}",
    "é",
    "日本",
    "🦀",
    "\u{200b}",
    "\u{301}",
];

/// A text made from those of the corpus by some changes.
pub fn mutated(corpus: &[String], random: &mut ChaCha8Rng) -> String {
    let mut text = corpus.choose(random).cloned().unwrap_or_default();
    for _ in 0..random.random_range(1..=6) {
        match random.random_range(0..10) {
            0 | 1 => {
                let at = place(&text, random);
                text.insert_str(at, PIECES.choose(random).unwrap_or(&""));
            }
            2 => {
                let (start, end) = (place(&text, random), place(&text, random));
                let end = end.clamp(start.min(end), start + 40);
                let end = (start.min(end)..=end).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(start);
                text.replace_range(start.min(end)..end.max(start), "");
            }
            3 | 4 => {
                if let Some(word) = words(&text).choose(random).cloned() {
                    text.replace_range(word, PIECES.choose(random).unwrap_or(&""));
                }
            }
            5 => {
                let found = words(&text);
                if let (Some(from), Some(to)) = (found.choose(random), found.choose(random)) {
                    let moved = text[from.clone()].to_owned();
                    text.replace_range(to.clone(), &moved);
                }
            }
            6 => lines(&mut text, random),
            7 => {
                let other = corpus.choose(random).cloned().unwrap_or_default();
                let (cut, from) = (place(&text, random), place(&other, random));
                text.truncate(cut);
                text.push_str(&other[from..]);
            }
            8 => {
                let at = place(&text, random);
                let count = 1 << random.random_range(1..9);
                text.insert_str(at, &PIECES.choose(random).unwrap_or(&"").repeat(count));
            }
            _ => misspell(&mut text, random),
        }
        if text.len() > 40_000 {
            let end = (0..=40_000).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(end);
        }
    }
    text
}

/// A place between two letters.
fn place(text: &str, random: &mut ChaCha8Rng) -> usize {
    let at = random.random_range(0..=text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Words, strings and single marks.
fn words(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, letter) in text.char_indices().filter(|(_, letter)| !letter.is_whitespace()) {
        let end = at + letter.len_utf8();
        let part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
        match found.last_mut() {
            Some(last) if last.end == at && part(letter) && text[last.clone()].chars().all(part) => last.end = end,
            _ => found.push(at..end),
        }
    }
    found
}

/// A line goes, comes twice, or changes places with another.
fn lines(text: &mut String, random: &mut ChaCha8Rng) {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.is_empty() {
        return;
    }
    let (one, other) = (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
    match random.random_range(0..3) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one]),
        _ => lines.swap(one, other),
    }
    *text = lines.concat();
}

/// Slips of the keyboard: a letter goes, comes twice, or changes places with the next.
fn misspell(text: &mut String, random: &mut ChaCha8Rng) {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 2 {
        return;
    }
    let at = random.random_range(0..letters.len() - 1);
    match random.random_range(0..3) {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at, letters[at]),
        _ => letters.swap(at, at + 1),
    }
    *text = letters.into_iter().collect();
}
