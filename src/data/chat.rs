//! The model's own chat template: from messages to the text that it was trained on.

use crate::diag::{Code, Diagnostic, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

/// One message with its rendered content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    pub role: String,
    pub content: String,
}

/// The two texts of a training row: the prompt up to where the assistant begins, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub prompt: String,
    pub continuation: String,
}

/// A Jinja template as tokenizer configurations and GGUF files carry it, set up as transformers sets it up.
///
/// It writes the model's special tokens itself, so its text is tokenised without adding any.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    beginning: Option<String>,
    end: Option<String>,
}

const NAME: &str = "chat template";
const TEXT_INSTEAD: &str = "write the prompt as a text template instead of `chat([…])`";
const PROBE: &str = "\u{e000}the answer\u{e001}";

impl ChatTemplate {
    /// Compiles a template. `beginning` and `end` are the texts of the tokenizer's BOS and EOS tokens.
    ///
    /// # Errors
    /// E0310 where the text is not a Jinja template.
    pub fn new(source: &str, beginning: Option<&str>, end: Option<&str>) -> Result<Self> {
        let mut environment = Environment::new();
        let whitespace = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(whitespace.map_err(|error| unusable(&error))?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> std::result::Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: &str| on_the_fixed_day(format));
        environment.add_filter("tojson", to_json);
        environment.add_template_owned(NAME, without_generation_marks(source)).map_err(|error| unusable(&error))?;
        Ok(Self { environment, beginning: beginning.map(str::to_string), end: end.map(str::to_string) })
    }

    /// The text of a chat. With `generate` it ends where the assistant is to begin.
    ///
    /// # Errors
    /// E0310 where the template refuses the messages, with its own words.
    pub fn render(&self, messages: &[ChatMessage], generate: bool) -> Result<String> {
        let message = |message: &ChatMessage| {
            Value::from_pairs([("role", message.role.as_str()), ("content", message.content.as_str())])
        };
        let mut values = vec![
            ("messages", messages.iter().map(message).collect::<Vec<_>>().into()),
            ("add_generation_prompt", Value::from(generate)),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
        ];
        values.extend(self.beginning.as_ref().map(|text| ("bos_token", Value::from(text.as_str()))));
        values.extend(self.end.as_ref().map(|text| ("eos_token", Value::from(text.as_str()))));
        let text = self.environment.get_template(NAME).and_then(|template| template.render(Value::from_pairs(values)));
        text.map_err(|error| {
            let message = format!("the model's chat template refuses the messages: {}", reason(&error));
            let help = "change the roles or their order: most templates take one `system`, then `user` and `assistant` in turns";
            Box::new(Diagnostic::new(Code::NoChatTemplate, message).help(help))
        })
    }

    /// The prompt of a chat, and the assistant's answer as the template writes it.
    ///
    /// With `end` the continuation closes with the end of turn, but for white space after it, which belongs to the next turn (with
    /// the EOS token, where the template closes no turn); without, it closes with the answer. Where the template writes
    /// a finished turn otherwise than it opens one (some drop the thoughts of earlier turns), the answer follows the opening at once.
    ///
    /// # Errors
    /// E0310 as in [`ChatTemplate::render`], and where the template does more to an answer than to trim it.
    pub fn turn(&self, messages: &[ChatMessage], answer: &str, end: bool) -> Result<Turn> {
        let finished = |answer: &str| {
            let mut messages = messages.to_vec();
            messages.push(ChatMessage { role: "assistant".to_string(), content: answer.to_string() });
            self.render(&messages, false)
        };
        let prompt = self.render(messages, true)?;
        // A text that no template contains shows where the answer stands.
        let probe = finished(PROBE)?;
        let whole = finished(answer)?;
        let parts = probe.split_once(PROBE).and_then(|(before, after)| {
            let written = whole.strip_prefix(before)?.strip_suffix(after)?;
            (written.trim() == answer.trim()).then_some((before, written, after))
        });
        let Some((before, written, after)) = parts else {
            let message = "the model's chat template does not write the assistant's answer as it is given";
            return Err(Box::new(Diagnostic::new(Code::NoChatTemplate, message).help(TEXT_INSTEAD)));
        };
        let opening = before.strip_prefix(prompt.as_str()).unwrap_or_default();
        let closing = match after.trim_end() {
            _ if !end => "",
            "" => self.end.as_deref().unwrap_or_default(),
            closing => closing,
        };
        Ok(Turn { continuation: format!("{opening}{written}{closing}"), prompt })
    }
}

/// `{% generation %}` marks what transformers counts as the assistant's text; it writes nothing.
fn without_generation_marks(source: &str) -> String {
    let mut text = source.to_string();
    for (mark, neutral) in [("endgeneration", "endif"), ("generation", "if true")] {
        for (open, close) in [("{%", "%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%-", "-%}")] {
            text = text.replace(&format!("{open} {mark} {close}"), &format!("{open} {neutral} {close}"));
        }
    }
    text
}

fn unusable(error: &Error) -> Box<Diagnostic> {
    let message = format!("the model's chat template is not a Jinja template that reftc can read: {}", reason(error));
    Box::new(Diagnostic::new(Code::NoChatTemplate, message).help(TEXT_INSTEAD))
}

fn reason(error: &Error) -> String {
    let text = error.detail().map_or_else(|| error.to_string(), str::to_string);
    match error.line() {
        Some(line) => format!("{text} (line {line} of the template)"),
        None => text,
    }
}

/// `json.dumps` as transformers gives it to templates: nothing escaped for HTML, a space after `,` and `:`.
fn to_json(value: &Value, options: Kwargs) -> std::result::Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let mut text = String::new();
    write_json(value, indent, 0, &mut text)?;
    Ok(Value::from_safe_string(text))
}

fn write_json(value: &Value, indent: Option<usize>, depth: usize, text: &mut String) -> std::result::Result<(), Error> {
    if let Some(scalar) = scalar_json(value) {
        text.push_str(&scalar);
        return Ok(());
    }
    let is_map = value.kind() == ValueKind::Map;
    let line = |depth: usize| indent.map(|width| format!("\n{}", " ".repeat(width * depth)));
    let mut empty = true;
    text.push(if is_map { '{' } else { '[' });
    for item in value.try_iter()? {
        if !empty {
            text.push_str(if indent.is_some() { "," } else { ", " });
        }
        empty = false;
        text.push_str(&line(depth + 1).unwrap_or_default());
        if is_map {
            write_json(&Value::from(item.to_string()), indent, depth + 1, text)?;
            text.push_str(": ");
            write_json(&value.get_item(&item)?, indent, depth + 1, text)?;
        } else {
            write_json(&item, indent, depth + 1, text)?;
        }
    }
    if !empty {
        text.push_str(&line(depth).unwrap_or_default());
    }
    text.push(if is_map { '}' } else { ']' });
    Ok(())
}

/// The JSON of what is neither a list nor a map.
fn scalar_json(value: &Value) -> Option<String> {
    match value.kind() {
        ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => None,
        ValueKind::Bool => Some(value.is_true().to_string()),
        ValueKind::Number => Some(value.to_string()),
        ValueKind::None | ValueKind::Undefined => Some("null".to_string()),
        _ => Some(serde_json::Value::from(value.to_string()).to_string()),
    }
}

/// `strftime` on Friday, 26 July 2024, the day that the templates of Llama 3 fall back to where they are given no clock: the
/// tokens of a spec must not change with the day it runs on.
fn on_the_fixed_day(format: &str) -> String {
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('d' | 'e') => text.push_str("26"),
            Some('m') => text.push_str("07"),
            Some('Y') => text.push_str("2024"),
            Some('y') => text.push_str("24"),
            Some('b' | 'h') => text.push_str("Jul"),
            Some('B') => text.push_str("July"),
            Some('a') => text.push_str("Fri"),
            Some('A') => text.push_str("Friday"),
            Some('j') => text.push_str("208"),
            Some('F') => text.push_str("2024-07-26"),
            Some('H' | 'M' | 'S') => text.push_str("00"),
            Some('T') => text.push_str("00:00:00"),
            Some('%') => text.push('%'),
            Some('-') => match characters.next() {
                Some('d') => text.push_str("26"),
                Some('m') => text.push('7'),
                Some('H' | 'M' | 'S') => text.push('0'),
                other => text.extend(['%', '-'].into_iter().chain(other)),
            },
            other => text.extend(['%'].into_iter().chain(other)),
        }
    }
    text
}
