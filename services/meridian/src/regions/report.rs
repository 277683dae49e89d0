//! An operation's report, for programs and people. Pure.

use std::fmt::Write as _;

use contracts::region::{
    BacklogView, OperationView, ReportAuditView, ReportRuleView, ReportView, UnknownView,
};
use kernel::Timestamp;
use placement::{Audit, Operation, Report};

use super::view::count;

/// What neither the journal nor the database knows, and where it is known.
const UNKNOWN: [(&str, &str); 2] = [
    ("failed_requests", "only clients see them: a load generator's records, or `cargo xtask prove regions`"),
    (
        "lost_writes",
        "only clients know what was acknowledged to them; the audit's rule request.effect looks for orders",
    ),
];

/// An operation's report; none of a kind that leaves no region, and none of what was refused.
pub(crate) fn of(operation: &Operation) -> Option<ReportView> {
    placement::report(operation).as_ref().map(shown)
}

/// A report for people, a line each; nothing where there is none.
pub(crate) fn text(operation: &OperationView) -> String {
    operation.report.as_ref().map(|report| lines(operation, report)).unwrap_or_default()
}

fn shown(report: &Report) -> ReportView {
    let since = |at: Option<Timestamp>| at.map(|at| at.since(report.decided_at).as_secs_f64());
    ReportView {
        decided_at: report.decided_at,
        last_sign_of_life: report.last_sign_of_life,
        taken_seconds: since(report.taken_at),
        moved_seconds: since(report.moved_at),
        leases_seconds: since(report.handed_over_at),
        ended_seconds: since(report.ended_at),
        rto_seconds: report.recovery().map(|took| took.as_secs_f64()),
        late: count(report.late),
        events: report.events.map(|events| BacklogView {
            waited: events.waited,
            sequenced: events.sequenced,
            consumed: events.consumed,
            waits: events.waits,
        }),
        replayed_events: report.events.map(|events| events.replayed()),
        audit: report.audit.as_ref().map(audited),
        failed_requests: None,
        lost_writes: None,
        unknown: UNKNOWN.map(|(what, why)| UnknownView { what: what.to_owned(), why: why.to_owned() }).into(),
    }
}

fn audited(audit: &Audit) -> ReportAuditView {
    let rules = audit.rules.iter().map(|(rule, found)| ReportRuleView {
        rule: rule.clone(),
        at: found.at,
        looked_at: found.looked_at,
        wrong: found.wrong,
    });
    ReportAuditView { held: audit.held(), rules: rules.collect() }
}

fn lines(operation: &OperationView, report: &ReportView) -> String {
    let mut text = "\n".to_owned();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<22} {value}");
    };
    line("decided", report.decided_at.to_string());
    if let Some(last) = report.last_sign_of_life {
        let before = report.decided_at.since(last).as_secs_f64();
        line("last sign of life", format!("{last}, {before:.1} s before"));
    }
    let after = |seconds: f64| format!("{seconds:.1} s after the decision");
    let stages = [
        ("region taken", report.taken_seconds),
        ("homes moved", report.moved_seconds),
        ("leases taken over", report.leases_seconds),
        ("over", report.ended_seconds),
    ];
    let open = if operation.outcome.is_none() { "not yet" } else { "not known" };
    // An evacuation finds its region out.
    for (name, seconds) in stages.into_iter().skip(usize::from(operation.kind == "evacuate")) {
        line(name, seconds.map_or_else(|| open.to_owned(), after));
    }
    if let Some(rto) = report.rto_seconds {
        let from = if report.last_sign_of_life.is_some() { "the last sign of life" } else { "the decision" };
        line("background work rested", format!("{rto:.1} s at most, from {from} on"));
    }
    if report.late > 0 {
        line("late", format!("{} shards had no background work when patience ended", report.late));
    }
    line("events", events(report));
    line("audit", audit(report));
    for unknown in &report.unknown {
        line(&unknown.what.replace('_', " "), format!("not known: {}", unknown.why));
    }
    text
}

fn events(report: &ReportView) -> String {
    report.events.as_ref().map_or_else(
        || "not counted".to_owned(),
        |events| {
            format!(
                "{} waited when the region was out; {} sequenced and {} consumed since; {} wait",
                events.waited, events.sequenced, events.consumed, events.waits
            )
        },
    )
}

fn audit(report: &ReportView) -> String {
    let Some(audit) = &report.audit else {
        return "has not looked yet: see the timeline again in a minute or two, or `meridian region verify`"
            .to_owned();
    };
    let wrong: Vec<String> = audit
        .rules
        .iter()
        .filter(|rule| rule.wrong > 0)
        .map(|rule| format!("{} {} of {}", rule.rule, rule.wrong, rule.looked_at))
        .collect();
    match wrong.is_empty() {
        true => {
            let rules: Vec<&str> = audit.rules.iter().map(|rule| rule.rule.as_str()).collect();
            format!("held: {}", rules.join(", "))
        }
        false => format!("WRONG: {}", wrong.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kernel::Region;
    use placement::{By, Entry, Events, Found, Kind, OperationId, Outcome, Phase, Spec};

    use super::*;
    use crate::regions::view;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn line(seconds: i64, phase: &Phase, detail: &str, waiting: Option<u64>) -> Entry {
        let events =
            waiting.map(|unconsumed| Events { shards: 4, unsequenced: 0, unconsumed, sequenced: 90 });
        Entry { at: at(seconds), phase: phase.name().to_owned(), detail: detail.to_owned(), events }
    }

    /// A failover that took what it took, and was looked at afterwards.
    fn failover() -> Operation {
        let region = Region::new("eu");
        let kind = Kind::Failover { region, outside: [].into(), confirm: None };
        let spec = Spec { kind, by: By::Itself, digest: None, request: None };
        let mut operation = Operation::begin(OperationId(7), spec, at(100));
        let ended = Phase::Ended(Outcome::Done { late: [].into() });
        operation.timeline = vec![
            line(100, &Phase::Preflight, "failover", None),
            line(101, &Phase::Taking, "4 shards to move", None),
            line(102, &Phase::Moving, "", Some(9)),
            line(103, &Phase::HandingOver, "", None),
            line(106, &Phase::Verifying, "every lease is in its new home", Some(2)),
            line(108, &ended, "", Some(0)),
        ];
        (operation.phase, operation.last_sign) = (ended, Some(at(95)));
        let found = |wrong| Found { at: at(120), looked_at: 12, wrong };
        let rules = [("order.sums".to_owned(), found(0)), ("order.hold".to_owned(), found(1))];
        operation.audit = Some(Audit { rules: BTreeMap::from(rules) });
        operation
    }

    #[test]
    fn a_report_says_what_is_known_and_names_what_is_not() {
        let report = of(&failover()).unwrap();
        let seconds = [
            report.taken_seconds,
            report.moved_seconds,
            report.leases_seconds,
            report.ended_seconds,
            report.rto_seconds,
        ];
        assert_eq!(seconds, [2.0, 3.0, 6.0, 8.0, 11.0].map(Some));
        assert_eq!(report.events, Some(BacklogView { waited: 9, sequenced: 0, consumed: 9, waits: 0 }));
        assert_eq!((report.replayed_events, report.late), (Some(9), 0));
        let audit = report.audit.unwrap();
        let wrong: Vec<_> = audit.rules.iter().map(|rule| (rule.rule.as_str(), rule.wrong)).collect();
        assert_eq!((audit.held, wrong), (false, vec![("order.hold", 1), ("order.sums", 0)]));
        assert_eq!((report.failed_requests, report.lost_writes), (None, None), "not known is not zero");
        let unknown: Vec<_> = report.unknown.iter().map(|unknown| unknown.what.as_str()).collect();
        assert_eq!(unknown, ["failed_requests", "lost_writes"]);
    }

    #[test]
    fn a_report_of_what_only_began_leaves_the_rest_open() {
        let mut operation = failover();
        operation.timeline.truncate(1);
        (operation.phase, operation.audit) = (Phase::Preflight, None);
        assert_eq!(of(&operation), None, "nothing was taken");
        operation.timeline = vec![
            line(100, &Phase::Preflight, "failover", None),
            line(101, &Phase::Taking, "4 shards to move", None),
        ];
        operation.phase = Phase::Taking;
        let report = of(&operation).unwrap();
        let open = [report.taken_seconds, report.moved_seconds, report.leases_seconds, report.ended_seconds];
        assert_eq!((open, report.rto_seconds), ([None; 4], None));
        assert_eq!((report.events, report.audit), (None, None));
    }

    #[test]
    fn people_read_the_same() {
        let told = text(&view::operation(&failover(), None));
        for part in [
            "5.0 s before",
            "2.0 s after the decision",
            "11.0 s at most, from the last sign of life",
            "9 waited",
            "WRONG: order.hold 1 of 12",
            "only clients",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let mut running = failover();
        running.timeline.truncate(3);
        running.phase = Phase::Moving;
        assert!(text(&view::operation(&running, None)).contains("not yet"));
        let moved = OperationView { report: None, ..view::operation(&running, None) };
        assert_eq!(text(&moved), "");
        let evacuation = OperationView { kind: "evacuate".to_owned(), ..view::operation(&failover(), None) };
        assert!(!text(&evacuation).contains("region taken"));
    }
}
