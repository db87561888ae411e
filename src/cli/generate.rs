//! `reftc generate`

use super::args::GenerateArgs;
use super::lock;
use super::output::Output;
use super::session::Session;
use crate::data::encode::{EncodedRow, encode_prompts};
use crate::data::positions::{self, PromptText};
use crate::data::rows::{Row, Rows};
use crate::data::split::Split;
use crate::data::template::Template;
use crate::diag::{Code, Diagnostic, Result};
use crate::execute::engine::Engine;
use crate::execute::experiment;
use crate::execute::generate::{Generator, Sampling};
use crate::execute::loaded::{LoadedModel, Models};
use crate::plan::Experiment;
use crate::store::find;
use std::io::Read;
use std::process::ExitCode;

/// Generates text with a finished run.
pub fn generate(arguments: &GenerateArgs, session: &Session, output: &Output) -> ExitCode {
    let mut models = match session.models(&arguments.device, None, output) {
        Ok(models) => models,
        Err(code) => return code,
    };
    match answer(arguments, session, &mut models, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(diagnostic) => {
            output.failure(&diagnostic, &Default::default());
            ExitCode::from(if diagnostic.code == Code::BadArguments { 2 } else { 3 })
        }
    }
}

fn answer(arguments: &GenerateArgs, session: &Session, models: &mut Models, output: &Output) -> Result<()> {
    let found = find::run(&arguments.runs, &arguments.run)?;
    lock::changed_since(&found.path, session, output)?;
    let (plan, interventions) = experiment::reopen(&found.path, models)?;
    let model = models.load(&plan.model)?;
    let row = prompt(arguments, &plan, &model)?;
    let sampling = Sampling {
        temperature: (arguments.temperature > 0.0).then_some(arguments.temperature),
        top_p: arguments.top_p,
        seed: arguments.seed,
    };
    let frozen = models.frozen();
    let engine = Engine::of(&plan, &model, &frozen);
    let text = |tuned: bool| {
        let generator = Generator::new(&engine, tuned.then_some(&interventions))?;
        let ids = generator.sample(&row, arguments.max_tokens.get(), sampling, &mut |_| {})?;
        // A prompt ends without a space, which the model then begins with.
        model.tokenizer.decode(&ids, true).map(|text| text.trim().to_owned())
    };
    if arguments.baseline {
        output.note("untouched model:");
        output.data(&format!("{}\n", text(false)?));
        output.note("tuned:");
    }
    output.data(&format!("{}\n", text(true)?));
    Ok(())
}

/// The prompt's tokens: through the run's template where that has one column, else the text as it is.
fn prompt(arguments: &GenerateArgs, plan: &Experiment, model: &LoadedModel) -> Result<EncodedRow> {
    let text = match arguments.prompt.as_str() {
        "-" => read_stdin()?,
        text => text.to_owned(),
    };
    let mut split = template_of(plan, arguments.raw)?;
    let texts = positions::texts(plan.interventions.iter().flat_map(|block| &block.segments));
    let columns: Vec<String> = split.prompt.columns().into_iter().map(str::to_owned).collect();
    let rows = match columns.as_slice() {
        [only] if !arguments.raw => one_row(vec![only.clone()], vec![Some(text)]),
        _ if !texts.is_empty() => return Err(whose_text(&texts[0], &columns)),
        _ if !arguments.raw && !columns.is_empty() => {
            let message = format!("the template of this run has the columns {}", columns.join(", "));
            let help = "write the whole prompt as the model gets it, with `--raw`";
            return Err(Box::new(Diagnostic::new(Code::BadArguments, message).help(help)));
        }
        _ => {
            split.prompt = Template::Text(vec![crate::data::template::Part::Text(text)]);
            one_row(Vec::new(), Vec::new())
        }
    };
    split.target = Template::Text(Vec::new());
    let encoded = encode_prompts(&rows, &split, &model.tokenizer, model.chat_template.as_ref())?;
    encoded.rows.into_iter().next().ok_or_else(|| {
        let diagnostic = Diagnostic::new(Code::BadArguments, "the prompt has no tokens");
        Box::new(diagnostic.help("write a prompt: `reftc generate RUN \"…\"`"))
    })
}

/// The one template of the run's data; a whole prompt needs none, so that any will do then.
fn template_of(plan: &Experiment, raw: bool) -> Result<Split> {
    let splits: Vec<&Split> = plan.train.splits.iter().map(|part| &part.split).collect();
    match splits.as_slice() {
        [first, rest @ ..] if raw || rest.iter().all(|other| other.prompt == first.prompt) => Ok((*first).clone()),
        _ => {
            let diagnostic =
                Diagnostic::new(Code::BadArguments, "this run was trained on data with different templates");
            Err(Box::new(diagnostic.help("write the whole prompt as the model gets it, with `--raw`")))
        }
    }
}

fn one_row(columns: Vec<String>, values: Vec<Option<String>>) -> Rows {
    Rows { columns, rows: vec![Row { line: None, values }], unread: Vec::new() }
}

/// Positions that name texts need a prompt that the template makes.
fn whose_text(text: &PromptText, columns: &[String]) -> Box<Diagnostic> {
    let message = format!("this run edits the tokens of `{text}`, and a whole prompt does not say which they are");
    let help = match columns {
        [only] => format!("leave out `--raw`: the text is then that of `{only}`, and the template makes the prompt"),
        _ => format!(
            "measure it by an `eval` of its spec: its template takes {}, and a prompt gives one text",
            if columns.is_empty() { "no column".to_owned() } else { format!("the columns {}", columns.join(", ")) }
        ),
    };
    Box::new(Diagnostic::new(Code::BadArguments, message).help(help))
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| {
        Box::new(Diagnostic::new(Code::BadArguments, format!("cannot read the prompt from stdin: {error}")))
    })?;
    Ok(text)
}
