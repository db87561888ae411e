//! A spec through parser and checker, as the commands do it.

use reftc::compile::{Compiled, compile_text};
use reftc::model::hub::HubSettings;
use reftc::model::located::Locator;
use reftc::source::{FileId, Sources};
use reftc::store::cache::Cache;
use reftc::world::{RealWorld, World};

/// The spec of that number, checked.
pub fn compile(sources: &Sources, id: FileId, world: &dyn World) -> Compiled {
    compile_text(id, sources.clone(), &[], world)
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
