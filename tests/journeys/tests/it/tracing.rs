//! One order is one trace, across processes, SQL and events; and nothing personal is in it.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use stack::{Collector, Signal};
use support::{Client, Receiver, Shape, Shop, ShopBuilder, ToldSpan, lines_of, spans_of};

use crate::shelf::{fill, sku, until};

/// A person as nobody else is: any of this in a log, a span or an export is a leak.
const EMAIL: &str = "zsofia.kovacsne@example.net";
const PASSWORD: &str = "9 szep kek madar";
const NAME: &str = "Zsofia Kovacsne-Balogh";
const RECIPIENT: &str = "Boldizsar Kovacs-Balogh";
const PHONE: &str = "+36205550177";
const STREET: &str = "Rozsavirag utca 4242";
const CITY: &str = "Kiskunfelegyhaza";
/// Not of digits only: those are found in a moment's nanoseconds before long.
const POSTAL_CODE: &str = "H-61009";
const REMARK: &str = "csengessen haromszor";
const PERSONAL: [&str; 10] =
    [EMAIL, "zsofia", PASSWORD, NAME, RECIPIENT, PHONE, STREET, CITY, POSTAL_CODE, REMARK];

const ENTRANCE: &str = "search,storefront";
const SELLING: &str = "order,payment,sandbox,cart";
const KNOWING: &str = "account,catalog,pricing,inventory,import";

/// A split shop that tells `endpoint`.
fn telling(endpoint: &str) -> ShopBuilder {
    Shop::builder()
        .shape(Shape::Split)
        .set("TELEMETRY__FORMAT", "json")
        .set("TELEMETRY__FILTER", "info")
        .set("TELEMETRY__REGION", "eu-west")
        .set("TELEMETRY__OTLP__ENDPOINT", endpoint)
        .set("TELEMETRY__OTLP__EVERY", "100ms")
        // What a collector on a busy machine takes late is not lost.
        .set("TELEMETRY__OTLP__TIMEOUT", "30s")
        .set("TELEMETRY__OTLP__HEADERS", "authorization=Bearer%20collectors-secret")
}

/// Registers, orders a lamp, pays it, and waits until it is paid; the order's id.
async fn buy(shop: &Shop) -> Result<String> {
    let mut shopper = shop.guest();
    let account = json!({"email": EMAIL, "password": PASSWORD, "name": NAME});
    shopper.post("/api/v1/accounts", &account).await?.expect(201)?;
    // What a client gets wrong must not be told either.
    let wrong = json!({"email": EMAIL, "password": format!("{PASSWORD}!")});
    ensure!(shopper.post("/api/v1/sessions", &wrong).await?.status == 401);
    shopper.log_in(EMAIL, PASSWORD).await?;
    let address = json!({
        "recipient": RECIPIENT, "phone": PHONE, "country": "US", "region": "", "city": CITY, "district": "",
        "line1": STREET, "line2": "", "postal_code": POSTAL_CODE, "is_default": true,
    });
    let address = shopper.post("/api/v1/addresses", &address).await?.expect(201)?;
    let address = address["id"].as_str().context("an address has an id")?;
    let lamp = sku(shop, "copper-lamp").await?;
    let wanted = json!({"address_id": address, "items": [{"sku_id": lamp, "quantity": 1}], "remark": REMARK});
    let placed = shopper.post_once("/api/v1/orders", &Client::key(), &wanted).await?.expect(201)?;
    let order = placed["id"].as_str().context("an order has an id")?.to_owned();
    let pay = format!("/api/v1/orders/{order}/payments");
    let payment =
        shopper.post_once(&pay, &Client::key(), &json!({"channel": "sandbox"})).await?.expect(201)?;
    let payment = payment["id"].as_str().context("a payment has an id")?;
    let simulate = format!("/api/v1/sandbox/payments/{payment}");
    shopper.post(&simulate, &json!({"outcome": "succeed"})).await?.expect(202)?;
    until(async || {
        let seen = shopper.get(&format!("/api/v1/orders/{order}")).await?.expect(200)?;
        Ok((seen["state"] == "paid").then_some(()))
    })
    .await?;
    Ok(order)
}

/// What the trace of an order must have: the process's modules and the span's name.
const STATIONS: [(&str, &str); 17] = [
    (ENTRANCE, "POST /api/v1/orders"),
    (SELLING, "POST /api/v1/orders"),
    (SELLING, "order.place"),
    (SELLING, "/internal/pricing/quote"),
    (KNOWING, "POST /internal/pricing/quote"),
    (KNOWING, "pricing.quote"),
    (KNOWING, "POST /internal/inventory/reserve"),
    (KNOWING, "inventory.reserve"),
    (KNOWING, "INSERT hold"),
    (SELLING, "INSERT orders"),
    (SELLING, "order.pay"),
    (SELLING, "payment.open"),
    (SELLING, "INSERT payment_attempt"),
    (SELLING, "sandbox.provider"),
    (SELLING, "payment.settle"),
    (SELLING, "order.settle"),
    (KNOWING, "inventory.confirm"),
];

fn missing(told: &[ToldSpan], trace: &str) -> Vec<(&'static str, &'static str)> {
    let has = |(targets, name): &(&str, &str)| {
        told.iter().any(|span| span.trace == trace && span.targets == *targets && span.name == *name)
    };
    STATIONS.into_iter().filter(|station| !has(station)).collect()
}

/// The trace that began with the order, once it has everything and hangs together.
async fn whole_trace(told: impl Fn() -> Result<Vec<ToldSpan>>) -> Result<String> {
    let began = |told: &[ToldSpan]| {
        let root = told.iter().find(|span| span.name == "POST /api/v1/orders" && span.targets == ENTRANCE);
        root.map(|span| span.trace.clone())
    };
    let found = until(async || {
        let told = told()?;
        let whole = |trace: &String| missing(&told, trace).is_empty() && hangs_together(&told, trace).is_ok();
        Ok(began(&told).filter(whole))
    })
    .await;
    if let Ok(trace) = found {
        return Ok(trace);
    }
    let told = told()?;
    let trace = began(&told).context("no request for an order was told")?;
    let there: Vec<String> = told.iter().map(|s| format!("{} {} {}", s.trace, s.targets, s.name)).collect();
    let there = there.join("\n");
    ensure!(missing(&told, &trace).is_empty(), "{trace} misses {:?} of\n{there}", missing(&told, &trace));
    hangs_together(&told, &trace).context(there)?;
    Ok(trace)
}

/// Every span hangs together: its parent is one of the trace, or it is the root.
fn hangs_together(told: &[ToldSpan], trace: &str) -> Result<()> {
    let ids: BTreeSet<&str> =
        told.iter().filter(|span| span.trace == trace).map(|span| span.id.as_str()).collect();
    let mut roots = 0;
    for span in told.iter().filter(|span| span.trace == trace) {
        ensure!(span.parent.is_empty() || ids.contains(span.parent.as_str()), "{span:?} has lost its parent");
        roots += usize::from(span.parent.is_empty());
    }
    ensure!(roots == 1, "{roots} roots");
    Ok(())
}

/// What the shop's database is called in traces.
fn system(shop: &Shop) -> &'static str {
    if shop.is_on_tidb() { "mysql" } else { "sqlite" }
}

/// What a trace says of SQL, of the request and of its failures.
fn says_what_it_should(told: &[ToldSpan], trace: &str, system: &str) -> Result<()> {
    let named = |targets: &str, name: &str| {
        let found =
            told.iter().find(|span| span.trace == trace && span.targets == targets && span.name == name);
        found.with_context(|| format!("{targets} {name}"))
    };
    let sql = named(SELLING, "INSERT orders")?;
    ensure!(
        sql.attributes["db.system.name"] == system && sql.attributes["db.collection.name"] == "orders",
        "{sql:?}"
    );
    let root = named(ENTRANCE, "POST /api/v1/orders")?;
    ensure!(root.attributes["http.response.status_code"] == "201", "{root:?}");
    let placed = named(SELLING, "POST /api/v1/orders")?;
    ensure!(placed.attributes["user.id"].starts_with("usr_"), "{placed:?}");
    ensure!(placed.attributes["http.route"] == "/api/v1/orders" && !placed.failed, "{placed:?}");
    // The payment came by another request, and says by which.
    let paid = named(SELLING, "order.pay")?;
    ensure!(paid.links.len() == 1 && paid.links[0] != trace, "{paid:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_trace_and_nothing_personal_is_told() -> Result<()> {
    let receiver = Receiver::start()?;
    // Everything that anybody would log, libraries included.
    let shop = telling(&receiver.endpoint()).set("TELEMETRY__FILTER", "debug").start().await?;
    fill(&shop)?;
    buy(&shop).await?;
    let trace = whole_trace(|| Ok(receiver.spans())).await?;
    says_what_it_should(&receiver.spans(), &trace, system(&shop))?;

    // Log lines know their trace and whose they are, in the file and at the collector.
    let answered = until(async || {
        let lines = receiver.lines();
        Ok(lines
            .into_iter()
            .find(|line| line.trace == trace && line.targets == SELLING && line.message == "answered"))
    })
    .await?;
    ensure!(answered.attributes["user.id"].starts_with("usr_"), "{answered:?}");
    ensure!(answered.attributes.contains_key("shard") && answered.attributes.contains_key("request.id"));
    let line = until(async || {
        let log = shop.log();
        let mut written = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        Ok(written.find(|line| line["trace_id"] == trace.as_str() && line["targets"] == SELLING))
    })
    .await
    .context("a line of the order's trace")?;
    let log = shop.log();
    ensure!(line["region"] == "eu-west" && line["request.id"].is_string(), "{line}");

    ensure!(
        receiver.unread() == 0
            && receiver.authorizations().iter().all(|sent| sent == "Bearer collectors-secret")
    );
    ensure!(!log.contains("collectors-secret") && !receiver.was_told("collectors-secret"));
    for personal in PERSONAL {
        ensure!(!receiver.was_told(personal), "the collector was told {personal:?}");
        let line = log.lines().find(|line| line.contains(personal));
        ensure!(line.is_none(), "logged {personal:?}: {line:?}");
    }
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_began_elsewhere_is_followed_as_it_was_chosen() -> Result<()> {
    let receiver = Receiver::start()?;
    let shop = Shop::builder()
        .set("TELEMETRY__OTLP__ENDPOINT", receiver.endpoint())
        .set("TELEMETRY__OTLP__EVERY", "50ms")
        .set("TELEMETRY__OTLP__SAMPLE", "0.0")
        .set("TELEMETRY__OTLP__LOGS", "false")
        .start()
        .await?;
    let trace = |n: u32, flags: &str| format!("00-{n:032x}-00000000000000aa-{flags}");
    for (path, parent) in [("/api/v1/categories", trace(1, "00")), ("/api/v1/brands", trace(2, "01"))] {
        let headers = [("traceparent", parent.as_str())];
        let answer = shop.guest().send(reqwest::Method::GET, path, &headers, None).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    shop.guest().get("/api/v1/categories").await?.expect(200)?;
    let followed =
        until(async || Ok(receiver.spans().into_iter().find(|span| span.name == "GET /api/v1/brands")))
            .await?;
    ensure!(followed.trace == format!("{:032x}", 2) && followed.parent == "00000000000000aa", "{followed:?}");
    shop.finish().await?;
    // Stopping has sent what waited.
    let others: Vec<ToldSpan> =
        receiver.spans().into_iter().filter(|span| span.trace != followed.trace).collect();
    ensure!(others.is_empty(), "{others:?}");
    ensure!(receiver.lines().is_empty(), "log lines were not to be sent");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_costs_nobody_anything() -> Result<()> {
    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", silent.local_addr()?);
    let start = Instant::now();
    let shop = telling(&endpoint)
        .set("TELEMETRY__OTLP__TIMEOUT", "300ms")
        .set("TELEMETRY__OTLP__QUEUE", "64")
        .set("TELEMETRY__OTLP__BATCH", "32")
        .set("TELEMETRY__OTLP__FLUSH", "1s")
        .start()
        .await?;
    fill(&shop)?;
    buy(&shop).await?;
    // Everybody has tried in vain, several times by now.
    until(async || Ok((shop.log().matches(WARNED).count() >= 3).then_some(()))).await?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        ensure!(shop.guest().get("/api/v1/categories").await?.status == 200);
    }
    warned_once_a_minute(&shop, start)?;
    let metrics = shop.guest().get("/metrics").await?;
    let failed = "telemetry_exports_total{signal=\"traces\",outcome=\"failed\"}";
    ensure!(metrics.text.contains(failed), "{}", metrics.text);
    // Only stopping is looked at, not what was still to be done.
    until(async || Ok(shop.leftovers().await?.is_quiet().then_some(()))).await?;
    let begun = Instant::now();
    shop.finish().await?;
    // Three processes one after the other, each with a second to flush and some to stop on a busy machine.
    ensure!(begun.elapsed() < Duration::from_secs(60), "stopping took {:?}", begun.elapsed());
    Ok(())
}

const WARNED: &str = "the telemetry collector takes nothing";

/// Fails when the three processes, which began after `start`, warned more often than once a minute each.
fn warned_once_a_minute(shop: &Shop, start: Instant) -> Result<()> {
    let log = shop.log();
    let minutes = usize::try_from(start.elapsed().as_secs() / 60)?;
    let (warned, most) = (log.matches(WARNED).count(), 3 * (1 + minutes));
    ensure!(warned <= most, "{warned} warnings in minute {}:\n{log}", minutes + 1);
    Ok(())
}

/// The same at a real collector, which understands what we send, or would say so.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_trace_at_a_real_collector() -> Result<()> {
    if !support::on_real_parts() {
        eprintln!("without --real: the OpenTelemetry collector is not tried");
        return Ok(());
    }
    let collector = tokio::task::spawn_blocking(Collector::start).await??;
    let start = Instant::now();
    let shop = telling(&collector.endpoint()).start().await?;
    fill(&shop)?;
    buy(&shop).await?;
    let told = || Ok(collector.received(Signal::Traces)?.iter().flat_map(spans_of).collect::<Vec<_>>());
    let trace = whole_trace(told).await?;
    says_what_it_should(&told()?, &trace, system(&shop))?;
    let answered = until(async || {
        let lines = collector.received(Signal::Logs)?.iter().flat_map(lines_of).collect::<Vec<_>>();
        Ok(lines
            .into_iter()
            .find(|line| line.trace == trace && line.targets == SELLING && line.message == "answered"))
    })
    .await
    .context("the request's line at the collector")?;
    ensure!(answered.attributes["user.id"].starts_with("usr_"), "{answered:?}");

    // It is killed: nobody is hurt. It is back: it is told again, without a person.
    collector.kill()?;
    buy_again(&shop).await?;
    collector.restart()?;
    let before = told()?.len();
    until(async || {
        shop.guest().get("/api/v1/categories").await?.expect(200)?;
        Ok((told()?.len() > before).then_some(()))
    })
    .await
    .context("spans after the collector came back")?;
    warned_once_a_minute(&shop, start)?;
    for signal in [Signal::Traces, Signal::Logs] {
        let written = std::fs::read_to_string(collector.file(signal))?;
        for personal in PERSONAL {
            ensure!(!written.contains(personal), "{signal:?}: the collector was told {personal:?}");
        }
    }
    shop.finish().await
}

/// Another order by the same person.
async fn buy_again(shop: &Shop) -> Result<()> {
    let mut shopper = shop.guest();
    shopper.log_in(EMAIL, PASSWORD).await?;
    let (address, lamp) = (shopper.address("US").await?, sku(shop, "copper-lamp").await?);
    shopper.place(&address, &lamp, 1).await?.expect(201)?;
    Ok(())
}
