//! Builds a tokenizer from GGUF metadata: byte-level BPE (`gpt2`) and SentencePiece BPE (`llama`).

use super::config_json::unsupported;
use super::gguf::{Gguf, integer};
use super::tokenizer::unreadable;
use crate::diag;
use candle_core::quantized::gguf_file::Value;
use std::path::Path;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, PreTokenizerWrapper, Tokenizer};
use tokenizers::{decoders, normalizers, pre_tokenizers};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How a pre-tokenizer cuts text before byte-level BPE, by the name in `tokenizer.ggml.pre`.
enum Cut {
    /// GPT-2's pattern.
    Gpt2,
    /// Every digit alone, then GPT-2's pattern.
    Digits,
    /// A pattern of its own.
    Pattern(&'static str),
}

/// Contractions; words with one leading character; numbers of up to three digits; the rest; line ends; spaces.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with every digit alone.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const CUTS: &[(&str, Cut)] = &[
    ("gpt-2", Cut::Gpt2),
    ("gpt2", Cut::Gpt2),
    ("default", Cut::Gpt2),
    ("smollm", Cut::Digits),
    ("starcoder", Cut::Digits),
    ("llama-bpe", Cut::Pattern(LLAMA3)),
    ("llama3", Cut::Pattern(LLAMA3)),
    ("llama-v3", Cut::Pattern(LLAMA3)),
    ("smaug-bpe", Cut::Pattern(LLAMA3)),
    ("qwen2", Cut::Pattern(QWEN2)),
    ("deepseek-r1-qwen", Cut::Pattern(QWEN2)),
];

/// Kinds of tokens in `tokenizer.ggml.token_type`.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// The tokenizer of an opened file; `path` is named in errors.
pub fn build(gguf: &Gguf, path: &Path) -> diag::Result<Tokenizer> {
    let model = gguf.text("tokenizer.ggml.model").unwrap_or_default();
    let damaged = |error: Error| unreadable(path, &error.to_string());
    let mut tokenizer = match model {
        "gpt2" => {
            let name = gguf.text("tokenizer.ggml.pre").unwrap_or("default");
            let Some((_, cut)) = CUTS.iter().find(|(known, _)| *known == name) else {
                let known: Vec<&str> = CUTS.iter().map(|(known, _)| *known).collect();
                let message = format!("the pre-tokenizer `{name}` of this GGUF file is not supported");
                let mut diagnostic = unsupported(path, message);
                diagnostic.help = vec![
                    format!("known ones are {}", known.join(", ")),
                    "use the model's Hugging Face folder instead: `path(\"DIR\")`".to_string(),
                ];
                return Err(diagnostic);
            };
            byte_level(gguf, cut).map_err(damaged)?
        }
        "llama" => sentence_piece(gguf).map_err(damaged)?,
        other => {
            let mut diagnostic =
                unsupported(path, format!("the tokenizer model `{other}` of this GGUF file is not supported"));
            diagnostic.help = vec!["use the model's Hugging Face folder instead: `path(\"DIR\")`".to_string()];
            return Err(diagnostic);
        }
    };
    add_special(&mut tokenizer, gguf, model == "llama").map_err(damaged)?;
    Ok(tokenizer)
}

fn byte_level(gguf: &Gguf, cut: &Cut) -> Result<Tokenizer, Error> {
    let merge = |merge: String| match merge.split_once(' ') {
        Some((left, right)) => Ok((left.to_string(), right.to_string())),
        None => Err(Error::from(format!("`{merge}` is not a merge"))),
    };
    let merges = strings(gguf, "merges")?.into_iter().map(merge).collect::<Result<Vec<_>, _>>()?;
    // Llama 3 takes a word that is in the vocabulary whole, whatever its merges.
    let whole_words = matches!(cut, Cut::Pattern(pattern) if *pattern == LLAMA3);
    let bpe = BPE::builder().vocab_and_merges(vocabulary(gguf)?, merges).ignore_merges(whole_words).build()?;
    let mut tokenizer = Tokenizer::new(bpe);
    let bytes = |pattern: bool| pre_tokenizers::byte_level::ByteLevel::new(false, true, pattern).into();
    let steps: Vec<PreTokenizerWrapper> = match cut {
        Cut::Gpt2 => vec![bytes(true)],
        Cut::Digits => vec![pre_tokenizers::digits::Digits::new(true).into(), bytes(true)],
        Cut::Pattern(pattern) => {
            let pattern = pre_tokenizers::split::SplitPattern::Regex((*pattern).to_string());
            let split = pre_tokenizers::split::Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?;
            vec![split.into(), bytes(false)]
        }
    };
    if matches!(cut, Cut::Pattern(pattern) if *pattern == QWEN2) {
        tokenizer.with_normalizer(Some(normalizers::unicode::NFC))?;
    }
    tokenizer.with_pre_tokenizer(Some(pre_tokenizers::sequence::Sequence::new(steps)));
    tokenizer.with_decoder(Some(decoders::byte_level::ByteLevel::new(true, true, true)));
    Ok(tokenizer)
}

/// SentencePiece's BPE: spaces are `▁`, unknown characters become bytes, and the scores of pieces rank the merges.
fn sentence_piece(gguf: &Gguf) -> Result<Tokenizer, Error> {
    const SPACE: &str = "▁";
    let pieces = strings(gguf, "tokens")?;
    let scores: Vec<f32> = match gguf.value("tokenizer.ggml.scores") {
        Some(Value::Array(scores)) => scores.iter().map(|score| score.to_f32()).collect::<Result<_, _>>()?,
        _ => return Err("the tokenizer has no scores".into()),
    };
    if scores.len() != pieces.len() {
        return Err(format!("{} scores for {} tokens", scores.len(), pieces.len()).into());
    }
    let vocabulary = vocabulary(gguf)?;
    let unknown = gguf.token("unknown_token_id").and_then(|id| pieces.get(id as usize)).cloned();
    let mut builder = BPE::builder()
        .vocab_and_merges(vocabulary.clone(), merges_by_score(&pieces, &scores, &vocabulary))
        .byte_fallback(true)
        .fuse_unk(true);
    if let Some(unknown) = unknown {
        builder = builder.unk_token(unknown);
    }
    let mut tokenizer = Tokenizer::new(builder.build()?);
    let leading = !matches!(gguf.value("tokenizer.ggml.add_space_prefix"), Some(Value::Bool(false)));
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    let mut back: Vec<DecoderWrapper> = vec![
        normalizers::replace::Replace::new(SPACE, " ")?.into(),
        decoders::byte_fallback::ByteFallback::new().into(),
        decoders::fuse::Fuse::new().into(),
    ];
    if leading {
        steps.push(normalizers::prepend::Prepend::new(SPACE.to_string()).into());
        back.push(decoders::strip::Strip::new(' ', 1, 0).into());
    }
    steps.push(normalizers::replace::Replace::new(" ", SPACE)?.into());
    tokenizer.with_normalizer(Some(normalizers::utils::Sequence::new(steps)))?;
    tokenizer.with_decoder(Some(decoders::sequence::Sequence::new(back)));
    Ok(tokenizer)
}

/// Every way to put a piece together from two others, pieces of higher score first.
fn merges_by_score(pieces: &[String], scores: &[f32], vocabulary: &Vocab) -> Vec<(String, String)> {
    let mut merges: Vec<(f32, &str, &str)> = Vec::new();
    for (piece, &score) in pieces.iter().zip(scores) {
        for (cut, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(cut);
            if vocabulary.contains_key(left) && vocabulary.contains_key(right) {
                merges.push((score, left, right));
            }
        }
    }
    let characters = |text: &str| text.chars().count();
    merges.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then_with(|| characters(b.1).cmp(&characters(a.1)))
            .then_with(|| characters(b.2).cmp(&characters(a.2)))
    });
    merges.into_iter().map(|(_, left, right)| (left.to_string(), right.to_string())).collect()
}

/// Tokens that text is cut at before all else, and the token that the model begins every text with.
fn add_special(tokenizer: &mut Tokenizer, gguf: &Gguf, begins_by_default: bool) -> Result<(), Error> {
    let tokens = strings(gguf, "tokens")?;
    let kinds: Vec<u64> = match gguf.value("tokenizer.ggml.token_type") {
        Some(Value::Array(kinds)) => kinds.iter().map(|kind| integer(kind).unwrap_or(1)).collect(),
        _ => Vec::new(),
    };
    let added = tokens.iter().zip(&kinds).filter(|(_, kind)| matches!(**kind, UNKNOWN | CONTROL | USER_DEFINED));
    let added = added.map(|(token, &kind)| AddedToken::from(token.clone(), kind != USER_DEFINED).normalized(false));
    let (special, plain): (Vec<_>, Vec<_>) = added.partition(|token| token.special);
    tokenizer.add_special_tokens(special)?;
    tokenizer.add_tokens(plain)?;
    let wanted = match gguf.value("tokenizer.ggml.add_bos_token") {
        Some(Value::Bool(wanted)) => *wanted,
        _ => begins_by_default,
    };
    let bos = gguf.token("bos_token_id").filter(|_| wanted);
    if let Some((id, token)) = bos.and_then(|id| Some((id, tokens.get(id as usize)?.clone()))) {
        let template = TemplateProcessing::builder()
            .try_single(vec![token.clone(), "$A".to_string()])?
            .try_pair(vec![token.clone(), "$A".to_string(), token.clone(), "$B:1".to_string()])?
            .special_tokens(vec![(token, id)])
            .build()?;
        tokenizer.with_post_processor(Some(template));
    }
    Ok(())
}

fn vocabulary(gguf: &Gguf) -> Result<Vocab, Error> {
    let tokens = strings(gguf, "tokens")?;
    let count = tokens.len();
    let ids: Vocab = tokens.into_iter().zip(0..).collect();
    if ids.len() != count {
        return Err("two tokens of the tokenizer are equal".into());
    }
    Ok(ids)
}

/// The strings in `tokenizer.ggml.KEY`.
fn strings(gguf: &Gguf, key: &str) -> Result<Vec<String>, Error> {
    match gguf.value(&format!("tokenizer.ggml.{key}")) {
        Some(Value::Array(values)) => {
            Ok(values.iter().map(|value| value.to_string().cloned()).collect::<Result<_, _>>()?)
        }
        _ => Err(format!("the tokenizer has no {key}").into()),
    }
}
