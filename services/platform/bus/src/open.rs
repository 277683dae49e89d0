//! The bus that the configuration names.

use std::sync::Arc;

use kernel::Result;
use platform_db::Db;
use platform_regions::Regions;
use serde::Serialize;

#[cfg(feature = "pulsar")]
use crate::pulsar::{self, PulsarBus};
use crate::{Bus, BusConfig, BusEngine, Consumer, EmbeddedBus};

/// The bus of `config.engine` over `db` for these consumers, in a process of this region. It does not connect to anything
/// before it runs.
///
/// Fails for a configuration that cannot work, and for an engine that this program was built without.
pub fn open(
    db: Db,
    consumers: Vec<Arc<dyn Consumer>>,
    config: BusConfig,
    regions: Regions,
) -> Result<Arc<dyn Bus>> {
    match config.engine {
        BusEngine::Embedded => Ok(Arc::new(EmbeddedBus::new(db, consumers, config, regions)?)),
        #[cfg(feature = "pulsar")]
        BusEngine::Pulsar => Ok(Arc::new(PulsarBus::new(db, consumers, config, regions)?)),
        #[cfg(not(feature = "pulsar"))]
        BusEngine::Pulsar => Err(crate::config::built_without()),
    }
}

/// What `setup` or `forget` looked at, or did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetupStep {
    /// What it is: `topic`, `namespace`, …
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// How it stands now: `present`, `created`, `changed from …`, `forgotten`.
    pub state: String,
}

/// Makes the broker as the configuration has it: clusters, tenant, namespaces with their policies, topics, schemas. Running
/// it again changes nothing. Works whichever engine is chosen, so a broker can be prepared before the switch.
pub async fn setup(config: &BusConfig) -> Result<Vec<SetupStep>> {
    #[cfg(feature = "pulsar")]
    return pulsar::setup(config).await;
    #[cfg(not(feature = "pulsar"))]
    {
        let _ = config;
        Err(crate::config::built_without())
    }
}
