//! The types of the language: how each is called, and an example of each for the help of errors.

/// What a field or an argument holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    Int,
    Float,
    Bool,
    String,
    Ratio,
    Strings,
    Ratios,
    Layers,
    Positions,
    Source,
    Split,
    Template,
    Templates,
    Messages,
    Message,
    Pattern,
    Model,
    ModelSource,
    Data,
    Kind,
    Dtype,
    Site,
    Activation,
    Parametrization,
    Schedule,
    Optimizer,
    Clip,
    BaseDropout,
    Keep,
    Overlong,
    When,
    Decode,
    Answer,
    Likelihood,
    Take,
    Quote,
    Metric,
}

impl Type {
    /// Every type.
    pub const ALL: &'static [Type] = &[
        Type::Int,
        Type::Float,
        Type::Bool,
        Type::String,
        Type::Ratio,
        Type::Strings,
        Type::Ratios,
        Type::Layers,
        Type::Positions,
        Type::Source,
        Type::Split,
        Type::Template,
        Type::Templates,
        Type::Messages,
        Type::Message,
        Type::Pattern,
        Type::Model,
        Type::ModelSource,
        Type::Data,
        Type::Kind,
        Type::Dtype,
        Type::Site,
        Type::Activation,
        Type::Parametrization,
        Type::Schedule,
        Type::Optimizer,
        Type::Clip,
        Type::BaseDropout,
        Type::Keep,
        Type::Overlong,
        Type::When,
        Type::Decode,
        Type::Answer,
        Type::Likelihood,
        Type::Take,
        Type::Quote,
        Type::Metric,
    ];

    /// The name in `let x: NAME = …` and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Type::Int => "int",
            Type::Float => "float",
            Type::Bool => "bool",
            Type::String => "string",
            Type::Ratio => "ratio",
            Type::Strings => "list<string>",
            Type::Ratios => "list<ratio>",
            Type::Layers => "layers",
            Type::Positions => "positions",
            Type::Source => "source",
            Type::Split => "split",
            Type::Template => "template",
            Type::Templates => "list<template>",
            Type::Messages => "list<message>",
            Type::Message => "message",
            Type::Pattern => "pattern",
            Type::Model => "model",
            Type::ModelSource => "model source",
            Type::Data => "data",
            Type::Kind => "kind",
            Type::Dtype => "dtype",
            Type::Site => "site",
            Type::Activation => "activation",
            Type::Parametrization => "parametrization",
            Type::Schedule => "schedule",
            Type::Optimizer => "optimizer",
            Type::Clip => "clip norm",
            Type::BaseDropout => "base dropout",
            Type::Keep => "keep",
            Type::Overlong => "overlong",
            Type::When => "moment",
            Type::Decode => "decode",
            Type::Answer => "answer",
            Type::Likelihood => "likelihood",
            Type::Take => "match",
            Type::Quote => "quote",
            Type::Metric => "metric",
        }
    }

    /// A value of the type, as it would be written.
    pub const fn example(self) -> &'static str {
        match self {
            Type::Int => "8",
            Type::Float => "9e-4",
            Type::Bool => "true",
            Type::String => "\"text\"",
            Type::Ratio => "10%",
            Type::Strings => "[\"yes\", \"no\"]",
            Type::Ratios => "[25%, 50%]",
            Type::Layers => "[3, 9, 18]",
            Type::Positions => "f3+l3",
            Type::Source => "json(\"data/train.json\")",
            Type::Split => "sentiment.test",
            Type::Template => "\"{question}\\n\"",
            Type::Templates => "[\"the answer is yes\", \"the answer is no\"]",
            Type::Messages => "[user(\"{question}\")]",
            Type::Message => "user(\"{question}\")",
            Type::Pattern => "\"answer: (\\\\w+)\"",
            Type::Model => "smol",
            Type::ModelSource => "hf(\"HuggingFaceTB/SmolLM2-135M-Instruct\")",
            Type::Data => "sentiment",
            Type::Kind => "loreft",
            Type::Dtype => "f32",
            Type::Site => "block_output",
            Type::Activation => "linear",
            Type::Parametrization => "householder",
            Type::Schedule => "linear(warmup: 10%)",
            Type::Optimizer => "adamw(weight_decay: 0)",
            Type::Clip => "1.0",
            Type::BaseDropout => "off",
            Type::Keep => "last",
            Type::Overlong => "cut_right",
            Type::When => "epoch",
            Type::Decode => "greedy(max_tokens: 8)",
            Type::Answer => "after(\"the correct answer is \")",
            Type::Likelihood => "sum",
            Type::Take => "last",
            Type::Quote => "none",
            Type::Metric => "exact_match",
        }
    }

    /// The type's name with its article: `an int`, `a schedule`.
    pub fn with_article(self) -> String {
        let name = self.name();
        let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        match self {
            Type::Layers | Type::Positions | Type::Data => name.to_owned(),
            _ => format!("{article} {name}"),
        }
    }

    /// Finds a type by its name in a `let`.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|candidate| candidate.name() == name)
    }
}
