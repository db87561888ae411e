//! What made the runs: version, source tree, machine.

use super::markup::{Side, Table, definitions, escape};
use super::run::Run;
use crate::report::units;
use crate::store::environment::Environment;

/// The environment of one run as a list, or of several as a table of those that differ.
pub fn html(runs: &[Run]) -> String {
    let known: Vec<(&Run, &Environment)> =
        runs.iter().filter_map(|run| Some((run, run.environment.as_ref()?))).collect();
    let mut kinds: Vec<(&Environment, Vec<&Run>)> = Vec::new();
    for (run, environment) in &known {
        match kinds.iter_mut().find(|(other, _)| other == environment) {
            Some((_, members)) => members.push(run),
            None => kinds.push((environment, vec![run])),
        }
    }
    match kinds.as_slice() {
        [] => "<p>No <code>env.json</code> is there.</p>\n".to_owned(),
        [(only, _)] => definitions(&facts(only)),
        several => {
            let columns = facts(several[0].0).into_iter().map(|(name, _)| (name, Side::Text));
            let columns = [("runs".to_owned(), Side::Text)].into_iter().chain(columns).collect();
            let names = |members: &[&Run]| members.iter().map(|run| escape(&run.digits)).collect::<Vec<_>>().join(", ");
            let row = |(environment, members): &(&Environment, Vec<&Run>)| {
                let values = facts(environment).into_iter().map(|(_, value)| value);
                [names(members)].into_iter().chain(values).collect()
            };
            Table { caption: "Environments of the runs", columns, rows: several.iter().map(row).collect() }.html()
        }
    }
}

/// Names and values; the values are markup.
fn facts(environment: &Environment) -> Vec<(String, String)> {
    let Environment { reftc, git, device, card, threads, os, architecture } = environment;
    let git = match git {
        Some(git) if git.dirty => format!("<code>{}</code> and changes on top", escape(&git.revision)),
        Some(git) => format!("<code>{}</code>", escape(&git.revision)),
        None => "no git tree around the spec".to_owned(),
    };
    let card = card.as_ref().map(|card| format!(", {}, {}", escape(&card.name), units::bytes(card.memory)));
    let fact = |name: &str, value: String| (name.to_owned(), value);
    vec![
        fact("reftc", escape(reftc)),
        fact("git", git),
        fact("device", format!("{}{}", escape(device), card.unwrap_or_default())),
        fact("threads", units::count(*threads as u64)),
        fact("system", format!("{}, {}", escape(os), escape(architecture))),
    ]
}
