//! Killed processes, full disks, damaged files: what was done is kept, what is wrong is said, and going on gives the bits of an undisturbed run.

use crate::support::{Done, Place, RUN, rows};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// 32 steps with a measurement along the way that chooses the parameters, and two evaluations.
const BUSY: &[(&str, &str)] = &[
    ("epochs = 2", "epochs = 8"),
    ("lr     = 1e-3", "lr     = 1e-3\n    keep   = best(eval.dev.perplexity)"),
    ("  test   = jsonl", "  validation = jsonl(\"dev.jsonl\")\n  test   = jsonl"),
    (
        "  eval test {",
        "  eval dev {\n    on = reviews.validation\n    when = steps(5)\n    metric = perplexity\n  }\n\n  eval test {",
    ),
];

fn busy() -> Place {
    let place = Place::new();
    place.change(BUSY);
    place.write("dev.jsonl", &rows(5));
    place
}

/// The files of the run in `runs` that must not depend on any disturbance, with their content; times are left out.
fn lasting(place: &Place, runs: &str) -> Vec<(String, Vec<u8>)> {
    let folder = place.run_folder(runs, "small");
    let wanted = |name: &&String| {
        name.starts_with("eval/") || name.starts_with("intervention/") || name.as_str() == "result.json"
    };
    let files = place.files(&folder);
    assert!(!files.iter().any(|name| name.ends_with(".tmp")), "left over: {files:?}");
    files
        .iter()
        .filter(wanted)
        .map(|name| (name.clone(), std::fs::read(place.path(&folder).join(name)).unwrap()))
        .collect()
}

/// Holds a run against the one in the folder `undisturbed`.
#[track_caller]
fn assert_same(place: &Place, runs: &str, what: &str) {
    let (ours, theirs) = (lasting(place, runs), lasting(place, "undisturbed"));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs), "{what}");
    for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(ours == theirs, "{name} differs: {what}\n{}\n{}", text(ours), text(theirs));
    }
    assert_eq!(crate::interrupts::metrics(place, runs), crate::interrupts::metrics(place, "undisturbed"), "{what}");
}

#[test]
fn a_run_killed_at_any_moment_goes_on_with_the_same_bits() {
    let place = busy();
    let events = |cache: &str, runs: &str| {
        let arguments = ["--format", "json", "--runs", runs, "--cache-dir", cache];
        place.command(&[&RUN[..], &arguments].concat())
    };
    let whole = Done::of(&mut events("cache", "undisturbed")).expect(0);
    let count = whole.stdout.lines().count();
    assert!(count > 60, "{count} events");
    let mut random = ChaCha8Rng::seed_from_u64(6);
    for round in 0..20 {
        let runs = format!("runs-{round}");
        // Every other round has what was computed once in a cache.
        let cache = if round % 2 == 0 { format!("cache-{round}") } else { "cache".to_owned() };
        let seen = random.random_range(1..count);
        let mut child = events(&cache, &runs).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let last = lines.take(seen).map_while(Result::ok).last();
        child.kill().unwrap();
        child.wait().unwrap();
        Done::of(&mut events(&cache, &runs)).expect(0);
        assert_same(&place, &runs, &format!("killed after event {seen} of {count}: {last:?}"));
    }
}

#[test]
fn a_signal_ends_the_process_soon_though_a_step_takes_long() {
    let place = Place::new();
    // One step takes all rows, and more than the time that is allowed.
    place.change(&[("batch  = 4", "batch  = 100000"), ("epochs = 2", "epochs = 50")]);
    place.write("train.jsonl", &rows(20_000));
    for signal in ["TERM", "INT", "HUP"] {
        let mut run = place.spawn(&[&RUN[..], &["--passes", "none", "--cache-budget", "0"]].concat());
        run.wait_for("training on ");
        let begun = Instant::now();
        run.signal(signal);
        let done = run.end().expect(130);
        assert!(begun.elapsed() < Duration::from_secs(5), "{signal}: {:?}\n{}", begun.elapsed(), done.stderr);
        assert!(!done.stderr.contains("step 1/"), "{}", done.stderr);
    }
}

/// Runs a shell script as the superuser of a world of its own, where file systems may be mounted; `None` where that is not allowed.
fn in_own_world(place: &Place, script: &str) -> Option<Done> {
    let allowed = place.command(&[]);
    let mut shell = std::process::Command::new("unshare");
    shell.args(["-Urm", "sh", "-c", "mount -t tmpfs -o size=64k tmpfs ."]).current_dir(place.path(""));
    if !shell.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this system lets nobody mount a small disk");
        return None;
    }
    let mut shell = std::process::Command::new("unshare");
    shell.args(["-Urm", "sh", "-euc", script]).current_dir(place.path("")).stdin(Stdio::null());
    for (name, value) in allowed.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.env("REFTC", env!("CARGO_BIN_EXE_reftc"));
    Some(Done::of(&mut shell))
}

#[test]
fn a_full_disk_is_said_and_the_run_goes_on_once_there_is_room() {
    let place = busy();
    place.run(&["--runs", "undisturbed"]);
    // Disks of so many pages are full at one kind of write or another, from the first file of the folder to the last.
    let script = r#"
        mkdir disk; mount -t tmpfs -o size=64m tmpfs disk
        for pages in $(seq 1 40); do
            mount -o remount,size=$((4 * pages))k disk
            code=0
            "$REFTC" run spec.reft --threads 1 --runs disk/runs > out 2> err || code=$?
            if [ $code = 0 ]; then break; fi
            echo "pages $pages code $code: $(grep -o 'error.*' err | head -1)"
        done
        echo "finished with $pages pages"
        mount -o remount,size=64m disk
        "$REFTC" run spec.reft --threads 1 --runs disk/runs 2>> err
        cp -r disk/runs runs
    "#;
    let Some(done) = in_own_world(&place, script) else { return };
    let done = done.expect(0);
    let failures: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("pages ")).collect();
    assert!(failures.len() > 3, "{}", done.stdout);
    for line in &failures {
        let said = line.contains("code 3: error[E0501]: cannot write disk/runs/small")
            && line.contains("no space left on device");
        assert!(said, "{line}\n{}", done.stdout);
    }
    assert_same(&place, "runs", &done.stdout);
}

#[test]
fn a_full_disk_at_the_lock_and_the_cache_is_no_obstacle() {
    let place = busy();
    place.run(&["--runs", "undisturbed"]);
    std::fs::remove_file(place.path("spec.lock")).unwrap();
    let script = r#"
        mkdir specs cache; mount -t tmpfs -o size=64k tmpfs specs; mount -t tmpfs -o size=4k tmpfs cache
        cp spec.reft *.jsonl specs/
        dd if=/dev/zero of=specs/ballast bs=1k count=100 2> /dev/null || true
        "$REFTC" run specs/spec.reft --threads 1 --cache-dir cache --cache-budget 10MB
        test ! -e specs/spec.lock
        rm specs/ballast
        "$REFTC" run specs/spec.reft --threads 1 --cache-dir cache --cache-budget 10MB
        test -s specs/spec.lock
    "#;
    let Some(done) = in_own_world(&place, script) else { return };
    let done = done.expect(0);
    let words = ["going on without a lock: cannot write specs/spec.lock: no space left on device", "W0501"];
    done.says(&words);
    assert_same(&place, "runs", "without a lock and a cache");
}

#[test]
fn two_processes_do_not_work_on_one_run() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 40")]);
    let mut first = place.spawn(&RUN);
    first.wait_for("step   1/160");
    let refused = place.reftc(&RUN).expect(3);
    refused.says(&["E0502", &format!("process {} is working on the run", first.id())]);
    let mut second = place.spawn(&[&RUN[..], &["--wait"]].concat());
    second.wait_for("small  (");
    first.end().expect(0);
    second.end().expect(0).says(&["up to date"]);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_what_was_saved_is_said() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 15")]);
    let mut run = place.spawn(&RUN);
    run.wait_for("step  1/60");
    run.signal("INT");
    run.end().expect(130);
    let folder = place.run_folder("runs", "small");
    let checkpoint = place.path(&folder).join("checkpoints/last.safetensors");
    let whole = std::fs::read(&checkpoint).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(8);
    // The length, the header, what is said about the tensors, and their bytes.
    for at in [0, 9, 40, whole.len() - 1, random.random_range(0..whole.len()), random.random_range(0..whole.len())] {
        flip(&checkpoint, at);
        place.reftc(&RUN).expect(3).says(&["E0508", "last.safetensors"]);
        std::fs::write(&checkpoint, &whole).unwrap();
    }
    place.run(&[]).says(&["going on after step "]);
    let saved = place.path(&folder).join("intervention/intervention.safetensors");
    flip(&saved, std::fs::metadata(&saved).unwrap().len() as usize - 7);
    place.reftc(&["generate", "small", "x"]).expect(3).says(&["E0508", "is not what its checksum says"]);
    place.reftc(&["eval", "small"]).expect(3).says(&["E0508", "delete the run's folder"]);
}

#[test]
fn a_damaged_record_is_said_and_not_taken_for_none() {
    let place = Place::new();
    place.run(&[]);
    let folder = place.run_folder("runs", "small");
    let path = |name: &str| format!("{folder}/{name}");
    let record = place.read(&path("result.json"));
    for damaged in ["", "{", &record[..record.len() - 20], "[]"] {
        place.write(&path("result.json"), damaged);
        let done = place.reftc(&RUN).expect(3).says(&["E0512", "result.json` is damaged", "help: ", "`rm "]);
        assert!(!done.stderr.contains("training on"), "{}", done.stderr);
        assert_eq!(place.read(&path("result.json")), damaged);
    }
    place.write(&path("result.json"), &record);
    std::fs::rename(place.path(&path("result.json")), place.path(&path("stages.json"))).unwrap();
    flip(&place.path(&path("stages.json")), 0);
    place.reftc(&RUN).expect(3).says(&["E0512", "stages.json"]);
    std::fs::remove_file(place.path(&path("stages.json"))).unwrap();
    place.run(&[]);
    place.write(&path("plan.json"), "{");
    for command in [&["eval", "small"][..], &["generate", "small", "x"], &["resume", "small"]] {
        place.reftc(command).expect(3).says(&["E0512", "plan.json"]);
    }
    place.write(&path("lock.json"), "{");
    place.run(&[]).says(&["up to date"]);
}

#[test]
fn a_run_is_not_resumed_on_other_rows() {
    let place = Place::new();
    place.change(&[("epochs = 2", "epochs = 15")]);
    let mut run = place.spawn(&RUN);
    run.wait_for("step  1/60");
    run.signal("TERM");
    run.end().expect(130);
    place.write("train.jsonl", &rows(16).replace("fine", "good"));
    place.reftc(&["resume", "small"]).expect(3).says(&["E0513", "train.jsonl` has changed since the run: "]);
    place.write("train.jsonl", &rows(16));
    place.reftc(&["resume", "small", "--threads", "1"]).expect(0).says(&["going on after step "]);
    crate::interrupts::assert_same_as_undisturbed(&place);
}
