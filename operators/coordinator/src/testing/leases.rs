//! Work leases and the leadership.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use kernel::{Epoch, Shard};
use placement::{Instance, MapVersion, State, Verdict};

use super::{
    Bench, TTL,
    map::{begun, send},
    region,
};
use crate::{Applied, Journal};

const SHARD: Shard = Shard::new(0);

fn worker(home: &str, name: &str) -> Instance {
    Instance::new(region(home), name)
}

pub(super) async fn are_taken_at_home_only(journal: &impl Journal) {
    assert_eq!(journal.take(SHARD, &worker("us", "a"), TTL).await, Ok(None));
    assert_eq!(journal.take(Shard::new(9), &worker("us", "a"), TTL).await, Ok(None));
    assert_eq!(journal.take(SHARD, &worker("eu", "a"), TTL).await, Ok(Some(Epoch(1))));
    let lease = journal.read().await.unwrap().world.observed.leases[&SHARD].clone();
    assert_eq!((lease.holder, lease.epoch), (worker("eu", "a"), Epoch(1)));
}

pub(super) async fn are_held_by_one_of_many(journal: &impl Journal) {
    let workers: Vec<Instance> = (0..8).map(|n| worker("eu", &n.to_string())).collect();
    let answers = join_all(workers.iter().map(|worker| journal.take(SHARD, worker, TTL))).await;
    let won: Vec<_> = answers.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(won, [Epoch(1)]);
}

pub(super) async fn run_out<B: Bench>(bench: &B, journal: &B::Journal) {
    let (first, second) = (worker("eu", "a"), worker("eu", "b"));
    assert_eq!(journal.take(SHARD, &first, TTL).await, Ok(Some(Epoch(1))));
    bench.pass(TTL / 2).await;
    assert_eq!(journal.renew(SHARD, &first, Epoch(1), TTL).await, Ok(Applied::Yes));
    assert_eq!(journal.renew(SHARD, &first, Epoch(2), TTL).await, Ok(Applied::Stale), "another epoch");
    assert_eq!(journal.renew(SHARD, &second, Epoch(1), TTL).await, Ok(Applied::Stale), "another worker");
    assert_eq!(journal.take(SHARD, &second, TTL).await, Ok(None));
    bench.pass(TTL).await;
    assert_eq!(journal.renew(SHARD, &first, Epoch(1), TTL).await, Ok(Applied::Stale), "too late");
    assert_eq!(journal.take(SHARD, &second, TTL).await, Ok(Some(Epoch(2))));
    assert_eq!(journal.renew(SHARD, &first, Epoch(1), TTL).await, Ok(Applied::Stale));
    assert_eq!(journal.release(SHARD, &first, Epoch(1)).await, Ok(Applied::Stale));
    assert_eq!(journal.renew(SHARD, &second, Epoch(2), TTL).await, Ok(Applied::Yes));
}

pub(super) async fn are_given_back(journal: &impl Journal) {
    let (first, second) = (worker("eu", "a"), worker("eu", "b"));
    assert_eq!(journal.take(SHARD, &first, TTL).await, Ok(Some(Epoch(1))));
    assert_eq!(journal.release(SHARD, &first, Epoch(1)).await, Ok(Applied::Yes));
    assert_eq!(journal.renew(SHARD, &first, Epoch(1), TTL).await, Ok(Applied::Stale));
    assert_eq!(journal.take(SHARD, &second, TTL).await, Ok(Some(Epoch(2))));
}

pub(super) async fn do_not_follow_a_holder_out(journal: &impl Journal) {
    let eu = worker("eu", "a");
    assert_eq!(journal.take(SHARD, &eu, TTL).await, Ok(Some(Epoch(1))));
    assert_eq!(journal.take(Shard::new(1), &eu, TTL).await, Ok(Some(Epoch(1))));
    let id = begun(journal).await;
    assert_eq!(journal.apply(&send(id, 0, MapVersion(1))).await, Ok(Applied::Yes));
    assert_eq!(journal.renew(SHARD, &eu, Epoch(1), TTL).await, Ok(Applied::Stale), "it lives elsewhere");
    assert_eq!(journal.take(SHARD, &worker("us", "b"), TTL).await, Ok(None), "and is still held");
    assert_eq!(journal.release(SHARD, &eu, Epoch(1)).await, Ok(Applied::Yes));
    assert_eq!(journal.take(SHARD, &worker("us", "b"), TTL).await, Ok(Some(Epoch(2))));
    assert_eq!(journal.set_state(&region("eu"), 0, State::Fenced).await, Ok(Applied::Yes));
    assert_eq!(
        journal.renew(Shard::new(1), &eu, Epoch(1), TTL).await,
        Ok(Applied::Stale),
        "its region is out"
    );
    assert_eq!(journal.release(Shard::new(1), &eu, Epoch(1)).await, Ok(Applied::Yes));
    assert_eq!(journal.take(Shard::new(1), &eu, TTL).await, Ok(None));
}

pub(super) async fn leadership_changes_hands_when_it_runs_out<B: Bench>(bench: &B, journal: &B::Journal) {
    let (first, second) = (worker("eu", "a"), worker("us", "b"));
    assert_eq!(journal.lead(&first, TTL).await, Ok(Some(Epoch(1))));
    assert_eq!(journal.lead(&second, TTL).await, Ok(None));
    bench.pass(TTL / 2).await;
    assert_eq!(journal.lead(&first, TTL).await, Ok(Some(Epoch(1))), "renewed");
    bench.pass(TTL / 2).await;
    assert_eq!(journal.lead(&second, TTL).await, Ok(None));
    bench.pass(TTL).await;
    assert_eq!(journal.lead(&second, TTL).await, Ok(Some(Epoch(2))));
    assert_eq!(journal.lead(&first, TTL).await, Ok(None));
    assert_eq!(journal.read().await.unwrap().leader.unwrap().holder, second);
}

pub(super) async fn are_worked_on_together<B: Bench>(bench: &B, journal: &B::Journal) {
    let (first, second, us) = (worker("eu", "a"), worker("eu", "b"), worker("us", "a"));
    let nothing = BTreeSet::new();
    let work = async |worker: &Instance| journal.work(worker, TTL, &nothing).await.unwrap();
    let both = BTreeMap::from([(SHARD, Epoch(1)), (Shard::new(1), Epoch(1))]);
    assert_eq!(work(&first).await, both, "what is at home here");
    assert_eq!(work(&us).await, BTreeMap::from([(Shard::new(2), Epoch(1))]));
    assert_eq!(work(&second).await, BTreeMap::new(), "all are held");
    bench.pass(TTL / 2).await;
    assert_eq!(work(&first).await, both, "renewed");
    bench.pass(TTL / 2).await;
    assert_eq!(work(&second).await, BTreeMap::new());
    bench.pass(TTL).await;
    assert_eq!(work(&second).await, BTreeMap::from([(SHARD, Epoch(2)), (Shard::new(1), Epoch(2))]));
    assert_eq!(work(&first).await, BTreeMap::new());
}

pub(super) async fn are_left_where_work_goes_on(journal: &impl Journal) {
    let (eu, us) = (worker("eu", "a"), worker("us", "a"));
    let nothing = BTreeSet::new();
    journal.work(&eu, TTL, &nothing).await.unwrap();
    let id = begun(journal).await;
    assert_eq!(journal.apply(&send(id, 0, MapVersion(1))).await, Ok(Applied::Yes));
    let held = journal.work(&eu, TTL, &BTreeSet::from([SHARD])).await.unwrap();
    assert_eq!(held.len(), 2, "its batch is not at its end");
    assert_eq!(journal.take(SHARD, &us, TTL).await, Ok(None));
    let held = journal.work(&eu, TTL, &nothing).await.unwrap();
    assert_eq!(held, BTreeMap::from([(Shard::new(1), Epoch(1))]), "given back");
    let held = journal.work(&us, TTL, &nothing).await.unwrap();
    assert_eq!(held, BTreeMap::from([(SHARD, Epoch(2)), (Shard::new(2), Epoch(1))]));
}

pub(super) async fn of_a_home_that_is_down_are_stood_in_for<B: Bench>(bench: &B, journal: &B::Journal) {
    let (eu, us) = (worker("eu", "a"), worker("us", "a"));
    assert_eq!(journal.take(SHARD, &eu, TTL).await, Ok(Some(Epoch(1))));
    let down = async |verdict| journal.sight(&region("eu"), &region("us"), verdict).await.unwrap();
    down(Verdict::Down).await;
    assert_eq!(journal.take(SHARD, &us, TTL).await, Ok(None), "its home still holds it");
    bench.pass(TTL).await;
    down(Verdict::Down).await;
    assert_eq!(journal.take(SHARD, &us, TTL).await, Ok(Some(Epoch(2))));
    assert_eq!(journal.renew(SHARD, &us, Epoch(2), TTL).await, Ok(Applied::Yes));
    down(Verdict::Up).await;
    assert_eq!(journal.renew(SHARD, &us, Epoch(2), TTL).await, Ok(Applied::Stale), "its home is back");
    assert_eq!(journal.release(SHARD, &us, Epoch(2)).await, Ok(Applied::Yes));
    assert_eq!(journal.take(SHARD, &us, TTL).await, Ok(None));
    assert_eq!(journal.take(SHARD, &eu, TTL).await, Ok(Some(Epoch(3))));
}

pub(super) async fn of_a_home_that_is_out_are_stood_in_for(journal: &impl Journal) {
    let (eu, us) = (worker("eu", "a"), worker("us", "a"));
    assert_eq!(journal.take(SHARD, &eu, TTL).await, Ok(Some(Epoch(1))));
    assert_eq!(journal.set_state(&region("eu"), 0, State::Drained).await, Ok(Applied::Yes));
    let nothing = BTreeSet::new();
    assert_eq!(journal.work(&eu, TTL, &nothing).await, Ok(BTreeMap::new()), "given back");
    let all = [(SHARD, Epoch(2)), (Shard::new(1), Epoch(1)), (Shard::new(2), Epoch(1))];
    assert_eq!(journal.work(&us, TTL, &nothing).await, Ok(BTreeMap::from(all)));
    assert_eq!(journal.set_state(&region("eu"), 1, State::Cordoned).await, Ok(Applied::Yes));
    let own = BTreeMap::from([(Shard::new(2), Epoch(1))]);
    assert_eq!(journal.work(&us, TTL, &nothing).await, Ok(own), "its home is back");
    assert_eq!(journal.take(SHARD, &eu, TTL).await, Ok(Some(Epoch(3))));
}

pub(super) async fn are_resigned(journal: &impl Journal) {
    let (first, second) = (worker("eu", "a"), worker("eu", "b"));
    let nothing = BTreeSet::new();
    journal.work(&first, TTL, &nothing).await.unwrap();
    assert_eq!(journal.lead(&first, TTL).await, Ok(Some(Epoch(1))));
    journal.resign(&second).await.unwrap();
    assert_eq!(journal.lead(&second, TTL).await, Ok(None), "it had nothing to resign");
    journal.resign(&first).await.unwrap();
    assert_eq!(journal.lead(&second, TTL).await, Ok(Some(Epoch(2))));
    assert_eq!(journal.work(&second, TTL, &nothing).await.unwrap().len(), 2);
}
