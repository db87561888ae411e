//! `reftc doctor`

use super::args::DoctorArgs;
use super::output::Output;
use super::session::Session;
use crate::digest;
use crate::lock::{Lock, path_of};
use crate::model::hub::out_of_reach;
use crate::model::{device, embedded};
use crate::report::units;
use crate::store::environment::free_space;
use crate::store::frozen;
use crate::world::World;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    what: String,
    state: State,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    /// Only some runs need it.
    Missing,
    Problem,
}

/// Prints what reftc finds on this machine; 1 if something stands in the way of a run.
pub fn doctor(arguments: &DoctorArgs, session: &Session, output: &Output) -> ExitCode {
    let findings = findings(session);
    if arguments.json {
        output.data(&format!("{}\n", digest::json(&findings)));
    } else {
        let mut text = String::new();
        for finding in &findings {
            let mark = match finding.state {
                State::Good => "ok",
                State::Missing => "missing",
                State::Problem => "problem",
            };
            text.push_str(&format!("{mark:8} {:9} {}\n", finding.what, finding.text));
            if let Some(help) = &finding.help {
                text.push_str(&format!("{:18} help: {help}\n", ""));
            }
        }
        output.data(&text);
    }
    let problem = findings.iter().any(|finding| finding.state == State::Problem);
    if problem { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

fn findings(session: &Session) -> Vec<Finding> {
    let good = |what: &str, text: String| Finding { what: what.to_owned(), state: State::Good, text, help: None };
    let mut findings = vec![good(
        "reftc",
        format!("{} on {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH),
    )];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    findings.push(match device::choose("auto") {
        Ok(chosen) => good("device", format!("{}, {threads} threads", device::name(&chosen))),
        Err(diagnostic) => problem("device", &diagnostic.message, diagnostic.help.first().cloned()),
    });
    findings.extend(device::cuda_parts().into_iter().map(|part| Finding {
        what: part.name,
        state: if part.help.is_some() { State::Missing } else { State::Good },
        text: part.text,
        help: part.help,
    }));
    let cache = &session.locator.cache;
    findings.push(match cache.folder() {
        Some(folder) if cache.is_writable() => good("cache", format!("{}, {}", folder.display(), space(folder))),
        Some(folder) => problem(
            "cache",
            &format!("{} cannot be written", folder.display()),
            Some("name another folder: `REFTC_CACHE=FOLDER`".into()),
        ),
        None => problem("cache", "no folder for it", Some("name one: `REFTC_CACHE=FOLDER`".into())),
    });
    if let Some(folder) = session.frozen_folder() {
        let text = match frozen::held(&folder) {
            (0, _) => "no records".to_owned(),
            (records, bytes) => format!("{}, {}", units::counted(records, "record"), units::bytes(bytes)),
        };
        findings.push(good("frozen", format!("{}: {text}", folder.display())));
    }
    let hub = &session.locator.hub;
    let models = hub.models();
    let held = if models.is_empty() { "no models".to_owned() } else { models.join(", ") };
    findings.push(match hub.is_cache_writable() {
        true => good("models", format!("{}: {held}", hub.cache.display())),
        false => problem(
            "models",
            &format!("{} cannot be written", hub.cache.display()),
            Some("name another folder: `HF_HOME=FOLDER`".into()),
        ),
    });
    let token = if hub.token.is_some() { "with a token" } else { "without a token" };
    findings.push(match (hub.offline, out_of_reach(hub)) {
        (true, _) => good("hub", "offline, as asked".to_owned()),
        (false, None) => good("hub", format!("{} answers, {token}", hub.endpoint)),
        (false, Some(reason)) => Finding {
            what: "hub".to_owned(),
            state: State::Missing,
            text: format!("{} does not answer: {reason}", hub.endpoint),
            help: Some("only `hf(…)` models that are not in the cache need it".to_owned()),
        },
    });
    let embedded: Vec<&str> = embedded::MODELS.iter().map(|model| model.name).collect();
    findings.push(good("embedded", embedded.join(", ")));
    findings.extend(session.world.list(Path::new(".")).iter().filter_map(|name| lock(Path::new(name))));
    findings
}

/// The lock of a spec in the working directory, where `spec` is one and has one.
fn lock(spec: &Path) -> Option<Finding> {
    if spec.extension().is_none_or(|extension| extension != "reft") {
        return None;
    }
    let path = path_of(spec);
    let (state, text, help) = match Lock::read(&path) {
        Ok(lock) => (State::Good, format!("{}: {}", path.display(), lock?.counted()), None),
        Err(diagnostic) => (State::Problem, diagnostic.message.clone(), diagnostic.help.first().cloned()),
    };
    Some(Finding { what: "lock".to_owned(), state, text, help })
}

fn problem(what: &str, text: &str, help: Option<String>) -> Finding {
    Finding { what: what.to_owned(), state: State::Problem, text: text.to_owned(), help }
}

fn space(folder: &std::path::Path) -> String {
    free_space(folder).map_or_else(|| "free space unknown".to_owned(), |bytes| format!("{} free", units::bytes(bytes)))
}
