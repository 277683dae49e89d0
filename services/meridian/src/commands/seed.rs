//! `meridian seed`: products and users, the same for the same seed.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use contracts::{
    Caller, Ctx, SessionId,
    account::{AddressInput, Register},
    catalog::{FileProduct, NamedValue, ProductInput, SkuInput},
    inventory::InitialStock,
    pricing::{PriceKind, SetPrice},
};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use kernel::{Currency, Money};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{answer, cli::Seed, compose::Shop};

const BATCH: u32 = 500;
const SIZES: [&str; 5] = ["XS", "S", "M", "L", "XL"];

/// What is sold: a category, its nouns, its price range in cents and whether it has sizes.
struct Line {
    category: &'static str,
    nouns: &'static [&'static str],
    price: (i64, i64),
    sized: bool,
}

const LINES: &[Line] = &[
    Line {
        category: "Clothing",
        nouns: &["Jacket", "Shirt", "Jumper", "Dress", "Trousers", "Coat"],
        price: (1_500, 25_000),
        sized: true,
    },
    Line {
        category: "Shoes",
        nouns: &["Trainers", "Boots", "Sandals", "Loafers"],
        price: (3_000, 22_000),
        sized: true,
    },
    Line {
        category: "Kitchen",
        nouns: &["Kettle", "Pan", "Knife", "Teapot", "Mug", "Bowl"],
        price: (500, 18_000),
        sized: false,
    },
    Line {
        category: "Lighting",
        nouns: &["Lamp", "Lantern", "Candle Holder", "Pendant Light"],
        price: (1_200, 30_000),
        sized: false,
    },
    Line {
        category: "Garden",
        nouns: &["Watering Can", "Trowel", "Plant Pot", "Bench"],
        price: (700, 40_000),
        sized: false,
    },
    Line {
        category: "Electronics",
        nouns: &["Headphones", "Keyboard", "Speaker", "Charger", "Camera"],
        price: (1_900, 120_000),
        sized: false,
    },
    Line {
        category: "Stationery",
        nouns: &["Notebook", "Fountain Pen", "Desk Tray", "Calendar"],
        price: (300, 9_000),
        sized: false,
    },
    Line {
        category: "Toys",
        nouns: &["Puzzle", "Wooden Train", "Kite", "Board Game"],
        price: (800, 12_000),
        sized: false,
    },
];

const ADJECTIVES: &[&str] = &[
    "Classic", "Quiet", "Northern", "Everyday", "Folding", "Compact", "Handmade", "Recycled", "Bright",
    "Soft", "Sturdy", "Light", "Heritage", "Coastal", "Urban", "Alpine",
];
const MATERIALS: &[&str] = &[
    "Oak", "Linen", "Copper", "Wool", "Cotton", "Steel", "Ceramic", "Leather", "Bamboo", "Glass", "Cork",
    "Merino",
];
const COLOURS: &[&str] = &["Black", "White", "Navy", "Olive", "Sand", "Rust", "Teal", "Plum"];
const BRANDS: &[&str] = &[
    "Harbour & Pine",
    "Lumen",
    "Fieldnote",
    "Kestrel",
    "Ostra",
    "Hollis",
    "Mado",
    "Tern",
    "Birk",
    "Saltworks",
    "Arden",
    "Juniper Row",
];

/// Fills the shop.
pub(crate) async fn run(shop: &Shop, seed: &Seed) -> Result<()> {
    products(shop, seed).await?;
    users(shop, seed).await
}

fn bar(length: u32, what: &'static str) -> Result<ProgressBar> {
    let bar = ProgressBar::new(u64::from(length));
    bar.set_style(ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len} {per_sec} eta {eta}")?);
    bar.set_message(what);
    Ok(bar)
}

async fn products(shop: &Shop, seed: &Seed) -> Result<()> {
    let bar = bar(seed.products, "products")?;
    let ctx = shop.system_ctx("seed");
    let mut from = 0;
    while from < seed.products {
        let to = (from + BATCH).min(seed.products);
        let drafts: Vec<Draft> = (from..to).map(|number| Draft::new(seed.seed, number)).collect();
        let batch = drafts.iter().map(|draft| draft.product.clone()).collect();
        let results = shop.contracts.catalog.import_file_products(&ctx, batch).await?;
        let mut prices = Vec::new();
        let mut stock = Vec::new();
        for (draft, result) in drafts.iter().zip(results) {
            if let Some(error) = result.error {
                bail!("{}: {error}", draft.product.product.title);
            }
            for (sku_id, quantity) in result.sku_ids.into_iter().zip(&draft.stock) {
                stock.push(InitialStock { sku_id, quantity: *quantity });
                prices.push(SetPrice {
                    sku_id,
                    kind: PriceKind::List,
                    price: draft.price,
                    compare_at: draft.compare_at,
                    starts_at: None,
                    ends_at: None,
                });
            }
        }
        for chunk in prices.chunks(1_000) {
            shop.contracts.pricing.set_prices(&ctx, chunk.to_vec()).await?;
        }
        for chunk in stock.chunks(1_000) {
            shop.contracts.inventory.set_initial(&ctx, chunk.to_vec()).await?;
        }
        bar.inc(u64::from(to - from));
        from = to;
    }
    bar.finish();
    Ok(())
}

struct Draft {
    product: FileProduct,
    price: Money,
    compare_at: Option<Money>,
    stock: Vec<i64>,
}

impl Draft {
    /// The product with this number: depends on the seed and the number only.
    fn new(seed: u64, number: u32) -> Self {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(number));
        let line = &LINES[skewed(&mut rng, LINES.len())];
        let brand = BRANDS[skewed(&mut rng, BRANDS.len())];
        let noun = pick(&mut rng, line.nouns);
        let title = format!("{} {} {noun}", pick(&mut rng, ADJECTIVES), pick(&mut rng, MATERIALS));
        let price = Money::new(rng.random_range(line.price.0..=line.price.1) / 50 * 50 + 49, Currency::USD);
        let reduced = rng.random_bool(0.2);
        let colour = pick(&mut rng, COLOURS);
        let skus: Vec<SkuInput> = if line.sized {
            SIZES
                .iter()
                .map(|size| SkuInput {
                    code: None,
                    options: vec![NamedValue { name: "Size".into(), value: (*size).into() }],
                    barcode: None,
                    weight_grams: 400,
                })
                .collect()
        } else {
            vec![SkuInput { code: None, options: vec![], barcode: None, weight_grams: 700 }]
        };
        // One in twelve is sold out somewhere; the rest has plenty.
        let stock =
            skus.iter().map(|_| if rng.random_bool(0.08) { 0 } else { rng.random_range(5..2_000) }).collect();
        let product = ProductInput {
            slug: Some(format!("{}-{seed}-{number}", title.to_lowercase().replace(' ', "-"))),
            description: format!(
                "<p>A {} {} in {}, made to be used for years.</p><p>By {brand}.</p>",
                title.split(' ').next().unwrap_or_default().to_lowercase(),
                noun.to_lowercase(),
                colour.to_lowercase()
            ),
            title,
            brand: Some(brand.into()),
            category_id: None,
            attributes: vec![NamedValue { name: "Colour".into(), value: colour.into() }],
            tags: vec![colour.to_lowercase(), line.category.to_lowercase()],
            options: if line.sized { vec!["Size".into()] } else { vec![] },
            skus,
            images: vec![],
        };
        let compare_at = reduced.then(|| Money::new(price.amount * 5 / 4, price.currency));
        Self {
            product: FileProduct::whole(product, true, Some(line.category.into())),
            price,
            compare_at,
            stock,
        }
    }
}

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

/// An index where the first is the most likely: popularity falls as 1/rank (Zipf with exponent 1).
fn skewed(rng: &mut StdRng, count: usize) -> usize {
    let weights: Vec<f64> =
        (1..=u32::try_from(count).unwrap_or(1)).map(|rank| 1.0 / f64::from(rank)).collect();
    let mut point = rng.random_range(0.0..weights.iter().sum());
    for (index, weight) in weights.iter().enumerate() {
        if point < *weight {
            return index;
        }
        point -= weight;
    }
    count - 1
}

async fn users(shop: &Shop, seed: &Seed) -> Result<()> {
    if seed.users == 0 {
        return Ok(());
    }
    let password = format!("shopper-{:08x}", StdRng::seed_from_u64(seed.seed).random::<u32>());
    let bar = bar(seed.users, "users")?;
    let made: Vec<bool> = stream::iter(0..seed.users)
        .map(|number| {
            let (bar, password) = (bar.clone(), password.clone());
            async move {
                let made = user(shop, seed.seed, number, password).await;
                bar.inc(1);
                made
            }
        })
        .buffer_unordered(16)
        .try_collect()
        .await?;
    bar.finish();
    let new = made.iter().filter(|made| **made).count();
    answer::put(&format!(
        "{new} new users: user0-{seed}@example.com … user{last}-{seed}@example.com\npassword: {password}",
        seed = seed.seed,
        last = seed.users - 1
    ))
}

/// Opens an account with an address; false when it exists.
async fn user(shop: &Shop, seed: u64, number: u32, password: String) -> Result<bool> {
    let system = shop.system_ctx("seed");
    let email = format!("user{number}-{seed}@example.com");
    let register = Register { email, password, name: format!("Shopper {number}"), country: None };
    let account = match shop.contracts.accounts.register(&system, register).await {
        Ok(account) => account,
        Err(failure) if failure.is(contracts::account::code::EMAIL_TAKEN) => return Ok(false),
        Err(failure) => return Err(failure).context("registering a user"),
    };
    let session = SessionId::derive(account.id.shard(), &[b"seed"]);
    let caller = Caller::User { id: account.id, session, permissions: BTreeSet::new() };
    let (country, region, city) =
        [("US", "CA", "Oakland"), ("DE", "", "Leipzig"), ("CN", "浙江", "杭州"), ("JP", "", "Kobe")]
            [usize::try_from(number % 4).unwrap_or_default()];
    let address = AddressInput {
        recipient: account.name.clone(),
        phone: format!("+1415555{:04}", number % 10_000),
        country: country.into(),
        region: region.into(),
        city: city.into(),
        district: String::new(),
        line1: format!("{} Main Street", number % 900 + 1),
        line2: String::new(),
        postal_code: format!("{:05}", 10_000 + number % 80_000),
        is_default: true,
    };
    shop.contracts.accounts.add_address(&Ctx { caller, ..system }, address).await?;
    Ok(true)
}
