//! What persons say about movement as a whole: pause, pins, pace, drills by schedule.

use coordinator::Journal;
use futures::executor::block_on;
use kernel::Clock;
use placement::{Day, Drills, Policy};

use super::{Act, some_region};
use crate::{cast::Cast, seed::Seed};

/// Pause, pins or pace.
pub(super) fn change(cast: &Cast, seed: &mut Seed) -> Act {
    let store = cast.journal.store();
    let mut policy = store.world().desired.policy.clone();
    let name = match seed.below(3) {
        0 => {
            policy.paused = seed.one_in(3);
            if policy.paused { "pause" } else { "resume" }
        }
        1 => {
            policy.pins.clear();
            let shards = cast.shards();
            if !shards.is_empty() && seed.one_in(2) {
                policy.pins.insert(*seed.pick(&shards), some_region(cast, seed));
            }
            if policy.pins.is_empty() { "unpin" } else { "pin" }
        }
        _ => {
            // 0 counts as 1.
            policy.movement.batch = seed.between(0, 4);
            policy.movement.per_minute = *seed.pick(&[30, 600, 6_000]);
            "pace"
        }
    };
    // Now and then somebody was faster.
    put(cast, name, &policy, seed.one_in(8))
}

/// Drills by schedule, in this hour or in any, with all regions or with one; or none any more.
pub(super) fn schedule(cast: &Cast, seed: &mut Seed) -> Act {
    let of_day = |day: Day| (0..24).map(move |hour| Drills { day, hour, regions: Vec::new() });
    let hours: Vec<Drills> = Day::ALL.into_iter().flat_map(of_day).collect();
    let mut drills = match seed.below(4) {
        0 => None,
        1 => Some(seed.pick(&hours).clone()),
        _ => hours.into_iter().find(|drills| drills.due(cast.clock.now()).is_some()),
    };
    if let Some(drills) = drills.as_mut().filter(|_| seed.one_in(2)) {
        drills.regions.push(some_region(cast, seed));
    }
    let name = if drills.is_some() { "schedule drills" } else { "call drills off" };
    let policy = Policy { drills, ..cast.journal.store().world().desired.policy.clone() };
    put(cast, name, &policy, false)
}

/// The end of a run: nothing is paused or pinned; regions stay as they are. What was said of them stays, too, where it is not
/// said again: it grows old, and nobody waits for it for ever.
pub(crate) fn calm(cast: &Cast) {
    let mut policy = cast.journal.store().world().desired.policy.clone();
    policy.paused = false;
    policy.pins.clear();
    drop(put(cast, "calm", &policy, false));
}

/// `late`: decided on an older map.
fn put(cast: &Cast, name: &'static str, policy: &Policy, late: bool) -> Act {
    let mut version = cast.journal.store().world().observed.version;
    version.0 -= u64::from(late);
    let answer = block_on(cast.journal.put_policy(version, policy));
    let (pins, pace) = (&policy.pins, (policy.movement.batch, policy.movement.per_minute));
    let told = format!("pauses {}, pins {pins:?}, pace {pace:?}, drills {:?}", policy.paused, policy.drills);
    Act::of(name, &answer, told)
}
