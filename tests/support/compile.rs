//! A spec through parser and checker, as the commands do it.

use reftc::check::{Spec, check};
use reftc::diag::Diagnostic;
use reftc::model::hub::HubSettings;
use reftc::model::located::Locator;
use reftc::source::{FileId, SourceFile};
use reftc::store::cache::Cache;
use reftc::syntax;
use reftc::world::{RealWorld, World};

/// The findings of both, in the order of their places, and the spec.
pub fn compile(source: &SourceFile, id: FileId, world: &dyn World) -> (Vec<Diagnostic>, Spec) {
    let (tree, mut diagnostics) = syntax::parse(id, &source.text);
    let (spec, found) = check(&tree, source, world);
    diagnostics.extend(found);
    diagnostics.sort_by_key(|diagnostic| {
        (diagnostic.span().is_none(), diagnostic.span().map(|span| (span.file, span.start, span.end)))
    });
    (diagnostics, spec)
}

/// This machine without a network, a cache or variables of its own.
#[allow(dead_code, reason = "only some tests read files")]
pub fn machine() -> RealWorld {
    let offline = |name: &str| match name {
        "HF_HUB_OFFLINE" => Some("1".to_owned()),
        "HF_HOME" => Some("no-cache".to_owned()),
        _ => None,
    };
    RealWorld::new(Locator::new(HubSettings::from_variables(offline), Cache::default()))
}
