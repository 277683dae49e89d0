//! A MySQL shop of the documented shape, some thousands of rows with the dirt that such shops have.

use anyhow::{Context, Result};
use stack::Tidb;
use support::{Parts, execute, number};

pub(super) const USERS: u32 = 1_200;
pub(super) const PRODUCTS: u32 = 240;
pub(super) const ORDERS: u32 = 2_000;
/// What user 100 logs in with.
pub(super) const PASSWORD: &str = "an old pass phrase";

/// Rows that must not come in, or not whole, and a part of the reason that is told.
pub(super) const DIRT: &[(&str, &str, &str)] = &[
    ("users", "3", "no e-mail"),
    ("users", "5", "is none"),
    ("users", "9", "another account has this e-mail"),
    ("users", "11", "unknown status"),
    ("users.phone", "13", "no number"),
    ("users.password", "15", "needs a new one"),
    ("user_addresses", "17", "city"),
    ("categories", "9", "no category above"),
    ("products", "4", "unknown status"),
    ("products", "6", "has no SKU"),
    ("products", "8", "another SKU has this code"),
    ("skus", "7", "its product is not in"),
    ("skus", "20", "stock -3"),
    ("skus", "22", "price -1.00 is negative"),
    ("orders", "7", "total_amount is"),
    ("orders", "14", "its user 999999 is not in"),
    ("orders", "21", "unknown currency"),
    ("orders", "28", "unknown status"),
    ("orders", "35", "is negative"),
    ("orders", "42", "has no payment"),
    ("orders", "50", "paid more than once"),
    ("orders", "56", "another order has the number"),
    ("payments", "7", "its order is not in"),
    ("payments", "9999999", "no order of this key"),
];

/// The source, on a TiDB, which speaks MySQL.
pub(super) struct Legacy {
    /// Kept alive; none where the whole run has one.
    server: Option<Tidb>,
    pub(super) address: String,
    database: String,
}

impl Legacy {
    /// Fills a database of its own.
    pub(super) async fn fill() -> Result<Self> {
        let (server, address) = match Parts::named().tidb {
            Some(address) => (None, address),
            None => {
                let server = Tidb::start()?;
                let address = server.address();
                (Some(server), address)
            }
        };
        let database = format!("old_shop_{:016x}", rand());
        let legacy = Self { server, address, database };
        let root = legacy.url("");
        execute(&root, &format!("CREATE DATABASE {}", legacy.database)).await?;
        let schema: String = migrate_in::SCHEMA
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n");
        for statement in schema.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            legacy.run(statement).await?;
        }
        legacy.people().await?;
        legacy.goods().await?;
        legacy.orders().await?;
        for dirt in SPOIL {
            legacy.run(dirt).await.with_context(|| (*dirt).to_owned())?;
        }
        Ok(legacy)
    }

    /// The TiDB, where this test started one: for the shop's own database too.
    pub(super) fn parts(&self) -> Parts {
        Parts { tidb: Some(self.address.clone()), ..Parts::default() }
    }

    /// For `--from`.
    pub(super) fn from(&self) -> String {
        format!("mysql://root@{}/{}", self.address, self.database)
    }

    fn url(&self, database: &str) -> String {
        format!("mysql://root@{}/{database}?ssl-mode=DISABLED", self.address)
    }

    pub(super) async fn run(&self, sql: &str) -> Result<()> {
        execute(&self.url(&self.database), sql).await.map(drop)
    }

    pub(super) async fn number(&self, sql: &str) -> Result<i64> {
        number(&self.url(&self.database), sql).await
    }

    /// Removes it.
    pub(super) async fn remove(self) -> Result<()> {
        execute(&self.url(""), &format!("DROP DATABASE {}", self.database)).await?;
        drop(self.server);
        Ok(())
    }

    async fn insert(&self, into: &str, rows: Vec<String>) -> Result<()> {
        for some in rows.chunks(400) {
            self.run(&format!("INSERT INTO {into} VALUES {}", some.join(","))).await?;
        }
        Ok(())
    }

    async fn people(&self) -> Result<()> {
        // One hash for all: making one each would take the whole of the test's time.
        let hash = bcrypt::hash(PASSWORD, 4)?;
        let user = |id: u32| {
            let phone = 13_800_000_000_u64 + u64::from(id);
            format!(
                "({id},'user{id}','Person {id}','User{id}@Old.example','{phone}','{hash}',1,'2023-{:02}-11 08:15:30')",
                id % 12 + 1
            )
        };
        let columns = "users (id, username, nickname, email, phone, password_hash, status, created_at)";
        self.insert(columns, (1..=USERS).map(user).collect()).await?;
        let address = |id: u32| {
            let user = id.div_ceil(2).min(USERS);
            format!(
                "({id},{user},'Person {user}','1380000{id:04}',NULL,'Zhejiang','Hangzhou','Xihu','{id} West Lake','310000',{})",
                id % 2
            )
        };
        let columns = "user_addresses (id, user_id, receiver_name, phone, country, province, city, district, detail, \
                       postal_code, is_default)";
        self.insert(columns, (1..=USERS).map(address).collect()).await
    }

    async fn goods(&self) -> Result<()> {
        let categories =
            ["(1,0,'Home')", "(2,1,'Lamps')", "(3,0,'Garden')", "(4,3,'Tools')", "(9,77,'Lost')"];
        self.insert("categories (id, parent_id, name)", categories.map(str::to_owned).to_vec()).await?;
        let brands = ["(1,'Saltworks')", "(2,'Old Harbour')", "(3,'Migrated & Sons')"];
        self.insert("brands (id, name)", brands.map(str::to_owned).to_vec()).await?;
        let product = |id: u32| {
            let (category, brand, on) = (id % 4 + 1, id % 3 + 1, u32::from(!id.is_multiple_of(10)));
            format!(
                "({id},{category},{brand},'Thing {id} 好物','<p>Good <b>{id}</b></p><script>x</script>',{on})"
            )
        };
        let columns = "products (id, category_id, brand_id, name, description, status)";
        self.insert(columns, (1..=PRODUCTS).map(product).collect()).await?;
        // Product 6 has none.
        let sku = |id: u32| {
            let (product, size) = (id.div_ceil(2), ["S", "M"][(id % 2) as usize]);
            let (price, stock) = (price(id), id % 50);
            let attributes = format!("{{\"Size\": \"{size}\", \"Colour\": \"Red\"}}");
            format!(
                "({id},{product},'OLD-{id}','{attributes}','69000{id:05}',{},{stock},{id})",
                decimal(price)
            )
        };
        let columns = "skus (id, product_id, sku_code, attributes, barcode, price, stock, weight_grams)";
        let rows = (1..=PRODUCTS * 2).filter(|id| id.div_ceil(2) != 6).map(sku);
        self.insert(columns, rows.collect()).await
    }

    async fn orders(&self) -> Result<()> {
        let (mut orders, mut items, mut payments, mut refunds) = (vec![], vec![], vec![], vec![]);
        for id in 1..=ORDERS {
            let user = 100 + id % 900;
            // Prices that are not negative, of products that are in.
            let (a, b) = (100 + id % 300, 101 + id % 300);
            let subtotal = price(a) * 2 + price(b);
            let (discount, shipping) = (u64::from(id % 7) * 10, 800);
            let total = subtotal - discount + shipping;
            let status = id % 7;
            let paid = !matches!(status, 0 | 5);
            let when = format!("2024-{:02}-{:02} 10:{:02}:00", id % 12 + 1, id % 28 + 1, id % 60);
            let moment = |there: bool| if there { format!("'{when}'") } else { "NULL".to_owned() };
            orders.push(format!(
                "({id},'2024{id:016}',{user},{status},'CNY',{},{},{},0,{},'Person {user}','138','Hangzhou','{id} West Lake','{when}',{},{},{},{})",
                decimal(subtotal), decimal(discount), decimal(shipping), decimal(total),
                moment(paid), moment(matches!(status, 2..=4)), moment(status == 4), moment(status == 5)
            ));
            for (line, (sku, quantity)) in [(a, 2), (b, 1)].into_iter().enumerate() {
                items.push(format!(
                    "({},{id},{},{sku},'Thing as it was','OLD-{sku}','{{\"Size\": \"M\"}}',{},{quantity},{})",
                    u64::from(id) * 2 + line as u64,
                    sku.div_ceil(2),
                    decimal(price(sku)),
                    decimal(price(sku) * quantity)
                ));
            }
            let payment = |n: u32, state: u32| {
                format!(
                    "({},'PAY{id:012}-{n}',{id},'alipay',{},'CNY',{state},'tx-{id}-{n}','{when}',{})",
                    id * 10 + n,
                    decimal(total),
                    moment(state == 1)
                )
            };
            if id.is_multiple_of(5) {
                payments.push(payment(1, 2));
            }
            if paid {
                payments.push(payment(2, 1));
            }
            let back = if status == 6 {
                total
            } else if status == 4 && id.is_multiple_of(11) {
                50
            } else {
                0
            };
            if back > 0 {
                refunds.push(format!(
                    "({id},'RF{id}',{},{},1,'did not fit','{when}')",
                    id * 10 + 2,
                    decimal(back)
                ));
            }
        }
        self.insert(
            "orders (id, order_no, user_id, status, currency, item_amount, discount_amount, shipping_amount, tax_amount, \
             total_amount, receiver_name, receiver_phone, receiver_city, receiver_detail, created_at, paid_at, shipped_at, \
             completed_at, cancelled_at)",
            orders,
        )
        .await?;
        self.insert(
            "order_items (id, order_id, product_id, sku_id, product_name, sku_code, attributes, price, quantity, subtotal)",
            items,
        )
        .await?;
        self.insert(
            "payments (id, payment_no, order_id, channel, amount, currency, status, transaction_no, created_at, paid_at)",
            payments,
        )
        .await?;
        self.insert("refunds (id, refund_no, payment_id, amount, status, reason, created_at)", refunds).await
    }
}

/// Two tests of one run have a database each.
fn rand() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Cents.
fn price(sku: u32) -> u64 {
    u64::from(sku) * 37 + 199
}

fn decimal(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Makes the rows of [`DIRT`] what they are. Orders that are spoilt are paid ones, but for their spots.
const SPOIL: &[&str] = &[
    "UPDATE users SET email = NULL WHERE id = 3",
    "UPDATE users SET email = 'not an address' WHERE id = 5",
    "UPDATE users SET email = 'USER8@old.example' WHERE id = 9",
    "UPDATE users SET status = 9 WHERE id = 11",
    "UPDATE users SET phone = 'n/a' WHERE id = 13",
    "UPDATE users SET password_hash = '5f4dcc3b5aa765d61d8327deb882cf99' WHERE id = 15",
    "UPDATE user_addresses SET city = '' WHERE id = 17",
    "UPDATE products SET status = 7 WHERE id = 4",
    "UPDATE skus SET sku_code = 'OLD-1' WHERE id = 15",
    "UPDATE skus SET stock = -3 WHERE id = 20",
    "UPDATE skus SET price = -1 WHERE id = 22",
    "UPDATE orders SET total_amount = total_amount + 0.01, status = 1 WHERE id = 7",
    "UPDATE orders SET user_id = 999999 WHERE id = 14",
    "UPDATE orders SET currency = 'XXQ' WHERE id = 21",
    "UPDATE orders SET status = 77 WHERE id = 28",
    "UPDATE order_items SET price = -price WHERE order_id = 35",
    "UPDATE orders SET status = 1 WHERE id = 42",
    "INSERT INTO payments SELECT id + 5, CONCAT(payment_no, 'B'), order_id, channel, amount, currency, 1, transaction_no, \
     created_at, created_at FROM payments WHERE order_id = 50 AND status = 1",
    "UPDATE orders SET order_no = '20240000000000000055' WHERE id = 56",
    "INSERT INTO payments (id, payment_no, order_id, channel, amount, status, created_at) \
     VALUES (9999999, 'STRAY', 9999999, 'wechat', 1.00, 1, '2024-01-01 00:00:00')",
    "INSERT INTO payments (id, payment_no, order_id, channel, amount, status, created_at) \
     VALUES (9999991, 'OF-SEVEN', 7, 'wechat', 1.00, 1, '2024-01-01 00:00:00')",
];
