//! `reftc lock`, and what other commands do with the lock of a spec.

use super::args::{LockArgs, RunArgs};
use super::output::Output;
use super::progress::Download;
use super::session::Session;
use crate::compile::{Compiled, compile};
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::digest;
use crate::execute::experiment;
use crate::lock::{Drift, Kind, Lock, path_of};
use crate::model::hub::Pin;
use crate::plan::NUMERICS;
use crate::report::shell::quoted;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

/// Writes the lock of a spec, takes what has changed into it, or holds it against what is there.
pub fn lock(arguments: &LockArgs, session: &Session, output: &Output) -> ExitCode {
    match locked(arguments, session, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn locked(arguments: &LockArgs, session: &Session, output: &Output) -> std::result::Result<(), ExitCode> {
    let path = path_of(&arguments.spec);
    let fail = |diagnostic: Box<Diagnostic>| {
        output.failure(&diagnostic, &Default::default());
        ExitCode::from(if diagnostic.code == Code::LockUnreadable { 1 } else { 3 })
    };
    let all = arguments.update && arguments.what.is_empty();
    let old = match Lock::read(&path) {
        // It is written anew, whatever it says.
        Err(_) if all => None,
        read => read.map_err(fail)?,
    };
    if all {
        session.locator.hub.pins.look_up_anew(old.iter().flat_map(Lock::pins).collect());
    }
    let mut compiled = compiled(arguments, session, output)?;
    if arguments.check {
        let found = match &old {
            Some(old) => held_against(old, &compiled, session).map_err(fail)?,
            None => Vec::new(),
        };
        if arguments.json {
            output.data(&format!("{}\n", digest::json(&found)));
        }
        let diagnostics = drift(&arguments.spec, &compiled, session);
        if diagnostics.is_empty() {
            output.praise(&format!("all is as `{}` has it", path.display()));
            return Ok(());
        }
        output.findings(&diagnostics, &compiled.sources);
        output.summary(&diagnostics);
        return Err(ExitCode::from(1));
    }
    fetch_weights(&compiled, session, output)?;
    let mut present = Lock::of(&compiled.inputs(), &session.locator).map_err(fail)?;
    let mut updated = BTreeSet::new();
    if !arguments.what.is_empty() {
        let names = named(&arguments.what, &compiled, &present, old.as_ref(), output)?;
        let released: Vec<(bool, Pin)> = old.iter().flat_map(|old| pins_of(old, &names)).collect();
        if !released.is_empty() {
            session.locator.hub.pins.look_up_anew(released);
            compiled = self::compiled(arguments, session, output)?;
            fetch_weights(&compiled, session, output)?;
            present = Lock::of(&compiled.inputs(), &session.locator).map_err(fail)?;
        }
        updated = names;
    }
    let drifted = old.as_ref().map(|old| old.drift(&present)).unwrap_or_default();
    let (accepted, left): (Vec<Drift>, Vec<Drift>) =
        drifted.into_iter().partition(|drift| all || updated.contains(&drift.name));
    let new = match &old {
        Some(old) if !all => {
            let mut base = old.clone();
            accepted.iter().for_each(|drift| forget(&mut base, drift));
            base.kept(&present)
        }
        _ => present,
    };
    new.write(&path).map_err(fail)?;
    warn(&left, &new, &arguments.spec, output);
    accepted.iter().for_each(|drift| output.note(&format!("updated {drift}")));
    if arguments.json {
        output.data(&new.text());
    } else {
        output.note(&format!("{}: {}", path.display(), new.counted()));
    }
    Ok(())
}

fn compiled(arguments: &LockArgs, session: &Session, output: &Output) -> std::result::Result<Compiled, ExitCode> {
    let compiled = compile(&arguments.spec, &[], &session.world);
    if compiled.has_errors() {
        output.findings(&compiled.diagnostics, &compiled.sources);
        output.summary(&compiled.diagnostics);
        return Err(ExitCode::from(1));
    }
    Ok(compiled)
}

/// Weights of hubs are part of a lock, so they must be at hand.
fn fetch_weights(compiled: &Compiled, session: &Session, output: &Output) -> std::result::Result<(), ExitCode> {
    let models = compiled.spec.experiments.iter().map(|experiment| &experiment.model);
    for model in models.filter(|model| model.digests.provisional) {
        let mut download = Download::new(*output);
        let wanted = crate::model::hub::Wanted::Everything;
        let fetched = session.locator.locate(&model.source, wanted, &mut |progress| download.show(progress));
        download.end();
        if let Err(diagnostic) = fetched {
            output.failure(&diagnostic, &compiled.sources);
            return Err(ExitCode::from(3));
        }
    }
    Ok(())
}

/// The entries that are meant; else what was meant instead is shown.
fn named(
    what: &[String],
    compiled: &Compiled,
    present: &Lock,
    old: Option<&Lock>,
    output: &Output,
) -> std::result::Result<BTreeSet<String>, ExitCode> {
    let mut names = compiled.locked_names(present);
    for lock in old.into_iter().chain([present]) {
        let entries = lock.models.keys().chain(lock.data.keys()).chain(lock.saved.keys());
        for entry in entries.chain(lock.library.files.keys()) {
            names.entry(entry.clone()).or_default().insert(entry.clone());
        }
        let models = lock.models.iter().map(|(name, model)| (name, &model.hub));
        for (name, hub) in models.chain(lock.data.iter().map(|(name, data)| (name, &data.hub))) {
            if let Some(pin) = hub {
                names.entry(pin.repository.clone()).or_default().insert(name.clone());
            }
        }
    }
    let mut found = BTreeSet::new();
    for name in what {
        let Some(entries) = names.get(name) else {
            let known = names.keys().map(String::as_str);
            let help = suggest::did_you_mean(name, known.clone())
                .unwrap_or_else(|| format!("it has {}", suggest::list(&known.collect::<Vec<_>>())));
            output.usage_error(&format!("the lock has no entry `{name}`, and the spec declares no such name"), &help);
            return Err(ExitCode::from(2));
        };
        found.extend(entries.iter().cloned());
    }
    Ok(found)
}

fn pins_of(lock: &Lock, names: &BTreeSet<String>) -> Vec<(bool, Pin)> {
    let mut part = lock.clone();
    part.models.retain(|name, _| names.contains(name));
    part.data.retain(|name, _| names.contains(name));
    part.pins()
}

/// Takes an entry out of a lock, so that its present state is added.
fn forget(lock: &mut Lock, drift: &Drift) {
    match drift.kind {
        Kind::Data => lock.data.remove(&drift.name).map(|_| ()),
        Kind::Library => lock.library.files.remove(&drift.name).map(|_| ()),
        Kind::Model => lock.models.remove(&drift.name).map(|_| ()),
        Kind::Saved => lock.saved.remove(&drift.name).map(|_| ()),
    };
}

/// What a run does with the lock: writes it where there is none, tells what has drifted, and lets it follow the spec. With `--locked`
/// nothing may differ, and with `--set` nothing is written.
pub fn keep(
    arguments: &RunArgs,
    compiled: &Compiled,
    session: &Session,
    output: &Output,
) -> std::result::Result<(), ExitCode> {
    if arguments.locked {
        return refuse_drift(&arguments.spec, compiled, session, output);
    }
    let path = path_of(&arguments.spec);
    let both = Lock::read(&path).and_then(|old| Ok((old, Lock::of(&compiled.inputs(), &session.locator)?)));
    let (old, present) = both.map_err(|diagnostic| {
        output.failure(&diagnostic, &compiled.sources);
        ExitCode::from(1)
    })?;
    let new = match &old {
        Some(old) => {
            warn(&old.drift(&present), old, &arguments.spec, output);
            if old.numerics != NUMERICS {
                output.note(&format!(
                    "{} is by reftc {}, whose numerics are of another version ({}, here {NUMERICS}): numbers may differ by more than rounding",
                    path.display(), old.reftc, old.numerics
                ));
            }
            old.kept(&present)
        }
        None => present,
    };
    if arguments.settings.is_empty()
        && let Err(diagnostic) = new.write(&path)
    {
        output.note(&format!("going on without a lock: {}", diagnostic.message));
    }
    Ok(())
}

/// With `--locked`: shows what is not as the lock has it, if anything is.
pub fn refuse_drift(
    spec: &Path,
    compiled: &Compiled,
    session: &Session,
    output: &Output,
) -> std::result::Result<(), ExitCode> {
    let found = drift(spec, compiled, session);
    if found.is_empty() {
        return Ok(());
    }
    output.findings(&found, &compiled.sources);
    output.summary(&found);
    Err(ExitCode::from(1))
}

/// All that is not as the lock of a spec has it, as errors: E0510, or E0511 where the lock cannot be read.
pub fn drift(spec: &Path, compiled: &Compiled, session: &Session) -> Vec<Diagnostic> {
    let path = path_of(spec);
    let found = Lock::read(&path).and_then(|lock| {
        let Some(lock) = lock else { return Ok(vec![without_lock(spec)]) };
        let found = held_against(&lock, compiled, session)?;
        Ok(found.iter().map(|drift| drift.from_lock(Code::NotAsLocked, &lock, &path, &accept(spec, drift))).collect())
    });
    found.unwrap_or_else(|diagnostic| vec![*diagnostic])
}

fn held_against(lock: &Lock, compiled: &Compiled, session: &Session) -> Result<Vec<Drift>> {
    let present = Lock::of(&compiled.inputs(), &session.locator)?;
    let mut found = lock.drift(&present);
    found.extend(lock.unlocked(&present));
    Ok(found)
}

fn without_lock(spec: &Path) -> Diagnostic {
    let path = path_of(spec);
    Diagnostic::new(Code::NotAsLocked, format!("`{}` has no lock: there is no `{}`", spec.display(), path.display()))
        .in_file(path, None)
        .help(format!("write it: `reftc lock {}`", quoted(&spec.to_string_lossy())))
}

fn warn(drifted: &[Drift], lock: &Lock, spec: &Path, output: &Output) {
    let path = path_of(spec);
    let found: Vec<Diagnostic> =
        drifted.iter().map(|drift| drift.from_lock(Code::LockDrift, lock, &path, &accept(spec, drift))).collect();
    if !found.is_empty() {
        output.findings(&found, &Default::default());
        output.summary(&found);
    }
}

/// The command that takes the present state of an entry.
fn accept(spec: &Path, drift: &Drift) -> String {
    format!("reftc lock {} --update {}", quoted(&spec.to_string_lossy()), quoted(&drift.name))
}

/// What `eval` and `generate` begin with: branches of hubs stand for the commits of the run, and what has changed since is told.
pub fn changed_since(folder: &Path, session: &Session, output: &Output) -> Result<Vec<Drift>> {
    let changed = changes_since(folder, session)?;
    let found: Vec<Diagnostic> = changed.iter().map(|drift| drift.from_run(Code::ChangedSinceRun)).collect();
    if !found.is_empty() {
        output.findings(&found, &Default::default());
        output.summary(&found);
    }
    Ok(changed)
}

/// What `resume` begins with: E0513 where anything has changed since, for the rest of a run on other rows would be recorded as if it were on
/// those of its plan.
pub fn unchanged(folder: &Path, session: &Session) -> Result<()> {
    match changes_since(folder, session)?.first() {
        Some(drift) => Err(Box::new(drift.from_run(Code::InputsChanged))),
        None => Ok(()),
    }
}

fn changes_since(folder: &Path, session: &Session) -> Result<Vec<Drift>> {
    let plan = experiment::plan_of(folder)?;
    let lock = Lock::read(&folder.join("lock.json"))?;
    session.locator.hub.pins.set(lock.iter().flat_map(Lock::pins).collect());
    Ok(lock.map(|lock| lock.changed_since(&plan, &session.locator)).unwrap_or_default())
}
