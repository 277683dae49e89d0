//! Runs that read only what the source changed since the last one.
//!
//! Invariants:
//! - What a run begins is noted by the source's clock before it reads anything. The next one looks back behind that moment by
//!   the mapping's overlap: a row that was written meanwhile, or by a transaction that was open then, is read by one of both.
//! - A row is made of several tables' rows. It is read again when any of them changed, so a table is read by its changes only
//!   where all that it is made of tell them.
//! - Rows that were refused are read again: the reason may lie in another row.
//! - Whatever else decides what a row becomes (the mapping, the version, brands and categories) is part of a digest; where it
//!   is another one than last time, every row is read.
//!
//! A row that is gone from the source changes nothing there: no run sees it, `verify` does.

use contracts::intake::{Digest, digest};
use kernel::{Result, Timestamp};
use platform_db::Db;

use crate::{
    feed::{Reading, Table, keys_of},
    mapping::Mapping,
    report::Mode,
    store::{self, Clocks, Part, ProgressRow},
    taxonomy::Taxonomy,
    values::Record,
};

/// Refused rows that are read again one by one; of a table with more, every row is read.
const AGAIN: usize = 100_000;
/// Of which version it is that maps rows: another one may map them otherwise.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What rows are made of, by table; itself first.
const USERS: &[Part] = &[own("users", "id"), own("user_addresses", "user_id")];
const PRODUCTS: &[Part] = &[own("products", "id"), own("skus", "product_id")];
const SKUS: &[Part] = &[own("skus", "id")];
const ORDERS: &[Part] = &[
    own("orders", "id"),
    own("order_items", "order_id"),
    own("payments", "order_id"),
    REFUNDS,
    // Lines lead to the pages of products as they are called now.
    Part { of: "products", key: ("order_items", "order_id"), through: Some(("id", "product_id")) },
];
const PAYMENTS: &[Part] = &[
    own("payments", "order_id"),
    REFUNDS,
    Part { of: "orders", key: ("payments", "order_id"), through: Some(("id", "order_id")) },
];
const REFUNDS: Part =
    Part { of: "refunds", key: ("payments", "order_id"), through: Some(("payment_id", "id")) };

const fn own(of: &'static str, column: &'static str) -> Part {
    Part { of, key: (of, column), through: None }
}

const fn parts(table: Table) -> &'static [Part] {
    match table {
        Table::Users => USERS,
        Table::Products => PRODUCTS,
        Table::Skus => SKUS,
        Table::Orders => ORDERS,
        Table::Payments => PAYMENTS,
    }
}

/// Whether all that a table's rows are made of tells when it changed.
fn tells(mapping: &Mapping, table: Table) -> bool {
    let mut there = parts(table).iter().filter(|part| mapping.has(part.of));
    there.all(|part| mapping.column(part.of, "updated_at").is_some())
}

/// How a table could be read by the run that begins.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) table: Table,
    pub(crate) digest: Digest,
    /// Whether its changes can be read, and it was not asked for every row.
    able: bool,
    /// Keys that were refused, where they can; in order.
    again: Vec<i64>,
}

/// What a run is to begin with.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The present moment by the source's clock.
    pub(crate) now: Timestamp,
    pub(crate) overlap: std::time::Duration,
    pub(crate) ways: Vec<Way>,
}

impl Asked {
    /// Looks at what was refused. `now`: of the source's clock, asked before anything was read.
    pub(crate) async fn of(
        from: Reading<'_>,
        db: &Db,
        taxonomy: &Taxonomy,
        now: Timestamp,
        full: bool,
    ) -> Result<Self> {
        let mapping = &from.mapper.mapping;
        let mut ways = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            let shelves = (table == Table::Products).then_some((&taxonomy.brands, &taxonomy.categories));
            let digest = digest(&(VERSION, mapping, table.name(), shelves))?;
            let mut way = Way { table, digest, able: !full && tells(mapping, table), again: Vec::new() };
            if way.able {
                let most = u64::try_from(AGAIN).unwrap_or(u64::MAX).saturating_add(1);
                let keys = store::refused(db.read(), &mapping.source, table.name(), most).await?;
                way.able = keys.len() <= AGAIN;
                way.again = keys.iter().filter_map(|key| key.parse().ok()).collect();
                way.again.sort_unstable();
            }
            ways.push(way);
        }
        Ok(Self { now, overlap: mapping.overlap(), ways })
    }

    fn way(&self, name: &str) -> Option<&Way> {
        self.ways.iter().find(|way| way.table.name() == name)
    }

    /// Whether a pass that is not over goes on: one that reads changes only as long as it still may.
    pub(crate) fn goes_on(&self, rows: &[ProgressRow]) -> bool {
        let still = |row: &ProgressRow| {
            row.since.is_none()
                || self
                    .way(&row.name)
                    .is_some_and(|way| way.able && row.way.as_deref() == Some(way.digest.as_slice()))
        };
        rows.len() == Table::ALL.len() && rows.iter().any(|row| !row.finished) && rows.iter().all(still)
    }

    /// From when on a new pass of a table reads changes; none where it reads every row.
    pub(crate) fn since(&self, way: &Way, rows: &[ProgressRow]) -> Option<Timestamp> {
        let last = rows.iter().find(|row| row.name == way.table.name())?;
        let same = last.way.as_deref() == Some(way.digest.as_slice());
        let mark = last.mark.filter(|_| way.able && same && last.finished)?;
        Some(Timestamp::from_micros(mark).minus(self.overlap))
    }

    /// How the next run reads a table: what goes on as it began, or a new pass.
    pub(crate) fn mode(&self, table: Table, rows: &[ProgressRow]) -> Mode {
        let since = if self.goes_on(rows) {
            rows.iter().find(|row| row.name == table.name()).and_then(ProgressRow::since)
        } else {
            self.way(table.name()).and_then(|way| self.since(way, rows))
        };
        Mode::of(since)
    }
}

impl ProgressRow {
    /// From when on this pass reads changes.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.since.map(Timestamp::from_micros)
    }
}

/// What a pass reads of a table, where that is not every row.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    since: Timestamp,
    /// Keys that are read whatever they changed, in order.
    again: Vec<i64>,
    clocks: Clocks,
}

impl Changes {
    /// Those of a table in this pass; none where every row is read.
    pub(crate) async fn of(
        from: Reading<'_>,
        table: Table,
        pass: &[ProgressRow],
        asked: &Asked,
    ) -> Result<Option<Self>> {
        let row = pass.iter().find(|row| row.name == table.name());
        let Some(since) = row.and_then(ProgressRow::since) else { return Ok(None) };
        let again = asked.way(table.name()).map(|way| way.again.clone()).unwrap_or_default();
        Ok(Some(Self { since, again, clocks: from.source.clocks(parts(table)).await? }))
    }
}

/// Rows that a batch is made of.
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    /// Keys that were asked for: a refused row among them may be gone.
    pub(crate) keys: Vec<String>,
    /// The last of them; none at the end.
    pub(crate) last: Option<i64>,
}

impl Page {
    /// Of rows that were read one after the other.
    pub(crate) fn of(table: Table, records: Vec<Record>) -> Result<Self> {
        // A key that is no such number is no end of the table.
        let position = |row: &Record| store::whole(table.name(), "id", row.get("id").unwrap_or_default());
        let last = records.last().map(position).transpose()?;
        Ok(Self { keys: keys_of(&records, "id"), records, last })
    }
}

impl Reading<'_> {
    /// Keys after `after` that this pass reads of a table, in order; none where it reads every row.
    async fn changed(&self, table: Table, after: i64, limit: usize) -> Result<Option<Vec<i64>>> {
        let Some(Changes { since, again, clocks }) = self.changes else { return Ok(None) };
        let changed = self.source.changed(parts(table), clocks, *since, after, limit).await?;
        Ok(Some(next_of(changed, again, after, limit)))
    }

    /// The rows of a table after `after` that this pass reads.
    pub(crate) async fn page(&self, table: Table, after: i64, limit: usize) -> Result<Page> {
        let Some(keys) = self.changed(table, after, limit).await? else {
            return Page::of(table, self.source.after(table.name(), after, limit).await?);
        };
        let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let records = self.source.of(table.name(), "id", &texts).await?;
        Ok(Page { records, keys: texts, last: keys.last().copied() })
    }

    /// Keys after `after` of orders whose payments this pass reads.
    pub(crate) async fn paid(&self, after: i64, limit: usize) -> Result<Vec<i64>> {
        match self.changed(Table::Payments, after, limit).await? {
            Some(keys) => Ok(keys),
            None => self.source.orders_with_payments(after, limit).await,
        }
    }

    /// How many rows of a table the source has.
    pub(crate) async fn there(&self, table: Table) -> Result<u64> {
        match table {
            Table::Payments => self.source.paid_orders().await,
            _ => self.source.count(table.name()).await,
        }
    }

    /// How many rows of a table this pass reads, or about so many: rows are also read for what belongs to them.
    pub(crate) async fn total(&self, table: Table) -> Result<u64> {
        match (self.changes, parts(table).first()) {
            (Some(Changes { since, again, clocks }), Some(own)) => {
                Ok(self.source.changes(own, clocks, *since).await? + again.len() as u64)
            }
            _ => self.there(table).await,
        }
    }
}

/// The first `limit` keys after `after` of both lists, which are in order.
fn next_of(mut keys: Vec<i64>, again: &[i64], after: i64, limit: usize) -> Vec<i64> {
    let behind = again.partition_point(|key| *key <= after);
    keys.extend(again[behind..].iter().take(limit));
    keys.sort_unstable();
    keys.dedup();
    keys.truncate(limit);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: i64 = 1_700_000_000_000_000;
    const MINUTE: i64 = 60_000_000;

    fn row(table: Table, finished: bool, since: Option<i64>) -> ProgressRow {
        ProgressRow {
            source: "legacy".to_owned(),
            name: table.name().to_owned(),
            position: 9,
            passes: 1,
            rows_read: 0,
            created: 0,
            updated: 0,
            unchanged: 0,
            changed_here: 0,
            refused: 0,
            finished,
            updated_at: 0,
            since,
            mark: Some(MARK),
            way: Some(vec![7; 32]),
            there: None,
        }
    }

    fn pass(finished: bool, since: Option<i64>) -> Vec<ProgressRow> {
        Table::ALL.into_iter().map(|table| row(table, finished, since)).collect()
    }

    fn asked(full: bool, digest: Digest) -> Asked {
        let way = |table| Way { table, digest, able: !full, again: Vec::new() };
        Asked {
            now: Timestamp::from_micros(MARK + MINUTE),
            overlap: std::time::Duration::from_secs(600),
            ways: Table::ALL.into_iter().map(way).collect(),
        }
    }

    fn since(asked: &Asked, rows: &[ProgressRow]) -> Option<i64> {
        asked.since(&asked.ways[0], rows).map(Timestamp::micros)
    }

    #[test]
    fn changes_are_read_behind_the_beginning_of_a_finished_pass() {
        assert_eq!(since(&asked(false, [7; 32]), &pass(true, None)), Some(MARK - 10 * MINUTE));
        assert_eq!(since(&asked(false, [7; 32]), &pass(true, Some(5))), Some(MARK - 10 * MINUTE));
        assert_eq!(since(&asked(false, [7; 32]), &[]), None, "never read");
        assert_eq!(since(&asked(true, [7; 32]), &pass(true, None)), None, "every row was asked for");
        assert_eq!(since(&asked(false, [8; 32]), &pass(true, None)), None, "rows are read otherwise");
        assert_eq!(since(&asked(false, [7; 32]), &pass(false, None)), None, "never finished");
        let mut old = pass(true, None);
        old.iter_mut().for_each(|row| (row.mark, row.way) = (None, None));
        assert_eq!(since(&asked(false, [7; 32]), &old), None, "of a version that noted none");
    }

    #[test]
    fn a_pass_goes_on_as_long_as_it_may() {
        let (full, changes) = (pass(false, None), pass(false, Some(5)));
        assert!(asked(false, [7; 32]).goes_on(&full) && asked(false, [7; 32]).goes_on(&changes));
        assert!(asked(false, [8; 32]).goes_on(&full), "it reads every row anyway");
        assert!(asked(true, [7; 32]).goes_on(&full), "it is what was asked for");
        assert!(!asked(true, [7; 32]).goes_on(&changes));
        assert!(!asked(false, [8; 32]).goes_on(&changes));
        assert!(!asked(false, [7; 32]).goes_on(&pass(true, None)), "it is over");
        assert!(!asked(false, [7; 32]).goes_on(&full[..4]), "a table is missing");
        let asked = asked(false, [7; 32]);
        assert_eq!(asked.mode(Table::Orders, &full), Mode::Full);
        assert_eq!(asked.mode(Table::Orders, &changes), Mode::Changes);
        assert_eq!(asked.mode(Table::Orders, &pass(true, None)), Mode::Changes);
    }

    #[test]
    fn a_table_tells_its_changes_when_all_that_it_is_made_of_does() {
        let tells = |tables: &[&str]| {
            let file: String =
                tables.iter().map(|table| format!("[tables.{table}]\nupdated_at = \"at\"\n")).collect();
            let mapping = Mapping::read(Some(&file)).unwrap();
            Table::ALL.into_iter().filter(|table| super::tells(&mapping, *table)).collect::<Vec<_>>()
        };
        assert_eq!(tells(&[]), Vec::<Table>::new());
        assert_eq!(tells(&["users"]), Vec::<Table>::new(), "its addresses may change alone");
        assert_eq!(tells(&["users", "user_addresses"]), [Table::Users]);
        assert_eq!(tells(&["skus"]), [Table::Skus]);
        assert_eq!(tells(&["skus", "products"]), [Table::Products, Table::Skus]);
        assert_eq!(tells(&["orders", "order_items", "payments", "refunds"]), [Table::Payments]);
        let all =
            ["users", "user_addresses", "products", "skus", "orders", "order_items", "payments", "refunds"];
        assert_eq!(tells(&all), Table::ALL);
        let none = "[tables.user_addresses]\ntable = \"\"\n[tables.users]\nupdated_at = \"at\"";
        assert!(super::tells(&Mapping::read(Some(none)).unwrap(), Table::Users), "there are no addresses");
    }

    #[test]
    fn refused_rows_are_read_among_those_that_changed() {
        assert_eq!(next_of(vec![4, 9], &[1, 5, 9, 12], 3, 10), [4, 5, 9, 12]);
        assert_eq!(next_of(vec![4, 9], &[1, 5, 9, 12], 3, 2), [4, 5]);
        assert_eq!(next_of(vec![], &[1, 5], 5, 2), Vec::<i64>::new());
        assert_eq!(next_of(vec![-3, 0], &[-4, -2], -4, 10), [-3, -2, 0]);
    }

    #[test]
    fn only_where_there_are_no_rows_a_table_ends() {
        let last = |keys: &[&str]| {
            let row = |key: &&str| crate::map::testing::row(&[("id", key), ("name", "x")]);
            Page::of(Table::Users, keys.iter().map(row).collect()).map(|page| page.last)
        };
        assert_eq!(last(&[]).unwrap(), None);
        assert_eq!(last(&["-4", "0", "7"]).unwrap(), Some(7));
        for odd in ["18446744073709551615", "7f3a", "1.50", ""] {
            let failure = last(&["1", odd]).unwrap_err();
            assert_eq!(failure.fields()[0].pointer, "tables.users.id", "{odd}");
        }
    }
}
