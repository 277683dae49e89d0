//! Sample data for tests: a small shop, nothing in it by chance.

mod map;

use contracts::{
    UserId,
    account::{AccountView, AddressId, AddressInput, AddressView},
    cart::{CartChange, CartId, CartLine, CartView},
    catalog::{
        AttributeKind, AttributeValue, BrandView, CategoryId, CategoryRef, ImageView, NamedValue, OptionView,
        ProductCard, ProductId, ProductRecord, ProductState, SkuId, SkuRecord,
    },
    order::{FulfilmentState, OrderHistoryView, OrderId, OrderLineView, OrderState, OrderView, PaymentState},
    payment::{IntentState, PaymentId, PaymentView},
    pricing::{Explanation, QuoteLine, QuoteView, Totals},
    search::{FacetValue, Facets, SearchHit, SearchResults},
};
use kernel::{Currency, Id, Kind, Money, Shard, Timestamp};

pub(crate) use self::map::{drilled, operation, regions};

pub(crate) fn id<K: Kind>(number: u8) -> Id<K> {
    Id::derive(Shard::new(1), &[&[number]])
}

pub(crate) fn usd(cents: i64) -> Money {
    Money::new(cents, Currency::USD)
}

pub(crate) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_micros(1_795_250_000_000_000 + minutes * 60_000_000)
}

fn pair(name: &str, value: &str) -> NamedValue {
    NamedValue { name: name.to_owned(), value: value.to_owned() }
}

fn attribute(name: &str, value: &str, kind: AttributeKind, unit: Option<&str>) -> AttributeValue {
    let unit = unit.map(str::to_owned);
    AttributeValue { name: name.to_owned(), value: value.to_owned(), kind, unit, filterable: false }
}

fn image(number: i32) -> ImageView {
    ImageView {
        url: format!("/media/sample-{number}.svg"),
        alt: format!("Linen shirt, view {number}"),
        position: number,
    }
}

fn category(number: u8, slug: &str, name: &str) -> CategoryRef {
    CategoryRef { id: id(number), slug: slug.to_owned(), name: name.to_owned() }
}

/// Sizes S, M by colours Sand, Ink, without M/Ink.
pub(crate) fn product() -> ProductRecord {
    let sku = |number: u8, size: &str, colour: &str| SkuRecord {
        id: id(number),
        code: format!("LINEN-{size}-{colour}").to_uppercase(),
        options: vec![pair("Size", size), pair("Colour", colour)],
        barcode: None,
        weight_grams: 300,
    };
    let option = |name: &str, values: &[&str]| OptionView {
        name: name.to_owned(),
        values: values.iter().map(|v| (*v).to_owned()).collect(),
    };
    ProductRecord {
        id: id(10),
        slug: "linen-shirt".to_owned(),
        title: "Linen shirt with mother-of-pearl buttons".to_owned(),
        description: "<p>Woven in a small mill from <strong>European flax</strong>, washed soft.</p><ul><li>Relaxed cut</li>\
                      <li>Machine wash cold</li></ul>"
            .to_owned(),
        brand: Some(BrandView { id: id(11), slug: "harbour".to_owned(), name: "Harbour & Sons".to_owned() }),
        categories: vec![category(1, "apparel", "Apparel"), category(2, "shirts", "Shirts")],
        attributes: vec![
            attribute("Material", "100 % linen", AttributeKind::Text, None),
            attribute("Weight of the cloth", "180", AttributeKind::Number, Some("g/m²")),
            attribute("Washable", "true", AttributeKind::Boolean, None),
        ],
        tags: vec![],
        images: (1..=4).map(image).collect(),
        options: vec![option("Size", &["S", "M"]), option("Colour", &["Sand", "Ink"])],
        skus: vec![sku(21, "S", "Sand"), sku(22, "S", "Ink"), sku(23, "M", "Sand")],
        state: ProductState::Published,
        on_shelf: true,
        published_at: Some(at(0)),
        version: 3,
    }
}

pub(crate) fn card(number: u8, title: &str, cents: i64, before: Option<i64>, in_stock: bool) -> ProductCard {
    ProductCard {
        id: id(number),
        slug: format!("sample-{number}"),
        title: title.to_owned(),
        brand: Some("Harbour & Sons".to_owned()),
        image: (!number.is_multiple_of(5)).then(|| image(i32::from(number % 6) + 1)),
        price: Some(usd(cents)),
        compare_at: before.map(usd),
        in_stock,
    }
}

pub(crate) fn cards() -> Vec<ProductCard> {
    vec![
        card(1, "Linen shirt with mother-of-pearl buttons", 8_900, None, true),
        card(2, "Stoneware mug, set of two", 3_200, Some(4_000), true),
        card(3, "Beeswax candle", 1_450, None, true),
        card(
            4,
            "Garden shears with ash handles and a very long name that needs a second line at least",
            5_600,
            None,
            false,
        ),
        card(5, "Wool blanket", 12_900, Some(15_900), true),
        card(6, "羊毛围巾 深海绿", 6_800, None, true),
        card(7, "Copper watering can", 7_450, None, true),
        card(8, "Canvas tote", 2_400, None, true),
    ]
}

pub(crate) fn results() -> SearchResults {
    let facet = |value: &str, label: &str, count| FacetValue {
        value: value.to_owned(),
        label: label.to_owned(),
        count,
    };
    SearchResults {
        items: cards()
            .into_iter()
            .map(|product| SearchHit {
                highlight: product.title.replace("Linen", "<mark>Linen</mark>"),
                product,
            })
            .collect(),
        facets: Facets {
            category: vec![facet("shirts", "Shirts", 41), facet("home", "Home", 12)],
            brand: (0..12)
                .map(|n| facet(&format!("brand-{n}"), &format!("Brand number {n}"), 30 - n))
                .collect(),
            price: vec![facet("0-2500", "", 12), facet("2500-5000", "", 30), facet("5000-", "", 9)],
            in_stock: vec![facet("true", "", 47), facet("false", "", 4)],
        },
        total: 1_251,
        next_cursor: Some("bmV4dA".to_owned()),
        corrected: None,
    }
}

pub(crate) fn address(number: u8, is_default: bool) -> AddressView {
    AddressView {
        id: id(number),
        address: AddressInput {
            recipient: "Ada Lovelace".to_owned(),
            phone: "+1 415 555 0100".to_owned(),
            country: "US".to_owned(),
            region: "CA".to_owned(),
            city: "San Francisco".to_owned(),
            district: String::new(),
            line1: format!("{number} Market Street"),
            line2: "Floor 4".to_owned(),
            postal_code: "94103".to_owned(),
            is_default,
        },
    }
}

pub(crate) fn account() -> AccountView {
    AccountView {
        id: id(1),
        email: "ada@example.com".to_owned(),
        name: "Ada Lovelace".to_owned(),
        phone: Some("+14155550100".to_owned()),
        locale: "en".to_owned(),
        roles: vec![],
        created_at: at(0),
        last_login_at: Some(at(5)),
    }
}

pub(crate) fn cart() -> CartView {
    let line =
        |number: u8, title: &str, changes: Vec<CartChange>, price: Option<i64>, quantity: i64| CartLine {
            sku_id: id(number),
            product_id: id(number),
            sku_code: format!("SKU-{number}"),
            slug: format!("sample-{number}"),
            title: title.to_owned(),
            options: vec![pair("Size", "M"), pair("Colour", "Sand")],
            image: Some(format!("/media/sample-{number}.svg")),
            quantity,
            available: 40,
            unit_price: price.map(usd),
            subtotal: price.map(|p| usd(p * quantity)),
            changes,
        };
    let rose = CartChange::PriceChanged { from: usd(2_900), to: usd(3_200) };
    CartView {
        id: Some(id(1)),
        token: None,
        items: vec![
            line(1, "Linen shirt with mother-of-pearl buttons", vec![], Some(8_900), 1),
            line(
                2,
                "Stoneware mug, set of two",
                vec![rose, CartChange::StockShort { available: 3 }],
                Some(3_200),
                4,
            ),
            line(3, "Beeswax candle", vec![CartChange::NotSold], None, 2),
        ],
        quantity: 7,
        subtotal: Some(usd(21_700)),
        updated_at: Some(at(1)),
    }
}

pub(crate) fn totals() -> Totals {
    Totals {
        subtotal: usd(21_700),
        discount: usd(0),
        shipping: usd(599),
        tax: usd(1_845),
        total: usd(24_144),
    }
}

pub(crate) fn quote() -> QuoteView {
    let line = |number: u8, title: &str, cents: i64, quantity: i64| QuoteLine {
        sku_id: id(number),
        product_id: id(number),
        sku_code: format!("SKU-{number}"),
        title: title.to_owned(),
        options: vec![pair("Size", "M")],
        slug: format!("sample-{number}"),
        image: Some(format!("/media/sample-{number}.svg")),
        quantity,
        unit_price: usd(cents),
        subtotal: usd(cents * quantity),
        discount: usd(0),
        tax: usd(0),
        tax_rate_bp: 850,
        total: usd(cents * quantity),
    };
    let step = |rule: &str, text: &str, amount| Explanation {
        rule: rule.to_owned(),
        text: text.to_owned(),
        code: rule.to_owned(),
        params: [("market".to_owned(), "US".into()), ("currency".to_owned(), "USD".into())].into(),
        amount: Some(usd(amount)),
    };
    QuoteView {
        quote: "signed".to_owned(),
        lines: vec![
            line(1, "Linen shirt with mother-of-pearl buttons", 8_900, 1),
            line(2, "Stoneware mug, set of two", 3_200, 4),
        ],
        totals: totals(),
        explanation: vec![
            step("tax.line", "8.5 % on 89.00, half up", 757),
            step("shipping.flat", "Flat rate for US", 599),
            step("rule.unknown", "Something new", 0),
        ],
        market: "US".to_owned(),
        expires_at: at(15),
    }
}

pub(crate) fn order(state: OrderState) -> OrderView {
    let paid = state != OrderState::PendingPayment;
    OrderView {
        id: id(1),
        number: "261121-0417-83925-4".to_owned(),
        state,
        payment_state: if paid { PaymentState::Paid } else { PaymentState::Unpaid },
        fulfilment_state: FulfilmentState::Unfulfilled,
        lines: quote()
            .lines
            .into_iter()
            .map(|line| OrderLineView {
                sku_id: line.sku_id,
                product_id: line.product_id,
                sku_code: line.sku_code,
                title: line.title,
                options: line.options,
                slug: line.slug,
                image: line.image,
                quantity: line.quantity,
                unit_price: line.unit_price,
                subtotal: line.subtotal,
                discount: line.discount,
                tax: line.tax,
                total: line.total,
            })
            .collect(),
        totals: totals(),
        address: address(1, true).address,
        remark: Some("Please leave it <b>at the door</b>.\nThank you".to_owned()),
        placed_at: at(0),
        expires_at: at(30),
        paid_at: paid.then(|| at(2)),
        cancelled_at: None,
        cancel_reason: None,
        payment_number: paid.then(|| "PAY-2611-9921".to_owned()),
    }
}

pub(crate) fn history(state: OrderState) -> Vec<OrderHistoryView> {
    let step = |minutes, actor: &str, from, to, reason: &str| OrderHistoryView {
        at: at(minutes),
        actor: actor.to_owned(),
        from,
        to,
        reason: reason.to_owned(),
    };
    let mut steps = vec![step(0, "shopper", None, OrderState::PendingPayment, "placed")];
    if state != OrderState::PendingPayment {
        steps.push(step(2, "system", Some(OrderState::PendingPayment), state, "paid"));
    }
    steps
}

pub(crate) fn payment(state: IntentState) -> PaymentView {
    PaymentView {
        id: id(1),
        number: "PAY-2611-9921".to_owned(),
        order_id: id(1),
        state,
        amount: usd(24_144),
        captured: usd(0),
        refunded: usd(0),
        channel: "sandbox".to_owned(),
        redirect_url: None,
        provider_number: None,
        created_at: at(0),
        paid_at: None,
        expires_at: at(30),
        reason: None,
    }
}

type EveryId = (UserId, AddressId, CartId, CategoryId, ProductId, SkuId, OrderId, PaymentId);

// Every id type of the samples is named once, so that a change of a contract shows here.
const _: fn() -> EveryId = || (id(1), id(1), id(1), id(1), id(1), id(1), id(1), id(1));
