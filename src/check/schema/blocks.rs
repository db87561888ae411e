//! Every block with its fields.

use super::Bound::{AtLeast, Positive, Share};
use super::Fallback::{Later, None as Nothing, Required, Text};
use super::{Block, Bound, Fallback, Field};
use crate::check::types::Type;

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
            field("init", Type::String, Nothing, "the folder of a run, or of a saved intervention, to start from")
                .known_as(&["load", "checkpoint", "resume_from"]),
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
                "warmup_steps",
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
                "max_new_tokens",
                "temperature",
                "num_beams",
                "do_sample",
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
