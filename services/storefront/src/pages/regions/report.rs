//! How an operation went, in words. What only clients know stays unknown.

use contracts::region::{BacklogView, OperationView, ReportAuditView, ReportRuleView};

use crate::{format, locale::Locale};

/// A line of a report.
pub(crate) struct Line {
    pub(crate) name: String,
    /// What is to be seen first, and whether it is good.
    pub(crate) mark: Option<(String, &'static str)>,
    pub(crate) text: String,
}

/// An operation's report, line by line; nothing where there is none.
pub(super) fn lines(locale: Locale, operation: &OperationView) -> Vec<Line> {
    let Some(report) = &operation.report else { return Vec::new() };
    let line = |key: &str, text: String| Line { name: locale.text(key), mark: None, text };
    let mut lines = vec![line("regions-report-decided", format::moment(locale, report.decided_at))];
    if let Some(last) = report.last_sign_of_life {
        let before = tenths(report.decided_at.since(last).as_secs_f64());
        let text = [("at", format::moment(locale, last)), ("seconds", before)];
        let text = text.each_ref().map(|(name, value)| (*name, value.as_str()));
        let text = locale.text_with_all("regions-report-last-sign-text", &text);
        lines.push(line("regions-report-last-sign", text));
    }
    let stages = [
        ("regions-report-taken", report.taken_seconds),
        ("regions-report-moved", report.moved_seconds),
        ("regions-report-leases", report.leases_seconds),
        ("regions-report-ended", report.ended_seconds),
    ];
    // An evacuation finds its region out.
    let stages = stages.into_iter().skip(usize::from(operation.kind == "evacuate"));
    lines.extend(stages.map(|(key, seconds)| line(key, stage(locale, operation, seconds))));
    if let Some(rto) = report.rto_seconds {
        let from = match report.last_sign_of_life {
            Some(_) => "regions-report-rested-since-sign",
            None => "regions-report-rested-since-decision",
        };
        lines.push(line("regions-report-rested", locale.text_with(from, "seconds", &tenths(rto))));
    }
    if report.late > 0 {
        let late = locale.text_with("regions-report-late-text", "count", &report.late.to_string());
        lines.push(line("regions-report-late", late));
    }
    lines.push(line("regions-report-events", events(locale, report.events.as_ref())));
    lines.push(audit(locale, report.audit.as_ref()));
    let unknown = |known: Option<u64>, why: &str| known.map_or_else(|| locale.text(why), |n| n.to_string());
    let failed = unknown(report.failed_requests, "regions-report-failed-why");
    lines.push(line("regions-report-failed", failed));
    lines.push(line("regions-report-lost", unknown(report.lost_writes, "regions-report-lost-why")));
    lines
}

fn tenths(seconds: f64) -> String {
    format!("{seconds:.1}")
}

/// When a stage was reached.
fn stage(locale: Locale, operation: &OperationView, seconds: Option<f64>) -> String {
    match (seconds, &operation.outcome) {
        (Some(seconds), _) => locale.text_with("regions-report-after", "seconds", &tenths(seconds)),
        (None, None) => locale.text("regions-report-not-yet"),
        (None, Some(_)) => locale.text("regions-report-not-known"),
    }
}

fn events(locale: Locale, events: Option<&BacklogView>) -> String {
    let Some(events) = events else { return locale.text("regions-report-events-none") };
    let [waited, sequenced, consumed, waits] =
        [events.waited, events.sequenced, events.consumed, events.waits].map(|n| n.to_string());
    locale.text_with_all(
        "regions-report-events-text",
        &[("waited", &waited), ("sequenced", &sequenced), ("consumed", &consumed), ("waits", &waits)],
    )
}

fn audit(locale: Locale, audit: Option<&ReportAuditView>) -> Line {
    let name = locale.text("regions-report-audit");
    let Some(audit) = audit else {
        return Line { name, mark: None, text: locale.text("regions-report-audit-none") };
    };
    let every = || audit.rules.iter().map(|rule| rule.rule.clone()).collect::<Vec<_>>();
    let of = |rule: &ReportRuleView| {
        let (wrong, all) = (rule.wrong.to_string(), rule.looked_at.to_string());
        locale.text_with_all(
            "regions-report-wrong-of",
            &[("rule", &rule.rule), ("wrong", &wrong), ("all", &all)],
        )
    };
    let wrong = || audit.rules.iter().filter(|rule| rule.wrong > 0).map(of).collect::<Vec<_>>();
    let (key, tone, rules) = match audit.held {
        true => ("regions-report-held", "good", every()),
        false => ("regions-report-wrong", "bad", wrong()),
    };
    Line { name, mark: Some((locale.text(key), tone)), text: rules.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn told(locale: Locale, operation: &OperationView) -> Vec<(String, String)> {
        let lines = lines(locale, operation).into_iter();
        lines
            .map(|line| match line.mark {
                Some((mark, _)) => (line.name, format!("{mark}: {}", line.text)),
                None => (line.name, line.text),
            })
            .collect()
    }

    #[test]
    fn what_is_over_is_told_whole_and_what_is_not_known_is_not_zero() {
        let told = told(Locale::En, &samples::drilled());
        let told: Vec<(&str, &str)> =
            told.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(
            told[..8],
            [
                ("Decided", "21 November 2026, 08:33 UTC"),
                ("Region taken", "1.0 s after the decision"),
                ("Homes moved", "1.5 s after the decision"),
                ("Leases taken over", "3.5 s after the decision"),
                ("Over", "61.0 s after the decision"),
                ("Background work rested", "3.5 s at most, from the decision on"),
                ("Late", "Shards without background work when patience ended: 2"),
                ("Events", "7 waited when the region was out; 40 sequenced and 47 consumed since; 0 wait"),
            ]
        );
        assert_eq!(told[8], ("Audit", "Wrong: order.hold 1 of 12"));
        assert!(told[9..].iter().all(|(_, text)| text.starts_with("Not known here")), "{told:?}");
        assert_eq!(told.len(), 11);
    }

    #[test]
    fn what_runs_is_told_as_far_as_it_has_come() {
        let running = told(Locale::En, &samples::operation());
        let text = |name: &str| &running.iter().find(|(known, _)| known == name).unwrap().1;
        assert!(text("Last sign of life").ends_with("5.0 s before the decision"));
        assert_eq!(text("Leases taken over"), "Not yet");
        assert_eq!(text("Events"), "Not counted");
        assert!(!running.iter().any(|(name, _)| name == "Background work rested"), "{running:?}");
        let chinese = told(Locale::ZhCn, &samples::operation());
        assert!(chinese.iter().zip(&running).all(|(there, here)| there.0 != here.0), "{chinese:?}");
    }

    #[test]
    fn an_evacuation_takes_nothing_and_a_move_has_no_report() {
        let evacuation = OperationView { kind: "evacuate".to_owned(), ..samples::drilled() };
        assert!(!told(Locale::En, &evacuation).iter().any(|(name, _)| name == "Region taken"));
        let moved = OperationView { report: None, ..samples::drilled() };
        assert!(told(Locale::En, &moved).is_empty());
    }
}
