//! Looks at the other regions and says what it sees.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use kernel::Region;
use placement::{Verdict, Vitals};
use platform_regions::Regions;
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
    client: Client,
    said: Option<(Instant, BTreeMap<Region, Verdict>)>,
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
        let others = world
            .desired
            .regions
            .iter()
            .filter(|(name, row)| **name != self.me && !row.spec.endpoint.is_empty());
        let looks = others.map(|(name, row)| async { (name.clone(), self.ask(&row.spec.endpoint).await) });
        let seen: BTreeMap<Region, Verdict> = join_all(looks).await.into_iter().collect();
        // Who is down is said each time, since how long counts; otherwise often enough to be believed.
        let often = world.desired.policy.movement.fresh_for / 3;
        let down = seen.values().any(|verdict| *verdict == Verdict::Down);
        let news = self.said.as_ref().is_none_or(|(at, last)| at.elapsed() >= often || *last != seen);
        if !world.desired.regions.contains_key(&self.me) || !(down || news) {
            return Ok(());
        }
        let vitals = Vitals { relay_lag: self.regions.relay_lag(), burning: false };
        self.journal.report(&self.me, &seen, vitals).await?;
        self.said = Some((Instant::now(), seen));
        Ok(())
    }

    /// Whether an entrance answers. Any answer of the process counts: whether it is well is not asked here.
    async fn ask(&self, endpoint: &str) -> Verdict {
        match self.client.get(format!("{endpoint}/healthz")).send().await {
            Ok(answer) if answer.status().is_success() => Verdict::Up,
            Ok(_) | Err(_) => Verdict::Down,
        }
    }
}
