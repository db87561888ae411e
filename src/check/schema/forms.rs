//! Every word and call that makes a value of a domain type.

use super::Bound::{Any, AtLeast, Positive, Ratio, Share};
use super::{Bound, Form, Parameter};
use crate::check::types::Type;

const fn word(makes: Type, name: &'static str, doc: &'static str) -> Form {
    Form { makes, name, parameters: &[], doc, later: false }
}

const fn call(makes: Type, name: &'static str, parameters: &'static [Parameter], doc: &'static str) -> Form {
    Form { makes, name, parameters, doc, later: false }
}

const fn later(makes: Type, name: &'static str, doc: &'static str) -> Form {
    Form { makes, name, parameters: &[], doc, later: true }
}

const fn required(name: &'static str, holds: Type, bound: Bound, doc: &'static str) -> Parameter {
    Parameter { name, holds, default: None, bound, doc }
}

const fn optional(
    name: &'static str,
    holds: Type,
    default: &'static str,
    bound: Bound,
    doc: &'static str,
) -> Parameter {
    Parameter { name, holds, default: Some(default), bound, doc }
}

/// Every word and call of the domain types; kinds of interventions are in the registry of kinds.
pub const FORMS: &[Form] = &[
    word(Type::Dtype, "f32", "32-bit floats"),
    word(Type::Dtype, "f16", "16-bit floats"),
    word(Type::Dtype, "bf16", "16-bit floats with the range of f32"),
    word(Type::Site, "block_output", "the residual stream as it leaves the block"),
    word(Type::Site, "block_input", "the residual stream as it enters the block"),
    word(Type::Site, "attention_output", "what attention adds to the stream, before it is added"),
    word(Type::Site, "mlp_output", "what the MLP adds to the stream, before it is added"),
    word(Type::Activation, "linear", "no function"),
    word(Type::Activation, "relu", "max(x, 0)"),
    word(Type::Activation, "gelu", "x Φ(x), with erf"),
    word(Type::Activation, "silu", "x σ(x)"),
    word(Type::Activation, "tanh", "hyperbolic tangent"),
    word(Type::Parametrization, "householder", "a product of reflections, as torch's `orthogonal`"),
    call(Type::Schedule, "linear", WARMUP, "rises over the warm-up, then falls to 0 on a line"),
    call(Type::Schedule, "cosine", WARMUP, "rises over the warm-up, then falls to 0 on half a cosine"),
    call(Type::Schedule, "constant", WARMUP, "rises over the warm-up, then stays"),
    call(
        Type::Optimizer,
        "adamw",
        &[
            optional("weight_decay", Type::Float, "0", AtLeast(0), "decoupled decay; never of rotations"),
            optional("beta1", Type::Float, "0.9", Share, "decay of the first moment"),
            optional("beta2", Type::Float, "0.999", Share, "decay of the second moment"),
            optional("epsilon", Type::Float, "1e-8", Positive, "added to the root of the second moment"),
        ],
        "Adam with decoupled weight decay",
    ),
    word(Type::Clip, "off", "gradients are left as they are"),
    word(Type::BaseDropout, "off", "no dropout in the frozen model"),
    word(Type::BaseDropout, "config", "the dropout of the model's config, which for almost every decoder is none"),
    word(Type::Keep, "last", "the parameters after the last step"),
    call(
        Type::Keep,
        "best",
        &[
            required("measure", Type::Measure, Any, "`eval.NAME.METRIC`, measured along the way"),
            optional(
                "patience",
                Type::Int,
                "0",
                AtLeast(0),
                "measurements without a better one before training stops; 0: it goes on",
            ),
        ],
        "the parameters that were measured best",
    ),
    word(Type::Overlong, "cut_right", "cut the end of the row"),
    word(Type::Overlong, "cut_left", "cut the beginning of the prompt"),
    word(Type::Overlong, "drop", "leave the row out"),
    word(Type::When, "end", "after training"),
    word(Type::When, "epoch", "after every epoch"),
    call(
        Type::When,
        "steps",
        &[required("count", Type::Int, AtLeast(1), "optimizer steps between measurements")],
        "after every so many optimizer steps",
    ),
    call(
        Type::Decode,
        "greedy",
        &[optional("max_tokens", Type::Int, "32", AtLeast(1), "new tokens at most")],
        "the likeliest token each time",
    ),
    later(Type::Decode, "sample", "a token drawn at random"),
    later(Type::Decode, "beam", "the likeliest of several texts"),
    call(
        Type::Answer,
        "after",
        &[required("trigger", Type::String, Any, "text that comes before the answer")],
        "what follows the trigger",
    ),
    call(
        Type::Answer,
        "regex",
        &[
            required(
                "pattern",
                Type::Pattern,
                Any,
                "regular expression; its first group, if it has one, is the answer",
            ),
            optional("take", Type::Take, "first", Any, "which match"),
        ],
        "what a regular expression matches",
    ),
    word(Type::Answer, "last_number", "the last number of the output"),
    call(
        Type::Answer,
        "choice",
        &[required("options", Type::Strings, Any, "the words to look for")],
        "the option that the output names first",
    ),
    word(Type::Answer, "text", "the whole output"),
    word(Type::Likelihood, "sum", "the sum of their log-likelihoods"),
    word(Type::Likelihood, "mean", "the mean of their log-likelihoods: length does not count"),
    word(Type::Take, "first", "the first match"),
    word(Type::Take, "last", "the last match"),
    word(Type::Metric, "accuracy", "share of right answers; case and the form of numbers do not count"),
    word(Type::Metric, "exact_match", "share of answers that are the gold letter for letter"),
    word(Type::Metric, "perplexity", "exp of the mean loss of target tokens; nothing is generated"),
    call(Type::Selection, "max", MEASURE, "the highest is best"),
    call(Type::Selection, "min", MEASURE, "the lowest is best"),
    word(Type::Points, "grid", "each value with each other"),
    word(Type::Points, "zip", "the first values together, then the second ones"),
    call(
        Type::Points,
        "random",
        &[
            required("count", Type::Int, AtLeast(1), "how many points of the grid"),
            optional("seed", Type::Int, "42", AtLeast(0), "decides which"),
        ],
        "some points of the grid",
    ),
    call(Type::Spaced, "linspace", SPACED, "numbers at equal distances, to six digits"),
    call(Type::Spaced, "logspace", SPACED, "numbers at equal ratios, to six digits"),
    call(
        Type::ModelSource,
        "hf",
        &[
            required("repository", Type::String, Any, "organisation and name"),
            optional("rev", Type::String, "\"main\"", Any, "branch, tag or commit"),
        ],
        "a model of the Hugging Face hub",
    ),
    call(
        Type::ModelSource,
        "path",
        &[required("folder", Type::String, Any, "holds config.json, tokenizer.json and safetensors")],
        "a folder",
    ),
    call(
        Type::ModelSource,
        "gguf",
        &[required("file", Type::String, Any, "a GGUF file with its tokenizer inside")],
        "a GGUF file",
    ),
    call(
        Type::ModelSource,
        "embedded",
        &[required("name", Type::String, Any, "`tiny`")],
        "a small model that is part of reftc",
    ),
    call(Type::Source, "json", FILE, "an array of objects, or one object a line"),
    call(Type::Source, "jsonl", FILE, "one object a line"),
    call(
        Type::Source,
        "csv",
        &[
            required("file", Type::String, Any, "relative to the spec"),
            optional("header", Type::Bool, "true", Any, "the first line names the columns"),
            optional("columns", Type::Strings, "[]", Any, "names of the columns"),
            optional("quote", Type::Quote, "double", Any, "the quote character"),
        ],
        "comma-separated lines",
    ),
    call(
        Type::Source,
        "tsv",
        &[
            required("file", Type::String, Any, "relative to the spec"),
            optional("header", Type::Bool, "true", Any, "the first line names the columns"),
            optional("columns", Type::Strings, "[]", Any, "names of the columns"),
            optional("quote", Type::Quote, "none", Any, "the quote character"),
        ],
        "tab-separated lines",
    ),
    call(Type::Source, "parquet", FILE, "a Parquet file: its columns of texts, numbers and booleans"),
    call(
        Type::Source,
        "hf",
        &[
            required("repository", Type::String, Any, "organisation and name of the dataset"),
            required("split", Type::String, Any, "`train`, or another split of the dataset"),
            optional("config", Type::String, "\"\"", Any, "the subset, where there are several"),
            optional("rev", Type::String, "\"main\"", Any, "branch, tag or commit"),
        ],
        "a split of a dataset of the Hugging Face hub",
    ),
    word(Type::Quote, "none", "quotes are ordinary characters"),
    word(Type::Quote, "double", "`\"`"),
    word(Type::Quote, "single", "`'`"),
    call(
        Type::Template,
        "chat",
        &[required("messages", Type::Messages, Any, "what comes before the answer")],
        "messages through the model's chat template",
    ),
    call(
        Type::Template,
        "when",
        &[
            required("condition", Type::Template, Any, "blank or not"),
            required("then", Type::Template, Any, "where the condition is not blank"),
            required("otherwise", Type::Template, Any, "where it is"),
        ],
        "one of two templates, by a third",
    ),
    later(Type::Template, "pair", "two texts for an encoder"),
    call(Type::Message, "system", CONTENT, "an instruction"),
    call(Type::Message, "user", CONTENT, "what the user says"),
    call(Type::Message, "assistant", CONTENT, "what the model said before"),
    word(Type::Layers, "all", "every layer"),
    call(Type::Layers, "first", COUNT, "the first layers"),
    call(Type::Layers, "last", COUNT, "the last layers"),
    call(Type::Layers, "every", COUNT, "layers 0, n, 2n, …"),
    call(
        Type::Layers,
        "depth",
        &[required("shares", Type::Ratios, Ratio, "shares of the layer count, rounded down")],
        "layers at shares of the depth",
    ),
    word(Type::Positions, "all", "every prompt token"),
    call(
        Type::Positions,
        "field",
        &[required("column", Type::String, Any, "a column that the prompt writes, without quotes")],
        "the prompt tokens of a column's text; `.first(n)` or `.last(n)` of them",
    ),
    call(
        Type::Positions,
        "match",
        &[required("text", Type::String, Any, "a constant of the prompt's template, or a piece of one")],
        "the prompt tokens of a constant text, wherever it occurs; `.first(n)` or `.last(n)` of them",
    ),
    word(Type::Positions, "generated", "the target's input tokens in training, every decoded token in generation"),
];

const MEASURE: &[Parameter] = &[required("measure", Type::Measure, Any, "`eval.NAME.METRIC`")];
const SPACED: &[Parameter] = &[
    required("from", Type::Float, Any, "the first"),
    required("to", Type::Float, Any, "the last"),
    required("count", Type::Int, AtLeast(2), "how many"),
];
const WARMUP: &[Parameter] = &[optional("warmup", Type::Ratio, "0%", Ratio, "share of the steps that rise from 0")];
const FILE: &[Parameter] = &[required("file", Type::String, Any, "relative to the spec")];
const CONTENT: &[Parameter] = &[required("content", Type::Template, Any, "a text template")];
const COUNT: &[Parameter] = &[required("count", Type::Int, AtLeast(1), "how many")];
