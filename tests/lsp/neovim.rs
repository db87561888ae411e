//! Neovim with its own client, where it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

const BROKEN: &str = r#"let small = 2
model tiny = embedded("tiny")

data reviews {
  train  = jsonl("rows.jsonl")
  prompt = "Review: {review}\nAnswer:"
  target = " {label}"
}

experiment first {
  model = tiny
  data = reviews
  intervene edit = loreft {
    layers = all
    positions = f1+l1
    rank = small
  }
  train {
    epochs = 1
    learning_rate = 1e-3
  }
}
"#;

#[test]
fn neovim_speaks_with_the_server() {
    if Command::new("nvim").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: nvim is not on the PATH");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let row = "{\"review\":\"The soup was warm and the staff kind.\",\"label\":\"yes\"}\n";
    std::fs::write(folder.path().join("rows.jsonl"), row.repeat(4)).unwrap();
    std::fs::write(folder.path().join("spec.reft"), BROKEN).unwrap();
    let run = Command::new("nvim")
        .args(["--headless", "--clean", "-S"])
        .arg(root.join("tests/editors/neovim.lua"))
        .env("REFTC", env!("CARGO_BIN_EXE_reftc"))
        .env("REFTC_CACHE", folder.path().join("cache"))
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .env("XDG_CACHE_HOME", folder.path().join("nvim"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(run.stdout).unwrap();
    let expected = [
        "finding: 20 E0201 `train` has no field `learning_rate`: unknown field",
        "action: write `lr` for `learning_rate`",
        "findings after the fix: 0",
        "hover: let small = 2",
        "completion: lr float (required)",
        "renamed: let few = 2 and rank = few",
        "formatted:   data  = reviews",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{}", String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success());
}
