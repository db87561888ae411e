//! What other tools call the words of the language. What they call its fields stands with the fields, in `schema/blocks.rs`.

/// Their words and ours, of whatever type the place wants.
pub const WORDS: &[(&str, &str)] = &[
    ("float32", "f32"),
    ("fp32", "f32"),
    ("float16", "f16"),
    ("fp16", "f16"),
    ("half", "f16"),
    ("bfloat16", "bf16"),
    ("identity", "linear"),
    ("constant_with_warmup", "constant"),
    ("adam", "adamw"),
    ("every", "steps"),
    ("em", "exact_match"),
    ("exact", "exact_match"),
    ("acc", "accuracy"),
    ("ppl", "perplexity"),
    ("no", "off"),
    ("right", "cut_right"),
    ("left", "cut_left"),
    ("number", "last_number"),
];
