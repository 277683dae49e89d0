//! The regional entrance: what belongs to a shopper is served in their home region, and here when home cannot.
//!
//! In a shop without regions there is none ([`entrance`] gives nothing) and requests go straight to their handlers.
//!
//! - **Whose it is** is read from the path's ids and the caller's token, without asking anybody. What any region may answer
//!   is served where it arrives.
//! - **Home is here**: served. **Home is elsewhere**: passed on once, over kept connections, with the shopper's address, the
//!   deadline, key, id and trace, and with the home's name (`x-meridian-home`), a hint for a mesh that nothing of ours
//!   believes. A request that was passed on is believed by its signed assertion and goes no further, so that maps which
//!   disagree make no circles; what may not be here by the map that is known here goes back.
//! - **Home fails**: what surely did nothing there (no connection, or it says so) is served here. What may have is served
//!   here too when it reads only or carries an idempotency key that its operation heeds: the row of the key decides, and
//!   there is one effect. Otherwise 503 `edge.unsettled`. A home that is slow is not waited for: this region answers as well,
//!   and the first good answer counts. A home that failed is left alone for a while; then one request tries. Where this
//!   region may not keep the shopper's data, the next one that may stands in by the same rules; where there is none, home is
//!   waited for as long as there is time.
//! - **This region is out** (drained, fenced): people are sent on (308), programs get 503 with the list of regions. One that
//!   was drained in good order answers programs for a while yet (`edge.linger`), from where the shard lives now, so that a
//!   switchover fails no request.
//! - **Degraded by choice**: read-only; static, where copies of what anybody may see are all that is shown and nothing behind the
//!   entrance is asked; a waiting room that bounds what is served at once. By what a person says of the region in the map
//!   (`meridian region degrade`) while it runs; read-only and the waiting room by configuration, too.
//!
//! Invariants: a shard is never served outside its jurisdiction; what was passed on goes no further; nothing that is not
//! repeatable runs twice; every wait has an end.
//!
//! Owns no table; neither publishes nor consumes events.

use std::{rc::Rc, sync::Arc, time::Duration};

use kernel::{Clock, Failure, Region, Result};
use platform_http::{AssertionKey, Auth, Door, Entrance};
use platform_regions::Regions;

mod answers;
mod body;
mod config;
mod decision;
mod door;
mod forward;
mod homes;
mod kept;
mod linger;
mod resolve;
mod room;
mod route;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use config::{EdgeConfig, KeptConfig, QueueConfig};
use decision::Counts;
use door::{Site, Worker};

/// Errors of the entrance.
pub mod code {
    kernel::codes! {
        OUT = 503 "edge.region_out" "This region does not serve right now";
        READ_ONLY = 503 "edge.read_only" "Nothing can be changed right now";
        STATIC = 503 "edge.static" "Only copies of pages are shown right now";
        FULL = 503 "edge.queue_full" "Too many people are here right now";
        UNSETTLED = 503 "edge.unsettled" "It is not known whether this was done";
    }
}

/// The entrance of this process' region; none in a shop without regions. `auth` says whose a token is; `key` signs what is
/// passed on. Refuses a configuration that cannot work.
pub fn entrance(
    config: EdgeConfig,
    regions: &Regions,
    auth: Auth,
    key: AssertionKey,
    clock: Arc<dyn Clock>,
) -> Result<Option<Arc<dyn Entrance>>> {
    config.validate()?;
    let Some(me) = regions.me() else { return Ok(None) };
    let site = Site {
        me: me.clone(),
        regions: regions.clone(),
        auth,
        key,
        clock,
        homes: homes::Homes::default(),
        linger: linger::Linger::new(config.linger),
        room: room::Room::new(config.queue.clone()),
        kept: kept::Kept::new(&config.kept),
        config,
    };
    Ok(Some(Arc::new(Edge(Arc::new(site)))))
}

struct Edge(Arc<Site>);

impl Entrance for Edge {
    fn region(&self) -> &Region {
        &self.0.me
    }

    fn answered(&self, failed: bool) {
        self.0.regions.answered(failed);
    }

    fn map_age(&self) -> Duration {
        self.0.regions.map_age().unwrap_or_default()
    }

    fn door(&self) -> Result<Rc<dyn Door>> {
        let config = &self.0.config;
        let client = reqwest::Client::builder()
            .connect_timeout(config.connect)
            .pool_idle_timeout(config.idle)
            .pool_max_idle_per_host(config.in_flight)
            .tcp_nodelay(true)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Failure::internal)?;
        Ok(Rc::new(Worker { site: Arc::clone(&self.0), client, counts: Counts::new() }))
    }
}
