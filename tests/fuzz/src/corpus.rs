//! The texts to begin with: every spec of the repository.

use std::path::Path;

/// The contents of all `.reft` files, and of the specs in documents and pages, in the order of their paths.
pub fn read(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["tests", "examples", "specs", "docs", "src"] {
        collect(&root.join(folder), &mut found);
    }
    found.retain(|text| text.len() < 20_000);
    found
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, found);
        } else if let Some(ending) = path.extension() {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if ending == "reft" {
                found.push(text);
            } else if ending == "md" {
                let blocks = text.split("```").skip(1).step_by(2);
                found.extend(blocks.filter_map(|block| block.strip_prefix("reft\n")).map(str::to_owned));
            }
        }
    }
}
