//! The one table of the language: every block, field and form, with types, defaults and a line of documentation.
//!
//! The checker, `reftc describe`, completion and the language reference all read it. Defaults are written in the
//! language itself and go through the same evaluation as what a user writes.

use super::types::Type;

/// What an edition of the language calls a block and its fields.
pub struct Block {
    pub name: &'static str,
    pub doc: &'static str,
    /// How a block of this kind begins.
    pub head: &'static str,
    pub fields: &'static [Field],
}

/// One field of a block.
pub struct Field {
    pub name: &'static str,
    pub holds: Type,
    pub default: Fallback,
    pub bound: Bound,
    pub doc: &'static str,
    /// What other tools call it.
    pub aliases: &'static [&'static str],
}

/// What a field holds where nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It must be written.
    Required,
    /// It may be left out, and then there is none.
    None,
    /// This text, in the language.
    Text(&'static str),
    /// The field is known but not yet implemented.
    Later,
}

/// Which numbers are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Any,
    AtLeast(i64),
    Positive,
    /// 0 up to, not including, 1.
    Share,
    /// 0 up to and including 1.
    Ratio,
}

impl Bound {
    /// Whether `value` lies inside.
    pub fn holds(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Bound::Any => true,
                Bound::AtLeast(least) => value >= least as f64,
                Bound::Positive => value > 0.0,
                Bound::Share => (0.0..1.0).contains(&value),
                Bound::Ratio => (0.0..=1.0).contains(&value),
            }
    }

    /// The allowed numbers in words.
    pub fn describe(self) -> String {
        match self {
            Bound::Any => "any number".into(),
            Bound::AtLeast(least) => format!("{least} or more"),
            Bound::Positive => "more than 0".into(),
            Bound::Share => "from 0 to less than 1".into(),
            Bound::Ratio => "from 0 to 1".into(),
        }
    }
}

/// A word or call that makes a value of a domain type: `all`, `linear(warmup: 10%)`.
#[derive(Debug)]
pub struct Form {
    pub makes: Type,
    pub name: &'static str,
    pub parameters: &'static [Parameter],
    pub doc: &'static str,
    pub later: bool,
}

/// One argument of a form; those without a default must be given.
#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub holds: Type,
    pub default: Option<&'static str>,
    pub bound: Bound,
    pub doc: &'static str,
}

const fn field(name: &'static str, holds: Type, default: Fallback, doc: &'static str) -> Field {
    Field { name, holds, default, bound: Bound::Any, doc, aliases: &[] }
}

impl Field {
    const fn within(mut self, bound: Bound) -> Self {
        self.bound = bound;
        self
    }

    const fn known_as(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

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

use Bound::{Any, AtLeast, Positive, Ratio, Share};
use Fallback::{Later, None as Nothing, Required, Text};

/// Every block.
pub const BLOCKS: &[Block] = &[
    Block {
        name: "model",
        doc: "A frozen language model.",
        head: "model NAME = SOURCE { … }",
        fields: &[field("dtype", Type::Dtype, Text("f32"), "precision of frozen weights and activations")
            .known_as(&["torch_dtype", "precision"])],
    },
    Block {
        name: "data",
        doc: "Rows of a task, and the templates that make them text.",
        head: "data NAME { … }",
        fields: &[
            field("train", Type::Source, Nothing, "rows to train on"),
            field("validation", Type::Source, Nothing, "rows to choose by").known_as(&["dev", "valid", "eval"]),
            field("test", Type::Source, Nothing, "rows to report on"),
            field("prompt", Type::Template, Required, "what the model is given; edits happen in its tokens")
                .known_as(&["input", "instruction", "template"]),
            field("target", Type::Template, Required, "what the model shall answer; the loss is on its tokens")
                .known_as(&["output", "completion", "response", "answer"]),
            field("eos", Type::Bool, Text("true"), "append the model's end token to the target")
                .known_as(&["add_eos", "nonstop"]),
            field("overlong", Type::Overlong, Text("cut_right"), "what becomes of rows longer than max_length")
                .known_as(&["truncation"]),
            field("label", Type::String, Later, "the column of the class"),
            field("classes", Type::Strings, Later, "the names of the classes"),
        ],
    },
    Block {
        name: "experiment",
        doc: "A model, data, interventions, a training and its evaluations.",
        head: "experiment NAME { … }",
        fields: &[
            field("model", Type::Model, Required, "the frozen model").known_as(&["model_name", "base_model"]),
            field("data", Type::Data, Required, "the data to train on, or a list of several")
                .known_as(&["dataset", "task"]),
            field("seed", Type::Int, Text("42"), "decides initial parameters, row order and dropout")
                .within(AtLeast(0))
                .known_as(&["random_seed"]),
        ],
    },
    Block {
        name: "intervene",
        doc: "One trainable edit of hidden states, at some layers and positions.",
        head: "intervene NAME = KIND { … }",
        fields: &[
            field("layers", Type::Layers, Required, "which blocks, counted from 0").known_as(&["layer"]),
            field("positions", Type::Positions, Required, "which prompt tokens").known_as(&["position", "pos"]),
            field("rank", Type::Int, Required, "dimensions of the subspace that is edited")
                .within(AtLeast(1))
                .known_as(&["r", "low_rank_dimension", "low_rank", "dim"]),
            field("at", Type::Site, Text("block_output"), "where in each layer").known_as(&["component"]),
            field("tied", Type::Bool, Text("false"), "the segments of `positions` share one set of parameters")
                .known_as(&["share_weights", "tie_weights"]),
            field("dropout", Type::Ratio, Text("0"), "share of coordinates of the edited state dropped in training")
                .within(Share),
            field("act", Type::Activation, Text("linear"), "function on the learned source")
                .known_as(&["act_fn", "activation"]),
            field("bias", Type::Bool, Text("false"), "the projection of `noreft` has a bias").known_as(&["add_bias"]),
            field("parametrization", Type::Parametrization, Text("householder"), "how R is kept orthonormal"),
            field("init", Type::String, Later, "a saved intervention to start from"),
        ],
    },
    Block {
        name: "train",
        doc: "How the interventions are trained.",
        head: "train { … }",
        fields: &[
            field("epochs", Type::Int, Required, "passes over the training rows").within(AtLeast(1)).known_as(&[
                "num_train_epochs",
                "epoch",
                "num_epochs",
            ]),
            field("lr", Type::Float, Required, "highest learning rate")
                .within(Positive)
                .known_as(&["learning_rate", "rate"]),
            field("batch", Type::Int, Text("16"), "rows of one forward pass").within(AtLeast(1)).known_as(&[
                "batch_size",
                "per_device_train_batch_size",
                "micro_batch_size",
            ]),
            field("accumulate", Type::Int, Text("1"), "batches of one optimizer step").within(AtLeast(1)).known_as(&[
                "gradient_accumulation_steps",
                "accumulation",
                "grad_accum",
            ]),
            field("schedule", Type::Schedule, Text("linear(warmup: 0%)"), "how the learning rate moves").known_as(&[
                "lr_scheduler_type",
                "lr_schedule",
                "scheduler",
                "warmup_ratio",
                "warmup",
            ]),
            field("optimizer", Type::Optimizer, Text("adamw(weight_decay: 0)"), "the optimizer")
                .known_as(&["optim", "weight_decay"]),
            field("clip", Type::Clip, Text("1.0"), "largest norm of all gradients together, or `off`").known_as(&[
                "max_grad_norm",
                "gradient_clipping",
                "grad_clip",
            ]),
            field(
                "max_length",
                Type::Int,
                Text("512"),
                "tokens of prompt and target together; where none is written, never more than the model reads",
            )
            .within(AtLeast(2))
            .known_as(&["model_max_length", "max_seq_length", "cutoff_len", "max_tokens"]),
            field("keep", Type::Keep, Text("last"), "which parameters the run ends with"),
            field("base_dropout", Type::BaseDropout, Text("off"), "the frozen model's own dropout"),
            field(
                "recompute",
                Type::Bool,
                Text("false"),
                "compute activations again in the backward pass instead of keeping them: less memory, more time",
            )
            .known_as(&["gradient_checkpointing", "activation_checkpointing"]),
        ],
    },
    Block {
        name: "eval",
        doc: "A measurement on rows of a split.",
        head: "eval NAME { … }",
        fields: &[
            field("on", Type::Split, Required, "the rows").known_as(&["split", "data", "dataset"]),
            field("when", Type::When, Text("end"), "when it is measured").known_as(&["every", "eval_steps"]),
            field("decode", Type::Decode, Text("greedy(max_tokens: 32)"), "how text is generated").known_as(&[
                "decoding",
                "generation",
                "generate",
                "max_tokens",
            ]),
            field("answer", Type::Answer, Text("text"), "how the answer is taken from the output").known_as(&[
                "extract",
                "extractor",
                "trigger",
            ]),
            field("gold", Type::Template, Nothing, "the right answer; by default what the rendered target says")
                .known_as(&["reference", "label", "expected"]),
            field("choices", Type::Templates, Nothing, "texts in the target's place; the likeliest is the answer")
                .known_as(&["options", "candidates"]),
            field("score", Type::Likelihood, Text("sum"), "what of a choice's tokens is compared"),
            field("metric", Type::Metric, Text("exact_match"), "what is measured; with `choices` by default accuracy")
                .known_as(&["metrics"]),
            field("baseline", Type::Bool, Text("false"), "measure the untouched model too"),
            field("batch", Type::Int, Text("32"), "rows of one forward pass")
                .within(AtLeast(1))
                .known_as(&["batch_size", "per_device_eval_batch_size"]),
        ],
    },
    Block {
        name: "sweep",
        doc: "One run for each combination of values. Other entries are paths of the experiment and lists: `train.lr = [1e-4, 1e-3]`.",
        head: "sweep { … }",
        fields: &[
            field("points", Type::Points, Text("grid"), "how the lists are combined; every point has every seed")
                .known_as(&["method", "strategy"]),
            field(
                "select",
                Type::Selection,
                Nothing,
                "the measure that the best point is chosen by, as a mean over seeds",
            )
            .known_as(&["metric", "objective", "goal"]),
        ],
    },
    Block {
        name: "expect",
        doc: "What an experiment promises. Its entries are comparisons: `params.share <= 0.25%`, `eval.test.exact_match >= 72%`.",
        head: "expect { … }",
        fields: &[],
    },
];

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
    later(Type::BaseDropout, "config", "the dropout of the model's config"),
    word(Type::Keep, "last", "the parameters after the last step"),
    later(Type::Keep, "best", "the parameters of the best evaluation"),
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

/// The block of that name.
pub fn block(name: &str) -> Option<&'static Block> {
    BLOCKS.iter().find(|block| block.name == name)
}

/// The forms that make a value of a type.
pub fn forms(makes: Type) -> impl Iterator<Item = &'static Form> {
    FORMS.iter().filter(move |form| form.makes == makes)
}

/// Whether a word is `fN` or `lN`.
pub fn is_position(word: &str) -> bool {
    word.strip_prefix(['f', 'l']).is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
}

impl Block {
    /// The field that other tools call by that name.
    pub fn known_as(&self, alias: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.aliases.contains(&alias))
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}
