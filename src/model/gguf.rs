//! GGUF files: config, tokenizer and weights in one. Opening one reads its header only, and once for all who ask.

use super::config::{ModelConfig, Rope, RopeScaling};
use super::files::Texts;
use super::mapped::Mapped;
use super::ops::rope::scaled;
use super::stored::{Encoding, Stored};
use super::{config_json, gguf_tokenizer, weights};
use crate::diag::{self, Code, Diagnostic};
use candle_core::Result;
use candle_core::bail;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokenizers::Tokenizer;

/// A GGUF file that is opened when it is first asked for. Clones share what was read.
#[derive(Clone)]
pub struct GgufFile {
    path: PathBuf,
    opened: Arc<Mutex<Option<Arc<Gguf>>>>,
}

/// An opened GGUF file.
pub struct Gguf {
    path: PathBuf,
    bytes: Mapped,
    content: Content,
}

impl GgufFile {
    /// The file at this path; it is not looked at yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), opened: Arc::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The opened file. Errors: as [`Gguf::open`].
    pub fn open(&self) -> diag::Result<Arc<Gguf>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        match &*opened {
            Some(gguf) => Ok(gguf.clone()),
            None => Ok(opened.insert(Arc::new(Gguf::open(&self.path)?)).clone()),
        }
    }

    /// Forgets the header: the names of all tokens take as much memory as a batch.
    pub fn close(&self) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl std::fmt::Debug for GgufFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GgufFile").field(&self.path).finish()
    }
}

impl Gguf {
    /// Reads the header. Errors: E0302 for a file that is not GGUF, cut short, or damaged.
    pub fn open(path: &Path) -> diag::Result<Self> {
        let read = || {
            let bytes = Mapped::open(path)?;
            let content = read_header(&bytes.whole()?)?;
            let gguf = Self { path: path.to_path_buf(), bytes, content };
            gguf.check_length()?;
            Ok(gguf)
        };
        read().map_err(|error| weights::unreadable(path, &error))
    }

    /// The shape of the model. Errors: an architecture or variant that reftc does not run (E0303), missing facts (E0302).
    pub fn config(&self) -> diag::Result<ModelConfig> {
        let architecture = self.text("general.architecture").unwrap_or_default();
        if !matches!(architecture, "llama" | "qwen2") {
            let message = format!("GGUF files of architecture `{architecture}` are not supported");
            return Err(config_json::unsupported(&self.path, message));
        }
        if self.count("expert_count").unwrap_or(0) > 0 {
            return Err(config_json::unsupported(&self.path, "mixtures of experts are not supported"));
        }
        let hidden_size = self.required("embedding_length")?;
        let heads = self.required("attention.head_count")?;
        let key_value_heads = self.count("attention.head_count_kv").unwrap_or(heads);
        let head_dim = self.count("attention.key_length").unwrap_or(hidden_size / heads);
        if self.count("rope.dimension_count").is_some_and(|rotated| rotated != head_dim) {
            let message = "heads of which only a part is rotated are not supported";
            return Err(config_json::unsupported(&self.path, message));
        }
        let vocabulary = match self.content.tensor_infos.get("token_embd.weight").map(|info| info.shape.dims()) {
            Some(&[vocabulary, _]) => vocabulary,
            _ => return Err(self.missing("token_embd.weight")),
        };
        let mut eos_tokens: Vec<u32> = Vec::new();
        for key in ["eos_token_id", "eot_token_id"] {
            eos_tokens.extend(self.token(key).filter(|token| !eos_tokens.contains(token)));
        }
        let config = ModelConfig {
            architecture: architecture.to_string(),
            hidden_size,
            intermediate_size: self.required("feed_forward_length")?,
            layers: self.required("block_count")?,
            heads,
            key_value_heads: if key_value_heads == 0 { heads } else { key_value_heads },
            head_dim,
            vocabulary,
            context_length: self.required("context_length")?,
            norm_epsilon: self.number("attention.layer_norm_rms_epsilon").unwrap_or(1e-5),
            rope: self.rope(head_dim)?,
            attention_bias: self.content.tensor_infos.contains_key("blk.0.attn_q.bias"),
            tied_embeddings: !self.content.tensor_infos.contains_key("output.weight"),
            sliding_window: self.count("attention.sliding_window").filter(|&window| window > 0),
            bos_token: self.token("bos_token_id"),
            eos_tokens,
            attention_dropout: 0.0,
        };
        config_json::check(&config, &self.path)?;
        Ok(config)
    }

    /// The tokenizer in the metadata. Errors: a kind that reftc does not know (E0303), or a damaged one (E0302).
    pub fn tokenizer(&self) -> diag::Result<Tokenizer> {
        gguf_tokenizer::build(self, &self.path)
    }

    /// The chat template, and the texts of special tokens.
    pub fn texts(&self) -> Texts {
        let tokens = self.value("tokenizer.ggml.tokens").and_then(|tokens| tokens.to_vec().ok());
        let token = |key: &str| tokens?.get(self.token(key)? as usize)?.to_string().ok().cloned();
        Texts {
            chat_template: self.text("tokenizer.chat_template").map(str::to_string),
            bos_text: token("bos_token_id"),
            eos_text: token("eos_token_id"),
        }
    }

    /// The tensor with this Hugging Face name; `interleaved` are the attention heads and the key heads of a file whose
    /// projections have their rows interleaved.
    pub fn find(&self, name: &str, interleaved: Option<(usize, usize)>) -> Option<Stored<'_>> {
        let name = stored_name(name)?;
        let mut stored = self.stored(&name)?;
        stored.interleaved = match interleaved {
            Some((heads, _)) if name.contains(".attn_q.") => Some(heads),
            Some((_, heads)) if name.contains(".attn_k.") => Some(heads),
            _ => None,
        };
        Some(stored)
    }

    /// The tensor with this name of the file's own.
    fn stored(&self, name: &str) -> Option<Stored<'_>> {
        let info = self.content.tensor_infos.get(name)?;
        Some(Stored {
            shape: info.shape.dims().to_vec(),
            bytes: &self.bytes,
            start: self.content.tensor_data_offset + info.offset,
            encoding: Encoding::of_gguf(info.ggml_dtype),
            interleaved: None,
        })
    }

    /// A value of the metadata.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    /// A string of the metadata.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.to_string().ok().map(String::as_str)
    }

    /// The id in `tokenizer.ggml.KEY`.
    pub(super) fn token(&self, key: &str) -> Option<u32> {
        integer(self.value(&format!("tokenizer.ggml.{key}"))?).and_then(|id| u32::try_from(id).ok())
    }

    /// The value under the architecture's name: `llama.KEY`.
    fn own(&self, key: &str) -> Option<&Value> {
        self.value(&format!("{}.{key}", self.text("general.architecture")?))
    }

    fn count(&self, key: &str) -> Option<usize> {
        integer(self.own(key)?).and_then(|count| usize::try_from(count).ok())
    }

    fn number(&self, key: &str) -> Option<f64> {
        match self.own(key)? {
            Value::F32(number) => Some(f64::from(*number)),
            Value::F64(number) => Some(*number),
            value => integer(value).map(|number| number as f64),
        }
    }

    fn required(&self, key: &str) -> diag::Result<usize> {
        match self.count(key) {
            Some(count) if count > 0 => Ok(count),
            _ => Err(self.missing(&format!("{}.{key}", self.text("general.architecture").unwrap_or_default()))),
        }
    }

    fn missing(&self, what: &str) -> Box<Diagnostic> {
        let message = format!("{} has no usable `{what}`", self.path.display());
        Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(&self.path, None))
    }

    /// Linear scaling stands in the metadata; that of Llama 3.1 only as a tensor of divisors, one for each frequency.
    fn rope(&self, head_dim: usize) -> diag::Result<Rope> {
        let theta = self.number("rope.freq_base").unwrap_or(10_000.0);
        let kind = self.own("rope.scaling.type").and_then(|value| value.to_string().ok());
        let factor = self.number("rope.scaling.factor").filter(|&factor| factor > 0.0 && factor != 1.0);
        let scaling = match kind.map_or("none", String::as_str) {
            "none" => RopeScaling::None,
            "linear" => factor.map_or(RopeScaling::None, |factor| RopeScaling::Linear { factor }),
            other => {
                let message = format!("rope scaling of type `{other}` is not supported, only `linear` and Llama 3.1's");
                return Err(config_json::unsupported(&self.path, message));
            }
        };
        let Some(stored) = self.stored("rope_freqs.weight") else { return Ok(Rope { theta, scaling }) };
        let mut divisors = vec![0f32; stored.elements()];
        stored.read_into(&mut divisors).map_err(|error| weights::unreadable(&self.path, &error))?;
        match llama3_scaling(&divisors, theta, head_dim) {
            Some(scaling) => Ok(Rope { theta, scaling }),
            None => {
                let message = "the divisors in `rope_freqs.weight` are not those of a Llama 3.1 to 3.3 model";
                Err(config_json::unsupported(&self.path, message))
            }
        }
    }

    /// A file that is cut short ends before its last tensor does.
    fn check_length(&self) -> Result<()> {
        let length = self.bytes.length();
        let end = |info: &TensorInfo| {
            let elements =
                info.shape.dims().iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64))?;
            let bytes =
                (elements / info.ggml_dtype.block_size() as u64).checked_mul(info.ggml_dtype.type_size() as u64);
            self.content.tensor_data_offset.checked_add(info.offset)?.checked_add(bytes?)
        };
        let ends: Option<Vec<u64>> = self.content.tensor_infos.values().map(end).collect();
        match ends.and_then(|ends| ends.into_iter().max()) {
            Some(needed) if needed <= length => Ok(()),
            Some(needed) => bail!("the file has {length} bytes, but its tensors need {needed}"),
            None => bail!("the file has no tensors, or impossible ones"),
        }
    }
}

/// The name in GGUF files of a tensor with a Hugging Face name.
fn stored_name(name: &str) -> Option<String> {
    let whole = match name {
        "model.embed_tokens.weight" => Some("token_embd.weight"),
        "model.norm.weight" => Some("output_norm.weight"),
        "lm_head.weight" => Some("output.weight"),
        _ => None,
    };
    if let Some(whole) = whole {
        return Some(whole.to_string());
    }
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (module, kind) = part.rsplit_once('.')?;
    let module = match module {
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" => "ffn_norm",
        _ => return None,
    };
    Some(format!("blk.{layer}.{module}.{kind}"))
}

/// The scaling whose divisors these are: the largest is the factor, and released models share the other numbers.
fn llama3_scaling(divisors: &[f32], theta: f64, head_dim: usize) -> Option<RopeScaling> {
    let scaling = RopeScaling::Llama3 {
        factor: f64::from(divisors.iter().copied().fold(1.0, f32::max)),
        low_frequency_factor: 1.0,
        high_frequency_factor: 4.0,
        original_context: 8192,
    };
    let fits = divisors.iter().enumerate().all(|(i, &divisor)| {
        let frequency = theta.powf(-((2 * i) as f64) / head_dim as f64);
        (frequency / scaled(frequency, &scaling) / f64::from(divisor) - 1.0).abs() < 1e-3
    });
    (fits && divisors.len() == head_dim / 2).then_some(scaling)
}

pub(super) fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::I8(number) => u64::try_from(*number).ok(),
        Value::I16(number) => u64::try_from(*number).ok(),
        Value::I32(number) => u64::try_from(*number).ok(),
        Value::I64(number) => u64::try_from(*number).ok(),
        value => value.to_u64().ok(),
    }
}

/// Reads the header out of a mapped file, where candle's many small seeks cost nothing.
fn read_header(bytes: &[u8]) -> Result<Content> {
    refuse_zero_alignment(bytes)?;
    Content::read(&mut Cursor::new(bytes))
}

/// candle divides by the alignment that a header may give among its first entries; a zero there must not reach it.
fn refuse_zero_alignment(header: &[u8]) -> Result<()> {
    const KEY: &[u8] = b"general.alignment";
    const SEARCHED: usize = 1 << 20;
    let searched = &header[..header.len().min(SEARCHED)];
    let found = searched.windows(KEY.len()).position(|window| window == KEY);
    // Behind the key stand four bytes of type, then the value, little end first: a small power of two.
    match found.and_then(|start| header.get(start + KEY.len() + 4)) {
        Some(0) => bail!("the alignment in the header is not a small power of two"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_of_llama_3_are_known() {
        let expected = RopeScaling::Llama3 {
            factor: 32.0,
            low_frequency_factor: 1.0,
            high_frequency_factor: 4.0,
            original_context: 8192,
        };
        let frequency = |i: usize| 500_000f64.powf(-((2 * i) as f64) / 64.0);
        let mut divisors: Vec<f32> = (0..32).map(|i| (frequency(i) / scaled(frequency(i), &expected)) as f32).collect();
        assert_eq!(llama3_scaling(&divisors, 500_000.0, 64), Some(expected));
        divisors[20] *= 1.1;
        assert_eq!(llama3_scaling(&divisors, 500_000.0, 64), None);
    }
}
