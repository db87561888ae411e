//! `reftc diff`

use super::args::DiffArgs;
use super::output::Output;
use super::session::Session;
use crate::compile::outline::{Unsound, outlines};
use crate::diag::{Code, Diagnostic};
use crate::difference::{Difference, Outline};
use crate::digest;
use crate::plan::Experiment;
use crate::report;
use crate::revision::Revision;
use crate::source::Sources;
use crate::store::find;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What one of the arguments means.
enum Side {
    Spec { path: PathBuf, revision: Option<Revision> },
    Run(String),
}

/// Why one of them cannot be read.
type Failure = (Vec<Diagnostic>, Sources);

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    before: &'a str,
    after: &'a str,
    same: bool,
    #[serde(flatten)]
    difference: &'a Difference,
}

/// Prints what differs; 0 where nothing does, 1 where something does, 2 where one of the two cannot be read.
pub fn diff(arguments: &DiffArgs, session: &Session, output: &Output) -> ExitCode {
    let DiffArgs { before, after, .. } = arguments;
    if before.ends_with(':') && after.ends_with(':') {
        output.usage_error(
            &format!("neither `{before}` nor `{after}` says which spec is meant"),
            &format!("write the path behind one of them: `{before}specs/x.reft`"),
        );
        return ExitCode::from(2);
    }
    let sides = (Side::of(before, after), Side::of(after, before));
    let (Ok(left), Ok(right)) = sides else {
        let failures = [sides.0.err(), sides.1.err()].into_iter().flatten();
        return failed(failures.map(|failure| (vec![*failure], Sources::default())), output);
    };
    let sides = match (&left, &right) {
        (Side::Spec { .. }, Side::Spec { .. }) | (Side::Run(_), Side::Run(_)) => {
            [left, right].map(|side| side.outlines(&arguments.runs, session))
        }
        (run, _) => {
            let (run, spec) = if matches!(run, Side::Run(_)) { (before, after) } else { (after, before) };
            let help = "name two specs, or two runs; the folder of a run holds its `spec.reft`";
            output.usage_error(&format!("`{spec}` is a spec, and `{run}` can only be a run"), help);
            return ExitCode::from(2);
        }
    };
    let [Ok(left), Ok(right)] = &sides else {
        return failed(sides.into_iter().filter_map(Result::err), output);
    };
    let difference = Difference::of(left, right);
    if arguments.json {
        let report = Report { before, after, same: difference.is_empty(), difference: &difference };
        output.data(&format!("{}\n", digest::json(&report)));
    } else if difference.is_empty() {
        output.praise("no difference");
    } else {
        output.data(&report::difference::text(&difference, output.style()));
    }
    ExitCode::from(u8::from(!difference.is_empty()))
}

fn failed(failures: impl Iterator<Item = Failure>, output: &Output) -> ExitCode {
    let mut all = Vec::new();
    for (mut found, sources) in failures {
        output.findings(&found, &sources);
        all.append(&mut found);
    }
    output.summary(&all);
    ExitCode::from(2)
}

impl Side {
    /// A spec, `REV:PATH`, `REV:` for the path of the other side, or a run.
    fn of(text: &str, other: &str) -> Result<Self, Box<Diagnostic>> {
        let path = Path::new(text);
        let is_spec = path.is_file() || path.extension().is_some_and(|extension| extension == "reft");
        match text.split_once(':').filter(|_| !path.exists()) {
            Some((name, written)) => {
                let revision = Revision::find(name)?;
                let path = match (written, other.split_once(':')) {
                    ("", Some((_, written))) if !Path::new(other).exists() => revision.written(written)?,
                    ("", _) => revision.beside(Path::new(other))?,
                    _ => revision.written(written)?,
                };
                Ok(Side::Spec { path, revision: Some(revision) })
            }
            None if is_spec => Ok(Side::Spec { path: path.to_path_buf(), revision: None }),
            None => Ok(Side::Run(text.to_owned())),
        }
    }

    fn outlines(&self, runs: &Path, session: &Session) -> Result<Vec<Outline>, Failure> {
        match self {
            Side::Spec { path, revision } => outlines(path, revision.as_ref(), &session.world)
                .map_err(|Unsound { errors, sources }| (errors, sources)),
            Side::Run(wanted) => {
                run(wanted, runs).map(|run| vec![run]).map_err(|failure| (vec![*failure], Sources::default()))
            }
        }
    }
}

/// The fields of a run. A run has one experiment, and is compared with another whatever their names.
fn run(wanted: &str, runs: &Path) -> Result<Outline, Box<Diagnostic>> {
    let found = find::run(runs, wanted)?;
    let plan = std::fs::read_to_string(found.path.join("plan.json")).ok();
    let plan: Option<Experiment> = plan.and_then(|text| serde_json::from_str(&text).ok());
    match plan.map(|plan| plan.fields).filter(|fields| !fields.is_empty()) {
        Some(fields) => Ok(Outline { experiment: "of the run".to_owned(), fields }),
        None => {
            let message = format!("the plan of `{}` does not say its fields", found.name());
            let help = "run its spec again: what is finished is not done twice, and the plan is written anew";
            Err(Box::new(Diagnostic::new(Code::RunNotFound, message).help(help)))
        }
    }
}
