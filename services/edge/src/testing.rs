//! What several tests need: maps, tokens.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use contracts::{Ctx, SessionId, Transport, UserId, account::AccountsClient};
use kernel::{Clock, Ids, Region, Result, Shard, SystemClock};
use placement::{Degraded, Jurisdiction, MapVersion, Placing, RegionRow, RegionSpec, Role, ShardRow, World};
use platform_http::{AccessClaims, Auth, TokenSigner};

const SEED: [u8; 32] = [3; 32];

pub(crate) fn region(name: &str) -> Region {
    Region::new(name)
}

/// A map in which shard n is at home in the n-th of these regions, whose data lie anywhere.
pub(crate) fn world(names: &[&str]) -> World {
    let anywhere = Jurisdiction::new(Jurisdiction::ANY);
    let mut world = World::default();
    for (number, name) in (0..).zip(names) {
        let spec = RegionSpec {
            role: Role::Full,
            endpoint: format!("http://{name}.test"),
            capacity: 16,
            weight: 1,
            jurisdictions: BTreeSet::from([anywhere.clone()]),
            failover_ready: true,
            degraded: Degraded::default(),
        };
        world.desired.regions.insert(region(name), RegionRow::new(spec));
        let row = ShardRow {
            home: region(name),
            jurisdiction: anywhere.clone(),
            placing: Placing::Settled,
            version: MapVersion(1),
        };
        world.observed.shards.insert(Shard::new(number), row);
    }
    world
}

/// Every session is open.
struct Sessions;

#[async_trait]
impl Transport for Sessions {
    async fn call(&self, _: &Ctx, domain: &'static str, method: &'static str, _: Vec<u8>) -> Result<Vec<u8>> {
        assert_eq!((domain, method), ("account", "session_open"));
        Ok(b"true".to_vec())
    }
}

fn signer() -> TokenSigner {
    TokenSigner::new(&SEED).unwrap()
}

pub(crate) fn auth() -> Auth {
    Auth::new(
        &[signer().verifying_key()],
        Arc::new(AccountsClient(Arc::new(Sessions))),
        Arc::new(SystemClock),
    )
}

/// The access token of a new member on this shard.
pub(crate) fn token(shard: Shard) -> String {
    let ids = Ids::new(Arc::new(SystemClock));
    let (user, session): (UserId, SessionId) = (ids.mint(shard), ids.mint(shard));
    let (now, life) = (SystemClock.now(), Duration::from_secs(3_600));
    signer().issue(&AccessClaims::new(user, session, BTreeSet::new(), Vec::new(), now, life)).unwrap()
}
