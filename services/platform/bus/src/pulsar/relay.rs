//! From the log to the broker, shard by shard, in order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use contracts::Event;
use kernel::{Failure, Result, Shard, Timestamp, code};
use pulsar::proto::{BaseCommand, CommandSendReceipt};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    RELAY,
    lanes::Lanes,
    shard::{Progress, parts},
    site::{Site, away},
    topics::domain,
};
use crate::{
    store::{self, Range, Round},
    turn::{Seat, Turn},
};

/// How long a shard rests whose producers another process has open.
const YIELD: Duration = Duration::from_secs(1);
/// The entry of a receipt that tells of a duplicate (-1).
const DUPLICATE: u64 = u64::MAX;

/// Publishes the log. Where several processes run one, each shard's lease says who works; without it the broker still lets
/// only one producer of a name in, and drops what it has.
pub(crate) struct Relay {
    site: Arc<Site>,
    turns: Vec<Turn>,
}

/// A message that the broker has not acknowledged.
struct Sent {
    index: usize,
    chunk: u64,
    events: usize,
    /// When the first of its events happened.
    at: Timestamp,
}

impl Relay {
    pub(crate) fn new(site: Arc<Site>, seat: &Seat) -> Self {
        let turns = site.db.every_shard().map(|shard| Turn::on_shard(RELAY, shard, seat)).collect();
        Self { site, turns }
    }

    /// Relays until it is told to stop; connects again whenever the broker is lost.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let began = Instant::now();
            let Err(failure) = self.session(stop).await else { break };
            failures = if began.elapsed() > self.site.config.pulsar.reconnect { 1 } else { failures + 1 };
            tracing::warn!(?failure, "the log is not relayed; its events wait");
            self.site.troubles.set("relay", failure.message().to_owned());
            self.site.forget_client().await;
            stop.run_until_cancelled(tokio::time::sleep(self.site.pause(failures))).await;
        }
        for turn in &mut self.turns {
            if let Err(failure) = turn.give_up(&self.site.db).await {
                tracing::warn!(?failure, "a lease of the relay runs out by itself");
            }
        }
    }

    async fn session(&mut self, stop: &CancellationToken) -> Result<()> {
        // Who asks how far it is behind knows it by its cursors, broker or not.
        store::cursors(&self.site.db, RELAY).await?;
        self.site.client().await?;
        self.site.troubles.clear("relay");
        let cursors = store::cursors(&self.site.db, RELAY).await?;
        let mut shards: Vec<Progress> = Vec::with_capacity(cursors.len());
        for pos in cursors {
            let mut shard = Progress::default();
            shard.reset(pos);
            shards.push(shard);
        }
        let mut session = Session {
            ends: self.site.sight.ends.subscribe(),
            end: vec![0; shards.len()],
            rest: vec![None; shards.len()],
            lanes: Lanes::new(Arc::clone(&self.site)),
            site: &self.site,
            turns: &mut self.turns,
            shards,
            sent: HashMap::new(),
            in_flight: 0,
            next: 0,
            heard: Instant::now(),
            moved: None,
        };
        session.run(stop).await
    }
}

/// The time between a connection and its loss.
struct Session<'a> {
    site: &'a Arc<Site>,
    turns: &'a mut [Turn],
    lanes: Lanes,
    ends: watch::Receiver<Vec<i64>>,
    /// The log's ends as of the last look.
    end: Vec<i64>,
    shards: Vec<Progress>,
    /// Shards that are left to another process for a while.
    rest: Vec<Option<Instant>>,
    sent: HashMap<(u64, u64), Sent>,
    /// Events in `sent`.
    in_flight: usize,
    /// The shard whose turn is next.
    next: usize,
    /// When the broker last acknowledged, or had nothing to.
    heard: Instant,
    /// Since when cursors differ from the database.
    moved: Option<Instant>,
}

impl Session<'_> {
    async fn run(&mut self, stop: &CancellationToken) -> Result<()> {
        let (poll, watch) = (self.site.config.poll, self.site.config.watch);
        let (mut look, mut compare) = (Instant::now(), Instant::now() + watch);
        while !stop.is_cancelled() {
            if Instant::now() >= look {
                look = Instant::now() + poll;
                self.look().await?;
            }
            if Instant::now() >= compare {
                compare = Instant::now() + watch;
                self.compare().await?;
            }
            let more = self.publish().await?;
            self.write_when_due().await?;
            self.check_heard()?;
            if more {
                continue;
            }
            let wake = self.moved.map(|since| since + self.site.config.cursor);
            let wake = wake.into_iter().chain([look, compare]).min().unwrap_or(look);
            tokio::select! {
                () = stop.cancelled() => {}
                answer = self.lanes.next(), if self.lanes.connected() => self.hear(answer).await?,
                changed = self.ends.changed() => {
                    changed.map_err(Failure::internal)?;
                    self.end.clone_from(&self.ends.borrow_and_update());
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        self.finish().await
    }

    /// Waits for what is under way and writes the cursor.
    async fn finish(&mut self) -> Result<()> {
        let timeout = self.site.config.pulsar.timeout;
        let all = async {
            while !self.sent.is_empty() {
                let answer = self.lanes.next().await;
                self.hear(answer).await?;
            }
            Ok::<_, Failure>(())
        };
        if !matches!(tokio::time::timeout(timeout, all).await, Ok(Ok(()))) {
            tracing::warn!("not everything was acknowledged; it is published again and has no second effect");
        }
        self.write().await
    }

    async fn look(&mut self) -> Result<()> {
        for (shard, end) in self.site.db.log_ends().await? {
            if let Some(known) = self.end.get_mut(usize::from(shard.number())) {
                *known = end;
            }
        }
        Ok(())
    }

    /// Sees what other processes did: moved cursors of shards that they relay, rewound ones of ours.
    async fn compare(&mut self) -> Result<()> {
        for index in 0..self.turns.len() {
            if self.turns[index].works() && !self.site.regions.works(shard(index)) {
                self.turns[index].give_up(&self.site.db).await?;
                self.leave(index).await?;
            }
        }
        let cursors = store::cursors(&self.site.db, RELAY).await?;
        for (index, pos) in cursors.into_iter().enumerate() {
            let ours = self.turns[index].works();
            if self.shards[index].written != pos {
                self.restart(index, pos);
            }
            if !ours {
                self.turns[index].observe(&[pos], pos < self.end[index]);
            }
        }
        Ok(())
    }

    /// Begins a shard anew.
    fn restart(&mut self, index: usize, pos: i64) {
        self.shards[index].reset(pos);
        self.sent.retain(|_, sent| sent.index != index);
        self.in_flight = self.sent.values().map(|sent| sent.events).sum();
    }

    /// Sends what may go now. False when nothing went.
    async fn publish(&mut self) -> Result<bool> {
        let ranges = self.choose().await?;
        if ranges.is_empty() {
            return Ok(false);
        }
        let events = store::all_events(&self.site.db, &ranges).await?;
        let mut by_shard: BTreeMap<Shard, Vec<&Event>> = BTreeMap::new();
        for event in &events {
            by_shard.entry(event.shard).or_default().push(event);
        }
        for range in ranges {
            self.send(range, by_shard.remove(&range.shard).unwrap_or_default()).await?;
        }
        self.lanes.flush().await?;
        while let Some(command) = self.lanes.put_by() {
            self.take(command)?;
        }
        Ok(true)
    }

    /// The next positions of shards that have some, in turn, as far as they fit in flight: whole batches of few shards rather
    /// than crumbs of all.
    async fn choose(&mut self) -> Result<Vec<Range>> {
        let config = &self.site.config.pulsar;
        let batch = i64::try_from(config.batch).unwrap_or(i64::MAX);
        let mut room = i64::try_from(config.in_flight.saturating_sub(self.in_flight)).unwrap_or(i64::MAX);
        let mut ranges = Vec::new();
        for _ in 0..self.shards.len() {
            let index = self.next % self.shards.len();
            let from = self.shards[index].sent;
            let to = self.end[index].min(from + batch);
            if self.has_work(index) {
                if to - from > room {
                    break;
                }
                if self.my_turn(index).await? {
                    // A new turn begins where the last holder stood.
                    let from = self.shards[index].sent;
                    let to = self.end[index].min(from + (to - from).max(1));
                    room -= to - from;
                    ranges.push(Range { shard: shard(index), from, to });
                }
            }
            self.next = (index + 1) % self.shards.len();
        }
        Ok(ranges)
    }

    fn has_work(&self, index: usize) -> bool {
        self.end[index] > self.shards[index].sent
            && self.rest[index].is_none_or(|until| Instant::now() >= until)
    }

    async fn my_turn(&mut self, index: usize) -> Result<bool> {
        let before = self.turns[index].works();
        if !self.site.regions.works(shard(index)) {
            return Ok(false);
        }
        let now = match self.turns[index].take(&self.site.db).await {
            Ok(now) => now,
            Err(failure) => {
                tracing::debug!(?failure, shard = index, "the lease could not be asked for");
                self.rest[index] = Some(Instant::now() + YIELD);
                return Ok(false);
            }
        };
        if now && !before {
            let cursors = store::cursors(&self.site.db, RELAY).await?;
            if let Some(pos) = cursors.get(index).filter(|pos| **pos != self.shards[index].written) {
                self.restart(index, *pos);
            }
            return Ok(self.has_work(index));
        }
        if before && !now {
            self.leave(index).await?;
        }
        Ok(now)
    }

    /// Lets another process have the shard.
    async fn leave(&mut self, index: usize) -> Result<()> {
        self.lanes.close(shard(index)).await?;
        let acked = self.shards[index].written;
        self.restart(index, acked);
        Ok(())
    }

    /// Sends a shard's next events: those of each domain to their topic.
    async fn send(&mut self, range: Range, events: Vec<&Event>) -> Result<()> {
        let index = usize::from(range.shard.number());
        let mut lanes: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        for event in events {
            lanes.entry(domain(&event.topic)).or_default().push(event);
        }
        let mut messages = Vec::new();
        for (domain, events) in lanes {
            let last = match self.lanes.open(range.shard, domain).await {
                Ok(last) => last,
                Err(failure) if failure.is(code::CONFLICT) => {
                    tracing::debug!(shard = range.shard.number(), "another process relays this shard");
                    self.rest[index] = Some(Instant::now() + YIELD.mul_f64(rand::random_range(0.5..2.0)));
                    return self.leave(index).await;
                }
                Err(failure) => return Err(failure),
            };
            let cut = parts(&events, last, self.site.config.pulsar.batch);
            messages.extend(cut.into_iter().map(|part| (domain, part)));
        }
        if self.sent.is_empty() {
            self.heard = Instant::now();
        }
        let chunk = self.shards[index].send(range.to, messages.len());
        if messages.is_empty() {
            self.moved.get_or_insert_with(Instant::now);
        }
        for (domain, part) in messages {
            let key = self.lanes.feed(range.shard, domain, &part).await?;
            let at = part.first().map(|event| event.at).unwrap_or_default();
            self.in_flight += part.len();
            self.sent.insert(key, Sent { index, chunk, events: part.len(), at });
        }
        Ok(())
    }

    async fn hear(&mut self, answer: (String, Result<BaseCommand>)) -> Result<()> {
        match self.lanes.hear(answer).await? {
            Some(command) => self.take(command),
            None => Ok(()),
        }
    }

    fn take(&mut self, command: BaseCommand) -> Result<()> {
        if let Some(receipt) = command.send_receipt {
            self.acknowledged(&receipt);
            return Ok(());
        }
        if let Some(error) = command.send_error {
            return Err(away(error.message));
        }
        if command.close_producer.is_some() {
            return Err(away("the broker closed a producer"));
        }
        Ok(())
    }

    fn acknowledged(&mut self, receipt: &CommandSendReceipt) {
        let Some(sent) = self.sent.remove(&(receipt.producer_id, receipt.sequence_id)) else { return };
        self.in_flight -= sent.events;
        self.heard = Instant::now();
        self.moved.get_or_insert(self.heard);
        self.shards[sent.index].acknowledge(sent.chunk);
        let events = u64::try_from(sent.events).unwrap_or_default();
        if receipt.message_id.as_ref().is_some_and(|id| id.entry_id == DUPLICATE) {
            metrics::counter!("bus_relay_duplicates_total").increment(events);
        } else {
            metrics::counter!("bus_relayed_total").increment(events);
            metrics::histogram!("bus_relay_seconds").record(self.site.db.now().since(sent.at).as_secs_f64());
        }
    }

    /// A broker that stops acknowledging is as good as gone.
    fn check_heard(&self) -> Result<()> {
        if !self.sent.is_empty() && self.heard.elapsed() > self.site.config.pulsar.timeout {
            return Err(away("published events are not acknowledged"));
        }
        Ok(())
    }

    async fn write_when_due(&mut self) -> Result<()> {
        match self.moved {
            Some(since) if since.elapsed() >= self.site.config.cursor => self.write().await,
            _ => Ok(()),
        }
    }

    /// Moves the cursors up to what the broker has acknowledged.
    async fn write(&mut self) -> Result<()> {
        self.moved = None;
        let moves: Vec<Range> = self
            .shards
            .iter()
            .enumerate()
            .filter(|(_, at)| at.acked > at.written)
            .map(|(index, at)| Range { shard: shard(index), from: at.written, to: at.acked })
            .collect();
        if moves.is_empty() {
            return Ok(());
        }
        let round = Round { subscription: RELAY, moves: moves.clone(), parked: Vec::new() };
        if store::write_round(&self.site.db, round).await? {
            for moved in moves {
                self.shards[usize::from(moved.shard.number())].written = moved.to;
            }
            return Ok(());
        }
        // Another relay, or a replay, moved some of them: what stands there counts.
        let cursors = store::cursors(&self.site.db, RELAY).await?;
        for (index, pos) in cursors.into_iter().enumerate() {
            if self.shards[index].acked == pos {
                self.shards[index].written = pos;
            } else if self.shards[index].written != pos {
                self.restart(index, pos);
            }
        }
        Ok(())
    }
}

fn shard(index: usize) -> Shard {
    Shard::new(u16::try_from(index).unwrap_or(u16::MAX))
}
