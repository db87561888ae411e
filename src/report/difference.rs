//! What differs between two specs or runs, as tables.

use super::table::{Align, Style, Table, shorten};
use super::units;
use crate::difference::{Change, Changed, Difference, FieldChange};
use crate::plan::Field;

/// A table for each experiment: what goes behind `-`, what comes behind `+`, each with its file and line.
pub fn text(difference: &Difference, style: Style) -> String {
    let texts = difference.experiments.iter().map(|changed| match changed.change {
        Change::Added => format!("+ experiment {}\n", changed.experiment),
        Change::Removed => format!("- experiment {}\n", changed.experiment),
        Change::Changed => format!("  experiment {}\n{}", changed.experiment, table(changed).text(style)),
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn table(changed: &Changed) -> Table {
    let mut table = Table::new(&["", "field", "value", "set at"].map(|title| (title, Align::Left)));
    for change in &changed.fields {
        for (sign, field) in [("-", &change.before), ("+", &change.after)] {
            if let Some(field) = field {
                table.push([sign.to_owned(), change.path.clone(), value(change, field), field.set_at()]);
            }
        }
    }
    table
}

/// As it is written; what it means, where both sides write the same; and whether the rows differ.
fn value(change: &FieldChange, field: &Field) -> String {
    let written = |field: &Option<Field>| field.as_ref().map(|field| shorten(&field.value));
    let meant = |field: &Option<Field>| field.as_ref().map(|field| field.means.clone());
    let alike = written(&change.before) == written(&change.after) && meant(&change.before) != meant(&change.after);
    let text = if alike { shorten(&field.means) } else { shorten(&field.value) };
    match change.contents() {
        Some((before, after)) if before == after => format!("{text}, the same content"),
        Some(_) => {
            let content = field.content.as_deref().unwrap_or_default();
            format!("{text}, content {}", units::short_hash(content))
        }
        None => text,
    }
}
