//! `report.html`: one file that holds all there is to see of a run, or of all runs of an experiment.
//!
//! It needs no network, and equal inputs give equal bytes. A script in it may run only with the nonce of its policy, the digest of the
//! inputs, which none of them can hold.

mod curves;
mod efficiency;
mod environment;
mod markup;
mod picture;
mod plot;
mod rows;
mod run;
mod samples;
mod scale;
mod spec;
mod summary;
mod tables;

use crate::diag::Result;
use crate::digest;
use crate::store::atomic;
use crate::store::cache::Cache;
use markup::{escape, section};
use run::Run;
use std::io::Read;
use std::path::{Path, PathBuf};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");
/// The name of the digest in the head of a page.
const INPUTS: &str = "reftc-inputs";
/// The digest is among the first bytes of a page.
const HEAD: u64 = 2048;

/// Whether a page loads itself again every two seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    No,
    /// While one of its runs is unfinished.
    Unfinished,
    Always,
}

/// The files that the report of these run folders is made of, sorted.
pub fn inputs(folders: &[PathBuf]) -> Vec<PathBuf> {
    folders.iter().flat_map(|folder| run::files(folder)).collect()
}

/// Writes the report of these run folders, unless the file there was made of the same; says whether it was written. `cache` knows the
/// digests of large files.
///
/// # Errors
/// `E0501` with the path and the cause.
pub fn write(folders: &[PathBuf], path: &Path, live: Live, cache: &Cache) -> Result<bool> {
    let live = match live {
        Live::Unfinished => folders.iter().any(|folder| !folder.join("result.json").is_file()),
        live => live == Live::Always,
    };
    let digest = digest_of(folders, live, cache);
    if digest_in(path).as_deref() == Some(&digest) {
        return Ok(false);
    }
    atomic::write(path, page(folders, live, &digest).as_bytes())?;
    Ok(true)
}

/// The digest of all that decides the bytes of a page.
fn digest_of(folders: &[PathBuf], live: bool, cache: &Cache) -> String {
    let of_folder = |folder: &PathBuf| {
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        // `experiment/digits`: where the runs lie decides nothing.
        let parts: Vec<String> = whole.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let files = run::files(folder).into_iter().map(|path| {
            let name = path.strip_prefix(folder).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (name, cache.digest(&path).unwrap_or_default())
        });
        (parts[parts.len().saturating_sub(2)..].join("/"), files.collect::<Vec<_>>())
    };
    let files: Vec<_> = folders.iter().map(of_folder).collect();
    digest::of(digest::json(&(env!("CARGO_PKG_VERSION"), STYLE, SCRIPT, live, files)))
}

/// The digest that the page there carries.
fn digest_in(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    let (_, rest) = head.split_once(&format!("name=\"{INPUTS}\" content=\""))?;
    rest.split_once('"').map(|(digest, _)| digest.to_owned())
}

fn page(folders: &[PathBuf], live: bool, digest: &str) -> String {
    let mut runs: Vec<Run> = folders.iter().map(|folder| Run::read(folder)).collect();
    runs.sort_by(run::order);
    let title = summary::title(&runs);
    let sections = match runs.as_slice() {
        [run] => of_run(run, &runs),
        _ => of_runs(&runs),
    };
    let links = sections.iter().map(|(id, title, _)| format!("<a href=\"#{id}\">{title}</a>"));
    let links = links.collect::<Vec<_>>().join("\n");
    let body: String = sections.iter().map(|(id, title, body)| section(id, title, body)).collect();
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{digest}'; base-uri 'none'; form-action 'none'"
    );
    format!(
        "<!doctype html>\n<html lang=\"en\"{}>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"{INPUTS}\" content=\"{digest}\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"reftc {}\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">to the content</a>\n{}<nav class=\"contents\" aria-label=\"sections\">\n{links}\n</nav>\n\
         <main id=\"main\">\n{body}</main>\n\
         <footer>made by reftc {}</footer>\n<script nonce=\"{digest}\">\n{SCRIPT}</script>\n</body>\n</html>\n",
        if live { " data-live" } else { "" },
        env!("CARGO_PKG_VERSION"),
        escape(&title),
        summary::header(&runs),
        env!("CARGO_PKG_VERSION"),
    )
}

type Sections = Vec<(&'static str, &'static str, String)>;

fn of_run(run: &Run, runs: &[Run]) -> Sections {
    let plan = match &run.plan {
        Some(plan) => picture::html(plan),
        None => "<p>This reftc cannot read the <code>plan.json</code> of the run.</p>\n".to_owned(),
    };
    vec![
        ("scores", "Scores", tables::evals(run)),
        ("training", "Training", curves::html(runs)),
        ("samples-before-and-after", "Before and after", samples::html(runs)),
        ("plan", "Plan", plan),
        ("spec", "Spec", spec::html(&run.spec)),
        ("environment", "Environment", environment::html(runs)),
    ]
}

fn of_runs(runs: &[Run]) -> Sections {
    let mut sections = vec![("scores", "Scores", tables::runs(runs))];
    let efficiency = efficiency::html(runs);
    if !efficiency.is_empty() {
        sections.push(("efficiency", "Score against parameters", efficiency));
    }
    let plans = runs.iter().enumerate().filter_map(|(number, run)| {
        let open = if number == 0 { " open" } else { "" };
        let (label, plan) = (escape(&run.label()), picture::html(run.plan.as_ref()?));
        Some(format!("<details{open}><summary>{label}</summary>\n{plan}</details>\n"))
    });
    sections.extend([
        ("training", "Training", curves::html(runs)),
        ("samples-before-and-after", "Before and after", samples::html(runs)),
        ("plan", "Plans", plans.collect()),
        ("spec", "Spec", specs(runs)),
        ("environment", "Environment", environment::html(runs)),
    ]);
    sections
}

/// Each text of the spec once, with the runs that were made from it.
fn specs(runs: &[Run]) -> String {
    let mut texts: Vec<(&str, Vec<String>)> = Vec::new();
    for run in runs {
        match texts.iter_mut().find(|(text, _)| *text == run.spec) {
            Some((_, members)) => members.push(escape(&run.digits)),
            None => texts.push((&run.spec, vec![escape(&run.digits)])),
        }
    }
    match texts.as_slice() {
        [(only, _)] => spec::html(only),
        several => {
            let one = |(text, members): &(&str, Vec<String>)| {
                format!("<details><summary>of {}</summary>\n{}</details>\n", members.join(", "), spec::html(text))
            };
            several.iter().map(one).collect()
        }
    }
}
