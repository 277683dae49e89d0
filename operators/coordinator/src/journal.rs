//! The port to storage.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use kernel::{Epoch, Region, Shard};
use placement::{
    Audit, Desired, Effect, Events, Instance, Jurisdiction, Lease, MapVersion, Operation, OperationId,
    Policy, RegionSpec, Servers, Spec, State, Verdict, Vitals, World,
};

/// Why storage did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// No answer: the change was made, or not. Look again.
    #[error("no answer from the journal: {0}")]
    Unreachable(String),
    /// Against a rule, whatever the moment.
    #[error("{0}")]
    Forbidden(String),
}

/// What storage answers.
pub type Result<T> = std::result::Result<T, JournalError>;

/// What came of a compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Applied {
    /// Done, whole.
    Yes,
    /// Nothing was done: what was compared has changed. Look again.
    Stale,
}

/// Everything a coordinator looks at, of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scene {
    /// Desired and observed.
    pub world: World,
    /// The operation that runs.
    pub operation: Option<Operation>,
    /// Who leads, or led last.
    pub leader: Option<Lease>,
}

/// Storage of the map, the regions, the leases and the operations. Times are by the storage's own clock. Every method is
/// one transaction; none needs another to have gone before.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Writes the first map: settled, version 1. Stale when there is one.
    async fn found(
        &self,
        desired: &Desired,
        homes: &BTreeMap<Shard, (Region, Jurisdiction)>,
    ) -> Result<Applied>;

    /// Everything, of one moment.
    async fn read(&self) -> Result<Scene>;

    /// Takes or renews the leadership for `ttl` from now. None: another one has it. Its epoch grows when it changes hands.
    async fn lead(&self, candidate: &Instance, ttl: Duration) -> Result<Option<Epoch>>;

    /// Begins an operation, in preflight. None: another one runs. Asked again under the same key ([`Spec::request`]) it
    /// begins nothing and answers as before. Forbidden: the key came with another spec.
    async fn begin(&self, spec: &Spec) -> Result<Option<OperationId>>;

    /// Makes a change of the running operation. Stale when the operation has another version or has ended, or the map
    /// another version than the change expects. An operation that is journalled as ended runs no more and stays readable.
    async fn apply(&self, effect: &Effect) -> Result<Applied>;

    /// Asks the running operation to end; its version grows, so no change decided before can still be made. Stale when it
    /// does not run, or was asked before.
    async fn abort(&self, operation: OperationId, why: &str) -> Result<Applied>;

    /// An operation, running or ended.
    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>>;

    /// The operations that began last, the latest first.
    async fn operations(&self, most: u32) -> Result<Vec<Operation>>;

    /// How many events of these shards wait. None where storage has no events, or does not count them in time: whoever asks
    /// goes on without.
    async fn events(&self, shards: &BTreeSet<Shard>) -> Result<Option<Events>>;

    /// The database's servers, by region. None where it does not place rows by region, or does not say in time: whoever asks
    /// goes on without.
    async fn servers(&self) -> Result<BTreeMap<Region, Servers>>;

    /// Notes what the audit found after an operation; of each rule the first word counts. Stale where it has not ended, or all
    /// of it was noted before.
    async fn note(&self, operation: OperationId, audit: &Audit) -> Result<Applied>;

    /// A person changes a region's state; `expect` is the version of its row. The map's version grows, and an operation that
    /// holds the region loses it. Forbidden: a region that is out becoming active at once.
    async fn set_state(&self, region: &Region, expect: u64, to: State) -> Result<Applied>;

    /// A person describes a region, a new one (`expect` none) or one that is there. The map's version grows.
    async fn put_region(&self, region: &Region, expect: Option<u64>, spec: &RegionSpec) -> Result<Applied>;

    /// A person says how shards are to move and where they are pinned. The map's version grows.
    async fn put_policy(&self, expect: MapVersion, policy: &Policy) -> Result<Applied>;

    /// A person says under whose law shards are. The map's version grows. Forbidden: a shard that is not there, or whose home,
    /// next home or pin keeps no data of that jurisdiction.
    async fn put_law(
        &self,
        expect: MapVersion,
        shards: &BTreeSet<Shard>,
        law: &Jurisdiction,
    ) -> Result<Applied>;

    /// Takes a shard's lease that is free or has run out, under the next epoch. None: it is held, or the shard's work is
    /// not that of the worker's region ([`placement::World::works`]).
    async fn take(&self, shard: Shard, worker: &Instance, ttl: Duration) -> Result<Option<Epoch>>;

    /// Holds on to a lease until `ttl` from now. Stale when it was taken under another epoch or by another worker, when it
    /// has run out, and when the shard's work is not its region's any more: a holder that is left behind runs out within its `ttl`.
    async fn renew(&self, shard: Shard, worker: &Instance, epoch: Epoch, ttl: Duration) -> Result<Applied>;

    /// Gives a lease back. Stale when it is another's or was taken under another epoch.
    async fn release(&self, shard: Shard, worker: &Instance, epoch: Epoch) -> Result<Applied>;

    /// Everything a worker wishes ([`placement::wish`]) about all leases at once: takes what is free and its region's to
    /// do, renews what it holds, gives back what is not its region's any more, but for the `busy` ones, on which it works
    /// at this moment. Answers what it holds then.
    async fn work(
        &self,
        worker: &Instance,
        ttl: Duration,
        busy: &BTreeSet<Shard>,
    ) -> Result<BTreeMap<Shard, Epoch>>;

    /// Gives back every lease of an instance that ends, the leadership with them.
    async fn resign(&self, instance: &Instance) -> Result<()>;

    /// Writes down what `observer` sees of `subject`. The same verdict within the time that sightings stay fresh goes on
    /// from where it began; after a longer silence it begins anew.
    async fn sight(&self, subject: &Region, observer: &Region, verdict: Verdict) -> Result<()>;

    /// Writes down what a region says about itself; when it does is kept as a sighting of itself, up.
    async fn say(&self, region: &Region, vitals: Vitals) -> Result<()>;

    /// Both at once: what a region sees of the others, and what it says about itself.
    async fn report(&self, me: &Region, seen: &BTreeMap<Region, Verdict>, vitals: Vitals) -> Result<()>;
}
