//! A journal's tables to a [`Store`] and back. Portable: `?` marks, and `REPLACE`, which both databases have.

use std::time::Duration;

use kernel::{Epoch, Failure, Region, Result, Shard, Timestamp};
use placement::{
    Instance, Jurisdiction, Lease, MapVersion, Operation, OperationId, Placing, RegionRow, ShardRow,
    Sighting, State, Verdict, Vitals, drill_keys, drilled,
};
use platform_db::{DbResult, Tx};
use sea_orm::{ConnectionTrait, QueryResult, Statement, TryGetable, Value};
use serde::{Serialize, de::DeserializeOwned};

use crate::Store;

/// The key of the journal's one row.
const ONE: i32 = 1;
/// Rows in one statement: few different texts are prepared, and marks stay far below what the databases take.
const ROWS: usize = 64;

const JOURNAL: &[&str] = &[
    "id",
    "version",
    "policy",
    "running",
    "last_operation",
    "leader_region",
    "leader_instance",
    "leader_epoch",
    "leader_until",
];
const REGION: &[&str] = &["name", "state", "held_by", "spec", "version", "relay_lag", "burning"];
const SHARD: &[&str] = &["shard", "home", "jurisdiction", "target", "map_version"];
const LEASE: &[&str] = &["shard", "holder_region", "holder_instance", "epoch", "expires_at"];
const OBSERVATION: &[&str] = &["region", "observer", "up", "since", "seen_at"];
const OPERATION: &[&str] = &["id", "kind", "phase", "request", "body"];
const STEP: &[&str] = &["operation", "step", "phase", "detail", "began_at", "ended_at"];

/// Everything but the operations that have ended. The journal's one row comes first: through a [`Tx`] it is locked by that,
/// so what is read after it stays as it is.
pub(super) async fn load<C: ConnectionTrait>(at: &C) -> Result<Store> {
    let mut store = Store::default();
    let sql = format!("SELECT {} FROM region_journal WHERE id = ?", JOURNAL.join(", "));
    let running = match query(at, &sql, vec![ONE.into()]).await?.first() {
        None => None,
        Some(row) => load_head(&mut store, row)?,
    };
    load_regions(at, &mut store).await?;
    load_shards(at, &mut store).await?;
    let sql = format!("SELECT {} FROM observation", OBSERVATION.join(", "));
    for row in query(at, &sql, Vec::new()).await? {
        let verdict = if get(&row, 2)? { Verdict::Up } else { Verdict::Down };
        let sighting = Sighting { verdict, since: time(&row, 3)?, seen_at: time(&row, 4)? };
        store.scene.world.observed.sightings.insert((region(&row, 0)?, region(&row, 1)?), sighting);
    }
    if store.scene.world.desired.policy.drills.is_some() {
        store.scene.world.observed.last_drill = last_drill(at).await?;
    }
    if let Some(running) = running {
        store.scene.operation = operation(at, running).await?;
    }
    Ok(store)
}

/// The journal's one row; which operation runs.
fn load_head(store: &mut Store, row: &QueryResult) -> Result<Option<OperationId>> {
    store.scene.world.observed.version = MapVersion(number(row, 1)?);
    store.scene.world.desired.policy = json(row, 2)?;
    store.last_operation = number(row, 4)?;
    let epoch = Epoch(number(row, 7)?);
    if epoch > Epoch(0) {
        let holder = Instance::new(region(row, 5)?, get::<String>(row, 6)?);
        store.scene.leader = Some(Lease { holder, epoch, expires_at: time(row, 8)? });
    }
    Ok(maybe(row, 3)?.map(OperationId))
}

async fn load_regions<C: ConnectionTrait>(at: &C, store: &mut Store) -> Result<()> {
    let world = &mut store.scene.world;
    let sql = format!("SELECT {} FROM region", REGION.join(", "));
    for row in query(at, &sql, Vec::new()).await? {
        let name = region(&row, 0)?;
        let stored = RegionRow {
            spec: json(&row, 3)?,
            state: state(&get::<String>(&row, 1)?)?,
            held_by: maybe(&row, 2)?.map(OperationId),
            version: number(&row, 4)?,
        };
        if let (Some(lag), Some(burning)) = (maybe(&row, 5)?, get(&row, 6)?) {
            let vitals = Vitals { relay_lag: Duration::from_micros(lag), burning };
            world.observed.vitals.insert(name.clone(), vitals);
        }
        world.desired.regions.insert(name, stored);
    }
    Ok(())
}

async fn load_shards<C: ConnectionTrait>(at: &C, store: &mut Store) -> Result<()> {
    let observed = &mut store.scene.world.observed;
    let sql = "SELECT m.shard, m.home, m.jurisdiction, m.target, m.map_version, \
               l.holder_region, l.holder_instance, l.epoch, l.expires_at \
               FROM shard_map m LEFT JOIN work_lease l ON l.shard = m.shard";
    for row in query(at, sql, Vec::new()).await? {
        let shard = Shard::new(u16::try_from(get::<i32>(&row, 0)?).map_err(Failure::internal)?);
        let placing = match get::<Option<String>>(&row, 3)? {
            None => Placing::Settled,
            Some(target) => Placing::Moving { target: Region::new(target) },
        };
        let stored = ShardRow {
            home: region(&row, 1)?,
            jurisdiction: Jurisdiction::new(get::<String>(&row, 2)?),
            placing,
            version: MapVersion(number(&row, 4)?),
        };
        observed.shards.insert(shard, stored);
        if let Some(epoch) = maybe(&row, 7)? {
            let holder = Instance::new(region(&row, 5)?, get::<String>(&row, 6)?);
            observed.leases.insert(shard, Lease { holder, epoch: Epoch(epoch), expires_at: time(&row, 8)? });
        }
    }
    Ok(())
}

/// The week of the last drill that began by schedule: it is in the key that it was asked for under.
async fn last_drill<C: ConnectionTrait>(at: &C) -> Result<Option<u64>> {
    let (from, until) = drill_keys();
    let sql = "SELECT request FROM operation WHERE request > ? AND request < ? ORDER BY request DESC LIMIT 1";
    let rows = query(at, sql, vec![from.into(), until.into()]).await?;
    let last = rows.first().map(|row| get::<String>(row, 0)).transpose()?;
    Ok(last.as_deref().and_then(drilled))
}

/// An operation, running or ended.
pub(super) async fn operation<C: ConnectionTrait>(at: &C, id: OperationId) -> Result<Option<Operation>> {
    // No operation has a number that a column cannot hold.
    let Ok(number) = i64::try_from(id.0) else { return Ok(None) };
    let rows = query(at, "SELECT body FROM operation WHERE id = ?", vec![number.into()]).await?;
    rows.first().map(|row| json(row, 0)).transpose()
}

/// The operations that began last, the latest first.
pub(super) async fn operations<C: ConnectionTrait>(at: &C, most: u32) -> Result<Vec<Operation>> {
    let rows = query(at, "SELECT body FROM operation ORDER BY id DESC LIMIT ?", vec![most.into()]).await?;
    rows.iter().map(|row| json(row, 0)).collect()
}

/// The operation that was asked for under a key.
pub(super) async fn asked(tx: &Tx, request: &str) -> Result<Option<Operation>> {
    let rows = query(tx, "SELECT body FROM operation WHERE request = ?", vec![request.into()]).await?;
    rows.first().map(|row| json(row, 0)).transpose()
}

/// Writes what differs.
pub(super) async fn save(tx: &Tx, before: &Store, after: &Store) -> Result<()> {
    let head = head(after)?;
    if head != self::head(before)? {
        replace(tx, "region_journal", JOURNAL, vec![head]).await?;
    }
    let mut rows = Vec::new();
    for name in after.scene.world.desired.regions.keys() {
        let row = region_row(after, name)?;
        if row != region_row(before, name)? {
            rows.extend(row);
        }
    }
    replace(tx, "region", REGION, rows).await?;
    let (old, new) = (&before.scene.world.observed, &after.scene.world.observed);
    let mut rows = Vec::new();
    for (shard, row) in new.shards.iter().filter(|(shard, row)| old.shards.get(shard) != Some(*row)) {
        rows.push(shard_row(*shard, row)?);
    }
    replace(tx, "shard_map", SHARD, rows).await?;
    let mut rows = Vec::new();
    for (shard, lease) in new.leases.iter().filter(|(shard, row)| old.leases.get(shard) != Some(*row)) {
        rows.push(lease_row(*shard, lease)?);
    }
    replace(tx, "work_lease", LEASE, rows).await?;
    let seen = new.sightings.iter().filter(|(key, row)| old.sightings.get(key) != Some(*row));
    let rows = seen.map(|((subject, observer), sighting)| {
        vec![
            subject.as_str().into(),
            observer.as_str().into(),
            (sighting.verdict == Verdict::Up).into(),
            sighting.since.micros().into(),
            sighting.seen_at.micros().into(),
        ]
    });
    replace(tx, "observation", OBSERVATION, rows.collect()).await?;
    save_operations(tx, before, after).await
}

async fn save_operations(tx: &Tx, before: &Store, after: &Store) -> Result<()> {
    let all = after.scene.operation.iter().chain(after.ended.values());
    for one in all.filter(|one| before.operation(one.id) != Some(*one)) {
        let row = vec![
            signed(one.id.0)?,
            one.spec.kind.name().into(),
            one.phase.name().into(),
            one.spec.request.clone().into(),
            text(one)?,
        ];
        replace(tx, "operation", OPERATION, vec![row]).await?;
        // The step that was the last one has an end now.
        let known = before.operation(one.id).map_or(0, |old| old.timeline.len().saturating_sub(1));
        let mut steps = Vec::new();
        for (at, entry) in one.timeline.iter().enumerate().skip(known) {
            let last = one.ended().then_some(entry.at);
            let ended = one.timeline.get(at + 1).map(|next| next.at).or(last);
            steps.push(vec![
                signed(one.id.0)?,
                i32::try_from(at).map_err(Failure::internal)?.into(),
                entry.phase.as_str().into(),
                entry.detail.as_str().into(),
                entry.at.micros().into(),
                ended.map(Timestamp::micros).into(),
            ]);
        }
        replace(tx, "operation_step", STEP, steps).await?;
    }
    Ok(())
}

fn head(store: &Store) -> Result<Vec<Value>> {
    let leader = store.scene.leader.as_ref();
    Ok(vec![
        ONE.into(),
        signed(store.scene.world.observed.version.0)?,
        text(&store.scene.world.desired.policy)?,
        store
            .scene
            .operation
            .as_ref()
            .map(|one| i64::try_from(one.id.0))
            .transpose()
            .map_err(Failure::internal)?
            .into(),
        signed(store.last_operation)?,
        leader.map_or("", |lease| lease.holder.region.as_str()).into(),
        leader.map_or("", |lease| lease.holder.name.as_str()).into(),
        signed(leader.map_or(0, |lease| lease.epoch.0))?,
        leader.map_or(0, |lease| lease.expires_at.micros()).into(),
    ])
}

fn region_row(store: &Store, name: &Region) -> Result<Option<Vec<Value>>> {
    let world = &store.scene.world;
    let Some(row) = world.desired.regions.get(name) else { return Ok(None) };
    let vitals = world.observed.vitals.get(name);
    let lag = vitals.map(|vitals| i64::try_from(vitals.relay_lag.as_micros())).transpose();
    let held_by = row.held_by.map(|held| i64::try_from(held.0)).transpose();
    Ok(Some(vec![
        name.as_str().into(),
        row.state.name().into(),
        held_by.map_err(Failure::internal)?.into(),
        text(&row.spec)?,
        signed(row.version)?,
        lag.map_err(Failure::internal)?.into(),
        vitals.map(|vitals| vitals.burning).into(),
    ]))
}

fn shard_row(shard: Shard, row: &ShardRow) -> Result<Vec<Value>> {
    let target = match &row.placing {
        Placing::Settled => None,
        Placing::Moving { target } => Some(target.as_str().to_owned()),
    };
    Ok(vec![
        i32::from(shard.number()).into(),
        row.home.as_str().into(),
        row.jurisdiction.as_str().into(),
        target.into(),
        signed(row.version.0)?,
    ])
}

fn lease_row(shard: Shard, lease: &Lease) -> Result<Vec<Value>> {
    Ok(vec![
        i32::from(shard.number()).into(),
        lease.holder.region.as_str().into(),
        lease.holder.name.as_str().into(),
        signed(lease.epoch.0)?,
        lease.expires_at.micros().into(),
    ])
}

fn state(name: &str) -> Result<State> {
    let found = State::ALL.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| Failure::internal(format!("no state of a region: {name}")))
}

async fn query<C: ConnectionTrait>(at: &C, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>> {
    at.query_all_raw(Statement::from_sql_and_values(at.get_database_backend(), sql, values)).await.db()
}

async fn replace(tx: &Tx, table: &str, columns: &[&str], rows: Vec<Vec<Value>>) -> Result<()> {
    for rows in rows.chunks(ROWS) {
        let marks = format!("({})", vec!["?"; columns.len()].join(","));
        let sql = format!(
            "REPLACE INTO {table} ({}) VALUES {}",
            columns.join(","),
            vec![marks.as_str(); rows.len()].join(",")
        );
        let values = rows.iter().flatten().cloned();
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await.db()?;
    }
    Ok(())
}

fn get<T: TryGetable>(row: &QueryResult, column: usize) -> Result<T> {
    row.try_get_by_index(column).db()
}

fn region(row: &QueryResult, column: usize) -> Result<Region> {
    Ok(Region::new(get::<String>(row, column)?))
}

fn time(row: &QueryResult, column: usize) -> Result<Timestamp> {
    Ok(Timestamp::from_micros(get(row, column)?))
}

fn number(row: &QueryResult, column: usize) -> Result<u64> {
    u64::try_from(get::<i64>(row, column)?).map_err(Failure::internal)
}

fn maybe(row: &QueryResult, column: usize) -> Result<Option<u64>> {
    get::<Option<i64>>(row, column)?.map(u64::try_from).transpose().map_err(Failure::internal)
}

fn json<T: DeserializeOwned>(row: &QueryResult, column: usize) -> Result<T> {
    serde_json::from_slice(&get::<Vec<u8>>(row, column)?).map_err(Failure::internal)
}

fn text(value: &impl Serialize) -> Result<Value> {
    Ok(serde_json::to_vec(value).map_err(Failure::internal)?.into())
}

fn signed(number: u64) -> Result<Value> {
    Ok(i64::try_from(number).map_err(Failure::internal)?.into())
}
