//! What the audit found after an operation comes into its journal.
//!
//! The audits of all domains are jobs, each in whichever process has its domain, so no process can ask them all; what they
//! found is in the history of jobs, and is read there.

use std::{sync::Arc, time::Duration};

use coordinator::{Applied, Journal};
use kernel::{Result, Timestamp};
use placement::{Audit, Found, Operation, report};
use platform_db::{Db, DbResult};
use platform_runtime::Job;
use sea_orm_migration::sea_orm::{ConnectionTrait, Statement};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(15);
/// How many operations it looks after, the last ones.
const LAST: u32 = 8;
/// For how long after the end of each.
const WINDOW: Duration = Duration::from_secs(3_600);

/// The job.
pub(super) fn job(db: &Db, journal: Arc<dyn Journal>) -> Job {
    let db = db.clone();
    Job::every("region.report", EVERY, move |run| {
        let (db, journal) = (db.clone(), Arc::clone(&journal));
        async move {
            let noted = note(&db, &*journal, run.now()).await?;
            Ok(format!("{noted} noted"))
        }
    })
}

/// Notes what is new; for how many operations there was something.
async fn note(db: &Db, journal: &dyn Journal, now: Timestamp) -> Result<usize> {
    let mut noted = 0;
    for operation in journal.operations(LAST).await.map_err(super::failure)? {
        let ended_at = report(&operation).and_then(|report| report.ended_at);
        let Some(ended_at) = ended_at.filter(|ended_at| now.since(*ended_at) <= WINDOW) else { continue };
        let audit = found(db, ended_at).await?;
        if is_new(&operation, &audit)
            && journal.note(operation.id, &audit).await.map_err(super::failure)? == Applied::Yes
        {
            noted += 1;
        }
    }
    Ok(noted)
}

fn is_new(operation: &Operation, audit: &Audit) -> bool {
    let known = |rule: &String| operation.audit.as_ref().is_some_and(|noted| noted.rules.contains_key(rule));
    audit.rules.keys().any(|rule| !known(rule))
}

/// What the first looks found that began after `since`, by the clocks of the processes that looked.
async fn found(db: &Db, since: Timestamp) -> Result<Audit> {
    let sql = "SELECT message, finished_at FROM job_run WHERE job LIKE 'audit.%' AND started_at >= ? AND ok = ? \
               AND finished_at IS NOT NULL ORDER BY started_at";
    let read = db.read();
    let values = [since.micros().into(), true.into()];
    let statement = Statement::from_sql_and_values(read.get_database_backend(), sql, values);
    let mut audit = Audit::default();
    for row in read.query_all_raw(statement).await.db()? {
        let message: String = row.try_get_by_index(0).db()?;
        let at = Timestamp::from_micros(row.try_get_by_index(1).db()?);
        for (rule, looked_at, wrong) in said(&message) {
            audit.rules.entry(rule.to_owned()).or_insert(Found { at, looked_at, wrong });
        }
    }
    Ok(audit)
}

/// The rules that an audit's message names: `order.sums 0 of 12 wrong, order.hold 0 of 12 wrong`. What is said in other words
/// is not understood, and left out.
fn said(message: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    message.split(", ").filter_map(|part| {
        let (rule, counts) = part.strip_suffix(" wrong")?.split_once(' ')?;
        let (wrong, looked_at) = counts.split_once(" of ")?;
        Some((rule, looked_at.parse().ok()?, wrong.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use coordinator::MemoryJournal;
    use kernel::{Clock, FakeClock, Shard};
    use placement::{Change, Kind, Outcome, Phase, Spec};

    use super::*;
    use crate::{DEFAULT_CONFIGURATION, Settings, compose::open_database};

    async fn ran(db: &Db, job: &'static str, at: i64, ok: bool, message: &'static str) {
        let run = (job, at, ok, message);
        let write = db.write(Shard::new(0), run, |tx, (job, at, ok, message)| {
            Box::pin(async move {
                let sql = "INSERT INTO job_run (id, job, started_at, finished_at, ok, message, holder) \
                           VALUES (?, ?, ?, ?, ?, ?, 'a')";
                let id = tx.ids().uuid(Shard::new(0));
                let values = [
                    id.into(),
                    (*job).into(),
                    (*at).into(),
                    (*at + 5).into(),
                    (*ok).into(),
                    (*message).into(),
                ];
                let insert = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
                tx.execute_raw(insert).await.db().map(|_| ())
            })
        });
        write.await.unwrap();
    }

    #[test]
    fn an_audits_message_is_understood() {
        let all: Vec<_> = said("order.sums 0 of 12 wrong, order.hold 3 of 4 wrong, busy").collect();
        assert_eq!(all, [("order.sums", 12, 0), ("order.hold", 4, 3)]);
        assert_eq!(said("").count(), 0);
    }

    #[tokio::test]
    async fn the_first_look_after_the_end_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let config = platform_runtime::Config::builder(DEFAULT_CONFIGURATION).build().unwrap();
        let settings = Settings { data: folder.path().to_path_buf(), config };
        let db = open_database(&settings).await.unwrap();
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_000)));
        let journal = MemoryJournal::new(clock.clone());
        let drill = Kind::Drill { region: kernel::Region::new("eu") };
        let id = journal.begin(&Spec::asked("ada", drill)).await.unwrap().unwrap();
        let mut ended = journal.operation(id).await.unwrap().unwrap();
        let first = ended.timeline[0].clone();
        ended.timeline.push(placement::Entry { phase: "taking".into(), ..first.clone() });
        ended.timeline.push(placement::Entry { phase: "ended".into(), ..first });
        (ended.phase, ended.version) = (Phase::Ended(Outcome::Done { late: [].into() }), 1);
        let change = Change::Journal(Box::new(ended));
        let effect = placement::Effect { operation: id, version: 0, change };
        assert_eq!(journal.apply(&effect).await, Ok(Applied::Yes));

        ran(&db, "audit.orders", 900, true, "order.sums 7 of 7 wrong").await;
        ran(&db, "audit.stock", 2_000, false, "stock.ledger 1 of 1 wrong").await;
        ran(&db, "order.expire", 2_000, true, "order.sums 9 of 9 wrong").await;
        assert_eq!(note(&db, &journal, clock.now()).await.unwrap(), 0, "before it, failed, no audit");
        ran(&db, "audit.orders", 2_000, true, "order.sums 0 of 12 wrong").await;
        ran(&db, "audit.orders", 3_000, true, "order.sums 1 of 12 wrong").await;
        assert_eq!(note(&db, &journal, clock.now()).await.unwrap(), 1);
        assert_eq!(note(&db, &journal, clock.now()).await.unwrap(), 0, "nothing new");
        let noted = journal.operation(id).await.unwrap().unwrap().audit.unwrap();
        let sums = Found { at: Timestamp::from_micros(2_005), looked_at: 12, wrong: 0 };
        assert_eq!(noted.rules, [("order.sums".to_owned(), sums)].into());
        assert!(noted.held());
        ran(&db, "audit.stock", 4_000, true, "stock.ledger 1 of 3 wrong").await;
        assert_eq!(note(&db, &journal, clock.now().plus(WINDOW * 2)).await.unwrap(), 0, "long ago");
        assert_eq!(note(&db, &journal, clock.now()).await.unwrap(), 1);
        assert!(!journal.operation(id).await.unwrap().unwrap().audit.unwrap().held());
    }
}
