//! The models that ship inside the binary.

/// The files of an embedded model.
#[derive(Debug)]
pub struct Embedded {
    pub name: &'static str,
    pub config: &'static [u8],
    pub tokenizer: &'static [u8],
    pub weights: &'static [u8],
}

/// Every embedded model, one row each.
pub const MODELS: &[Embedded] = &[Embedded {
    name: "tiny",
    config: include_bytes!("../../specs/tiny/config.json"),
    tokenizer: include_bytes!("../../specs/tiny/tokenizer.json"),
    weights: include_bytes!("../../specs/tiny/model.safetensors"),
}];

/// The embedded model of this name.
pub fn find(name: &str) -> Option<&'static Embedded> {
    MODELS.iter().find(|model| model.name == name)
}
