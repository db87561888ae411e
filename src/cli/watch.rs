//! `reftc watch`, which is `reftc run --watch`: a save brings the results up to date.

use super::args::RunArgs;
use super::events::Around;
use super::output::Output;
use super::run::{Ready, all, ready};
use super::session::{Session, abandon, begin_anew, is_interrupted, wake_on_interrupt};
use crate::compile::compile;
use crate::execute::loaded::Models;
use crate::plan::{Experiment, Hashes, Plan, PointValue};
use crate::watch::Watcher;
use crate::world::World;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Runs whenever the spec, or a file that it reads, is saved and denotes something else than before; only Ctrl-C ends it.
pub fn watch(arguments: &RunArgs, session: &Session, models: &mut Models, output: &Output) -> ExitCode {
    let spec = [arguments.spec.clone()];
    let mut watcher = match arguments.poll {
        Some(pause) => Watcher::polling(spec, pause),
        None => Watcher::new(spec),
    };
    wake_on_interrupt(watcher.waker());
    let events = arguments.events(output);
    loop {
        begin_anew();
        let ready = ready(arguments, session, models, output);
        // Before the run: what is saved while it goes on counts as changed.
        follow(&mut watcher, arguments, session);
        let mut is_known = true;
        if let Ok(ready) = &ready {
            let seen = attended(ready, arguments, session, &mut watcher, models, output);
            models.forget(&seen.changed);
            is_known = seen.is_known;
        } else {
            events.around(&Around::SpecBroken);
        }
        if is_interrupted() {
            return ExitCode::from(130);
        }
        if !is_known {
            continue;
        }
        let before = ready.ok();
        if !wait(&mut watcher, before.as_ref(), arguments, session, models, output) {
            return ExitCode::from(130);
        }
    }
}

/// Waits until a save denotes something else than what has run; false where Ctrl-C ended it.
fn wait(
    watcher: &mut Watcher,
    before: Option<&Ready>,
    arguments: &RunArgs,
    session: &Session,
    models: &mut Models,
    output: &Output,
) -> bool {
    let events = arguments.events(output);
    loop {
        let files = watcher.files();
        output.note(&format!("watching {} and what it reads; Ctrl-C ends it", arguments.spec.display()));
        events.around(&Around::Watching { files });
        let Some(changed) = watcher.wait(is_interrupted) else { return false };
        models.forget(&changed);
        let Some(before) = before else {
            saved(&changed, true, false, arguments, output);
            return true;
        };
        let is_same = denotes_the_same(before, arguments, session);
        follow(watcher, arguments, session);
        saved(&changed, !is_same, false, arguments, output);
        if !is_same {
            return true;
        }
        output.note("nothing that decides a result has changed");
    }
}

/// What was seen while a run went on.
struct Seen {
    changed: Vec<PathBuf>,
    /// The spec still denotes what was run.
    is_known: bool,
}

/// Runs, with an eye on the files: a save that makes the spec denote something else ends the run after what is under way, unless runs are queued.
fn attended(
    ready: &Ready,
    arguments: &RunArgs,
    session: &Session,
    watcher: &mut Watcher,
    models: &mut Models,
    output: &Output,
) -> Seen {
    let (is_over, is_left) = (AtomicBool::new(false), AtomicBool::new(false));
    let waker = watcher.waker();
    thread::scope(|scope| {
        let eye = scope.spawn(|| look(ready, arguments, session, watcher, (&is_over, &is_left), output));
        all(ready, arguments, models, &|| is_left.load(Ordering::SeqCst), output);
        is_over.store(true, Ordering::SeqCst);
        waker.wake();
        eye.join().unwrap_or(Seen { changed: Vec::new(), is_known: false })
    })
}

/// Looks at the files until the run is over.
fn look(
    ready: &Ready,
    arguments: &RunArgs,
    session: &Session,
    watcher: &mut Watcher,
    (is_over, is_left): (&AtomicBool, &AtomicBool),
    output: &Output,
) -> Seen {
    let mut seen = Seen { changed: Vec::new(), is_known: true };
    let before = ready.compiled.plan(arguments.means.means());
    let end = || is_over.load(Ordering::SeqCst) || is_interrupted();
    while let Some(changed) = watcher.wait(end) {
        seen.changed.extend(changed.iter().cloned());
        let compiled = compile(&arguments.spec, &arguments.settings, &session.world);
        follow(watcher, arguments, session);
        if compiled.has_errors() {
            saved(&changed, true, false, arguments, output);
            output.findings(&compiled.diagnostics, &compiled.sources);
            output.note("the run under way goes on");
            arguments.events(output).around(&Around::SpecBroken);
            seen.is_known = false;
            continue;
        }
        let now = compiled.plan(arguments.means.means());
        let is_same = denotations(&now) == denotations(&before);
        let leaves = !is_same && !arguments.queue;
        seen.is_known = is_same && meanings(&now) == meanings(&before);
        saved(&changed, !is_same, leaves, arguments, output);
        match (is_same, leaves) {
            (true, _) => output.note("nothing that decides a result has changed; the run under way goes on"),
            (false, false) => output.note("the run under way is finished first"),
            (false, true) => {
                is_left.store(true, Ordering::SeqCst);
                abandon();
                return seen;
            }
        }
    }
    seen
}

/// Tells which files were saved, whether that changed anything, and whether a run is left for it.
fn saved(changed: &[PathBuf], is_other: bool, leaves: bool, arguments: &RunArgs, output: &Output) {
    let names: Vec<String> = changed.iter().map(|path| path.display().to_string()).collect();
    output.note(&format!("\nsaved: {}", names.join(", ")));
    arguments.events(output).around(&Around::Saved { files: changed, changed: is_other, left: leaves });
}

fn follow(watcher: &mut Watcher, arguments: &RunArgs, session: &Session) {
    watcher.update(session.world.touched().into_iter().chain([arguments.spec.clone()]));
}

/// Whether the files denote what was run, and promise the same of it.
fn denotes_the_same(before: &Ready, arguments: &RunArgs, session: &Session) -> bool {
    let compiled = compile(&arguments.spec, &arguments.settings, &session.world);
    if compiled.has_errors() {
        return false;
    }
    let (before, now) = (before.compiled.plan(arguments.means.means()), compiled.plan(arguments.means.means()));
    denotations(&now) == denotations(&before) && meanings(&now) == meanings(&before)
}

/// What decides every result of a plan.
fn denotations(plan: &Plan) -> Vec<(&str, &[PointValue], &Hashes)> {
    let mut all = Vec::new();
    for Experiment { name, point, hashes, .. } in &plan.experiments {
        all.push((name.as_str(), point.as_slice(), hashes));
    }
    all
}

/// What the fields of a plan mean, expectations included.
fn meanings(plan: &Plan) -> Vec<(&str, &str)> {
    let fields = plan.experiments.iter().flat_map(|experiment| &experiment.fields);
    fields.map(|field| (field.path.as_str(), field.means.as_str())).collect()
}
