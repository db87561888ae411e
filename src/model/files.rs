//! The files of a model: where they are, and what they say short of the weights.

use super::config::ModelConfig;
use super::embedded::{self, Embedded};
use super::gguf::GgufFile;
use super::{config_json, tokenizer};
use crate::diag::{self, Code, Diagnostic, suggest};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// The located files of a model.
#[derive(Clone, Debug)]
pub enum ModelFiles {
    /// A folder as Hugging Face lays it out, downloaded or the user's own.
    Folder(PathBuf),
    Gguf(GgufFile),
    Embedded(&'static Embedded),
}

/// What is known of a model without its weights.
pub struct ModelFacts {
    pub config: ModelConfig,
    pub tokenizer: Tokenizer,
    /// Jinja, as `apply_chat_template` of transformers reads it.
    pub chat_template: Option<String>,
    /// The text of the token that begins a text, where the model has one.
    pub bos_text: Option<String>,
    /// The text of the token that ends a text.
    pub eos_text: Option<String>,
}

/// What the tokenizer's companions say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    pub chat_template: Option<String>,
    pub bos_text: Option<String>,
    pub eos_text: Option<String>,
}

/// One of the files that decide what a model computes.
#[derive(Clone, Debug)]
pub struct Part {
    /// The file's name, the same on every machine.
    pub name: String,
    pub content: Content,
}

impl Part {
    /// Whether the part has a say in how text becomes tokens.
    pub fn decides_tokens(&self) -> bool {
        [TOKENIZER, TOKENIZER_CONFIG, CHAT_TEMPLATE, GGUF].contains(&self.name.as_str())
    }
}

/// Where the bytes of a part are.
#[derive(Clone, Debug)]
pub enum Content {
    File(PathBuf),
    Bytes(&'static [u8]),
}

/// The files that hold the weights.
pub enum WeightFiles {
    /// One file, or shards in the order of their names.
    Safetensors(Vec<PathBuf>),
    /// A safetensors file in memory, and the name for it in errors.
    Bytes(&'static [u8], PathBuf),
    Gguf(GgufFile),
}

const CONFIG: &str = "config.json";
const GENERATION_CONFIG: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";
const WEIGHTS: &str = "model.safetensors";
/// The name of a GGUF file in digests, whatever it is called.
const GGUF: &str = "model.gguf";
const WEIGHTS_INDEX: &str = "model.safetensors.index.json";

impl ModelFiles {
    /// A folder with config.json, tokenizer.json and safetensors. Tokenizer and weights are looked for when they are asked
    /// for.
    pub fn folder(path: &Path) -> diag::Result<Self> {
        let shown = path.display();
        if path.is_file() {
            let help = format!("give the folder that holds it, or, for a GGUF file, write `gguf(\"{shown}\")`");
            return Err(not_found(path, format!("{shown} is a file, not a model folder"), &help));
        }
        if !path.is_dir() {
            return Err(not_found(path, format!("there is no model folder {shown}"), FOLDER_HELP));
        }
        if !path.join(CONFIG).is_file() {
            return Err(not_found(path, format!("the folder {shown} has no {CONFIG}"), FOLDER_HELP));
        }
        Ok(Self::Folder(path.to_path_buf()))
    }

    /// A GGUF file.
    pub fn gguf(path: &Path) -> diag::Result<Self> {
        let shown = path.display();
        if path.is_dir() {
            let help = format!("write `path(\"{shown}\")` for a model folder");
            return Err(not_found(path, format!("{shown} is a folder, not a GGUF file"), &help));
        }
        if !path.is_file() {
            return Err(not_found(path, format!("there is no GGUF file {shown}"), "give the path of a .gguf file"));
        }
        Ok(Self::Gguf(GgufFile::new(path)))
    }

    /// A model inside the binary.
    pub fn embedded(name: &str) -> diag::Result<Self> {
        if let Some(model) = embedded::find(name) {
            return Ok(Self::Embedded(model));
        }
        let mut diagnostic = Diagnostic::new(Code::ModelNotFound, format!("there is no embedded model `{name}`"));
        diagnostic.help.extend(suggest::did_you_mean(name, embedded::MODELS.iter().map(|model| model.name)));
        Err(Box::new(diagnostic))
    }

    /// The shape of the model, from config.json (with the end tokens of generation_config.json) or GGUF metadata.
    pub fn config(&self) -> diag::Result<ModelConfig> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(CONFIG);
                let mut config = config_json::parse(&read_text(&path)?, &path)?;
                let path = folder.join(GENERATION_CONFIG);
                if path.is_file() {
                    config_json::merge_generation(&mut config, &read_text(&path)?, &path)?;
                }
                Ok(config)
            }
            Self::Gguf(file) => file.open()?.config(),
            Self::Embedded(model) => {
                config_json::parse(&String::from_utf8_lossy(model.config), &embedded_path(model, CONFIG))
            }
        }
    }

    /// The tokenizer, without truncation and padding.
    pub fn tokenizer(&self) -> diag::Result<Tokenizer> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(TOKENIZER);
                if !path.is_file() {
                    let message = format!("the folder {} has no {TOKENIZER}", folder.display());
                    let help = "make one with transformers: `AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)`";
                    return Err(not_found(folder, message, help));
                }
                tokenizer::from_json(&read_bytes(&path)?, &path)
            }
            Self::Gguf(file) => file.open()?.tokenizer(),
            Self::Embedded(model) => tokenizer::from_json(model.tokenizer, &embedded_path(model, TOKENIZER)),
        }
    }

    /// The chat template and the texts of special tokens, as far as files name them.
    pub fn texts(&self) -> diag::Result<Texts> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(TOKENIZER_CONFIG);
                let mut texts = match path.is_file() {
                    true => parse_texts(&read_text(&path)?, &path)?,
                    false => Texts::default(),
                };
                let path = folder.join(CHAT_TEMPLATE);
                if path.is_file() {
                    texts.chat_template = Some(read_text(&path)?);
                }
                Ok(texts)
            }
            Self::Gguf(file) => Ok(file.open()?.texts()),
            Self::Embedded(_) => Ok(Texts::default()),
        }
    }

    /// The files of the weights. Errors: missing files (E0301), an index that cannot be read (E0302).
    pub fn weights(&self) -> diag::Result<WeightFiles> {
        match self {
            Self::Folder(folder) => folder_weights(folder).map(WeightFiles::Safetensors),
            Self::Gguf(file) => Ok(WeightFiles::Gguf(file.clone())),
            Self::Embedded(model) => Ok(WeightFiles::Bytes(model.weights, embedded_path(model, WEIGHTS))),
        }
    }

    /// Every file that decides what the model computes, in a fixed order, for a digest; the weights come last, and are
    /// left out where they are missing.
    pub fn parts(&self) -> Vec<Part> {
        let file = |path: PathBuf| Part {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            content: Content::File(path),
        };
        match self {
            Self::Folder(folder) => {
                let small = [CONFIG, GENERATION_CONFIG, TOKENIZER, TOKENIZER_CONFIG, CHAT_TEMPLATE, WEIGHTS_INDEX];
                let small = small.into_iter().map(|name| folder.join(name)).filter(|path| path.is_file());
                small.chain(folder_weights(folder).unwrap_or_default()).map(file).collect()
            }
            Self::Gguf(gguf) => vec![Part { name: GGUF.to_string(), ..file(gguf.path().to_path_buf()) }],
            Self::Embedded(model) => {
                let part = |(name, bytes): (&str, _)| Part { name: name.to_string(), content: Content::Bytes(bytes) };
                [(CONFIG, model.config), (TOKENIZER, model.tokenizer), (WEIGHTS, model.weights)].map(part).into()
            }
        }
    }
}

/// Reads all that is known of a model without touching its weights.
///
/// Errors: those of the parts, and a tokenizer with ids that the model has no embedding for (E0304).
pub fn facts(files: &ModelFiles) -> diag::Result<ModelFacts> {
    let (config, tokenizer, texts) = (files.config()?, files.tokenizer()?, files.texts()?);
    tokenizer::check_fits(&tokenizer, &config)?;
    let text = |named: Option<String>, id: Option<u32>| named.or_else(|| tokenizer.id_to_token(id?));
    Ok(ModelFacts {
        chat_template: texts.chat_template,
        bos_text: text(texts.bos_text, config.bos_token),
        eos_text: text(texts.eos_text, config.eos_tokens.first().copied()),
        config,
        tokenizer,
    })
}

const FOLDER_HELP: &str = "give a folder that holds config.json, tokenizer.json and model.safetensors";

fn folder_weights(folder: &Path) -> diag::Result<Vec<PathBuf>> {
    let single = folder.join(WEIGHTS);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join(WEIGHTS_INDEX);
    if !index.is_file() {
        let message = format!("the folder {} has neither {WEIGHTS} nor {WEIGHTS_INDEX}", folder.display());
        let help = match folder.join("pytorch_model.bin").is_file() {
            true => "convert pytorch_model.bin to safetensors, with transformers' `save_pretrained`",
            false => FOLDER_HELP,
        };
        return Err(not_found(folder, message, help));
    }
    let names = shard_names(&read_text(&index)?).ok_or_else(|| {
        let message = format!("{WEIGHTS_INDEX} has no `weight_map` from tensor names to file names");
        Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(&index, None))
    })?;
    let shards: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    match shards.iter().find(|shard| !shard.is_file()) {
        None => Ok(shards),
        Some(missing) => {
            let message = format!("{} is missing, and {WEIGHTS_INDEX} names it", missing.display());
            Err(not_found(missing, message, "finish the download of the model"))
        }
    }
}

/// The file names in an index, each once, in order. Names with a path in them are not taken.
fn shard_names(index: &str) -> Option<Vec<String>> {
    let index: Value = serde_json::from_str(index).ok()?;
    let mut names = Vec::new();
    for name in index.get("weight_map")?.as_object()?.values() {
        names.push(name.as_str().filter(|name| !name.contains(['/', '\\']))?.to_string());
    }
    names.sort();
    names.dedup();
    Some(names)
}

fn parse_texts(text: &str, path: &Path) -> diag::Result<Texts> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let message = format!("{TOKENIZER_CONFIG} is not JSON: {error}");
        Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(path, Some(error.line())))
    })?;
    // A special token is a string, or an object with its string in `content`.
    let token = |name: &str| {
        let value = value.get(name)?;
        value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
    };
    // A template is a string, or a list of named ones.
    let chat_template = value.get("chat_template").and_then(|template| match template {
        Value::Array(named) => {
            let default = named.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"));
            default?.get("template")?.as_str().map(str::to_string)
        }
        template => template.as_str().map(str::to_string),
    });
    Ok(Texts { chat_template, bos_text: token("bos_token"), eos_text: token("eos_token") })
}

fn embedded_path(model: &Embedded, file: &str) -> PathBuf {
    PathBuf::from(format!("embedded({})", model.name)).join(file)
}

fn read_bytes(path: &Path) -> diag::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let message = format!("{} cannot be read: {error}", path.display());
        Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(path, None))
    })
}

fn read_text(path: &Path) -> diag::Result<String> {
    String::from_utf8(read_bytes(path)?).map_err(|_| {
        let message = format!("{} is not UTF-8 text", path.display());
        Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(path, None))
    })
}

fn not_found(path: &Path, message: String, help: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Code::ModelNotFound, message).in_file(path, None).help(help))
}
