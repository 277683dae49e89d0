//! What a journal means: a value, and what each call does to it.

mod persons;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kernel::{Epoch, Region, Shard, Timestamp};
use placement::{
    Audit, Change, Desired, Effect, Instance, Jurisdiction, Lease, MapVersion, Operation, OperationId,
    Placing, RegionRow, ShardRow, Sighting, Spec, Verdict, Vitals, Wish, World, drilled, wish,
};

use crate::{Applied, JournalError, Result, Scene};

/// The longest key of a request, in bytes.
const LONGEST_KEY: usize = 200;

/// The most characters that are kept of why an operation is to end: a step of its timeline has them, and a row has its bounds.
const LONGEST_WHY: usize = 500;

/// The state of a journal. Deterministic; the time comes with each call. An adapter to a database does the same in SQL, and
/// the model checker and the simulation explore this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    pub(crate) scene: Scene,
    pub(crate) ended: BTreeMap<OperationId, Operation>,
    pub(crate) last_operation: u64,
}

impl Store {
    /// Everything at `now`.
    pub fn read(&self, now: Timestamp) -> Scene {
        let mut scene = self.scene.clone();
        scene.world.observed.now = now;
        scene
    }

    /// What is, without the time.
    pub const fn world(&self) -> &World {
        &self.scene.world
    }

    /// The operation that runs.
    pub const fn running(&self) -> Option<&Operation> {
        self.scene.operation.as_ref()
    }

    /// Who leads, or led last.
    pub const fn leader(&self) -> Option<&Lease> {
        self.scene.leader.as_ref()
    }

    /// The operations that have ended.
    pub const fn ended(&self) -> &BTreeMap<OperationId, Operation> {
        &self.ended
    }

    /// See [`crate::Journal::found`].
    pub fn found(&mut self, desired: &Desired, homes: &BTreeMap<Shard, (Region, Jurisdiction)>) -> Applied {
        if self.version() != MapVersion(0) {
            return Applied::Stale;
        }
        let version = self.grow();
        let row = |(home, jurisdiction): &(Region, Jurisdiction)| ShardRow {
            home: home.clone(),
            jurisdiction: jurisdiction.clone(),
            placing: Placing::Settled,
            version,
        };
        self.scene.world.desired = desired.clone();
        self.scene.world.observed.shards = homes.iter().map(|(shard, home)| (*shard, row(home))).collect();
        Applied::Yes
    }

    /// See [`crate::Journal::lead`].
    pub fn lead(&mut self, candidate: &Instance, ttl: Duration, now: Timestamp) -> Option<Epoch> {
        let last = self.scene.leader.as_ref();
        let same = last.is_some_and(|lease| lease.holder == *candidate);
        if !same && last.is_some_and(|lease| lease.held(now)) {
            return None;
        }
        let before = last.map_or(Epoch(0), |lease| lease.epoch);
        let epoch = if same { before } else { Epoch(before.0 + 1) };
        self.scene.leader = Some(Lease { holder: candidate.clone(), epoch, expires_at: now.plus(ttl) });
        Some(epoch)
    }

    /// See [`crate::Journal::begin`].
    pub fn begin(&mut self, spec: &Spec, now: Timestamp) -> Result<Option<OperationId>> {
        if spec.request.as_ref().is_some_and(|request| request.len() > LONGEST_KEY) {
            return Err(JournalError::Forbidden(format!("a key has at most {LONGEST_KEY} bytes")));
        }
        if let Some(before) = spec.request.as_ref().and_then(|request| self.asked(request)) {
            return if before.spec == *spec {
                Ok(Some(before.id))
            } else {
                Err(JournalError::Forbidden(format!("this key asked for operation {} before", before.id)))
            };
        }
        if self.scene.operation.is_some() {
            return Ok(None);
        }
        self.last_operation += 1;
        let id = OperationId(self.last_operation);
        self.scene.operation = Some(Operation::begin(id, spec.clone(), now));
        let drilled = spec.request.as_deref().and_then(drilled);
        let last = &mut self.scene.world.observed.last_drill;
        *last = (*last).max(drilled);
        Ok(Some(id))
    }

    /// The operation that was asked for under this key.
    fn asked(&self, request: &str) -> Option<&Operation> {
        let all = self.running().into_iter().chain(self.ended.values());
        all.into_iter().find(|one| one.spec.request.as_deref() == Some(request))
    }

    /// See [`crate::Journal::apply`].
    pub fn apply(&mut self, effect: &Effect) -> Result<Applied> {
        let current = self.scene.operation.as_ref();
        if !current.is_some_and(|now| now.id == effect.operation && now.version == effect.version) {
            return Ok(Applied::Stale);
        }
        match &effect.change {
            Change::Region { expect, .. } | Change::Map { expect, .. } if *expect != self.version() => {
                Ok(Applied::Stale)
            }
            Change::Region { region, to, held_by, .. } => {
                self.change_region(region, |row| (row.state, row.held_by) = (*to, *held_by))?;
                Ok(Applied::Yes)
            }
            Change::Map { rows, .. } => self.change_map(rows),
            Change::Journal(next) => Ok(self.journal(next)),
        }
    }

    /// See [`crate::Journal::abort`].
    pub fn abort(&mut self, operation: OperationId, why: &str) -> Applied {
        match &mut self.scene.operation {
            Some(running) if running.id == operation && running.abort.is_none() => {
                running.abort = Some(why.chars().take(LONGEST_WHY).collect());
                running.version += 1;
                Applied::Yes
            }
            _ => Applied::Stale,
        }
    }

    /// See [`crate::Journal::operation`].
    pub fn operation(&self, operation: OperationId) -> Option<&Operation> {
        self.running().filter(|running| running.id == operation).or_else(|| self.ended.get(&operation))
    }

    /// See [`crate::Journal::operations`].
    pub fn operations(&self, most: u32) -> Vec<Operation> {
        let all = self.running().into_iter().chain(self.ended.values().rev());
        all.take(usize::try_from(most).unwrap_or(usize::MAX)).cloned().collect()
    }

    /// See [`crate::Journal::note`].
    pub fn note(&mut self, operation: OperationId, audit: &Audit) -> Applied {
        let Some(ended) = self.ended.get_mut(&operation) else { return Applied::Stale };
        let mut noted = ended.audit.clone().unwrap_or_default();
        for (rule, found) in &audit.rules {
            noted.rules.entry(rule.clone()).or_insert(*found);
        }
        if noted.rules.is_empty() || ended.audit.as_ref() == Some(&noted) {
            return Applied::Stale;
        }
        ended.audit = Some(noted);
        ended.version += 1;
        Applied::Yes
    }

    /// See [`crate::Journal::take`].
    pub fn take(&mut self, shard: Shard, worker: &Instance, ttl: Duration, now: Timestamp) -> Option<Epoch> {
        let last = self.scene.world.observed.leases.get(&shard);
        if !self.works(shard, worker, now) || last.is_some_and(|lease| lease.held(now)) {
            return None;
        }
        let epoch = Epoch(last.map_or(0, |lease| lease.epoch.0) + 1);
        let lease = Lease { holder: worker.clone(), epoch, expires_at: now.plus(ttl) };
        self.scene.world.observed.leases.insert(shard, lease);
        Some(epoch)
    }

    /// See [`crate::Journal::renew`].
    pub fn renew(
        &mut self,
        shard: Shard,
        worker: &Instance,
        epoch: Epoch,
        ttl: Duration,
        now: Timestamp,
    ) -> Applied {
        if !self.works(shard, worker, now) {
            return Applied::Stale;
        }
        match self.lease(shard, worker, epoch).filter(|lease| lease.held(now)) {
            Some(lease) => {
                lease.expires_at = now.plus(ttl);
                Applied::Yes
            }
            None => Applied::Stale,
        }
    }

    /// See [`crate::Journal::release`].
    pub fn release(&mut self, shard: Shard, worker: &Instance, epoch: Epoch, now: Timestamp) -> Applied {
        match self.lease(shard, worker, epoch) {
            Some(lease) => {
                lease.expires_at = lease.expires_at.min(now);
                Applied::Yes
            }
            None => Applied::Stale,
        }
    }

    /// See [`crate::Journal::work`].
    pub fn work(
        &mut self,
        worker: &Instance,
        ttl: Duration,
        busy: &BTreeSet<Shard>,
        now: Timestamp,
    ) -> BTreeMap<Shard, Epoch> {
        let (world, mut held) = (&self.scene.world, BTreeMap::new());
        let wishes: Vec<(Shard, Wish)> = world
            .observed
            .shards
            .iter()
            .map(|(shard, row)| {
                let mine = world.works(row, &worker.region, now);
                (*shard, wish(worker, mine, world.observed.leases.get(shard), now))
            })
            .collect();
        for (shard, wish) in wishes {
            match wish {
                Wish::Take => {
                    held.extend(self.take(shard, worker, ttl, now).map(|epoch| (shard, epoch)));
                }
                Wish::Renew(epoch) => {
                    held.extend(
                        (self.renew(shard, worker, epoch, ttl, now) == Applied::Yes)
                            .then_some((shard, epoch)),
                    );
                }
                Wish::Release(epoch) if busy.contains(&shard) => drop(held.insert(shard, epoch)),
                Wish::Release(epoch) => {
                    let _ = self.release(shard, worker, epoch, now);
                }
                Wish::Nothing => {}
            }
        }
        held
    }

    /// See [`crate::Journal::resign`].
    pub fn resign(&mut self, worker: &Instance, now: Timestamp) {
        let leases = self.scene.world.observed.leases.values_mut().chain(&mut self.scene.leader);
        for lease in leases.filter(|lease| lease.holder == *worker) {
            lease.expires_at = lease.expires_at.min(now);
        }
    }

    /// See [`crate::Journal::sight`].
    pub fn sight(&mut self, subject: &Region, observer: &Region, verdict: Verdict, now: Timestamp) {
        let fresh_for = self.scene.world.desired.policy.movement.fresh_for;
        let sightings = &mut self.scene.world.observed.sightings;
        let key = (subject.clone(), observer.clone());
        let goes_on = sightings
            .get(&key)
            .filter(|last| last.verdict == verdict && now.since(last.seen_at) <= fresh_for)
            .map(|last| last.since);
        sightings.insert(key, Sighting { verdict, since: goes_on.unwrap_or(now), seen_at: now });
    }

    /// See [`crate::Journal::say`].
    pub fn say(&mut self, region: &Region, vitals: Vitals, now: Timestamp) {
        self.scene.world.observed.vitals.insert(region.clone(), vitals);
        self.sight(region, region, Verdict::Up, now);
    }

    /// See [`crate::Journal::report`].
    pub fn report(&mut self, me: &Region, seen: &BTreeMap<Region, Verdict>, vitals: Vitals, now: Timestamp) {
        for (subject, verdict) in seen {
            self.sight(subject, me, *verdict, now);
        }
        self.say(me, vitals, now);
    }

    const fn version(&self) -> MapVersion {
        self.scene.world.observed.version
    }

    fn grow(&mut self) -> MapVersion {
        let version = self.version().next();
        self.scene.world.observed.version = version;
        version
    }

    fn region(&mut self, region: &Region) -> Result<&mut RegionRow> {
        let row = self.scene.world.desired.regions.get_mut(region);
        row.ok_or_else(|| JournalError::Forbidden(format!("there is no region {region}")))
    }

    fn change_region(&mut self, region: &Region, change: impl FnOnce(&mut RegionRow)) -> Result<()> {
        let row = self.region(region)?;
        change(row);
        row.version += 1;
        self.grow();
        Ok(())
    }

    fn change_map(&mut self, rows: &BTreeMap<Shard, (Region, Placing)>) -> Result<Applied> {
        if let Some(shard) = rows.keys().find(|shard| !self.scene.world.observed.shards.contains_key(shard)) {
            return Err(JournalError::Forbidden(format!("there is no shard {shard}")));
        }
        let version = self.grow();
        for (shard, (home, placing)) in rows {
            if let Some(row) = self.scene.world.observed.shards.get_mut(shard) {
                (row.home, row.placing, row.version) = (home.clone(), placing.clone(), version);
            }
        }
        Ok(Applied::Yes)
    }

    fn journal(&mut self, next: &Operation) -> Applied {
        if next.ended() {
            self.scene.operation = None;
            self.ended.insert(next.id, next.clone());
        } else {
            self.scene.operation = Some(next.clone());
        }
        Applied::Yes
    }

    /// Whether the shard's work is that of the worker's region.
    fn works(&self, shard: Shard, worker: &Instance, now: Timestamp) -> bool {
        let world = &self.scene.world;
        world.observed.shards.get(&shard).is_some_and(|row| world.works(row, &worker.region, now))
    }

    fn lease(&mut self, shard: Shard, worker: &Instance, epoch: Epoch) -> Option<&mut Lease> {
        let lease = self.scene.world.observed.leases.get_mut(&shard)?;
        (lease.holder == *worker && lease.epoch == epoch).then_some(lease)
    }
}
