//! What regions see of each other.

use std::{collections::BTreeMap, time::Duration};

use placement::{Sighting, State, Verdict, Vitals};

use super::{Bench, TTL, region};
use crate::{Applied, Journal};

async fn seen(journal: &impl Journal) -> Sighting {
    journal.read().await.unwrap().world.observed.sightings[&(region("eu"), region("us"))]
}

pub(super) async fn last_as_long_as_they_go_on<B: Bench>(bench: &B, journal: &B::Journal) {
    let (eu, us) = (region("eu"), region("us"));
    journal.sight(&eu, &us, Verdict::Down).await.unwrap();
    let first = seen(journal).await;
    assert_eq!((first.verdict, first.since), (Verdict::Down, first.seen_at));
    bench.pass(TTL / 2).await;
    journal.sight(&eu, &us, Verdict::Down).await.unwrap();
    let second = seen(journal).await;
    assert_eq!(second.since, first.since, "it goes on");
    assert!(second.seen_at.since(first.seen_at) >= TTL / 2);
    journal.sight(&eu, &us, Verdict::Up).await.unwrap();
    journal.sight(&eu, &us, Verdict::Down).await.unwrap();
    let third = seen(journal).await;
    assert!(third.since >= second.seen_at, "it was broken");
    bench.pass(TTL + Duration::from_millis(100)).await;
    journal.sight(&eu, &us, Verdict::Down).await.unwrap();
    let fourth = seen(journal).await;
    assert_eq!(fourth.since, fourth.seen_at, "after a silence it begins anew");
}

pub(super) async fn of_itself_grow_old<B: Bench>(bench: &B, journal: &B::Journal) {
    let eu = region("eu");
    let vitals = Vitals { relay_lag: Duration::from_millis(1_500), burning: true };
    journal.say(&eu, vitals).await.unwrap();
    let world = journal.read().await.unwrap().world;
    assert_eq!(world.observed.vitals[&eu], vitals);
    assert_eq!(world.vitals().collect::<Vec<_>>(), [(&eu, &vitals)]);
    bench.pass(TTL + Duration::from_millis(100)).await;
    let world = journal.read().await.unwrap().world;
    assert_eq!(world.vitals().next(), None, "it says nothing any more");
    journal.report(&eu, &BTreeMap::new(), vitals).await.unwrap();
    assert_eq!(journal.read().await.unwrap().world.vitals().count(), 1, "it speaks again");
    assert_eq!(journal.set_state(&eu, 0, State::Drained).await, Ok(Applied::Yes));
    assert_eq!(journal.read().await.unwrap().world.vitals().count(), 0, "it is out");
}

pub(super) async fn are_reported_together(journal: &impl Journal) {
    let seen = BTreeMap::from([(region("eu"), Verdict::Down), (region("ap"), Verdict::Up)]);
    let vitals = Vitals { relay_lag: Duration::from_secs(2), burning: false };
    journal.report(&region("us"), &seen, vitals).await.unwrap();
    let observed = journal.read().await.unwrap().world.observed;
    for (subject, verdict) in seen {
        assert_eq!(observed.sightings[&(subject, region("us"))].verdict, verdict);
    }
    assert_eq!(observed.vitals, BTreeMap::from([(region("us"), vitals)]));
}
