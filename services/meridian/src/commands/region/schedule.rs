//! Drills that begin by themselves, for people.

use contracts::region::DrillsView;

/// When they begin, whose turn it is, and why none would begin now.
pub(super) fn told(drills: &DrillsView) -> String {
    let DrillsView { day, hour, next_at, .. } = drills;
    let when = format!("a drill begins by itself each {day} from {hour:02}:00 to {hour:02}:59 UTC");
    if drills.begun {
        return format!("{when}; this week's has begun");
    }
    let next = drills.next.as_deref().unwrap_or("nobody");
    let not_now = drills.unwell.as_ref().map(|why| format!("; now it would not begin: {why}"));
    format!("{when}; next {next}, {next_at}{}", not_now.unwrap_or_default())
}
