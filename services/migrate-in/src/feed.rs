//! What each table of a source comes to, batch by batch: rows read by key, mapped, and held against what is in already.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use contracts::{
    Ctx,
    intake::{Intake, Row, TakeOrder, TakePayment, TakeProduct, TakeUser},
};
use kernel::Result;

use crate::{
    changes::{Changes, Page},
    map::{Mapper, OrderRows, PaymentRows, ProductRows, Wrong},
    offers::{OfferFacts, TakeOffer},
    store::Source,
    taxonomy::Taxonomy,
    values::Record,
};

/// A table of a source, in the order they are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Users,
    Products,
    Skus,
    Orders,
    Payments,
}

impl Table {
    pub(crate) const ALL: [Self; 5] = [Self::Users, Self::Products, Self::Skus, Self::Orders, Self::Payments];

    /// Its name in reports and in our tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Products => "products",
            Self::Skus => "skus",
            Self::Orders => "orders",
            Self::Payments => "payments",
        }
    }
}

/// Rows of a source as they are to be taken in.
pub(crate) struct Batch<R> {
    /// Rows read.
    pub(crate) read: u64,
    /// Key of the last row; none at the end.
    pub(crate) last: Option<i64>,
    pub(crate) rows: Vec<R>,
    pub(crate) wrong: Vec<Wrong>,
    /// Where something may have been wrong before, and is not any more unless `wrong` says so: names and keys.
    pub(crate) looked_at: Vec<(&'static [&'static str], Vec<String>)>,
}

impl<R> Batch<R> {
    fn of(page: &Page, names: &'static [&'static str]) -> Self {
        Self {
            read: page.records.len() as u64,
            last: page.last,
            rows: Vec::with_capacity(page.records.len()),
            wrong: Vec::new(),
            looked_at: vec![(names, page.keys.clone())],
        }
    }

    fn push(&mut self, name: &'static str, record: &Record, mapped: Result<R, String>) {
        match mapped {
            Ok(row) => self.rows.push(row),
            Err(reason) => {
                let key = record.get("id").unwrap_or_default().to_owned();
                self.wrong.push(Wrong { name, key, reason });
            }
        }
    }
}

/// Reads a table.
#[async_trait]
pub(crate) trait Feed: Send + Sync {
    /// What its rows become.
    type Row: Row;
    /// Which table.
    fn table(&self) -> Table;
    /// Rows after this key.
    async fn batch(&self, ctx: &Ctx, after: i64, limit: usize) -> Result<Batch<Self::Row>>;
    /// How many there are to read.
    async fn total(&self) -> Result<u64>;
}

/// What feeds read from.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) source: &'a Source,
    pub(crate) mapper: &'a Mapper,
    /// What is read; none: every row.
    pub(crate) changes: Option<&'a Changes>,
}

pub(crate) fn keys_of(records: &[Record], column: &str) -> Vec<String> {
    records.iter().filter_map(|record| record.get(column)).map(str::to_owned).collect()
}

fn distinct(records: &[Record], column: &str) -> Vec<String> {
    keys_of(records, column).into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Rows by what a column of theirs holds.
fn by(records: Vec<Record>, column: &str) -> BTreeMap<String, Vec<Record>> {
    let mut found: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in records {
        if let Some(key) = record.get(column) {
            found.entry(key.to_owned()).or_default().push(record);
        }
    }
    found
}

fn of<'a>(found: &'a BTreeMap<String, Vec<Record>>, key: Option<&str>) -> &'a [Record] {
    key.and_then(|key| found.get(key)).map_or(&[], Vec::as_slice)
}

/// Which of these rows are in.
async fn in_already<R: Row>(
    intake: &dyn Intake<R>,
    ctx: &Ctx,
    ids: Vec<uuid::Uuid>,
) -> Result<BTreeSet<uuid::Uuid>> {
    let kept = intake.kept(ctx, &ids).await?;
    Ok(ids.into_iter().zip(kept).filter_map(|(id, kept)| kept.map(|_| id)).collect())
}

/// Users with their addresses.
pub(crate) struct Users<'a>(pub(crate) Reading<'a>);

#[async_trait]
impl Feed for Users<'_> {
    type Row = TakeUser;

    fn table(&self) -> Table {
        Table::Users
    }

    async fn total(&self) -> Result<u64> {
        self.0.total(self.table()).await
    }

    async fn batch(&self, _ctx: &Ctx, after: i64, limit: usize) -> Result<Batch<TakeUser>> {
        let Reading { source, mapper, .. } = self.0;
        let page = self.0.page(self.table(), after, limit).await?;
        let addresses = source.of("user_addresses", "user_id", &page.keys).await?;
        let mut batch = Batch::of(&page, &["users", "users.phone", "users.password"]);
        batch.looked_at.push((&["user_addresses"], keys_of(&addresses, "id")));
        let addresses = by(addresses, "user_id");
        for user in &page.records {
            let mapped = mapper.user(user, of(&addresses, user.get("id")), &mut batch.wrong);
            batch.push("users", user, mapped);
        }
        Ok(batch)
    }
}

/// Products with their SKUs.
pub(crate) struct Products<'a> {
    pub(crate) from: Reading<'a>,
    pub(crate) taxonomy: &'a Taxonomy,
}

#[async_trait]
impl Feed for Products<'_> {
    type Row = TakeProduct;

    fn table(&self) -> Table {
        Table::Products
    }

    async fn total(&self) -> Result<u64> {
        self.from.total(self.table()).await
    }

    async fn batch(&self, _ctx: &Ctx, after: i64, limit: usize) -> Result<Batch<TakeProduct>> {
        let Reading { source, mapper, .. } = self.from;
        let page = self.from.page(self.table(), after, limit).await?;
        let skus = by(source.of("skus", "product_id", &page.keys).await?, "product_id");
        let mut batch = Batch::of(&page, &["products"]);
        for product in &page.records {
            let (brands, categories) = (&self.taxonomy.brands, &self.taxonomy.categories);
            let rows = ProductRows {
                product,
                skus: of(&skus, product.get("id")),
                brand: product.get("brand_id").and_then(|key| brands.get(key)).map(String::as_str),
                category: product.get("category_id").and_then(|key| categories.get(key)).copied(),
            };
            batch.push("products", product, mapper.product(&rows));
        }
        Ok(batch)
    }
}

/// Prices and stock of SKUs whose product is in.
pub(crate) struct Skus<'a> {
    pub(crate) from: Reading<'a>,
    /// None where it is not known what is in: nothing is taken in then.
    pub(crate) products: Option<&'a dyn Intake<TakeProduct>>,
}

#[async_trait]
impl Feed for Skus<'_> {
    type Row = TakeOffer;

    fn table(&self) -> Table {
        Table::Skus
    }

    async fn total(&self) -> Result<u64> {
        self.from.total(self.table()).await
    }

    async fn batch(&self, ctx: &Ctx, after: i64, limit: usize) -> Result<Batch<TakeOffer>> {
        let mapper = self.from.mapper;
        let page = self.from.page(self.table(), after, limit).await?;
        let mut batch = Batch::of(&page, &["skus"]);
        let skus = page.records;
        let mapped: Vec<_> = skus.iter().map(|sku| mapper.offer(sku)).collect();
        let mut products: Vec<uuid::Uuid> = mapped.iter().flatten().map(|(_, id, ..)| id.uuid()).collect();
        products.sort_unstable();
        products.dedup();
        let there = match self.products {
            Some(intake) => Some(in_already(intake, ctx, products).await?),
            None => None,
        };
        for (sku, mapped) in skus.iter().zip(mapped) {
            let offer = mapped.and_then(|(id, product, price, quantity)| {
                if there.as_ref().is_some_and(|there| !there.contains(&product.uuid())) {
                    return Err("its product is not in".to_owned());
                }
                let key = sku.need("id")?.to_owned();
                Ok(TakeOffer { key, facts: OfferFacts { id, price, quantity } })
            });
            batch.push("skus", sku, offer);
        }
        Ok(batch)
    }
}

/// Orders whose user is in.
pub(crate) struct Orders<'a> {
    pub(crate) from: Reading<'a>,
    pub(crate) users: Option<&'a dyn Intake<TakeUser>>,
}

#[async_trait]
impl Feed for Orders<'_> {
    type Row = TakeOrder;

    fn table(&self) -> Table {
        Table::Orders
    }

    async fn total(&self) -> Result<u64> {
        self.from.total(self.table()).await
    }

    async fn batch(&self, ctx: &Ctx, after: i64, limit: usize) -> Result<Batch<TakeOrder>> {
        let Reading { source, mapper, .. } = self.from;
        let page = self.from.page(self.table(), after, limit).await?;
        let orders = &page.records;
        let items = source.of("order_items", "order_id", &page.keys).await?;
        let payments = source.of("payments", "order_id", &page.keys).await?;
        let refunds = source.of("refunds", "payment_id", &keys_of(&payments, "id")).await?;
        let products = source.of("products", "id", &distinct(&items, "product_id")).await?;
        let names: BTreeMap<String, String> = products
            .iter()
            .filter_map(|row| Some((row.get("id")?.to_owned(), row.get("name")?.to_owned())))
            .collect();
        let there = match self.users {
            Some(intake) => {
                let ids = distinct(orders, "user_id").iter().map(|key| mapper.ids.user(key).uuid()).collect();
                Some(in_already(intake, ctx, ids).await?)
            }
            None => None,
        };
        let (items, payments, refunds) =
            (by(items, "order_id"), by(payments, "order_id"), by(refunds, "payment_id"));
        let mut batch = Batch::of(&page, &["orders"]);
        for order in orders {
            let payments = of(&payments, order.get("id"));
            let refunds: Vec<Record> =
                payments.iter().flat_map(|payment| of(&refunds, payment.get("id"))).cloned().collect();
            let rows = OrderRows {
                order,
                items: of(&items, order.get("id")),
                payments,
                refunds: &refunds,
                names: &names,
            };
            let mapped = mapper.order(&rows).and_then(|taken| {
                let user = taken.facts.user_id.uuid();
                if there.as_ref().is_some_and(|there| !there.contains(&user)) {
                    return Err(format!("its user {} is not in", order.get("user_id").unwrap_or("?")));
                }
                Ok(taken)
            });
            batch.push("orders", order, mapped);
        }
        Ok(batch)
    }
}

/// Payments, those of an order together, whose order is in.
pub(crate) struct Payments<'a> {
    pub(crate) from: Reading<'a>,
    pub(crate) orders: Option<&'a dyn Intake<TakeOrder>>,
}

#[async_trait]
impl Feed for Payments<'_> {
    type Row = TakePayment;

    fn table(&self) -> Table {
        Table::Payments
    }

    async fn total(&self) -> Result<u64> {
        self.from.total(self.table()).await
    }

    async fn batch(&self, ctx: &Ctx, after: i64, limit: usize) -> Result<Batch<TakePayment>> {
        let Reading { source, mapper, .. } = self.from;
        let keys = self.from.paid(after, limit).await?;
        let last = keys.last().copied();
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let orders = by(source.of("orders", "id", &keys).await?, "id");
        let payments = source.of("payments", "order_id", &keys).await?;
        let refunds = by(source.of("refunds", "payment_id", &keys_of(&payments, "id")).await?, "payment_id");
        let payments = by(payments, "order_id");
        let mut batch = Batch {
            // One that was refused may have none any more.
            read: payments.len() as u64,
            last,
            rows: Vec::with_capacity(keys.len()),
            wrong: Vec::new(),
            looked_at: vec![(&["payments"], keys.clone())],
        };
        let mut mapped = Vec::with_capacity(keys.len());
        for key in &keys {
            let payments = of(&payments, Some(key));
            if payments.is_empty() {
                continue;
            }
            let refunds: Vec<Record> =
                payments.iter().flat_map(|payment| of(&refunds, payment.get("id"))).cloned().collect();
            let payment = match of(&orders, Some(key)).first() {
                None => Err("there is no order of this key".to_owned()),
                Some(order) => mapper.payment(&PaymentRows { order, payments, refunds: &refunds }),
            };
            mapped.push((key, payment));
        }
        let there = match self.orders {
            Some(intake) => {
                let wanted = mapped.iter().filter_map(|(_, payment)| payment.as_ref().ok());
                let ids = wanted.map(|payment| payment.facts.order_id.uuid()).collect();
                Some(in_already(intake, ctx, ids).await?)
            }
            None => None,
        };
        for (key, payment) in mapped {
            let there = there.as_ref();
            match payment {
                Ok(it) if there.is_some_and(|there| !there.contains(&it.facts.order_id.uuid())) => {
                    let reason = "its order is not in".to_owned();
                    batch.wrong.push(Wrong { name: "payments", key: key.clone(), reason });
                }
                Ok(it) => batch.rows.push(it),
                Err(reason) => batch.wrong.push(Wrong { name: "payments", key: key.clone(), reason }),
            }
        }
        Ok(batch)
    }
}
