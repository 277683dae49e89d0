//! What a person says about a region: cordon, uncordon, drain, fence, unfence.

use anyhow::Result;
use coordinator::Applied;
use kernel::Region;
use placement::{Degraded, RegionSpec, State};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{Desk, changed, follow::TURN, known, trouble};
use crate::{
    cli::Waiting,
    exit::{Ended, Why},
};

/// A change is tried this often: a coordinator may be changing the same row.
const TRIES: usize = 10;

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

/// What a person's word means for a region in a state: the states to go through, none where it is there already; or why it
/// means nothing there.
type Word = fn(State) -> Result<&'static [State], &'static str>;

const CORDON: Word = |state| match state {
    State::Active => Ok(&[State::Cordoned]),
    State::Cordoned => Ok(&[]),
    State::Drained | State::Fenced => Err(
        "cordoning keeps shards where they are, and it has none to keep; `uncordon` or `unfence` lets it back",
    ),
};

const UNCORDON: Word = |state| match state {
    State::Active => Ok(&[]),
    State::Cordoned => Ok(&[State::Active]),
    State::Drained => Ok(&[State::Cordoned, State::Active]),
    State::Fenced => Err("look at it first, then `meridian region unfence` and `meridian region uncordon`"),
};

const UNFENCE: Word = |state| match state {
    State::Fenced => Ok(&[State::Cordoned]),
    State::Active | State::Cordoned | State::Drained => Err("only a fenced region is unfenced"),
};

const DRAIN: Word = |state| match state {
    State::Active | State::Cordoned => Ok(&[State::Drained]),
    State::Drained => Ok(&[]),
    State::Fenced => Err("it is out already"),
};

const FENCE: Word = |state| match state {
    State::Active | State::Cordoned | State::Drained => Ok(&[State::Fenced]),
    State::Fenced => Ok(&[]),
};

impl Desk {
    pub(super) async fn cordon(&self, region: &Region, dry_run: bool) -> Result<()> {
        self.say(region, CORDON, dry_run).await
    }

    pub(super) async fn uncordon(&self, region: &Region, dry_run: bool) -> Result<()> {
        self.say(region, UNCORDON, dry_run).await
    }

    pub(super) async fn unfence(&self, region: &Region, dry_run: bool) -> Result<()> {
        self.say(region, UNFENCE, dry_run).await
    }

    pub(super) async fn drain(&self, region: &Region, wait: &Waiting, dry_run: bool) -> Result<()> {
        self.say(region, DRAIN, dry_run).await?;
        self.emptied(region, wait, dry_run).await
    }

    pub(super) async fn fence(&self, region: &Region, wait: &Waiting, dry_run: bool) -> Result<()> {
        self.say(region, FENCE, dry_run).await?;
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

    /// Has a person's word done. Each change is of the row that it was decided on: where somebody else was faster, it is
    /// decided anew, so that no word undoes one that it did not know. Being there already is success.
    async fn say(&self, region: &Region, word: Word, dry_run: bool) -> Result<()> {
        let mut from = None;
        for _ in 0..TRIES {
            let scene = self.scene().await?;
            let Some(row) = scene.world.desired.regions.get(region) else {
                return known(&scene.world, region);
            };
            let way = word(row.state).map_err(|why| {
                Ended::error(Why::Failed, format!("{region} is {}: {why}", row.state.name()))
            })?;
            let to = way.last().copied().unwrap_or(row.state);
            let Some(next) = way.first().copied().filter(|_| !dry_run) else {
                return self.said(region, from.unwrap_or(row.state), to, dry_run);
            };
            if self.journal.set_state(region, row.version, next).await.map_err(trouble)? == Applied::Yes {
                let from = *from.get_or_insert(row.state);
                if next == to {
                    return self.said(region, from, to, dry_run);
                }
            }
        }
        Err(changed())
    }

    /// Answers what a word did, or would do.
    fn said(&self, region: &Region, from: State, to: State, dry_run: bool) -> Result<()> {
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

    /// Waits until the coordinator has found homes elsewhere for the shards of a region that is out.
    async fn emptied(&self, region: &Region, wait: &Waiting, dry_run: bool) -> Result<()> {
        let Some(longest) = wait.longest().filter(|_| !dry_run) else { return Ok(()) };
        let mut left = None;
        let ended = timeout(longest, self.until_empty(region, &mut left)).await;
        ended.unwrap_or_else(|_| Err(Ended::error(Why::Late, late(region, left))))
    }

    /// `left` is how many shards were seen there last.
    async fn until_empty(&self, region: &Region, left: &mut Option<usize>) -> Result<()> {
        loop {
            let world = self.insist(|| self.journal.read()).await?.world;
            let now = world.observed.shards.values().filter(|row| row.home == *region).count();
            if now == 0 {
                self.tell(format!("{region} is home to no shard"));
                return Ok(());
            }
            if left.replace(now) != Some(now) {
                self.tell(format!("{now} shards still live in {region}; the coordinator moves them"));
            }
            sleep(TURN).await;
        }
    }
}

/// That a region is not empty in time; `left` is none where the database never answered.
fn late(region: &Region, left: Option<usize>) -> String {
    let left = left.map_or_else(|| "shards may".to_owned(), |left| format!("{left} shards"));
    format!(
        "{left} still live in {region}, which is out: does a region run? Is there room elsewhere \
         (`meridian region why-not-ready`)? Others serve them meanwhile"
    )
}
