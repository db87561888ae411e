//! Where the fields of an experiment were set.

use crate::plan::{Experiment, Plan};
use crate::report::table::{Align, Style, Table, shorten};

/// A table for each experiment: field, value as written, and the file and line of it. Of a sweep the first point is shown.
pub fn text(plan: &Plan, style: Style) -> String {
    let mut texts = Vec::new();
    let mut shown = Vec::new();
    for experiment in &plan.experiments {
        if !shown.contains(&&experiment.name) {
            shown.push(&experiment.name);
            texts.push(format!("experiment {}\n{}", experiment.name, table(experiment).text(style)));
        }
    }
    texts.join("\n")
}

fn table(experiment: &Experiment) -> Table {
    let mut table = Table::new(&["field", "value", "set at"].map(|title| (title, Align::Left)));
    for field in &experiment.fields {
        table.push([field.path.clone(), shorten(&field.value), field.set_at()]);
    }
    table
}
