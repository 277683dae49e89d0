//! The map of regions and the operations on it.

use std::sync::Arc;

use contracts::{
    Permission,
    region::{AbortOperation, BeginOperation, OperationKind, RegionsView, code},
};
use coordinator::{Applied, DatabaseJournal, Journal};
use kernel::{Region, Result, Shard, code as general};
use placement::{Degraded, Desired, Jurisdiction, Policy, RegionRow, RegionSpec, Role};

use super::{
    callers::{keyed, nobody, refused, staff},
    fixture::Fixture,
};

const REGIONS: [&str; 2] = ["eu-west", "us-east"];

fn begin(kind: OperationKind, region: &str) -> BeginOperation {
    BeginOperation { kind, region: region.to_owned() }
}

fn abort(id: u64) -> AbortOperation {
    AbortOperation { id, why: "unnötig 不需要".to_owned() }
}

/// In this order: the second gives the shop its map.
pub(crate) async fn a_shop_without_a_map_says_so(shop: &Fixture) -> Result<()> {
    let regions = &shop.contracts.regions;
    let reader = staff(&[Permission::OperationsRead]);
    let keeper = staff(&[Permission::OperationsWrite]);
    assert_eq!(regions.regions(&reader, ()).await?, RegionsView::default());
    assert_eq!(regions.last(&reader, ()).await?, None);
    refused(regions.begin(&keeper, begin(OperationKind::Drill, "eu-west")).await, code::NO_MAP, &[]);
    for id in [0, 1, (1 << 53) + 1, u64::MAX] {
        refused(regions.operation(&reader, id).await, general::NOT_FOUND, &[]);
        refused(regions.abort(&keeper, abort(id)).await, general::NOT_FOUND, &[]);
    }
    refused(regions.regions(&keeper, ()).await, general::FORBIDDEN, &[]);
    refused(regions.operation(&keeper, 1).await, general::FORBIDDEN, &[]);
    refused(regions.last(&nobody(), ()).await, general::UNAUTHENTICATED, &[]);
    refused(regions.begin(&reader, begin(OperationKind::Drill, "eu-west")).await, general::FORBIDDEN, &[]);
    refused(regions.abort(&nobody(), abort(1)).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}

pub(crate) async fn an_operation_runs_alone_until_it_is_aborted(shop: &Fixture) -> Result<()> {
    found(shop).await;
    let regions = &shop.contracts.regions;
    let keeper = staff(&[Permission::OperationsRead, Permission::OperationsWrite]);
    let map = regions.regions(&keeper, ()).await?;
    assert_eq!((map.version, &map.here, map.shards.len()), (1, &None, 16));
    assert_eq!(
        map.regions.iter().map(|it| (it.region.as_str(), it.homes)).collect::<Vec<_>>(),
        [("eu-west", 8), ("us-east", 8)]
    );
    assert!(map.regions.iter().all(|region| region.relay_lag_ms.is_none() && region.seen.is_empty()));

    let unknown = begin(OperationKind::Switchover, "mars");
    refused(regions.begin(&keeper, unknown).await, general::NOT_FOUND, &[]);
    let drill = begin(OperationKind::Drill, "eu-west");
    let begun = regions.begin(&keyed(&keeper, "drill"), drill.clone()).await?;
    assert_eq!((begun.kind.as_str(), begun.region.as_deref()), ("drill", Some("eu-west")));
    assert_eq!((begun.by, &begun.outcome), (Some(keeper.principal()), &None));
    assert_eq!(regions.begin(&keyed(&keeper, "drill"), drill).await?.id, begun.id);
    let second = begin(OperationKind::Switchover, "us-east");
    refused(regions.begin(&keeper, second.clone()).await, code::BUSY, &[]);
    refused(regions.begin(&keyed(&keeper, "drill"), second).await, general::CONFLICT, &[]);
    let running = regions.operation(&keeper, begun.id).await?;
    assert!(!running.timeline.is_empty());
    assert_eq!(regions.regions(&keeper, ()).await?.operation, Some(running));

    let ending = regions.abort(&keeper, abort(begun.id)).await?;
    assert_eq!((ending.id, &ending.outcome), (begun.id, &None), "whoever leads ends it");
    assert_eq!(regions.abort(&keeper, abort(begun.id)).await?, ending);
    assert_eq!(regions.last(&keeper, ()).await?, Some(ending));
    Ok(())
}

/// A map of two regions, of which no process works in any.
async fn found(shop: &Fixture) {
    let law = Jurisdiction::new(Jurisdiction::ANY);
    let spec = RegionSpec {
        role: Role::Full,
        endpoint: "http://region.test".to_owned(),
        capacity: 16,
        weight: 1,
        jurisdictions: [law.clone()].into(),
        failover_ready: true,
        degraded: Degraded::default(),
    };
    let regions = REGIONS.iter().map(|name| (Region::new(*name), RegionRow::new(spec.clone()))).collect();
    let homes = REGIONS.iter().cycle().zip(0..16);
    let homes = homes.map(|(name, shard)| (Shard::new(shard), (Region::new(*name), law.clone()))).collect();
    let journal: Arc<dyn Journal> = Arc::new(DatabaseJournal::new(shop.running.db().clone()));
    let founded = journal.found(&Desired { regions, policy: Policy::default() }, &homes).await;
    assert_eq!(founded, Ok(Applied::Yes));
}
