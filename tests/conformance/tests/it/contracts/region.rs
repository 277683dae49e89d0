//! The map of regions and the operations on it.

use std::{sync::Arc, time::Duration};

use contracts::{
    Permission,
    region::{AbortOperation, BacklogView, BeginOperation, OperationKind, RegionsView, code},
};
use coordinator::{Applied, DatabaseJournal, Journal};
use kernel::{Region, Result, Shard, code as general};
use placement::{
    Audit, Change, Day, Degraded, Desired, Drills, Effect, Entry, Events, Found, Jurisdiction, Operation,
    OperationId, Outcome, Phase, Policy, RegionRow, RegionSpec, Role,
};

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

/// After the case above, which began the operation.
pub(crate) async fn an_operation_tells_how_it_went(shop: &Fixture) -> Result<()> {
    let regions = &shop.contracts.regions;
    let reader = staff(&[Permission::OperationsRead]);
    let begun = regions.last(&reader, ()).await?.expect("an operation began");
    assert_eq!(begun.report, None, "nothing was taken");
    let journal = journal(shop);
    let id = OperationId(begun.id);
    let before = journal.operation(id).await.expect("the journal").expect("it began");
    let over = over(before.clone());
    let ended_at = over.timeline.last().expect("its end").at;
    let effect = Effect { operation: id, version: before.version, change: Change::Journal(Box::new(over)) };
    assert_eq!(journal.apply(&effect).await, Ok(Applied::Yes));

    let report = regions.operation(&reader, begun.id).await?.report.expect("it went");
    let seconds = [report.taken_seconds, report.moved_seconds, report.leases_seconds, report.ended_seconds];
    assert_eq!(seconds, [2.0, 3.0, 3.5, 9.0].map(Some));
    assert_eq!((report.rto_seconds, report.last_sign_of_life, report.late), (Some(3.5), None, 0));
    assert_eq!(report.events, Some(BacklogView { waited: 7, sequenced: 0, consumed: 7, waits: 0 }));
    assert_eq!(report.replayed_events, Some(7));
    assert_eq!((report.failed_requests, report.lost_writes), (None, None), "only clients know");
    let unknown: Vec<&str> = report.unknown.iter().map(|unknown| unknown.what.as_str()).collect();
    assert_eq!(unknown, ["failed_requests", "lost_writes"]);
    assert_eq!(report.audit, None, "it has not looked");

    let found = Found { at: ended_at, looked_at: 12, wrong: 1 };
    let audit = Audit { rules: [("order.hold".to_owned(), found)].into() };
    assert_eq!(journal.note(id, &audit).await, Ok(Applied::Yes));
    let told = regions.last(&reader, ()).await?.expect("it ended");
    let audit = told.report.expect("it went").audit.expect("it has looked");
    let rules: Vec<_> =
        audit.rules.iter().map(|rule| (rule.rule.as_str(), rule.looked_at, rule.wrong)).collect();
    assert_eq!((audit.held, rules), (false, vec![("order.hold", 12, 1)]));
    Ok(())
}

/// A drill that took, moved and handed over, and is over.
fn over(operation: Operation) -> Operation {
    let decided = operation.timeline.first().expect("a beginning").at;
    let line = |millis, phase: &Phase, detail: &str, waiting: Option<u64>| Entry {
        at: decided.plus(Duration::from_millis(millis)),
        phase: phase.name().to_owned(),
        detail: detail.to_owned(),
        events: waiting.map(|unconsumed| Events { shards: 8, unsequenced: 0, unconsumed, sequenced: 90 }),
    };
    let ended = Phase::Ended(Outcome::Done { late: [].into() });
    let timeline = vec![
        line(0, &Phase::Preflight, "drill", None),
        line(1_000, &Phase::Taking, "8 shards to move", None),
        line(2_000, &Phase::Moving, "", Some(7)),
        line(3_000, &Phase::HandingOver, "", None),
        line(3_500, &Phase::Verifying, "every lease is in its new home", Some(2)),
        line(9_000, &ended, "", Some(0)),
    ];
    Operation { version: operation.version + 1, phase: ended, timeline, ..operation }
}

pub(crate) async fn drills_by_schedule_are_told(shop: &Fixture) -> Result<()> {
    let regions = &shop.contracts.regions;
    let reader = staff(&[Permission::OperationsRead]);
    assert_eq!(regions.regions(&reader, ()).await?.drills, None);
    let journal = journal(shop);
    let version = journal.read().await.expect("the journal").world.observed.version;
    let drills = Drills { day: Day::Saturday, hour: 3, regions: vec![Region::new("us-east")] };
    let policy = Policy { drills: Some(drills), ..Policy::default() };
    assert_eq!(journal.put_policy(version, &policy).await, Ok(Applied::Yes));
    let told = regions.regions(&reader, ()).await?.drills.expect("a schedule");
    assert_eq!((told.day.as_str(), told.hour, told.regions), ("saturday", 3, vec!["us-east".to_owned()]));
    assert_eq!((told.next.as_deref(), told.begun), (Some("us-east"), false));
    assert!(told.unwell.is_some(), "no process works in any region");
    Ok(())
}

fn journal(shop: &Fixture) -> Arc<dyn Journal> {
    Arc::new(DatabaseJournal::new(shop.running.db().clone()))
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
    let founded = journal(shop).found(&Desired { regions, policy: Policy::default() }, &homes).await;
    assert_eq!(founded, Ok(Applied::Yes));
}
