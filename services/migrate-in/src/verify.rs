//! Compares what is here with what the source says: row by row, and by checksums.

use contracts::intake::{Digest, Intake, Kept, Row};
use kernel::Result;

use crate::{
    feed::{Feed, Orders, Payments, Products, Skus, Users},
    map::Wrong,
    report::{EXAMPLES, Mode, RowError, Verification, VerifiedTable},
    run::{Progress, Watch},
    service::{LOOK, MigrateIn, example},
    store,
};

/// A checksum over rows in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Checksum(u128, u128);

impl Checksum {
    fn add(&mut self, digest: &Digest) {
        let half = |from: usize| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&digest[from..from + 16]);
            u128::from_be_bytes(bytes)
        };
        self.0 = self.0.wrapping_add(half(0));
        self.1 = self.1.wrapping_add(half(16));
    }

    fn text(self) -> String {
        format!("{:032x}{:032x}", self.0, self.1)
    }
}

impl MigrateIn {
    /// Reads every row of the source and what is here of it, and compares.
    pub async fn verify(&self, watch: Watch<'_>) -> Result<Verification> {
        let from = self.reading()?;
        let taxonomy = self.taxonomy(false).await?;
        let products = Products { from, taxonomy: &taxonomy };
        let skus = Skus { from, products: Some(self.intakes.products.as_ref()) };
        let orders = Orders { from, users: Some(self.intakes.users.as_ref()) };
        let payments = Payments { from, orders: Some(self.intakes.orders.as_ref()) };
        let mut tables = vec![
            self.compare(&Users(from), self.intakes.users.as_ref(), watch).await?,
            self.compare(&products, self.intakes.products.as_ref(), watch).await?,
            self.compare(&skus, &self.offers, watch).await?,
            self.compare(&orders, self.intakes.orders.as_ref(), watch).await?,
            self.compare(&payments, self.intakes.payments.as_ref(), watch).await?,
        ];
        let progress = store::progress(self.db.read(), self.name()).await?;
        for table in &mut tables {
            let last = progress.iter().find(|row| row.name == table.table);
            table.run = last.map(|row| Mode::of(row.since()));
        }
        let same = tables.iter().all(|table| table.same);
        Ok(Verification { source: self.name().to_owned(), same, tables })
    }

    async fn compare<F: Feed>(
        &self,
        feed: &F,
        intake: &dyn Intake<F::Row>,
        watch: Watch<'_>,
    ) -> Result<VerifiedTable> {
        let name = feed.table().name();
        let mut found = VerifiedTable { table: name.to_owned(), ..VerifiedTable::default() };
        let (mut there, mut here) = (Checksum::default(), Checksum::default());
        let total = feed.total().await?;
        let (mut after, mut matched) = (store::START, 0);
        loop {
            let ctx = self.ctx();
            let batch = feed.batch(&ctx, after, LOOK).await?;
            found.rows += batch.read;
            let keys: Vec<String> = batch.rows.iter().map(|row| row.key().to_owned()).collect();
            let refused = store::errors_of(self.db.read(), self.name(), name, &keys).await?;
            let told = batch.wrong.iter().filter(|wrong| wrong.name == name);
            found.refused += told.count() as u64;
            let ids: Vec<_> = batch.rows.iter().map(Row::id).collect();
            let kept = intake.kept(&ctx, &ids).await?;
            for (row, kept) in batch.rows.iter().zip(kept) {
                if kept.is_none() && refused.iter().any(|key| key == row.key()) {
                    // Not in for a reason that only the domain knew.
                    found.refused += 1;
                    continue;
                }
                there.add(&row.kept()?);
                if let Some(kept) = &kept {
                    here.add(&kept.now);
                    matched += 1;
                }
                found.hold(row, kept.as_ref())?;
            }
            let untold = self.untold(name, &batch.wrong, found.examples.len()).await?;
            found.examples.extend(untold);
            let (mode, done) = (Mode::Full, found.rows);
            watch(Progress { table: name, mode, done, total: total.max(done) });
            match batch.last {
                Some(last) => after = last,
                None => break,
            }
        }
        found.here = intake.count(&self.ctx(), self.name()).await?;
        found.extra = found.here.saturating_sub(matched);
        (found.source_checksum, found.here_checksum) = (there.text(), here.text());
        found.same = there == here
            && found.missing == 0
            && found.extra == 0
            && found.changed_there == 0
            && found.changed_here == 0;
        Ok(found)
    }

    /// Rows that are wrong and that nobody has been told of yet: the source spoiled them, or no pass came so far.
    async fn untold(&self, name: &str, wrong: &[Wrong], shown: usize) -> Result<Vec<RowError>> {
        let wrong: Vec<&Wrong> = wrong.iter().filter(|wrong| wrong.name == name).collect();
        let keys: Vec<String> = wrong.iter().map(|wrong| wrong.key.clone()).collect();
        let told = store::errors_of(self.db.read(), self.name(), name, &keys).await?;
        let new = wrong.into_iter().filter(|wrong| !told.contains(&wrong.key)).map(example);
        Ok(new.take(EXAMPLES.saturating_sub(shown)).collect())
    }
}

impl VerifiedTable {
    /// Notes how what is here differs from a row of the source.
    fn hold<R: Row>(&mut self, row: &R, kept: Option<&Kept>) -> Result<()> {
        let (count, how) = match kept {
            None => (&mut self.missing, "is not here"),
            Some(kept) if kept.said != row.said()? => {
                (&mut self.changed_there, "was changed in the source since")
            }
            Some(kept) if kept.now != row.kept()? => (&mut self.changed_here, "was changed here since"),
            Some(_) => return Ok(()),
        };
        *count += 1;
        if self.examples.len() < EXAMPLES {
            let (table, key) = (self.table.clone(), row.key().to_owned());
            self.examples.push(RowError { table, key, reason: how.to_owned() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(digests: &[Digest]) -> Checksum {
        let mut sum = Checksum::default();
        digests.iter().for_each(|digest| sum.add(digest));
        sum
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_count_and_a_row_twice_does(digests in prop::collection::vec(any::<Digest>(), 1..20)) {
            let mut turned = digests.clone();
            turned.reverse();
            prop_assert_eq!(sum(&digests), sum(&turned));
            turned.push(digests[0]);
            prop_assert_eq!(sum(&digests) == sum(&turned), digests[0] == [0; 32]);
            prop_assert_eq!(sum(&digests).text().len(), 64);
        }
    }
}
