//! `intervene` blocks.

use super::Checker;
use super::evaluate::Expected;
use super::experiment::Names;
use super::fields::Fields;
use super::inherit::nothing_inherited;
use super::model::ModelDeclaration;
use super::schema::Bound;
use super::spec::FieldOrigin;
use super::types::Type;
use super::value::Value;
use crate::data::positions::Segment;
use crate::diag::{Code, Diagnostic};
use crate::intervention::saved::{NoStart, Start};
use crate::intervention::{Activation, At, Intervention, Kind};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Entry, Section};

/// An `intervene` block with the places of its values.
pub struct CheckedIntervention {
    pub intervention: Intervention,
    pub segments: Vec<Spanned<Segment>>,
    /// The value of `layers`.
    pub layers: Span,
    /// What it starts from, where `init` says so.
    pub start: Option<Start>,
}

impl Checker<'_> {
    pub(super) fn intervention<'t>(
        &mut self,
        section: &'t Section,
        model: Option<&ModelDeclaration>,
        names: &mut Names<'t>,
    ) -> Option<CheckedIntervention> {
        let name = self.section_name(section, "intervene", names);
        let head = name.map_or(section.keyword.span, |name| name.span);
        let Some(value) = &section.value else {
            self.mention(section.span);
            if let Some(kind) = name.and_then(|name| Kind::find(&name.text)) {
                self.sink.push(
                    Diagnostic::at(Code::MissingField, head, "this `intervene` has no name", "a kind, not a name")
                        .help(format!("write `intervene edit = {} {{ … }}`", kind.name())),
                );
                return None;
            }
            self.sink.extend(name.map(|name| nothing_inherited("intervene", name, head, &[])));
            return None;
        };
        let what = "the kind of an intervention";
        let kind = self.evaluate(value, Expected { holds: Type::Kind, bound: Bound::Any, what });
        if let Some(name) = name {
            let (path, text) = (format!("intervene.{}.kind", name.text), self.slice(value.span).to_owned());
            self.origins.push(FieldOrigin { path, value: text, place: Some(value.span) });
        }
        // Of an unknown kind it is not known which fields it would have brought.
        let mut body = section.body.clone();
        body.entries.extend(kind.is_none().then_some(Entry::Bad(Span { end: head.start, ..head })));
        let fields = self.block("intervene", Some(&body), head, None)?;
        let layers = fields.get("layers").and_then(|value| match &value.value {
            Value::Layers(layers) => self.resolve_layers(layers, value.span, model?),
            _ => None,
        });
        let segments = match fields.get("positions").map(|value| &value.value) {
            Some(Value::Positions(segments)) => Some(segments.clone()),
            _ => None,
        };
        let rank = fields.count("rank");
        if let (Some(rank), Some(model), Some(value)) = (rank, model, fields.get("rank")) {
            self.check_rank(rank, value.span, model);
        }
        let Some(Value::Kind(kind)) = kind.map(|kind| kind.value) else { return None };
        self.check_kind_fields(kind, &fields)?;
        let segments = segments?;
        let intervention = Intervention {
            name: name?.text.clone(),
            kind,
            at: At::find(fields.word("at")?)?,
            layers: layers?,
            segments: segments.iter().map(|segment| segment.value.clone()).collect(),
            tied: fields.flag("tied")?,
            rank: rank?,
            dropout: fields.number("dropout")?,
            activation: match fields.word("act")? {
                "relu" => Activation::Relu,
                "gelu" => Activation::Gelu,
                "silu" => Activation::Silu,
                "tanh" => Activation::Tanh,
                _ => Activation::Linear,
            },
            bias: fields.flag("bias")?,
        };
        fields.word("parametrization")?;
        let layers = fields.get("layers")?.span;
        let start = match fields.get("init") {
            Some(init) => Some(self.start(init, &intervention, model?, &fields)?),
            None => None,
        };
        Some(CheckedIntervention { intervention, segments, layers, start })
    }

    /// `init`: something is saved there, and it fits the block.
    fn start(
        &mut self,
        init: &Spanned<Value>,
        block: &Intervention,
        model: &ModelDeclaration,
        fields: &Fields,
    ) -> Option<Start> {
        let path = self.modules.locate(init.span, init.value.as_text()?);
        let diagnostic = match Start::of(block, model.checked.config.hidden_size, &path) {
            Ok(start) => return Some(start),
            Err(NoStart::Unreadable(diagnostic)) => diagnostic.label(init.span, "starts from this"),
            Err(NoStart::Misfit { problem, help, field }) => {
                let message = format!("`{}` cannot start from what is saved there: {problem}", block.name);
                let diagnostic = Diagnostic::at(Code::StartMismatch, init.span, message, "starts from this").help(help);
                match field.and_then(|field| fields.written(field)) {
                    Some(written) => diagnostic.label(written, "does not fit"),
                    None => diagnostic,
                }
            }
        };
        self.sink.push(diagnostic);
        None
    }

    /// Fields that other kinds have.
    fn check_kind_fields(&mut self, kind: Kind, fields: &Fields) -> Option<()> {
        let entry = kind.entry();
        let mut sound = Some(());
        for field in ["act", "bias", "dropout"] {
            if let (false, Some(span)) = (entry.has_field(field), fields.written(field)) {
                self.sink.push(
                    Diagnostic::at(
                        Code::UnknownField,
                        span,
                        format!("`{}` has no `{field}`", kind.name()),
                        format!("not part of {}", entry.formula),
                    )
                    .help("remove the field, or take another kind"),
                );
                sound = None;
            }
        }
        sound
    }
}
