//! Nothing is read or tokenised twice: what a check has made, a run takes, in the same process or in a later one.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "support/compile.rs"]
mod support;

use candle_core::Device;
use reftc::data::encode::EncodedRow;
use reftc::data::template::{Part, Template};
use reftc::data::tokenizer::Tokenizer;
use reftc::diag::Severity;
use reftc::execute::rows::{eval_rows, train_rows};
use reftc::model::ModelFiles;
use reftc::model::config::ModelSource;
use reftc::model::embedded;
use reftc::model::hub::{HubSettings, Wanted};
use reftc::model::known::KnownModel;
use reftc::model::located::{Located, Locator};
use reftc::plan::Experiment;
use reftc::source::{FileId, Sources};
use reftc::store::cache::Cache;
use reftc::world::RealWorld;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SPEC: &str = r#"
model tiny = path("model")
data reviews {
  train  = jsonl("rows.jsonl")
  test   = jsonl("rows.jsonl")[..2]
  prompt = "{q}\nAnswer:"
  target = " {a}"
}
experiment small {
  model = tiny
  data  = reviews
  intervene edit = loreft { layers = all, positions = f1+l1, rank = 2 }
  train { epochs = 1, lr = 1e-3 }
  eval test { on = reviews.test, decode = greedy(max_tokens: 2) }
}
"#;

/// A folder with a model, rows and a spec.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let tiny = embedded::find("tiny").unwrap();
        std::fs::create_dir(place.path("model")).unwrap();
        for (name, bytes) in
            [("config.json", tiny.config), ("tokenizer.json", tiny.tokenizer), ("model.safetensors", tiny.weights)]
        {
            std::fs::write(place.path("model").join(name), bytes).unwrap();
        }
        place.write_rows(3);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write_rows(&self, count: usize) {
        let row = |number: usize| format!("{{\"q\": \"room number {number}\", \"a\": \"yes\"}}\n");
        std::fs::write(self.path("rows.jsonl"), (0..count).map(row).collect::<String>()).unwrap();
    }

    /// Checks the spec, as the first half of a run does.
    fn check(&self, locator: &Locator) -> Experiment {
        let mut sources = Sources::default();
        let id: FileId = sources.add(&self.path("spec.reft"), SPEC.to_owned());
        let found = support::compile(&sources, id, &RealWorld::new(locator.clone()));
        assert!(
            found.diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error),
            "{:?}",
            found.diagnostics
        );
        found.plan(Default::default()).experiments.remove(0)
    }

    fn source(&self) -> ModelSource {
        ModelSource::Folder(self.path("model"))
    }

    /// The model as a run has it, with its own tokenizer or one to which every text is one unknown word.
    fn model(&self, locator: &Locator, blind: bool) -> Located {
        let found = locator.locate(&self.source(), Wanted::Everything, &mut |_| {}).unwrap();
        if blind { found.with_tokenizer(blind_tokenizer()) } else { found }
    }

    /// The rows that a run would take: for training, and for the evaluation.
    fn rows(&self, plan: &Experiment, locator: &Locator, blind: bool) -> [Vec<EncodedRow>; 2] {
        let model = self.model(locator, blind);
        [train_rows(plan, &model).unwrap(), eval_rows(plan, &plan.evals[0], &model).unwrap()]
    }
}

fn blind_tokenizer() -> Arc<Tokenizer> {
    let file = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}}"#;
    let inner = tokenizers::Tokenizer::from_bytes(file).unwrap();
    Arc::new(Tokenizer::new(inner, None, Some(0)).unwrap())
}

fn locator(cache: Cache) -> Locator {
    Locator::new(HubSettings::from_variables(|_| None), cache)
}

fn cache_in(place: &Place) -> Cache {
    Cache::at(place.path("cache"))
}

/// What the rows must be, without any cache.
fn expected(place: &Place) -> [Vec<EncodedRow>; 2] {
    let plan = place.check(&locator(Cache::default()));
    place.rows(&plan, &locator(Cache::default()), false)
}

#[test]
fn a_run_takes_the_rows_of_its_check_without_any_folder() {
    let place = Place::new();
    let locator = locator(Cache::default());
    let plan = place.check(&locator);
    let expected = expected(&place);
    assert_eq!(expected.each_ref().map(Vec::len), [3, 2]);
    assert_eq!(place.rows(&plan, &locator, true), expected);
}

#[test]
fn a_later_process_takes_the_rows_of_an_earlier_one() {
    let place = Place::new();
    let plan = place.check(&locator(cache_in(&place)));
    assert_eq!(place.rows(&plan, &locator(cache_in(&place)), true), expected(&place));
    // A run without a check leaves its rows too.
    std::fs::remove_dir_all(place.path("cache")).unwrap();
    let first = place.rows(&plan, &locator(cache_in(&place)), false);
    assert_eq!(place.rows(&plan, &locator(cache_in(&place)), true), first);
}

#[test]
fn what_decides_tokens_is_looked_at() {
    let place = Place::new();
    let plan = place.check(&locator(cache_in(&place)));
    let known = expected(&place);
    let is_tokenised_anew = |plan: &Experiment| {
        let [train, eval] = place.rows(plan, &locator(cache_in(&place)), true);
        std::fs::remove_dir_all(place.path("cache")).unwrap();
        place.check(&locator(cache_in(&place)));
        // Of the blind tokenizer's rows every token is 0.
        [train, eval].map(|rows| rows.iter().all(|row| row.ids.iter().all(|&id| id == 0)))
    };
    assert_eq!(is_tokenised_anew(&plan), [false, false]);

    let mut other = plan.clone();
    other.train.splits[0].split.prompt = Template::Text(vec![Part::Column("q".into())]);
    assert_eq!(is_tokenised_anew(&other), [true, false]);

    let mut other = plan.clone();
    other.evals[0].gold = Some(Template::Text(vec![Part::Column("q".into())]));
    assert_eq!(is_tokenised_anew(&other), [false, true]);

    place.write_rows(4);
    assert_eq!(is_tokenised_anew(&plan), [true, true]);
    place.write_rows(3);
    assert_eq!(is_tokenised_anew(&plan), [true, true]);
    assert_eq!(is_tokenised_anew(&plan), [false, false]);

    std::fs::write(place.path("model/tokenizer_config.json"), "{}").unwrap();
    assert_eq!(is_tokenised_anew(&plan), [true, true]);
    assert_eq!(place.rows(&plan, &locator(cache_in(&place)), true), known);
}

#[test]
fn a_tokenizer_is_read_once_until_its_file_changes() {
    let place = Place::new();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let age = |name: &str, time| {
        let path = place.path("model").join(name);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        age(name, old);
    }
    let locator = locator(Cache::default());
    let tokenizer = || {
        let found = locator.clone().locate(&place.source(), Wanted::Metadata, &mut |_| {}).unwrap();
        found.tokenizer().unwrap()
    };
    let first = tokenizer();
    assert!(Arc::ptr_eq(&first, &tokenizer()));
    age("tokenizer.json", old + std::time::Duration::from_secs(1));
    assert!(!Arc::ptr_eq(&first, &tokenizer()));
}

/// Header, vocabulary and weights of a GGUF file come from one opening of it, until it is closed.
#[test]
fn a_gguf_header_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let text = |text: &str| candle_core::quantized::gguf_file::Value::String(text.to_owned());
    let write = |architecture: &str| {
        let tensor = candle_core::Tensor::zeros((2, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
        let tensor =
            candle_core::quantized::QTensor::quantize(&tensor, candle_core::quantized::GgmlDType::F32).unwrap();
        let metadata = [("general.architecture", &text(architecture))];
        let mut file = std::fs::File::create(&path).unwrap();
        candle_core::quantized::gguf_file::write(&mut file, &metadata, &[("token_embd.weight", &tensor)]).unwrap();
    };
    write("phi3");
    let files = ModelFiles::gguf(&path).unwrap();
    let complaint = |files: &ModelFiles| files.config().unwrap_err().message;
    assert!(complaint(&files).contains("phi3"));
    write("bert");
    assert!(complaint(&files.clone()).contains("phi3"), "read before");
    let ModelFiles::Gguf(file) = &files else { panic!("a GGUF file is one") };
    file.close();
    assert!(complaint(&files).contains("bert"));
    assert!(Path::new(file.path()).ends_with("model.gguf"));
}
