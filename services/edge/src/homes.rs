//! What is remembered of the other regions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kernel::Region;
use platform_client::breaker::Breaker;
use tokio::sync::Semaphore;

use crate::EdgeConfig;

/// Another region, as this process knows it.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) breaker: Breaker,
    /// Requests that may still be passed on to it.
    pub(crate) places: Semaphore,
}

/// The other regions, from the first request for each on. There are few: a region is made by a person.
#[derive(Debug, Default)]
pub(crate) struct Homes(Mutex<HashMap<Region, Arc<Home>>>);

impl Homes {
    pub(crate) fn of(&self, region: &Region, config: &EdgeConfig) -> Arc<Home> {
        let mut homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(home) = homes.get(region) {
            return Arc::clone(home);
        }
        let home = Arc::new(Home {
            breaker: Breaker::new(config.failures, config.pause),
            places: Semaphore::new(config.in_flight.min(Semaphore::MAX_PERMITS)),
        });
        homes.insert(region.clone(), Arc::clone(&home));
        home
    }
}
