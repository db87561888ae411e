//! Data with more rows than a check tokenises.

use crate::support::{checked, rows};
use reftc::diag::Code;
use reftc::world::MemoryWorld;

#[test]
fn a_large_split_is_checked_in_part_and_says_so() {
    let many = rows(2).repeat(50_001);
    let world = MemoryWorld::default().with("many.json", many);
    let text = r#"
model tiny = embedded("tiny")
data reviews { train = json("many.json"), prompt = "{label}?\n", target = "{answer}" }
experiment example {
  model = tiny
  data = reviews
  intervene edit = loreft { layers = all, positions = l1, rank = 4 }
  train { epochs = 1, lr = 1e-3 }
}
"#;
    let (found, spec) = checked(text, &world);
    let codes: Vec<Code> = found.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::RowsSampled]);
    assert!(found[0].message.contains("100002 rows"), "{}", found[0].message);
    assert_eq!(spec.experiments[0].train.facts.rows, 100_002);
}
