//! Where a worker's requests enter the region.

mod passing;

use std::{rc::Rc, sync::Arc, time::Instant};

use actix_web::{
    Error,
    dev::{ServiceRequest, ServiceResponse},
};
use futures::{FutureExt, future::LocalBoxFuture};
use kernel::{Clock, Failure, Region, Shard, code as common};
use placement::{Degraded, World};
use platform_http::{Arrival, AssertionKey, Auth, Door, Entered, Inward};
use platform_regions::Regions;

use self::passing::Way;
use crate::{
    EdgeConfig, answers, code,
    decision::{Counts, Decision},
    forward,
    homes::Homes,
    kept::Kept,
    linger::Linger,
    resolve,
    room::Room,
    route::{self, Route},
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

impl Worker {
    async fn decide(&self, arrival: Arrival, inward: Inward) -> Entered {
        let (site, request) = (&self.site, &arrival.request);
        let Some(world) = site.regions.world() else {
            return Entered::Answer(inward(arrival.request).await);
        };
        let (method, path) = (request.method(), request.path());
        let is_out = platform_regions::is_out(&world, &site.me);
        if arrival.hop.is_some() {
            return self.receive(&world, arrival, inward).await;
        }
        if resolve::is_always_served(path) {
            self.counts.count(Decision::Anybody);
            return Entered::Answer(inward(arrival.request).await);
        }
        let shard = resolve::shard(&site.auth, method, path, request.headers());
        // A form is no page to ask for elsewhere: browsers say that it came from another site, and there it is refused.
        let sent_on = arrival.page && method.is_safe();
        if is_out && (sent_on || !site.lingers(&world)) {
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
            // Another region says that it passed it on, and is not believed: clocks may disagree. It goes no further.
            Route::There { or_here: true, .. } if arrival.passed_on => {
                self.serve(Decision::Here, arrival.request, inward).await
            }
            Route::There { .. } if arrival.passed_on => self.unlawful(&world, shard),
            Route::There { to, or_here, or_there } => {
                let way = Way { to, or_here, or_there, shard, world };
                self.pass_on(way, arrival, inward).boxed_local().await
            }
        }
    }

    /// A request that another region passed on: it goes no further, whatever the map here says. Its map may be older, or this
    /// one: where they differ on whose data may be here, it goes back.
    async fn receive(&self, world: &World, arrival: Arrival, inward: Inward) -> Entered {
        let request = arrival.request;
        let me = &self.site.me;
        let harmless = resolve::is_harmless(request.method(), request.path());
        let degraded = self.site.degraded();
        let shard = resolve::shard(&self.site.auth, request.method(), request.path(), request.headers());
        let why = if platform_regions::is_out(world, me) {
            Err((code::OUT.into(), "out"))
        } else if shard.is_some_and(|shard| !route::is_lawful(world, me, shard)) {
            Err((common::UNAVAILABLE.into(), forward::UNLAWFUL))
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
                Entered::Answer(self.inside(request, inward).await)
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
                let answer = self.inside(request, inward).await;
                if let (Ok(answer), Some(wanted)) = (&answer, wanted) {
                    self.site.kept.keep(wanted, answer).await;
                }
                Entered::Answer(answer)
            }
            Err(failure) => {
                self.counts.count(Decision::Queue);
                Entered::Refused(failure)
            }
        }
    }

    /// The answer of this region's own.
    async fn inside(&self, request: ServiceRequest, inward: Inward) -> Result<ServiceResponse, Error> {
        let mut answer = inward(request).await;
        if let (Ok(answer), Some(world)) = (&mut answer, self.site.regions.world()) {
            answers::let_forms_lead_on(answer.headers_mut(), || route::others(&world, &self.site.me, None));
        }
        answer
    }

    /// Sends a shopper on to a region that serves.
    fn send_on(&self, world: &World, shard: Option<Shard>, arrival: &Arrival) -> Entered {
        self.counts.count(Decision::SentOn);
        let places = route::others(world, &self.site.me, shard);
        let response = match places.first() {
            Some(to) if arrival.page && arrival.request.method().is_safe() => {
                answers::sent_on(to, resolve::target(&arrival.request))
            }
            _ if arrival.page => return Entered::Refused(Failure::new(code::OUT).retry_after(5)),
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
}
