//! The three regions of a proof, and a person at the command line.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use support::{Cut, Links, Node, REGIONS, Shop};

use super::{Case, Size, seconds};

/// An operation, a failover included, is over within this.
const OVER: Duration = Duration::from_secs(180);
/// Between two looks at the map.
const LOOK: Duration = Duration::from_millis(250);
/// The region that dies, stands still or is cut off.
const VICTIM: usize = 2;
/// All shards of a shop as shipped.
const ALL_SHARDS: &str = "0-15";

/// The three regions, and a person at the command line.
pub(super) struct Site {
    pub(super) shop: Shop,
}

impl Site {
    /// `meridian region …`, as a program asks it; the first document that it prints.
    async fn region(&self, words: &[&str]) -> Result<Value> {
        let arguments = [&["region"], words, &["-o", "json"]].concat();
        let output = tokio::process::Command::from(self.shop.command(&arguments)?).output().await?;
        let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(
            output.status.success(),
            "meridian {arguments:?} ended with {}: {text} {said}",
            output.status
        );
        let first = serde_json::Deserializer::from_str(&text).into_iter().next();
        first.with_context(|| format!("meridian {arguments:?} printed nothing"))?.map_err(Into::into)
    }

    async fn status(&self) -> Result<Value> {
        self.region(&["status", "--shards"]).await
    }

    /// The home of a shard.
    pub(super) async fn home(&self, shard: u16) -> Result<String> {
        let status = self.status().await?;
        let row = items(&status, "shards").find(|row| row["shard"] == shard);
        let home = row.and_then(|row| row["home"].as_str());
        home.map(str::to_owned).with_context(|| format!("shard {shard} has no home"))
    }

    /// Every rule of the audit holds: equations of orders, payments, stock and ledger, positions without gaps, one effect
    /// an event.
    pub(super) async fn verify(&self) -> Result<()> {
        self.region(&["verify"]).await.map(|_| ())
    }

    /// Waits until the map is so.
    async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Result<Duration> {
        let begin = Instant::now();
        loop {
            let status = self.status().await?;
            if so(&status) {
                return Ok(begin.elapsed());
            }
            if begin.elapsed() > OVER {
                bail!("not within {OVER:?}: {what}: {status}\n{}", self.shop.log());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Every region is let back, the map is balanced, everybody works at home.
    pub(super) async fn settle(&mut self) -> Result<()> {
        self.until("no operation runs", |status| status["operation"].is_null()).await?;
        let status = self.status().await?;
        for region in items(&status, "regions") {
            let name = region["region"].as_str().context("a region has a name")?;
            match region["state"].as_str() {
                Some("fenced") => {
                    self.region(&["unfence", name]).await?;
                    self.region(&["uncordon", name]).await?;
                }
                Some("drained" | "cordoned") => {
                    self.region(&["uncordon", name]).await?;
                }
                _ => {}
            }
        }
        self.region(&["rebalance"]).await?;
        self.until("everybody works at home", |status| {
            let mut shards = items(status, "shards");
            shards.all(|shard| holder(shard) == shard["home"].as_str())
        })
        .await
        .map(|_| ())
    }

    fn links(&self) -> Result<&Links> {
        self.shop.links().context("these regions have no lines to cut")
    }

    /// Lets a case happen, and heals what it hurt; what was seen of it.
    pub(super) async fn suffer(&mut self, case: Case, size: Size) -> Result<Value> {
        match case {
            Case::Switchover => {
                self.region(&["switchover", REGIONS[1]]).await?;
                self.region(&["uncordon", REGIONS[1]]).await?;
                self.region(&["rebalance"]).await.map(|_| json!({}))
            }
            Case::Rebalance => {
                self.region(&["move", ALL_SHARDS, "--to", REGIONS[0]]).await?;
                self.region(&["rebalance"]).await.map(|_| json!({}))
            }
            Case::Killed => {
                self.shop.kill_group(VICTIM)?;
                let figures = self.failed_over(VICTIM).await?;
                self.shop.start_group(VICTIM).await?;
                Ok(figures)
            }
            Case::Paused => {
                // SQLite has one writer: where it was stopped in the middle of a write, nobody can take over before it goes on.
                let begin = Instant::now();
                self.shop.pause_group(VICTIM, false)?;
                let taken_over = tokio::time::timeout(size.paused, self.failed_over(VICTIM)).await;
                tokio::time::sleep(size.paused.saturating_sub(begin.elapsed())).await;
                self.shop.pause_group(VICTIM, true)?;
                taken_over.unwrap_or_else(|_| Ok(json!({"taken over": "not before it went on"})))
            }
            Case::CoordinatorKilled => self.kill_coordinators().await,
            Case::KilledDuringMove => {
                self.region(&["move", ALL_SHARDS, "--to", REGIONS[1], "--no-wait"]).await?;
                self.shop.kill_group(1)?;
                let figures = self.failed_over(1).await?;
                self.shop.start_group(1).await?;
                Ok(figures)
            }
            Case::Drill => self.region(&["drill", REGIONS[0]]).await.map(|_| json!({})),
            Case::CutOff | Case::Unheard | Case::NoDatabase | Case::DatabaseUnheard => {
                let begin = Instant::now();
                self.links()?.cut(cuts(case));
                let taken_over = tokio::time::timeout(size.cut, self.failed_over(VICTIM)).await;
                tokio::time::sleep(size.cut.saturating_sub(begin.elapsed())).await;
                self.links()?.cut(Vec::new());
                taken_over.unwrap_or_else(|_| Ok(json!({"taken over": "not while it was cut off"})))
            }
        }
    }

    /// Waits until others do the background work of a region that is gone, and until it is fenced and home to nothing.
    async fn failed_over(&self, region: usize) -> Result<Value> {
        let gone = REGIONS[region];
        let begin = Instant::now();
        let (work, homes) = tokio::try_join!(
            self.until("others do its work", |status| {
                items(status, "shards").all(|shard| holder(shard).is_some_and(|holder| holder != gone))
            }),
            self.until("the region is fenced and home to nothing", |status| {
                let region = items(status, "regions").find(|region| region["region"] == gone);
                region.is_some_and(|region| region["state"] == "fenced" && region["homes"] == 0)
            }),
        )?;
        self.until("others do its work for good", |status| {
            items(status, "shards").all(|shard| holder(shard).is_some_and(|holder| holder != gone))
        })
        .await?;
        Ok(json!({
            "background work resumed after, s": seconds(work),
            "new homes after, s": seconds(homes),
            "work in its new homes after, s": seconds(begin.elapsed()),
        }))
    }

    /// A switchover whose coordinator is killed at each new line of its journal.
    async fn kill_coordinators(&mut self) -> Result<Value> {
        let begun = self.region(&["switchover", REGIONS[0], "--no-wait"]).await?;
        let id = begun["id"].as_u64().context("an operation has a number")?;
        let begin = Instant::now();
        let (mut kills, mut lines) = (0, 0);
        loop {
            let status = self.status().await?;
            if status["operation"].is_null() {
                break;
            }
            ensure!(begin.elapsed() < OVER, "the switchover is not over: {status}");
            let now = items(&status["operation"], "timeline").count();
            let leader = status["leader"].as_str().and_then(|leader| leader.split_once('/'));
            let leader = leader.and_then(|(region, _)| REGIONS.iter().position(|known| *known == region));
            if let Some(leader) = leader.filter(|_| now > lines) {
                self.shop.kill_group(leader)?;
                self.shop.start_group(leader).await?;
                kills += 1;
                lines = now;
            }
        }
        let ended = self.region(&["timeline", &id.to_string()]).await?;
        Ok(json!({"coordinators killed": kills, "outcome": ended["outcome"]}))
    }
}

fn items<'a>(of: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    of[list].as_array().into_iter().flatten()
}

/// The region that does a shard's background work.
fn holder(shard: &Value) -> Option<&str> {
    let (region, _) = shard["holder"].as_str()?.split_once('/')?;
    Some(region)
}

/// The lines that a case cuts.
fn cuts(case: Case) -> Vec<Cut> {
    let region = |n: usize| Node::Region(REGIONS[n].to_owned());
    let lost = |from: Node, to: Node| Cut { from, to };
    let others = (0..REGIONS.len()).filter(|n| *n != VICTIM);
    match case {
        Case::CutOff => others
            .flat_map(|other| [lost(region(VICTIM), region(other)), lost(region(other), region(VICTIM))])
            .collect(),
        Case::Unheard => others.map(|other| lost(region(VICTIM), region(other))).collect(),
        Case::NoDatabase => {
            vec![lost(region(VICTIM), Node::Database), lost(Node::Database, region(VICTIM))]
        }
        Case::DatabaseUnheard => vec![lost(Node::Database, region(VICTIM))],
        _ => Vec::new(),
    }
}
