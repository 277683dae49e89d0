//! An operation's report, for people and programs. Pure.

use std::fmt::Write as _;

use contracts::region::OperationView;
use kernel::Timestamp;
use placement::{Operation, Report};
use serde::Serialize;

use super::view;

/// What neither the journal nor the database knows, and where it is known.
const UNKNOWN: [Unknown; 2] = [
    Unknown {
        what: "failed_requests",
        why: "only clients see them: a load generator's records, or `cargo xtask prove regions`",
    },
    Unknown {
        what: "lost_writes",
        why: "only clients know what was acknowledged to them; the audit's rule request.effect looks for orders",
    },
];

/// An operation with its report.
#[derive(Serialize)]
pub(crate) struct Told {
    /// The operation.
    #[serde(flatten)]
    pub(crate) operation: OperationView,
    /// How it went; none of a kind that leaves no region, and none of what was refused.
    report: Option<Shown>,
}

/// A report as programs read it. Seconds count from the decision; what is null is not known.
#[derive(Serialize)]
struct Shown {
    decided_at: Timestamp,
    last_sign_of_life: Option<Timestamp>,
    taken_seconds: Option<f64>,
    moved_seconds: Option<f64>,
    leases_seconds: Option<f64>,
    ended_seconds: Option<f64>,
    /// From the last sign of life, or from the decision, until all background work went on elsewhere.
    rto_seconds: Option<f64>,
    late: usize,
    events: Option<Waiting>,
    replayed_events: Option<u64>,
    audit: Option<Audited>,
    failed_requests: Option<u64>,
    lost_writes: Option<u64>,
    unknown: [Unknown; 2],
}

#[derive(Serialize)]
struct Waiting {
    waited: u64,
    sequenced: u64,
    consumed: u64,
    waits: u64,
}

#[derive(Serialize)]
struct Audited {
    held: bool,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
struct Rule {
    rule: String,
    at: Timestamp,
    looked_at: u64,
    wrong: u64,
}

/// What is not known, and why.
#[derive(Clone, Copy, Serialize)]
struct Unknown {
    what: &'static str,
    why: &'static str,
}

impl Told {
    /// An operation, and its report.
    pub(crate) fn of(operation: &Operation, world: Option<&placement::World>) -> Self {
        let report = placement::report(operation);
        Self { operation: view::operation(operation, world), report: report.as_ref().map(shown) }
    }

    /// The report for people, a line each; nothing where there is none.
    pub(crate) fn text(&self) -> String {
        self.report.as_ref().map(text).unwrap_or_default()
    }
}

fn shown(report: &Report) -> Shown {
    let since = |at: Option<Timestamp>| at.map(|at| at.since(report.decided_at).as_secs_f64());
    Shown {
        decided_at: report.decided_at,
        last_sign_of_life: report.last_sign_of_life,
        taken_seconds: since(report.taken_at),
        moved_seconds: since(report.moved_at),
        leases_seconds: since(report.handed_over_at),
        ended_seconds: since(report.ended_at),
        rto_seconds: report.recovery().map(|took| took.as_secs_f64()),
        late: report.late,
        events: report.events.map(|events| Waiting {
            waited: events.waited,
            sequenced: events.sequenced,
            consumed: events.consumed,
            waits: events.waits,
        }),
        replayed_events: report.events.map(|events| events.replayed()),
        audit: report.audit.as_ref().map(|audit| Audited {
            held: audit.held(),
            rules: audit
                .rules
                .iter()
                .map(|(rule, found)| Rule {
                    rule: rule.clone(),
                    at: found.at,
                    looked_at: found.looked_at,
                    wrong: found.wrong,
                })
                .collect(),
        }),
        failed_requests: None,
        lost_writes: None,
        unknown: UNKNOWN,
    }
}

fn text(report: &Shown) -> String {
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
    for (name, seconds) in stages {
        line(name, seconds.map_or_else(|| "not known".to_owned(), after));
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

fn events(report: &Shown) -> String {
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

fn audit(report: &Shown) -> String {
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
