//! The map of regions, and operations on it.

use std::time::Duration;

use contracts::region::{
    BacklogView, DrillsView, EntryView, OperationView, RegionView, RegionsView, ReportAuditView,
    ReportRuleView, ReportView, ShardView, SightingView,
};
use kernel::Timestamp;

use super::at;

/// Three regions, one of them in trouble, with an operation under way.
pub(crate) fn regions() -> RegionsView {
    let names = ["ap-southeast", "eu-west", "us-east"];
    let region = |name: &str| RegionView {
        region: name.to_owned(),
        role: "full".to_owned(),
        state: if name == "eu-west" { "fenced" } else { "active" }.to_owned(),
        endpoint: format!("http://{name}.shop.test"),
        homes: 5,
        leases: 5,
        capacity: 16,
        weight: 1,
        failover_ready: true,
        read_only: name == "ap-southeast",
        static_only: false,
        queue: if name == "ap-southeast" { 200 } else { 0 },
        relay_lag_ms: Some(12),
        burning: false,
        seen: names
            .iter()
            .filter(|by| **by != name)
            .map(|by| SightingView {
                by: (*by).to_owned(),
                up: name != "eu-west",
                fresh: *by != "eu-west",
                since: at(0),
                seen_at: at(1),
            })
            .collect(),
    };
    let shard = |n: u16| ShardView {
        shard: n,
        home: names[usize::from(n % 3)].to_owned(),
        moving_to: (n == 1).then(|| "us-east".to_owned()),
        jurisdiction: "any".to_owned(),
        holder: (n != 1).then(|| format!("{}/p1", names[usize::from(n % 3)])),
        epoch: 1,
    };
    RegionsView {
        version: 7,
        here: Some("us-east".to_owned()),
        regions: names.map(region).into(),
        shards: (0..16).map(shard).collect(),
        paused: true,
        leader: Some("us-east/p1".to_owned()),
        operation: Some(operation()),
        drills: Some(DrillsView {
            day: "saturday".to_owned(),
            hour: 3,
            regions: vec![],
            next_at: Timestamp::from_micros(1_795_834_800_000_000),
            next: Some("us-east".to_owned()),
            begun: false,
            unwell: Some("eu-west is fenced".to_owned()),
        }),
    }
}

/// A failover that runs.
pub(crate) fn operation() -> OperationView {
    let line = |minutes, phase: &str, detail: &str| EntryView {
        at: at(minutes),
        phase: phase.to_owned(),
        detail: detail.to_owned(),
    };
    OperationView {
        id: 3,
        kind: "failover".to_owned(),
        region: Some("eu-west".to_owned()),
        by: None,
        phase: "moving".to_owned(),
        back: false,
        moves: 5,
        outcome: None,
        why: None,
        waits_for: Some("the next batch is not due".to_owned()),
        timeline: vec![
            line(0, "preflight", "failover"),
            line(1, "taking", "5 shards to move <b>at the door</b>"),
        ],
        report: Some(ReportView {
            last_sign_of_life: Some(at(0).minus(Duration::from_secs(5))),
            taken_seconds: Some(1.0),
            ..report()
        }),
    }
}

/// A report of what has only begun.
fn report() -> ReportView {
    ReportView {
        decided_at: at(0),
        last_sign_of_life: None,
        taken_seconds: None,
        moved_seconds: None,
        leases_seconds: None,
        ended_seconds: None,
        rto_seconds: None,
        late: 0,
        events: None,
        replayed_events: None,
        audit: None,
        failed_requests: None,
        lost_writes: None,
        unknown: vec![],
    }
}

/// A drill that is over, of which the audit found something wrong.
pub(crate) fn drilled() -> OperationView {
    let rule = |rule: &str, wrong| ReportRuleView { rule: rule.to_owned(), at: at(3), looked_at: 12, wrong };
    let audit = ReportAuditView { held: false, rules: vec![rule("order.hold", 1), rule("order.sums", 0)] };
    OperationView {
        id: 2,
        kind: "drill".to_owned(),
        by: Some("ada".to_owned()),
        phase: "ended".to_owned(),
        back: true,
        outcome: Some("done".to_owned()),
        waits_for: None,
        report: Some(ReportView {
            taken_seconds: Some(1.0),
            moved_seconds: Some(1.5),
            leases_seconds: Some(3.5),
            ended_seconds: Some(61.0),
            rto_seconds: Some(3.5),
            late: 2,
            events: Some(BacklogView { waited: 7, sequenced: 40, consumed: 47, waits: 0 }),
            replayed_events: Some(7),
            audit: Some(audit),
            ..report()
        }),
        ..operation()
    }
}
