//! Reads `config.json` and `generation_config.json` as Hugging Face writes them.

use super::config::{ModelConfig, Rope, RopeScaling};
use crate::diag::{self, Code, Diagnostic};
use serde_json::{Map, Value};
use std::path::Path;

/// What a family of models assumes where `config.json` is silent (transformers' config classes).
struct Family {
    name: &'static str,
    intermediate_size: usize,
    /// `None`: as many as attention heads.
    key_value_heads: Option<usize>,
    vocabulary: usize,
    context_length: usize,
    bos_token: Option<u32>,
    eos_token: Option<u32>,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "llama",
        intermediate_size: 11008,
        key_value_heads: None,
        vocabulary: 32000,
        context_length: 2048,
        bos_token: Some(1),
        eos_token: Some(2),
    },
    Family {
        name: "mistral",
        intermediate_size: 14336,
        key_value_heads: Some(8),
        vocabulary: 32000,
        context_length: 131_072,
        bos_token: Some(1),
        eos_token: Some(2),
    },
    Family {
        name: "qwen2",
        intermediate_size: 22016,
        key_value_heads: Some(32),
        vocabulary: 151_936,
        context_length: 32768,
        bos_token: None,
        eos_token: None,
    },
];

/// Reads the text of a `config.json`; `file` is named in errors.
///
/// Errors: not JSON or a field of a wrong type (E0302), a model or a variant of it that reftc does not run (E0303).
pub fn parse(text: &str, file: &Path) -> diag::Result<ModelConfig> {
    let fields = Fields::parse(text, file)?;
    let family = fields.family()?;
    fields.refuse_variants()?;
    let hidden_size = fields.size("hidden_size", 4096)?;
    let heads = fields.size("num_attention_heads", 32)?;
    let layers = fields.size("num_hidden_layers", 32)?;
    let config = ModelConfig {
        architecture: family.name.to_string(),
        hidden_size,
        intermediate_size: fields.size("intermediate_size", family.intermediate_size)?,
        layers,
        heads,
        key_value_heads: fields.size("num_key_value_heads", family.key_value_heads.unwrap_or(heads))?,
        head_dim: fields.size("head_dim", hidden_size / heads)?,
        vocabulary: fields.size("vocab_size", family.vocabulary)?,
        context_length: fields.size("max_position_embeddings", family.context_length)?,
        norm_epsilon: fields.number("rms_norm_eps", 1e-6)?,
        rope: fields.rope()?,
        attention_bias: family.name == "qwen2" || fields.flag("attention_bias", false)?,
        tied_embeddings: fields.flag("tie_word_embeddings", false)?,
        sliding_window: fields.window(family.name, layers)?,
        bos_token: fields.tokens("bos_token_id", family.bos_token)?.first().copied(),
        eos_tokens: fields.tokens("eos_token_id", family.eos_token)?,
        attention_dropout: fields.number("attention_dropout", 0.0)?,
    };
    check(&config, file)?;
    Ok(config)
}

/// Adds the end tokens that a `generation_config.json` names.
pub fn merge_generation(config: &mut ModelConfig, text: &str, file: &Path) -> diag::Result<()> {
    for token in Fields::parse(text, file)?.tokens("eos_token_id", None)? {
        if !config.eos_tokens.contains(&token) {
            config.eos_tokens.push(token);
        }
    }
    Ok(())
}

/// Whether the sizes of a config fit each other (E0302 where not).
pub fn check(config: &ModelConfig, file: &Path) -> diag::Result<()> {
    let wrong = |message: String| Err(unreadable(file, message));
    if !config.heads.is_multiple_of(config.key_value_heads) {
        return wrong(format!(
            "{} attention heads cannot share {} key heads evenly",
            config.heads, config.key_value_heads
        ));
    }
    if !config.head_dim.is_multiple_of(2) || config.head_dim == 0 {
        return wrong(format!("a head size of {} cannot be rotated: it must be even", config.head_dim));
    }
    if !(config.norm_epsilon > 0.0 && config.rope.theta > 0.0) {
        return wrong("`rms_norm_eps` and `rope_theta` must be above 0".to_string());
    }
    Ok(())
}

/// E0303: the model is known but reftc cannot run it.
pub fn unsupported(file: &Path, message: impl Into<String>) -> Box<Diagnostic> {
    let diagnostic = Diagnostic::new(Code::UnsupportedModel, message).in_file(file, None);
    Box::new(diagnostic.help("use a decoder of the Llama family: `llama`, `mistral` or `qwen2`"))
}

fn unreadable(file: &Path, message: impl Into<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(file, None))
}

/// The fields of a JSON object, read with the file's name at hand.
struct Fields<'a> {
    map: Map<String, Value>,
    file: &'a Path,
}

impl<'a> Fields<'a> {
    fn parse(text: &str, file: &'a Path) -> diag::Result<Self> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match serde_json::from_str(text) {
            Ok(map) => Ok(Self { map, file }),
            Err(error) => {
                let message = format!("{name} is not a JSON object: {error}");
                Err(Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(file, Some(error.line()))))
            }
        }
    }

    fn family(&self) -> diag::Result<&'static Family> {
        let Some(name) = self.get("model_type").and_then(Value::as_str) else {
            return Err(unsupported(self.file, "the config names no `model_type`"));
        };
        FAMILIES
            .iter()
            .find(|family| family.name == name)
            .ok_or_else(|| unsupported(self.file, format!("models of type `{name}` are not supported")))
    }

    /// Variants of the family that would compute something else than our decoder does.
    fn refuse_variants(&self) -> diag::Result<()> {
        let activation = self.get("hidden_act").and_then(Value::as_str).unwrap_or("silu");
        if activation != "silu" && activation != "swish" {
            return Err(unsupported(self.file, format!("`hidden_act = {activation}` is not supported, only `silu`")));
        }
        if self.flag("mlp_bias", false)? {
            return Err(unsupported(self.file, "`mlp_bias = true` is not supported"));
        }
        if self.get("quantization_config").is_some() {
            let message = "weights with a `quantization_config` are not supported, only f32, f16 and bf16";
            return Err(unsupported(self.file, message));
        }
        if self.number("partial_rotary_factor", 1.0)? != 1.0 {
            return Err(unsupported(self.file, "`partial_rotary_factor` other than 1 is not supported"));
        }
        Ok(())
    }

    /// A field that is there and not null.
    fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn size(&self, name: &str, default: usize) -> diag::Result<usize> {
        let size = match self.get(name) {
            None => Some(default),
            Some(value) => value.as_u64().and_then(|size| usize::try_from(size).ok()),
        };
        match size {
            Some(size) if (1..1 << 32).contains(&size) => Ok(size),
            _ => Err(self.wrong(name, "a whole number above 0")),
        }
    }

    fn number(&self, name: &str, default: f64) -> diag::Result<f64> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.wrong(name, "a number")),
        }
    }

    fn flag(&self, name: &str, default: bool) -> diag::Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(name, "true or false")),
        }
    }

    /// A token id, or a list of them; `null` means none, absence the family's default.
    fn tokens(&self, name: &str, default: Option<u32>) -> diag::Result<Vec<u32>> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids: Option<Vec<u32>> = match self.map.get(name) {
            None => Some(default.into_iter().collect()),
            Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(id).collect(),
            Some(value) => id(value).map(|id| vec![id]),
        };
        ids.ok_or_else(|| self.wrong(name, "a token id or a list of them"))
    }

    /// `rope_theta` and `rope_scaling` of transformers 4, or `rope_parameters` of transformers 5.
    fn rope(&self) -> diag::Result<Rope> {
        let empty = Map::new();
        let section = ["rope_parameters", "rope_scaling"].into_iter().find(|name| self.get(name).is_some());
        let map = section.and_then(|name| self.get(name)).and_then(Value::as_object).unwrap_or(&empty);
        let scaling = Fields { map: map.clone(), file: self.file };
        let theta = scaling.number("rope_theta", self.number("rope_theta", 10_000.0)?)?;
        let kind = ["rope_type", "type"].into_iter().find_map(|name| scaling.get(name)).and_then(Value::as_str);
        let scaling = match kind.unwrap_or("default") {
            "default" | "none" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: scaling.required("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: scaling.required("factor")?,
                low_frequency_factor: scaling.required("low_freq_factor")?,
                high_frequency_factor: scaling.required("high_freq_factor")?,
                original_context: scaling.required("original_max_position_embeddings")? as usize,
            },
            other => {
                let message = format!("`rope_scaling` of type `{other}` is not supported, only `linear` and `llama3`");
                return Err(unsupported(self.file, message));
            }
        };
        Ok(Rope { theta, scaling })
    }

    fn required(&self, name: &str) -> diag::Result<f64> {
        match self.number(name, f64::NAN)? {
            value if value > 0.0 => Ok(value),
            _ => Err(self.wrong(name, "a number above 0")),
        }
    }

    /// Mistral has a window unless it is null; Qwen2 only with `use_sliding_window`, from layer `max_window_layers` on.
    fn window(&self, family: &str, layers: usize) -> diag::Result<Option<usize>> {
        let window = match family {
            "mistral" if !self.map.contains_key("sliding_window") => Some(4096),
            "mistral" => self.get("sliding_window").map(|_| self.size("sliding_window", 4096)).transpose()?,
            "qwen2" if self.flag("use_sliding_window", false)? => Some(self.size("sliding_window", 4096)?),
            _ => None,
        };
        if family != "qwen2" || window.is_none() {
            return Ok(window);
        }
        match self.number("max_window_layers", 28.0)? as usize {
            0 => Ok(window),
            first if first >= layers => Ok(None),
            _ => Err(unsupported(self.file, "`max_window_layers`: a window in some layers only is not supported")),
        }
    }

    fn wrong(&self, name: &str, expected: &str) -> Box<Diagnostic> {
        let file = self.file.file_name().unwrap_or_default().to_string_lossy();
        unreadable(self.file, format!("`{name}` in {file} is not {expected}"))
    }
}
