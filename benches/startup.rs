//! Times what comes before the first step, part by part, with memory: header, tokenizer, rows, weights.
//!
//!     cargo bench --bench startup -- MODEL.gguf ROWS.json [PROMPT]
//!     cargo bench --bench startup -- MODEL_FOLDER ROWS.json [PROMPT]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use candle_core::Device;
use mimalloc::MiMalloc;
use reftc::data::encode::encode_split;
use reftc::data::read::read;
use reftc::data::row_bytes;
use reftc::data::source::{Format, Source};
use reftc::data::split::{Overlong, Split};
use reftc::data::template::{Template, parse};
use reftc::model::Decoder;
use reftc::model::config::{ModelSource, Precision};
use reftc::model::hub::{HubSettings, Wanted};
use reftc::model::known::KnownModel;
use reftc::model::located::Locator;
use reftc::store::cache::Cache;
use std::path::PathBuf;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(model), Some(data)) = (arguments.next().map(PathBuf::from), arguments.next().map(PathBuf::from)) else {
        println!("startup: needs a model and a file of rows, see benches/startup.rs");
        return;
    };
    let prompt = arguments.next().unwrap_or("{instruction}\n".to_owned());
    let source = if model.is_dir() { ModelSource::Folder(model) } else { ModelSource::Gguf(model) };
    let locator = Locator::new(HubSettings::from_variables(|_| None), Cache::default());
    let found = locator.locate(&source, Wanted::Everything, &mut |_| {}).unwrap();
    timed("digests of the model's files", || found.digests().unwrap());
    let config = timed("header, config", || found.config().unwrap());
    let tokenizer = timed("tokenizer", || found.tokenizer().unwrap());
    let chat = timed("chat template", || found.chat_template().unwrap());
    let split = Split {
        source: Source::file(data.clone(), Format::Json),
        prompt: Template::Text(parse(&prompt).unwrap()),
        target: Template::Text(parse("the correct answer is {answer}").unwrap()),
        eos: true,
        overlong: Overlong::CutRight,
        max_length: 512,
    };
    let rows = timed("reading rows", || read(&std::fs::read(&data).unwrap(), &data, &Format::Json).unwrap());
    let encoded = timed("tokenising rows", || encode_split(&rows, &split, &tokenizer, chat.as_ref()).unwrap());
    let bytes = timed("rows as bytes", || row_bytes::write(&encoded.rows));
    let again = timed("bytes as rows", || row_bytes::read(&bytes).unwrap());
    println!("{} rows in {} bytes", again.len(), bytes.len());
    let load = || Decoder::load(found.files(), &config, Precision::F32, &Device::Cpu).unwrap();
    let decoder = timed("weights", load);
    found.close();
    let weights = decoder.config().parameters() * 4;
    println!("{} MiB of weights, {} threads", weights >> 20, rayon::current_num_threads());
}

/// Says how long something took, and how much memory the process has held at most so far.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (used, begun) = (cpu_seconds(), Instant::now());
    let value = work();
    let (seconds, used) = (begun.elapsed().as_secs_f64(), cpu_seconds() - used);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak = line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0;
    println!("{what:<32} {seconds:>7.3} s {used:>6.2} s of CPU {peak:>6.0} MiB at most");
    value
}

/// CPU seconds of all threads so far; 0 where the system does not say.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time, in hundredths of a second.
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
