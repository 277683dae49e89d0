//! Drills that begin by themselves, in words.

use contracts::region::DrillsView;

use crate::{format, locale::Locale};

/// A sentence each: when they begin, with whom, whose turn it is, and why none would begin now.
pub(super) fn sentences(locale: Locale, drills: Option<&DrillsView>) -> Vec<String> {
    let Some(drills) = drills else { return vec![locale.text("regions-drills-none")] };
    let hour = drills.hour;
    let when = locale.text_with_all(
        "regions-drills-when",
        &[
            ("day", &locale.text(day_key(&drills.day))),
            ("from", &format!("{hour:02}:00")),
            ("until", &format!("{hour:02}:59")),
        ],
    );
    let turns = match drills.regions.is_empty() {
        true => locale.text("regions-drills-all"),
        false => locale.text_with("regions-drills-turns", "regions", &drills.regions.join(", ")),
    };
    let mut said = vec![when, turns];
    if drills.begun {
        said.push(locale.text("regions-drills-begun"));
        return said;
    }
    let next = drills.next.clone().unwrap_or_else(|| locale.text("regions-no-leader"));
    let at = format::moment(locale, drills.next_at);
    said.push(locale.text_with_all("regions-drills-next", &[("region", &next), ("at", &at)]));
    said.extend(drills.unwell.as_ref().map(|why| locale.text_with("regions-drills-unwell", "why", why)));
    said
}

fn day_key(day: &str) -> &'static str {
    match day {
        "monday" => "day-monday",
        "tuesday" => "day-tuesday",
        "wednesday" => "day-wednesday",
        "thursday" => "day-thursday",
        "friday" => "day-friday",
        "saturday" => "day-saturday",
        _ => "day-sunday",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_schedule_says_when_and_with_whom() {
        let drills = samples::regions().drills.unwrap();
        assert_eq!(
            sentences(Locale::En, Some(&drills)),
            [
                "Each Saturday from 03:00 to 03:59 UTC.",
                "All regions that are failover-ready, in turn.",
                "Next: us-east, 28 November 2026, 03:00 UTC.",
                "Now it would not begin: eu-west is fenced",
            ]
        );
        assert!(sentences(Locale::ZhCn, Some(&drills))[0].contains("星期六"));
        let begun = DrillsView { begun: true, regions: vec!["eu-west".to_owned()], ..drills };
        let said = sentences(Locale::En, Some(&begun));
        assert_eq!(said[1..], ["In turn: eu-west.", "This week's has begun."]);
        assert!(sentences(Locale::En, None)[0].starts_with("No drill begins by itself"));
    }
}
