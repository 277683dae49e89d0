//! Looks at the other regions and says what it sees.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use kernel::Region;
use placement::{Verdict, Vitals};
use platform_regions::{Budget, MAP_AGE_HEADER, Regions};
use reqwest::Client;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Journal, RegionConfig, Result};

/// A region's view of the others.
pub(super) struct Observer {
    journal: Arc<dyn Journal>,
    regions: Regions,
    me: Region,
    every: Duration,
    /// From this age of its map on a region counts as down.
    stale: Duration,
    client: Client,
    budget: Budget,
    /// When it spoke last, whether the budget burned, and what it saw.
    said: Option<(Instant, bool, BTreeMap<Region, Verdict>)>,
}

impl Observer {
    pub(super) fn new(
        journal: &Arc<dyn Journal>,
        regions: &Regions,
        me: &Region,
        config: &RegionConfig,
    ) -> std::result::Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(config.observe_timeout)
            .tcp_nodelay(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            journal: Arc::clone(journal),
            regions: regions.clone(),
            me: me.clone(),
            every: config.observe,
            stale: config.observe_stale,
            budget: Budget::new(config.objective),
            client,
            said: None,
        })
    }

    pub(super) async fn run(&mut self, stop: &CancellationToken) {
        let mut trouble = false;
        while !stop.is_cancelled() {
            let began = Instant::now();
            match self.look().await {
                Ok(()) => trouble = false,
                Err(error) if !trouble => {
                    trouble = true;
                    tracing::warn!(%error, "what is seen of the other regions was not written down");
                }
                Err(_) => {}
            }
            stop.run_until_cancelled(tokio::time::sleep_until(began + self.every)).await;
        }
    }

    async fn look(&mut self) -> Result<()> {
        let Some(world) = self.regions.world() else { return Ok(()) };
        let burning = self.budget.burns(std::time::Instant::now(), self.regions.requests());
        let others = world
            .desired
            .regions
            .iter()
            .filter(|(name, row)| **name != self.me && !row.spec.endpoint.is_empty());
        let looks = others.map(|(name, row)| async { (name.clone(), self.ask(&row.spec.endpoint).await) });
        let seen: BTreeMap<Region, Verdict> = join_all(looks).await.into_iter().collect();
        // Who is down is said each time, since how long counts; otherwise often enough to be believed.
        let often = world.desired.policy.movement.fresh_for / 3;
        let vitals = Vitals { relay_lag: self.regions.relay_lag(), burning };
        let down = seen.values().any(|verdict| *verdict == Verdict::Down);
        let news = self
            .said
            .as_ref()
            .is_none_or(|(at, burned, last)| at.elapsed() >= often || *burned != burning || *last != seen);
        if !world.desired.regions.contains_key(&self.me) || !(down || news) {
            return Ok(());
        }
        self.journal.report(&self.me, &seen, vitals).await?;
        self.said = Some((Instant::now(), burning, seen));
        Ok(())
    }

    /// Whether an entrance answers, and reaches the database as this region does. Of a region whose map is old while our own
    /// is not, too, the database is out of reach: it lives and serves nobody.
    async fn ask(&self, endpoint: &str) -> Verdict {
        let answer = self.client.get(format!("{endpoint}/healthz")).send().await;
        let Some(answer) = answer.ok().filter(|answer| answer.status().is_success()) else {
            return Verdict::Down;
        };
        let age = answer.headers().get(MAP_AGE_HEADER).and_then(|age| age.to_str().ok()?.parse().ok());
        let theirs = age.map_or(Duration::ZERO, Duration::from_millis);
        let ours = self.regions.map_age().unwrap_or_default();
        if theirs > self.stale && ours < self.stale { Verdict::Down } else { Verdict::Up }
    }
}
