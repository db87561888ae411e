//! `reftc init` and `reftc examples`: what they write is whole, runs at once, and overwrites nothing.

use crate::failures::tiny;
use crate::hub::hub_server::HubServer;
use crate::support::{Done, Place};
use reftc::cli::projects::{EXAMPLES, Project, TEMPLATES};
use std::path::Path;

/// A hub whose model can chat.
fn chatting_hub() -> HubServer {
    let file = |name: &'static str| (name, std::fs::read(tiny().join(name)).unwrap());
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\\n{% endfor %}{% if add_generation_prompt %}assistant:\\n{% endif %}";
    let settings = format!("{{\"eos_token\": \"<|endoftext|>\", \"chat_template\": \"{template}\"}}");
    let [config, tokenizer] = ["config.json", "tokenizer.json"].map(file);
    HubServer::start(&[config, tokenizer, ("tokenizer_config.json", settings.into_bytes())])
}

#[test]
fn every_template_is_checked_and_those_without_a_download_learn() {
    let (place, hub) = (Place::new(), chatting_hub());
    for template in TEMPLATES {
        let done = place.reftc(&["init", "--template", template.name, template.name]).expect(0);
        let spec = format!("{}/{}", template.name, template.spec().path);
        assert!(done.stderr.ends_with(&format!("next: `reftc run {spec}`\n")), "{}", done.stderr);
        assert_eq!(place.read(&format!("{}/.gitignore", template.name)), "runs/\n");
        let text = place.read(&spec).replace("HuggingFaceTB/SmolLM2-135M-Instruct", "org/model");
        place.write(&spec, &text);
        let mut check = place.command(&["check", &spec, "--deny", "warnings"]);
        Done::of(check.env("HF_ENDPOINT", hub.endpoint()).env_remove("HF_HUB_OFFLINE"))
            .expect(0)
            .says(&["no findings"]);
        if template.spec().content.contains("embedded(") {
            let run = place.reftc(&["run", &spec, "--json", "--threads", "1"]).expect(0);
            let eval = &run.json()[0]["result"]["evals"][0];
            let score = |name: &str| eval[name].as_f64().unwrap();
            assert!(score("tuned") > score("baseline") + 0.3, "{}: {eval}", template.name);
        }
        assert!(
            template.spec().content.contains("by the reftc project"),
            "{}: the rows name their maker",
            template.name
        );
    }
}

#[test]
fn init_overwrites_nothing_and_keeps_what_git_ignores() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("new/data")).unwrap();
    place.write("new/data/test.jsonl", "mine");
    place.write("new/.gitignore", "target\n");
    let refused = place.reftc(&["init", "new"]).expect(2);
    assert!(refused.says(&["`new/data/test.jsonl` is there already; nothing was written", "help: "]).stdout.is_empty());
    assert_eq!(place.files("new"), [".gitignore", "data/test.jsonl"]);
    std::fs::remove_file(place.path("new/data/test.jsonl")).unwrap();
    place.reftc(&["init", "new"]).expect(0);
    assert_eq!(place.read("new/.gitignore"), "target\n");
    place.reftc(&["init", "new"]).expect(2).says(&["`new/quickstart.reft` is there already"]);

    place.write("file", "");
    place.reftc(&["init", "file/new"]).expect(3).says(&["E0501", "name a folder that can be written"]);
    place.reftc(&["init", "--template", "instuct"]).expect(2).says(&["quickstart", "instruct"]);
}

#[test]
fn init_without_a_folder_is_for_the_current_one() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    let mut command = place.command(&["init"]);
    let done = Done::of(command.current_dir(place.path("empty"))).expect(0);
    assert!(done.stderr.ends_with("next: `reftc run quickstart.reft`\n"), "{}", done.stderr);
    assert_eq!(place.files("empty"), [".gitignore", "data/test.jsonl", "data/train.jsonl", "quickstart.reft"]);
}

#[test]
fn examples_are_listed_and_copied() {
    let place = Place::new();
    let list = place.reftc(&["examples"]).expect(0).stdout;
    assert_eq!(list.lines().count(), EXAMPLES.len(), "{list}");
    assert!(list.starts_with("quickstart  Is the place worth a visit? "), "{list}");
    place.reftc(&["examples", "quickstart"]).expect(0).says(&["next: `reftc run quickstart/quickstart.reft`"]);
    place.reftc(&["check", "quickstart/quickstart.reft"]).expect(0);
    place.reftc(&["examples", "quickstart"]).expect(2).says(&["`quickstart/quickstart.reft` is there already"]);
    place.reftc(&["examples", "sentiment", "deep/er"]).expect(0);
    let readme = place.read("deep/er/README.md");
    assert!(readme.contains("\nfetch.sh ") && !readme.contains("examples/sentiment"), "{readme}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(place.path("deep/er/fetch.sh")).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111);
    }
    place.reftc(&["examples", "sentimnt"]).expect(2).says(&["sentiment"]);
}

/// Every file of the repository's folders is in the binary.
#[test]
fn the_tables_are_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let listed = std::process::Command::new("git").args(["ls-files"]).current_dir(&root).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let known = |prefix: &str, projects: &[Project]| -> Vec<String> {
        let paths = |project: &Project| -> Vec<String> {
            project.files.iter().map(|file| format!("{prefix}{}/{}", project.name, file.path)).collect()
        };
        projects.iter().flat_map(paths).collect()
    };
    let known = [known("", EXAMPLES), known("templates/", TEMPLATES)].concat();
    for path in listed.lines() {
        assert!(known.iter().any(|known| known == path), "examples/{path} is not in src/cli/projects.rs");
    }
    let documented = |project: &Project| !project.doc().is_empty();
    assert!(EXAMPLES.iter().chain(TEMPLATES).all(documented));
}
