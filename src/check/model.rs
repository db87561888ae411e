//! Models: what their declarations say, and the facts behind them.

use super::Checker;
use super::evaluate::Expected;
use super::schema::{self, Bound};
use super::scope::Declared;
use super::spec::{FieldOrigin, Model};
use super::types::Type;
use super::value::{FormValue, Value};
use crate::diag::{Diagnostic, suggest};
use crate::model::config::{ModelSource, Precision};
use crate::model::embedded;
use crate::model::known::KnownModel;
use crate::source::Span;
use crate::syntax::tree::{Block, Expr, Ident};
use std::rc::Rc;

/// A model declaration that was found and read.
pub struct ModelDeclaration {
    pub name: Ident,
    pub checked: Model,
    pub facts: Box<dyn KnownModel>,
    /// Where the model comes from: the expression after `=`.
    pub source: Span,
}

impl Checker<'_> {
    /// The model of that name as it is declared, looked at once; `None` where anything about it was reported.
    pub(super) fn model(&mut self, name: &Ident) -> Option<Rc<ModelDeclaration>> {
        if let Some(known) = self.models.get(&name.span) {
            return known.clone();
        }
        let entry = self.scope.declared_at(name.span)?;
        let Declared::Model { value, body } = entry.declared else { return None };
        let model = self.model_declaration(entry.name, value, body).map(Rc::new);
        self.models.insert(name.span, model.clone());
        model
    }

    pub(super) fn model_declaration(
        &mut self,
        name: &Ident,
        value: &Expr,
        body: Option<&Block>,
    ) -> Option<ModelDeclaration> {
        let before = self.origins.len();
        let fields = self.model_fields(name, value, body);
        let mut origins = self.origins.split_off(before);
        let (form, precision) = fields?;
        origins.insert(
            0,
            FieldOrigin {
                path: format!("model.{}", name.text),
                value: self.slice(value.span).to_owned(),
                means: self.canonical_form(&form),
                content: None,
                place: Some(value.span),
            },
        );
        self.declared.insert(name.span, origins);
        let source = self.model_source(&form, value.span)?;
        let facts = match self.world.model(&source) {
            Ok(facts) => facts,
            Err(diagnostic) => {
                self.blame(mended(diagnostic, &source, &form), value.span);
                return None;
            }
        };
        let config = facts.config().map_err(|diagnostic| self.blame(diagnostic, value.span)).ok()?;
        let digests = facts.digests().map_err(|diagnostic| self.blame(diagnostic, value.span)).ok()?;
        let checked = Model { source, precision, config, digests };
        Some(ModelDeclaration { name: name.clone(), checked, facts, source: value.span })
    }

    /// What the declaration says, without a look at the model.
    fn model_fields(&mut self, name: &Ident, value: &Expr, body: Option<&Block>) -> Option<(FormValue, Precision)> {
        let what = format!("the model `{}`", name.text);
        let expected = Expected { holds: Type::ModelSource, bound: Bound::Any, what: &what };
        let source = self.evaluate(value, expected);
        let fields = self.fields(schema::block("model")?, body, name.span, None);
        let Value::Form(form) = source?.value else { return None };
        let precision = match fields.word("dtype")? {
            "f16" => Precision::F16,
            "bf16" => Precision::Bf16,
            _ => Precision::F32,
        };
        Some((form, precision))
    }

    fn model_source(&self, form: &FormValue, place: Span) -> Option<ModelSource> {
        let text = |name: &str| Some(form.argument(name)?.value.as_text()?.to_owned());
        Some(match form.form.name {
            "hf" => ModelSource::Hub { repo: text("repository")?, revision: text("rev")? },
            "path" => ModelSource::Folder(self.modules.locate(place, &text("folder")?)),
            "gguf" => ModelSource::Gguf(self.modules.locate(place, &text("file")?)),
            _ => ModelSource::Embedded(text("name")?),
        })
    }

    /// Reports an error that was found outside of the spec, at the line of the spec that led to it.
    #[allow(clippy::boxed_local, reason = "the errors of all layers come boxed")]
    pub(super) fn blame(&mut self, diagnostic: Box<Diagnostic>, span: Span) {
        let diagnostic =
            if diagnostic.span().is_none() { diagnostic.primary(span, "asked for here") } else { *diagnostic };
        self.sink.push(diagnostic);
    }

    /// Looks at models that no experiment reached, so that the mistakes of their declarations are found too. The models
    /// themselves are left alone.
    pub(super) fn unreached_models(&mut self) {
        for entry in self.scope.entries() {
            if let Declared::Model { value, body } = entry.declared
                && !self.reached.contains(&entry.name.span)
            {
                self.model_fields(entry.name, value, body);
            }
        }
    }
}

/// The error with its fix, where the name of an embedded model is a slip of one that there is.
fn mended(diagnostic: Box<Diagnostic>, source: &ModelSource, form: &FormValue) -> Box<Diagnostic> {
    let (ModelSource::Embedded(name), Some(argument)) = (source, form.argument("name")) else { return diagnostic };
    let meant = suggest::slip_of(name, embedded::MODELS.iter().map(|model| model.name));
    Box::new(diagnostic.maybe_fix(argument.span, meant.map(|meant| format!("\"{meant}\""))))
}
