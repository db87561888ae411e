use reftc::data::chat::{ChatMessage, ChatTemplate};

const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fn messages(texts: &[(&str, &str)]) -> Vec<ChatMessage> {
    texts.iter().map(|(role, content)| ChatMessage { role: role.to_string(), content: content.to_string() }).collect()
}

fn hello() -> Vec<ChatMessage> {
    messages(&[("system", "Be brief."), ("user", "Hi")])
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source, Some("<s>"), Some("</s>")).unwrap()
}

#[test]
fn chatml_is_that_of_the_reference() {
    let text = template(CHATML).render(&hello(), true).unwrap();
    assert_eq!(
        text,
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn a_turn_is_what_follows_the_generation_prompt() {
    let thinking = "{% for m in messages %}{% if m.role == 'assistant' %}A:{% if loop.last %}<think></think>{% endif %}{{ m.content | trim }}<end>\n{% else %}U:{{ m.content }}\n{% endif %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}";
    let forgets = "{% for m in messages %}{% if m.role == 'assistant' %}A:{{ m.content }}<end>{% else %}U:{{ m.content }}\n{% endif %}{% endfor %}{% if add_generation_prompt %}A:<think>\n{% endif %}";
    let unclosed = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
    let rows = [
        (CHATML, "im_end", true, "im_end<|im_end|>"),
        (CHATML, "yes", false, "yes"),
        (CHATML, "", true, "<|im_end|>"),
        (thinking, " think ", true, "<think></think>think<end>"),
        (thinking, " think ", false, "<think></think>think"),
        (forgets, "yes", true, "yes<end>"),
        (unclosed, "yes", true, "yes</s>"),
        (unclosed, "yes", false, "yes"),
    ];
    for (source, answer, end, continuation) in rows {
        let template = template(source);
        let turn = template.turn(&messages(&[("user", "Hi")]), answer, end).unwrap();
        assert_eq!(turn.continuation, continuation, "{source}");
        assert_eq!(turn.prompt, template.render(&messages(&[("user", "Hi")]), true).unwrap());
    }
    let error = template("{{ messages[-1].content | upper }}").turn(&hello(), "yes", true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "E0310: the model's chat template does not write the assistant's answer as it is given"
    );
}

#[test]
fn templates_find_what_transformers_gives_them() {
    let rows = [
        ("{{ bos_token }}|{{ eos_token }}|{{ pad_token }}", "<s>|</s>|"),
        ("{% if tools is defined and tools is none %}no tools{% endif %}", "no tools"),
        ("  {% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb"),
        ("{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}", "system"),
        ("{{ messages[1]['content'].strip().startswith('H') }}", "True"),
        ("{{ {'a': [1, true, none, '<é>']} | tojson }}", "{\"a\": [1, true, null, \"<é>\"]}"),
        ("{{ [1, {}] | tojson(indent=2) }}", "[\n  1,\n  {}\n]"),
        ("{{ strftime_now('%d %b %Y %-d %%') }}", "26 Jul 2024 26 %"),
        ("{%- generation %}x{% endgeneration -%}  y", "xy"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
    ];
    for (source, expected) in rows {
        assert_eq!(template(source).render(&hello(), false).unwrap(), expected, "{source}");
    }
}

#[test]
fn refusals_and_broken_templates() {
    let refusing = template(
        "{% if messages[0].role == 'system' %}\n{{ raise_exception('System role not supported') }}{% endif %}",
    );
    let error = refusing.render(&hello(), true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "E0310: the model's chat template refuses the messages: System role not supported (line 2 of the template)"
    );
    let error = ChatTemplate::new("{% if %}", None, None).unwrap_err();
    assert!(
        error.to_string().starts_with("E0310: the model's chat template is not a Jinja template that reftc can read: "),
        "{error}"
    );
}
