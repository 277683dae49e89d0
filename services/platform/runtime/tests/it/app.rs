//! A process: starts in order, serves, stops in reverse.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use contracts::{Event, EventBody, pricing::PriceChanged};
use kernel::{Failure, Id, Result, Shard, code};
use platform_bus::Consumer;
use platform_db::Rows;
use platform_http::HttpServerConfig;
use platform_runtime::{App, AppConfig, Job, JobsConfig, Module, Registry, Telemetry};

use crate::fixture;

#[derive(Default)]
struct Counter(Mutex<u32>);

#[async_trait]
impl Consumer for Counter {
    fn subscription(&self) -> &'static str {
        "test.count"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[PriceChanged::TOPIC]
    }

    async fn consume(&self, _: &Event) -> Result<()> {
        *self.0.lock().unwrap() += 1;
        Ok(())
    }
}

fn config() -> AppConfig {
    let http =
        HttpServerConfig { listen: ([127, 0, 0, 1], 0).into(), workers: 1, ..HttpServerConfig::default() };
    // Runs are counted here: the clockwork would add one at some moment of the first five seconds.
    let jobs = JobsConfig { scheduled: false, ..JobsConfig::default() };
    AppConfig { http, jobs, ..AppConfig::default() }
}

type Log = Arc<Mutex<Vec<&'static str>>>;

fn noted(log: &Log, line: &'static str) -> impl Future<Output = Result<()>> + Send + use<> {
    let log = Arc::clone(log);
    async move {
        log.lock().unwrap().push(line);
        Ok(())
    }
}

fn module(name: &'static str, log: &Log, start: &'static str, stop: &'static str) -> Module {
    let (starts, stops) = (Arc::clone(log), Arc::clone(log));
    Module::new(name).on_start(move |_| noted(&starts, start)).on_stop(move |_| noted(&stops, stop))
}

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_in_order_serves_and_stops_in_reverse() {
    let f = fixture().await;
    let log = Log::default();
    let counter = Arc::new(Counter::default());
    let ready = Arc::new(AtomicBool::new(false));
    let mut registry = Registry::new();
    let asked = Arc::clone(&ready);
    registry
        .add(module("order", &log, "order starts", "order stops").needs(["pricing", "cart"]))
        .add(
            module("pricing", &log, "pricing starts", "pricing stops")
                .consumer(counter.clone())
                .job(Job::every("pricing.tidy", Duration::from_secs(60), |run| async move {
                    Ok(run.ctx().principal())
                }))
                .ready("pricing.index", move || {
                    let ready = asked.load(Ordering::SeqCst);
                    async move {
                        let failure = Failure::new(code::UNAVAILABLE).detail("still loading");
                        if ready { Ok(()) } else { Err(failure) }
                    }
                }),
        )
        .remote("cart");
    let telemetry = Telemetry::metrics_only().unwrap();
    let running = App::new(f.db.clone(), registry, config()).telemetry(telemetry).start().await.unwrap();
    assert_eq!(*log.lock().unwrap(), ["pricing starts", "order starts"]);

    let (status, body) = get(running.address(), "/readyz").await;
    assert!(status == 503 && body.contains("still loading"), "{body}");
    ready.store(true, Ordering::SeqCst);
    let (status, body) = get(running.address(), "/readyz").await;
    assert_eq!(status, 200, "{body}");

    let changed = PriceChanged { sku_id: Id::derive(Shard::new(1), &[b"sku"]) };
    let rows = Rows::new().event(&f.db, Shard::new(1), &changed).unwrap();
    f.db.append(Shard::new(1), rows).await.unwrap();
    assert!(running.settle(Duration::from_secs(20)).await.unwrap());
    assert_eq!(*counter.0.lock().unwrap(), 1);
    assert_eq!(running.jobs().run_now("pricing.tidy").await.unwrap().message, "system");
    assert!(running.jobs().run_now("bus.prune").await.unwrap().ok);
    assert_eq!(running.jobs().run_now("requests.forget").await.unwrap().message, "0 answers deleted");

    let (status, body) = get(running.address(), "/metrics").await;
    assert!(status == 200 && body.contains("bus_consumed_total{subscription=\"test.count\"} 1"), "{body}");
    assert!(body.contains("job_runs_total{job=\"pricing.tidy\",ok=\"true\"} 1"), "{body}");
    for path in ["/api/v1/admin/jobs", "/api/v1/admin/dead-letters"] {
        assert_eq!(get(running.address(), path).await.0, 401, "{path}");
    }

    assert!(running.stop().await);
    assert_eq!(log.lock().unwrap()[2..], ["order stops", "pricing stops"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_stops_what_was_started() {
    let f = fixture().await;
    let log = Log::default();
    let mut registry = Registry::new();
    registry.add(module("a", &log, "a starts", "a stops"));
    registry.add(Module::new("b").needs(["a"]).on_start(|_| async { Err(Failure::internal("no index")) }));
    let error = App::new(f.db.clone(), registry, config()).start().await.unwrap_err();
    assert_eq!(format!("{error:#}"), "module b cannot start: no index");
    assert_eq!(*log.lock().unwrap(), ["a starts", "a stops"]);
}
