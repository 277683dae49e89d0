//! A request on its way to another region, and who stands in for that one.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{http::StatusCode, web::Bytes};
use futures::{
    FutureExt,
    future::{Either, select},
};
use kernel::{Failure, Region, Shard};
use placement::World;
use platform_client::breaker::Pass;
use platform_http::{Arrival, Entered, Hop, Inward};
use tracing::Instrument;

use super::Worker;
use crate::{
    body, code,
    decision::Decision,
    forward::{self, Reply, Trouble, Vouched},
    resolve,
    route::Place,
};

/// Where a request for another region goes.
pub(super) struct Way {
    pub(super) to: Place,
    /// Whether it may be served here in its stead.
    pub(super) or_here: bool,
    /// Where it may not: who else is asked.
    pub(super) or_there: VecDeque<Place>,
    pub(super) shard: Shard,
    pub(super) world: Arc<World>,
}

impl Way {
    /// Whether somebody stands in for whom it goes to.
    fn is_stood_in(&self) -> bool {
        self.or_here || !self.or_there.is_empty()
    }
}

/// A request for another region.
struct Passing {
    way: Way,
    arrival: Arrival,
    /// A copy of what `arrival` has.
    body: Bytes,
    inward: Inward,
    /// Whether it may run twice.
    repeatable: bool,
    started: Instant,
}

impl Worker {
    /// Serves here what another region did not do, or asks the next one that may.
    async fn instead(&self, decision: Decision, mut passing: Passing) -> Entered {
        if passing.way.or_here {
            return self.serve(decision, passing.arrival.request, passing.inward).await;
        }
        match passing.way.or_there.pop_front() {
            Some(next) => {
                passing.way.to = next;
                self.ask(passing).boxed_local().await
            }
            None => self.unlawful(&passing.way.world, passing.way.shard),
        }
    }

    /// Passes it on, once it is whole; what is too large for that is served here or not at all.
    pub(super) async fn pass_on(&self, way: Way, mut arrival: Arrival, inward: Inward) -> Entered {
        let started = Instant::now();
        let limit = self.site.config.body_limit;
        let body = match body::copy(&mut arrival.request, limit, arrival.within.mul_f32(0.8)).await {
            Ok(Some(body)) => body,
            Ok(None) if way.or_here => return self.serve(Decision::Large, arrival.request, inward).await,
            Ok(None) => return self.unlawful(&way.world, way.shard),
            Err(failure) => return Entered::Refused(failure),
        };
        let repeatable = arrival.keyed
            || arrival.request.method().is_safe()
            || resolve::is_keyed_form(arrival.request.path(), &body);
        self.ask(Passing { way, arrival, body, inward, repeatable, started }).await
    }

    /// Asks the region that it goes to, once; who stands in for it where that comes to nothing.
    async fn ask(&self, passing: Passing) -> Entered {
        let (config, way, arrival) = (&self.site.config, &passing.way, &passing.arrival);
        let home = self.site.homes.of(&way.to.region, config);
        // Where nobody stands in, the alternative is to refuse it: it has nothing to lose.
        let may_probe = passing.repeatable || !way.is_stood_in();
        let Some(pass) = home.breaker.enter(may_probe, Instant::now()) else {
            return self.instead(Decision::Down, passing).await;
        };
        let Ok(_place) = home.places.try_acquire() else {
            return self.instead(Decision::Full, passing).await;
        };
        let left = arrival.within.saturating_sub(passing.started.elapsed()).mul_f32(0.95);
        let span = tracing::debug_span!(
            target: "meridian",
            "hop",
            otel.name = "hop",
            otel.kind = "client",
            peer.service = way.to.region.as_str(),
        );
        let sent = span.in_scope(|| {
            let url = forward::url(&way.to, resolve::target(&arrival.request))?;
            let hop = Hop { from: self.site.me.clone(), client: arrival.client, left };
            self.outgoing(&passing, &hop, url).ok()
        });
        let Some(sent) = sent else {
            return self.instead(Decision::Large, passing).await;
        };
        // An answer of unknown length begins to flow before it counts as slow.
        let patience = config.hedge.mul_f32(0.8);
        let home = forward::exchange(&self.client, sent, patience, arrival.within).instrument(span);
        self.await_home(home, Asked { pass, passing, left }).await
    }

    fn outgoing(&self, passing: &Passing, hop: &Hop, url: reqwest::Url) -> kernel::Result<reqwest::Request> {
        let Passing { way, arrival, body, .. } = passing;
        let request = &arrival.request;
        let home = way.world.observed.shards.get(&way.shard).map(|row| row.home.as_str());
        let (key, now) = (&self.site.key, self.site.clock.now());
        let assertion = key.vouch(hop, request.method().as_str(), resolve::target(request), now)?;
        let vouched = Vouched { from: hop.from.as_str(), home, assertion, id: &arrival.id };
        forward::outgoing(request, url, body.clone(), &vouched)
    }

    /// Waits for home: until it counts as slow, and then for home or who stands in, whichever is first. Where nobody does it
    /// has all the time there is.
    async fn await_home(
        &self,
        home: impl Future<Output = Result<Reply, Trouble>>,
        mut asked: Asked<'_>,
    ) -> Entered {
        let started = Instant::now();
        let mut home = pin!(home);
        let way = &asked.passing.way;
        let patience = if way.is_stood_in() { self.site.config.hedge } else { asked.left };
        if let Ok(answer) = tokio::time::timeout(patience, home.as_mut()).await {
            return self.settle(answer, started, asked).await;
        }
        asked.pass.troubled(Instant::now());
        failed(&way.to.region, "slow");
        if asked.may_run_again() {
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
        let to = &asked.passing.way.to;
        let decision = match answer {
            Ok(reply) if !(asked.may_run_again() && is_away(reply.status())) => {
                asked.pass.answered();
                self.forwarded(Decision::Forwarded, to, started);
                let request = asked.passing.arrival.request;
                return Entered::Answer(Ok(request.into_response(reply.into_response())));
            }
            Ok(reply) => {
                tracing::debug!(http.status = reply.status().as_u16(), "stood in for after an error at home");
                asked.pass.troubled(Instant::now());
                failed(&to.region, "error");
                Decision::Broken
            }
            Err(trouble) => match self.after(&trouble, &mut asked) {
                Some(decision) => decision,
                None => return self.unsettled(),
            },
        };
        drop(asked.pass);
        self.instead(decision, asked.passing).await
    }

    /// Why somebody stands in after `trouble`; none when it must not run again.
    fn after(&self, trouble: &Trouble, asked: &mut Asked<'_>) -> Option<Decision> {
        let region = &asked.passing.way.to.region;
        let now = Instant::now();
        let (reason, decision) = match trouble {
            Trouble::Unreached(_) => ("unreached", Some(Decision::Unreached)),
            Trouble::Unserved(_) => ("unserved", Some(Decision::Unserved)),
            Trouble::Broken(_) | Trouble::Odd(_) => {
                ("broken", asked.passing.repeatable.then_some(Decision::Broken))
            }
        };
        match trouble {
            // It is well, and knows another map.
            Trouble::Unserved(why) if why == forward::UNLAWFUL => asked.pass.answered(),
            Trouble::Unserved(why) if !matches!(why.as_str(), "out" | "draining") => asked.pass.troubled(now),
            Trouble::Unreached(_) | Trouble::Unserved(_) => asked.pass.down(now),
            Trouble::Broken(_) | Trouble::Odd(_) => asked.pass.troubled(now),
        }
        failed(region, reason);
        tracing::info!(home = region.as_str(), error.cause = %trouble, stood_in = decision.is_some(), "home failed");
        decision
    }

    /// Home is slow: it is served here as well, or by the next one that may, and the first good answer counts. All run under
    /// the same key or change nothing, so that there is one effect.
    async fn race(
        &self,
        home: impl Future<Output = Result<Reply, Trouble>>,
        started: Instant,
        asked: Asked<'_>,
    ) -> Entered {
        let Asked { mut pass, passing, .. } = asked;
        let to = passing.way.to.clone();
        let home = pin!(home);
        let here = pin!(self.instead(Decision::Slow, passing));
        match select(here, home).await {
            Either::Left((good, _)) if is_good(&good) => good,
            Either::Left((bad, home)) => match home.await {
                Ok(reply) if !reply.status().is_server_error() => {
                    self.forwarded(Decision::SlowForwarded, &to, started);
                    Entered::Instead(reply.into_response())
                }
                _ => bad,
            },
            Either::Right((Ok(reply), _)) if !reply.status().is_server_error() => {
                pass.answered();
                self.forwarded(Decision::SlowForwarded, &to, started);
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
    left: Duration,
}

impl Asked<'_> {
    /// Whether somebody stands in though home may have done it.
    fn may_run_again(&self) -> bool {
        self.passing.repeatable && self.passing.way.is_stood_in()
    }
}

/// Whether nobody else could do better.
fn is_good(entered: &Entered) -> bool {
    let status = match entered {
        Entered::Answer(Ok(answer)) => answer.status(),
        // Of another region that stands in.
        Entered::Instead(answer) => answer.status(),
        Entered::Answer(Err(_)) | Entered::Refused(_) => return false,
    };
    !status.is_server_error()
}

/// A status by which a region says that it cannot, and another may.
fn is_away(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

fn failed(region: &Region, reason: &'static str) {
    let labels = [("region", region.to_string()), ("reason", reason.to_owned())];
    metrics::counter!("edge_hop_failures_total", &labels).increment(1);
}
