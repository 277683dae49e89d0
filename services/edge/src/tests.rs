//! Regions of a small shop, each a server with an entrance of its own, asked over the wire.

mod degraded;
mod failing;
mod forms;
mod hop;
mod passing;
mod shop;
mod slow;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::web::Data;
use futures::{StreamExt, future::join_all, stream};
use kernel::{Shard, SystemClock};
use placement::World;
use platform_cache::{Cache, Settings};
use platform_http::{AssertionKey, Bound, HOP_HEADER, HttpServerConfig, Server};
use platform_regions::Regions;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use self::shop::{Here, routes};
use crate::{
    EdgeConfig, entrance,
    testing::{auth, region, token, world},
};

const KEY: AssertionKey = AssertionKey::new([5; 32]);
/// Longer than any test: nothing counts as slow.
const PATIENT: Duration = Duration::from_secs(9);

/// A region that is about to serve.
struct Site {
    regions: Regions,
    here: Data<Here>,
    bound: Bound,
}

/// Region `name`, whose shard is the one with its place in the alphabet.
fn site(name: &'static str, change: impl FnOnce(&mut EdgeConfig, &mut HttpServerConfig)) -> Site {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut edge = EdgeConfig {
        connect: PATIENT,
        hedge: PATIENT,
        pause: Duration::from_millis(100),
        ..EdgeConfig::default()
    };
    let mut http =
        HttpServerConfig { listen: ([127, 0, 0, 1], 0).into(), workers: 1, ..HttpServerConfig::default() };
    change(&mut edge, &mut http);
    let regions = Regions::of(region(name), World::default());
    let kept = Cache::new(Settings::new("kept", 10, Duration::from_secs(3_600)), Arc::new(SystemClock));
    let (runs, stored) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let here = Data::new(Here { name, runs, stored, kept, go: Notify::new() });
    let entrance = entrance(edge, &regions, auth(), KEY, Arc::new(SystemClock)).unwrap().unwrap();
    let bound = Server::new(http, Arc::new(SystemClock))
        .routes([routes(&here)])
        .auth(auth())
        .entrance(entrance, KEY)
        .bind()
        .unwrap();
    Site { regions, here, bound }
}

fn plain(name: &'static str) -> Site {
    site(name, |_, _| {})
}

/// A region that serves, as a test sees it.
#[derive(Clone)]
struct Running {
    regions: Regions,
    here: Data<Here>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Tells it which regions there are, and where.
    fn knows(&self, map: &[(&str, &str)]) {
        self.believes(described(map));
    }

    fn believes(&self, mut world: World) {
        let before = self.regions.world().unwrap();
        world.observed.version = before.observed.version.next();
        self.regions.publish(world);
    }

    /// Tells its process to end.
    fn stop(&self) {
        self.stop.send(true).unwrap();
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The map of these regions and endpoints: shard n is at home in the n-th.
fn described(map: &[(&str, &str)]) -> World {
    let names: Vec<&str> = map.iter().map(|(name, _)| *name).collect();
    let mut world = world(&names);
    for (name, endpoint) in map {
        (*endpoint).clone_into(&mut world.desired.regions.get_mut(&region(name)).unwrap().spec.endpoint);
    }
    world
}

/// Runs `work` while these regions serve.
async fn served<const N: usize, F: Future>(
    sites: [Site; N],
    work: impl FnOnce([Running; N]) -> F,
) -> F::Output {
    let running = sites.each_ref().map(|site| Running {
        regions: site.regions.clone(),
        here: site.here.clone(),
        address: site.bound.address(),
        stop: watch::Sender::new(false),
    });
    let stops = running.each_ref().map(|running| running.stop.clone());
    let servers = sites.into_iter().zip(&stops).map(|(site, stop)| {
        let mut stopped = stop.subscribe();
        site.bound.run(async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        })
    });
    let work = async {
        let output = work(running).await;
        for stop in &stops {
            stop.send_replace(true);
        }
        output
    };
    let (ended, output) = tokio::join!(join_all(servers), work);
    ended.into_iter().for_each(|ended| ended.unwrap());
    output
}

/// Two regions that know each other: shard 0 is at home in `a`, shard 1 in `b`.
async fn two<F: Future>(a: Site, b: Site, work: impl FnOnce(Running, Running) -> F) -> F::Output {
    served([a, b], |[a, b]| {
        let (at_a, at_b) = (a.url(), b.url());
        for site in [&a, &b] {
            site.knows(&[("a", &at_a), ("b", &at_b)]);
        }
        work(a, b)
    })
    .await
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

/// As a member of shard 1.
fn get(site: &Running, path: &str) -> reqwest::RequestBuilder {
    client().get(format!("{}{path}", site.url())).bearer_auth(token(Shard::new(1)))
}

fn post(site: &Running, path: &str) -> reqwest::RequestBuilder {
    client().post(format!("{}{path}", site.url())).bearer_auth(token(Shard::new(1)))
}

async fn json(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// Status, code and `Retry-After` of a problem.
async fn problem(request: reqwest::RequestBuilder) -> (u16, String, bool) {
    let answer = request.send().await.unwrap();
    let retry = answer.headers().contains_key("retry-after");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned(), retry)
}
