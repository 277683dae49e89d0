//! What a person says about a region: cordon, uncordon, drain, fence, unfence.

use std::time::Duration;

use anyhow::Result;
use coordinator::Applied;
use kernel::Region;
use placement::{Degraded, RegionSpec, State};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Desk, changed, known, trouble};
use crate::{
    cli::Waiting,
    exit::{Ended, Why},
};

/// A change is tried this often: a coordinator may be changing the same row.
const TRIES: usize = 10;
/// Between two looks.
const TURN: Duration = Duration::from_millis(200);

/// What a region does, or would do.
fn less(to: Degraded, dry_run: bool) -> String {
    let will = if dry_run { "would" } else { "will" };
    let changes = match (to.static_only, to.read_only) {
        (true, _) => Some("show only copies".to_owned()),
        (false, true) => Some("change nothing".to_owned()),
        (false, false) => None,
    };
    let queue = (to.queue > 0).then(|| format!("serve {} requests at once", to.queue));
    let less: Vec<String> = changes.into_iter().chain(queue).collect();
    match less.is_empty() {
        true => format!("{will} serve as its configuration says"),
        false => format!("{will} {}", less.join(", and ")),
    }
}

impl Desk {
    pub(super) async fn cordon(&self, region: &Region, dry_run: bool) -> Result<()> {
        match self.state(region).await? {
            State::Active | State::Cordoned => self.become_one(region, &[State::Cordoned], dry_run).await,
            out @ (State::Drained | State::Fenced) => Err(self.no(
                region,
                out,
                "cordoning keeps shards where they are, \
                 and it has none to keep; `uncordon` or `unfence` lets it back",
            )),
        }
    }

    pub(super) async fn uncordon(&self, region: &Region, dry_run: bool) -> Result<()> {
        match self.state(region).await? {
            State::Active | State::Cordoned => self.become_one(region, &[State::Active], dry_run).await,
            State::Drained => self.become_one(region, &[State::Cordoned, State::Active], dry_run).await,
            State::Fenced => Err(self.no(
                region,
                State::Fenced,
                "look at it first, then `meridian region unfence` and `meridian region uncordon`",
            )),
        }
    }

    pub(super) async fn unfence(&self, region: &Region, dry_run: bool) -> Result<()> {
        match self.state(region).await? {
            State::Fenced => self.become_one(region, &[State::Cordoned], dry_run).await,
            other => Err(self.no(region, other, "only a fenced region is unfenced")),
        }
    }

    pub(super) async fn drain(&self, region: &Region, wait: &Waiting, dry_run: bool) -> Result<()> {
        if self.state(region).await? == State::Fenced {
            return Err(self.no(region, State::Fenced, "it is out already"));
        }
        self.become_one(region, &[State::Drained], dry_run).await?;
        self.emptied(region, wait, dry_run).await
    }

    pub(super) async fn fence(&self, region: &Region, wait: &Waiting, dry_run: bool) -> Result<()> {
        self.become_one(region, &[State::Fenced], dry_run).await?;
        self.emptied(region, wait, dry_run).await
    }

    /// Has a region's entrance do less, or no less any more. Being so already is success.
    pub(super) async fn degrade(&self, region: &Region, to: Degraded, dry_run: bool) -> Result<()> {
        for _ in 0..TRIES {
            let scene = self.scene().await?;
            let Some(row) = scene.world.desired.regions.get(region) else {
                return known(&scene.world, region);
            };
            let spec = RegionSpec { degraded: to, ..row.spec.clone() };
            let put = self.journal.put_region(region, Some(row.version), &spec);
            if spec == row.spec || dry_run || put.await.map_err(trouble)? == Applied::Yes {
                let said = json!({
                    "region": region.as_str(), "read_only": to.read_only, "static_only": to.static_only, "queue": to.queue, "dry_run": dry_run
                });
                return self.answer(&said, || format!("{region} {}", less(to, dry_run)));
            }
        }
        Err(changed())
    }

    async fn state(&self, region: &Region) -> Result<State> {
        let scene = self.scene().await?;
        known(&scene.world, region)?;
        let row = scene.world.desired.regions.get(region);
        Ok(row.map_or(State::Fenced, |row| row.state))
    }

    fn no(&self, region: &Region, state: State, why: &str) -> anyhow::Error {
        Ended::error(Why::Failed, format!("{region} is {}: {why}", state.name()))
    }

    /// Through these states to the last of them. Being there already is success.
    async fn become_one(&self, region: &Region, states: &[State], dry_run: bool) -> Result<()> {
        let from = self.state(region).await?;
        let to = states.last().copied().unwrap_or(from);
        if from != to && !dry_run {
            for state in states {
                self.set(region, *state).await?;
            }
        }
        let said = json!({
            "region": region.as_str(), "from": from.name(), "to": to.name(), "dry_run": dry_run
        });
        self.answer(&said, || match (from == to, dry_run) {
            (true, _) => format!("{region} is {} already", to.name()),
            (false, true) => {
                format!("{region} would become {} (it is {})", to.name(), from.name())
            }
            (false, false) => format!("{region} is {} (it was {})", to.name(), from.name()),
        })
    }

    async fn set(&self, region: &Region, to: State) -> Result<()> {
        for _ in 0..TRIES {
            let scene = self.scene().await?;
            let Some(row) = scene.world.desired.regions.get(region) else {
                return known(&scene.world, region);
            };
            if self.journal.set_state(region, row.version, to).await.map_err(trouble)? == Applied::Yes {
                return Ok(());
            }
        }
        Err(changed())
    }

    /// Waits until the coordinator has found homes elsewhere for the shards of a region that is out.
    async fn emptied(&self, region: &Region, wait: &Waiting, dry_run: bool) -> Result<()> {
        let Some(longest) = wait.longest().filter(|_| !dry_run) else { return Ok(()) };
        let until = Instant::now() + longest;
        let mut told = None;
        loop {
            let world = self.scene().await?.world;
            let left = world.observed.shards.values().filter(|row| row.home == *region).count();
            if left == 0 {
                self.tell(format!("{region} is home to no shard"));
                return Ok(());
            }
            if told != Some(left) {
                self.tell(format!("{left} shards still live in {region}; the coordinator moves them"));
                told = Some(left);
            }
            if Instant::now() >= until {
                return Err(Ended::error(
                    Why::Late,
                    format!(
                        "{left} shards still live in {region}, which is out: does a region run? Is there room elsewhere \
                         (`meridian region why-not-ready`)? Others serve them meanwhile"
                    ),
                ));
            }
            sleep(TURN).await;
        }
    }
}
