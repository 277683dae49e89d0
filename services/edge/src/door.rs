//! Where a worker's requests enter the region.

use std::{pin::pin, rc::Rc, sync::Arc, time::Instant};

use actix_web::{dev::ServiceRequest, http::StatusCode};
use futures::{
    FutureExt,
    future::{Either, LocalBoxFuture, select},
};
use kernel::{Clock, Failure, Region, Shard, code as common};
use placement::{Degraded, World};
use platform_client::breaker::Pass;
use platform_http::{Arrival, AssertionKey, Auth, Door, Entered, Hop, Inward};
use platform_regions::Regions;
use tracing::Instrument;

use crate::{
    EdgeConfig, answers, body, code,
    decision::{Counts, Decision},
    forward::{self, Reply, Trouble, Vouched},
    homes::Homes,
    kept::Kept,
    linger::Linger,
    resolve,
    room::Room,
    route::{self, Place, Route},
};

/// What all workers share.
pub(crate) struct Site {
    pub(crate) me: Region,
    pub(crate) regions: Regions,
    pub(crate) config: EdgeConfig,
    pub(crate) auth: Auth,
    pub(crate) key: AssertionKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) homes: Homes,
    pub(crate) linger: Linger,
    pub(crate) room: Room,
    pub(crate) kept: Kept,
}

impl Site {
    /// Whether programs are answered although this region is out.
    fn lingers(&self, world: &World) -> bool {
        let row = world.desired.regions.get(&self.me);
        row.is_some_and(|row| self.linger.answers(row, Instant::now()))
    }

    /// What this region does less of now: what its configuration says, and a person.
    fn degraded(&self) -> Degraded {
        let world = self.regions.world();
        let said = world.and_then(|world| world.desired.regions.get(&self.me).map(|row| row.spec.degraded));
        let said = said.unwrap_or_default();
        let read_only = said.read_only || said.static_only || self.config.read_only;
        Degraded { read_only, ..said }
    }
}

/// A worker's entrance. Its connections to other regions are its own, so that none is shared between threads.
pub(crate) struct Worker {
    pub(crate) site: Arc<Site>,
    pub(crate) client: reqwest::Client,
    pub(crate) counts: Counts,
}

impl Door for Worker {
    fn enter(self: Rc<Self>, arrival: Arrival, inward: Inward) -> LocalBoxFuture<'static, Entered> {
        async move { self.decide(arrival, inward).await }.boxed_local()
    }
}

/// A request for another region.
struct Passing {
    to: Place,
    /// Whether it may be served here in its stead.
    or_here: bool,
    shard: Shard,
    world: Arc<World>,
}

impl Worker {
    async fn decide(&self, arrival: Arrival, inward: Inward) -> Entered {
        let (site, request) = (&self.site, &arrival.request);
        let Some(world) = site.regions.world() else {
            return Entered::Answer(inward(arrival.request).await);
        };
        let (method, path) = (request.method(), request.path());
        let is_out = route::is_out(&world, &site.me);
        if arrival.hop.is_some() {
            return self.receive(is_out, arrival, inward).await;
        }
        if resolve::is_always_served(path) {
            self.counts.count(Decision::Anybody);
            return Entered::Answer(inward(arrival.request).await);
        }
        let shard = resolve::shard(&site.auth, method, path, request.headers());
        if is_out && (arrival.page || !site.lingers(&world)) {
            return self.send_on(&world, shard, &arrival);
        }
        let degraded = site.degraded();
        if degraded.read_only && !resolve::is_harmless(method, path) {
            self.counts.count(Decision::ReadOnly);
            return Entered::Refused(Failure::new(code::READ_ONLY).retry_after(30));
        }
        if degraded.static_only
            && let Some(copy) = site.kept.find(request).await
        {
            self.counts.count(Decision::Kept);
            return Entered::Instead(copy);
        }
        let Some(shard) = shard else { return self.serve(Decision::Anybody, arrival.request, inward).await };
        match route::route(&world, &site.me, shard) {
            Route::Here => self.serve(Decision::Here, arrival.request, inward).await,
            Route::Nowhere => self.unlawful(&world, shard),
            Route::There { to, or_here } => {
                let passing = Passing { to, or_here, shard, world };
                self.pass_on(passing, arrival, inward).boxed_local().await
            }
        }
    }

    /// A request that another region passed on: it goes no further, whatever the map here says.
    async fn receive(&self, is_out: bool, arrival: Arrival, inward: Inward) -> Entered {
        let request = arrival.request;
        let harmless = resolve::is_harmless(request.method(), request.path());
        let degraded = self.site.degraded();
        let why = if is_out {
            Err((code::OUT.into(), "out"))
        } else if degraded.static_only {
            Err((code::STATIC.into(), "static"))
        } else if degraded.read_only && !harmless {
            Err((code::READ_ONLY.into(), "read_only"))
        } else {
            self.site.room.enter(degraded.queue, false).await.map_err(|failure| (failure, "busy"))
        };
        match why {
            Ok(_place) => {
                self.counts.count(Decision::Hop);
                Entered::Answer(inward(request).await)
            }
            Err((failure, why)) => {
                self.counts.count(Decision::GivenBack);
                Entered::Answer(Ok(request.into_response(answers::unserved(&failure, why))))
            }
        }
    }

    /// Serves it here, once the waiting room has let it in.
    async fn serve(&self, decision: Decision, request: ServiceRequest, inward: Inward) -> Entered {
        let degraded = self.site.degraded();
        if degraded.static_only && !resolve::is_callback(request.path()) {
            self.counts.count(Decision::NotKept);
            return Entered::Refused(Failure::new(code::STATIC).retry_after(30));
        }
        match self.site.room.enter(degraded.queue, true).await {
            Ok(_place) => {
                self.counts.count(decision);
                let wanted = self.site.kept.wanted(&request).await;
                Entered::Answer(match (inward(request).await, wanted) {
                    (Ok(answer), Some(wanted)) => Ok(self.site.kept.keep(wanted, answer).await),
                    (answer, _) => answer,
                })
            }
            Err(failure) => {
                self.counts.count(Decision::Queue);
                Entered::Refused(failure)
            }
        }
    }

    /// Sends a shopper on to a region that serves.
    fn send_on(&self, world: &World, shard: Option<Shard>, arrival: &Arrival) -> Entered {
        self.counts.count(Decision::SentOn);
        let places = route::others(world, &self.site.me, shard);
        let response = match places.first() {
            Some(to) if arrival.page => answers::sent_on(to, resolve::target(&arrival.request)),
            None if arrival.page => return Entered::Refused(Failure::new(code::OUT).retry_after(5)),
            _ => answers::elsewhere(&Failure::new(code::OUT).retry_after(1), &places),
        };
        Entered::Instead(response)
    }

    fn unlawful(&self, world: &World, shard: Shard) -> Entered {
        self.counts.count(Decision::Unlawful);
        let failure = Failure::new(common::UNAVAILABLE)
            .detail("no region that keeps data of this jurisdiction serves right now")
            .retry_after(5);
        Entered::Instead(answers::elsewhere(&failure, &route::others(world, &self.site.me, Some(shard))))
    }

    /// Serves here what its home did not do.
    async fn instead(
        &self,
        decision: Decision,
        passing: &Passing,
        request: ServiceRequest,
        inward: Inward,
    ) -> Entered {
        if passing.or_here {
            self.serve(decision, request, inward).await
        } else {
            self.unlawful(&passing.world, passing.shard)
        }
    }

    /// Passes it on to its home, once; serves it here where that comes to nothing.
    async fn pass_on(&self, passing: Passing, mut arrival: Arrival, inward: Inward) -> Entered {
        let config = &self.site.config;
        let started = Instant::now();
        let body =
            match body::copy(&mut arrival.request, config.body_limit, arrival.within.mul_f32(0.8)).await {
                Ok(Some(body)) => body,
                Ok(None) => return self.instead(Decision::Large, &passing, arrival.request, inward).await,
                Err(failure) => return Entered::Refused(failure),
            };
        let repeatable = arrival.keyed
            || arrival.request.method().is_safe()
            || resolve::is_keyed_form(arrival.request.path(), &body);
        let home = self.site.homes.of(&passing.to.region, config);
        let Some(pass) = home.breaker.enter(repeatable && passing.or_here, Instant::now()) else {
            return self.instead(Decision::Down, &passing, arrival.request, inward).await;
        };
        let Ok(_place) = home.places.try_acquire() else {
            return self.instead(Decision::Full, &passing, arrival.request, inward).await;
        };
        let left = arrival.within.saturating_sub(started.elapsed()).mul_f32(0.95);
        let span = tracing::debug_span!(
            target: "meridian",
            "hop",
            otel.name = "hop",
            otel.kind = "client",
            peer.service = passing.to.region.as_str(),
        );
        let sent = span.in_scope(|| {
            let url = forward::url(&passing.to, resolve::target(&arrival.request))?;
            let hop = Hop { from: self.site.me.clone(), client: arrival.client, left };
            self.outgoing(&arrival, &hop, url, body).ok()
        });
        let Some(sent) = sent else {
            return self.instead(Decision::Large, &passing, arrival.request, inward).await;
        };
        // An answer of unknown length begins to flow before it counts as slow.
        let home = forward::exchange(&self.client, sent, config.hedge.mul_f32(0.8)).instrument(span);
        let asked = Asked { pass, passing, request: arrival.request, inward, repeatable, left };
        self.await_home(home, asked).await
    }

    fn outgoing(
        &self,
        arrival: &Arrival,
        hop: &Hop,
        url: reqwest::Url,
        body: actix_web::web::Bytes,
    ) -> kernel::Result<reqwest::Request> {
        let request = &arrival.request;
        let (key, now) = (&self.site.key, self.site.clock.now());
        let assertion = key.vouch(hop, request.method().as_str(), resolve::target(request), now)?;
        let vouched = Vouched { from: hop.from.as_str(), assertion, id: &arrival.id };
        forward::outgoing(request, url, body, &vouched)
    }

    /// Waits for home: until it counts as slow, and then for home or this region, whichever is first.
    async fn await_home(
        &self,
        home: impl Future<Output = Result<Reply, Trouble>>,
        mut asked: Asked<'_>,
    ) -> Entered {
        let started = Instant::now();
        let mut home = pin!(home);
        if let Ok(answer) = tokio::time::timeout(self.site.config.hedge, home.as_mut()).await {
            return self.settle(answer, started, asked).await;
        }
        asked.pass.troubled(Instant::now());
        failed(&asked.passing.to.region, "slow");
        if asked.repeatable && asked.passing.or_here {
            return self.race(home, started, asked).await;
        }
        match tokio::time::timeout(asked.left.saturating_sub(started.elapsed()), home).await {
            Ok(answer) => self.settle(answer, started, asked).await,
            Err(_) => self.unsettled(),
        }
    }

    /// What follows from home's answer.
    async fn settle(
        &self,
        answer: Result<Reply, Trouble>,
        started: Instant,
        mut asked: Asked<'_>,
    ) -> Entered {
        let decision = match answer {
            Ok(reply) if !(asked.repeatable && asked.passing.or_here && is_away(reply.status())) => {
                asked.pass.answered();
                self.forwarded(Decision::Forwarded, &asked.passing.to, started);
                return Entered::Answer(Ok(asked.request.into_response(reply.into_response())));
            }
            Ok(reply) => {
                tracing::debug!(http.status = reply.status().as_u16(), "served here after an error at home");
                asked.pass.troubled(Instant::now());
                failed(&asked.passing.to.region, "error");
                Decision::Broken
            }
            Err(trouble) => match self.after(trouble, &mut asked) {
                Some(decision) => decision,
                None => return self.unsettled(),
            },
        };
        drop(asked.pass);
        self.instead(decision, &asked.passing, asked.request, asked.inward).await
    }

    /// Why it is served here after `trouble`; none when it must not be.
    fn after(&self, trouble: Trouble, asked: &mut Asked<'_>) -> Option<Decision> {
        let region = &asked.passing.to.region;
        let now = Instant::now();
        let (reason, decision) = match &trouble {
            Trouble::Unreached(_) => ("unreached", Some(Decision::Unreached)),
            Trouble::Unserved(_) => ("unserved", Some(Decision::Unserved)),
            Trouble::Broken(_) | Trouble::Odd(_) => ("broken", asked.repeatable.then_some(Decision::Broken)),
        };
        match &trouble {
            Trouble::Unserved(why) if !matches!(why.as_str(), "out" | "draining") => asked.pass.troubled(now),
            Trouble::Unreached(_) | Trouble::Unserved(_) => asked.pass.down(now),
            Trouble::Broken(_) | Trouble::Odd(_) => asked.pass.troubled(now),
        }
        failed(region, reason);
        tracing::info!(home = region.as_str(), error.cause = %trouble, served_here = decision.is_some(), "home failed");
        decision
    }

    /// Home is slow: it is served here as well, and the first good answer counts. Both run under the same key or change
    /// nothing, so that there is one effect.
    async fn race(
        &self,
        home: impl Future<Output = Result<Reply, Trouble>>,
        started: Instant,
        asked: Asked<'_>,
    ) -> Entered {
        let Asked { mut pass, passing, request, inward, .. } = asked;
        let home = pin!(home);
        let here = pin!(self.serve(Decision::Slow, request, inward));
        match select(here, home).await {
            Either::Left((Entered::Answer(Ok(answer)), _)) if !answer.status().is_server_error() => {
                Entered::Answer(Ok(answer))
            }
            Either::Left((bad, home)) => match home.await {
                Ok(reply) if !reply.status().is_server_error() => {
                    self.forwarded(Decision::SlowForwarded, &passing.to, started);
                    Entered::Instead(reply.into_response())
                }
                _ => bad,
            },
            Either::Right((Ok(reply), _)) if !reply.status().is_server_error() => {
                pass.answered();
                self.forwarded(Decision::SlowForwarded, &passing.to, started);
                Entered::Instead(reply.into_response())
            }
            Either::Right((_, here)) => here.await,
        }
    }

    fn unsettled(&self) -> Entered {
        self.counts.count(Decision::Unsettled);
        Entered::Refused(Failure::new(code::UNSETTLED).retry_after(1))
    }

    fn forwarded(&self, decision: Decision, to: &Place, started: Instant) {
        self.counts.count(decision);
        metrics::histogram!("edge_forward_duration_seconds", "region" => to.region.to_string())
            .record(started.elapsed().as_secs_f64());
    }
}

/// A request whose home was asked.
struct Asked<'a> {
    pass: Pass<'a>,
    passing: Passing,
    request: ServiceRequest,
    inward: Inward,
    /// Whether it may run twice.
    repeatable: bool,
    left: std::time::Duration,
}

/// A status by which a region says that it cannot, and another may.
fn is_away(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

fn failed(region: &Region, reason: &'static str) {
    let labels = [("region", region.to_string()), ("reason", reason.to_owned())];
    metrics::counter!("edge_hop_failures_total", &labels).increment(1);
}
