//! The relay's producers and their connections.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::Arc,
};

use contracts::Event;
use futures::{Stream, StreamExt, stream::SelectAll};
use kernel::{Result, Shard};
use pulsar::proto::BaseCommand;

use super::{
    link::{self, Link},
    message::{self, Sender},
    site::{Site, away, within},
};

type Answers = Pin<Box<dyn Stream<Item = (String, Result<BaseCommand>)> + Send>>;

/// One producer a shard and domain, opened when it is first needed.
pub(crate) struct Lanes {
    site: Arc<Site>,
    /// By the broker's address: topics may live on several.
    links: HashMap<String, Link>,
    answers: SelectAll<Answers>,
    producers: HashMap<(Shard, String), Producer>,
    /// What came while another answer was waited for.
    stash: VecDeque<BaseCommand>,
    next: u64,
}

struct Producer {
    link: String,
    id: u64,
    name: String,
    /// The last sequence id the broker may have of it.
    last: i64,
    schema_version: Option<Vec<u8>>,
}

impl Lanes {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self {
            site,
            links: HashMap::new(),
            answers: SelectAll::new(),
            producers: HashMap::new(),
            stash: VecDeque::new(),
            next: 1,
        }
    }

    /// Opens the producer of a shard's events of a domain, and tells the last sequence id the broker may have of it. A
    /// conflict when another process has it open.
    pub(crate) async fn open(&mut self, shard: Shard, domain: &str) -> Result<i64> {
        let lane = (shard, domain.to_owned());
        if let Some(producer) = self.producers.get(&lane) {
            return Ok(producer.last);
        }
        self.site.prepare(domain).await?;
        let config = &self.site.config.pulsar;
        let topic = config.partition(domain, shard);
        let client = self.site.client().await?;
        let lookup = async { client.lookup_topic(topic.as_str()).await };
        let address = within(config.timeout, lookup).await?;
        let broker = address.broker_url.clone();
        if !self.links.contains_key(&broker) {
            let (link, answers) =
                Link::connect(&address, &self.site.trust, &config.token, config.timeout).await?;
            let named = broker.clone();
            self.links.insert(broker.clone(), link);
            self.answers.push(Box::pin(answers.map(move |answer| (named.clone(), answer))));
        }
        let name = format!("relay-{}", shard.number());
        let (id, request) = (self.number(), self.number());
        self.send(&broker, link::open_producer(request, id, &name, &topic, domain)).await?;
        let opened = tokio::time::timeout(self.site.config.pulsar.timeout, self.opened(request)).await;
        let (last, schema_version) = opened.map_err(away)??;
        tracing::debug!(topic, name, last, "the relay has a producer");
        self.producers.insert(lane, Producer { link: broker, id, name, last, schema_version });
        Ok(last)
    }

    /// Waits for the answer to a producer's opening.
    async fn opened(&mut self, request: u64) -> Result<(i64, Option<Vec<u8>>)> {
        loop {
            let Some(answer) = self.answers.next().await else { return Err(away("no connection")) };
            let command = self.hear(answer).await?;
            match command {
                Some(BaseCommand { producer_success: Some(opened), .. }) if opened.request_id == request => {
                    return Ok((opened.last_sequence_id.unwrap_or(-1), opened.schema_version));
                }
                Some(BaseCommand { error: Some(error), .. }) if error.request_id == request => {
                    return Err(link::refused(error.error, error.message));
                }
                Some(other) => self.stash.push_back(other),
                None => {}
            }
        }
    }

    /// Queues events of one lane as one message. Returns what its receipt will be known by.
    pub(crate) async fn feed(&mut self, shard: Shard, domain: &str, events: &[&Event]) -> Result<(u64, u64)> {
        let lane = (shard, domain.to_owned());
        let Some(producer) = self.producers.get_mut(&lane) else { return Err(away("no producer")) };
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Err(away("nothing to send"));
        };
        let sender = Sender {
            id: producer.id,
            name: &producer.name,
            schema_version: producer.schema_version.as_ref(),
        };
        let frame = message::batch(&sender, events, self.site.db.now())?;
        producer.last = producer.last.max(last.pos);
        let key = (producer.id, u64::try_from(first.pos).unwrap_or_default());
        match self.links.get_mut(&producer.link) {
            Some(link) => link.feed(frame).await.map(|()| key),
            None => Err(away("no connection")),
        }
    }

    /// Sends what is queued.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        for link in self.links.values_mut() {
            link.flush().await?;
        }
        Ok(())
    }

    /// Whether brokers may have something to say.
    pub(crate) fn connected(&self) -> bool {
        !self.links.is_empty()
    }

    /// The next thing a broker says; hand it to [`Lanes::hear`]. May be dropped at any time.
    pub(crate) async fn next(&mut self) -> (String, Result<BaseCommand>) {
        match self.answers.next().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// What came earlier and was put by.
    pub(crate) fn put_by(&mut self) -> Option<BaseCommand> {
        self.stash.pop_front()
    }

    /// Answers pings; gives back the rest.
    pub(crate) async fn hear(
        &mut self,
        (broker, answer): (String, Result<BaseCommand>),
    ) -> Result<Option<BaseCommand>> {
        let command = answer?;
        if command.ping.is_some() {
            self.send(&broker, link::pong()).await?;
            return Ok(None);
        }
        Ok(Some(command))
    }

    /// Gives up the producers of a shard, so that another process can have them.
    pub(crate) async fn close(&mut self, shard: Shard) -> Result<()> {
        let lanes: Vec<_> = self.producers.keys().filter(|(of, _)| *of == shard).cloned().collect();
        for lane in lanes {
            if let Some(producer) = self.producers.remove(&lane) {
                let request = self.number();
                self.send(&producer.link, link::close_producer(request, producer.id)).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, broker: &str, command: BaseCommand) -> Result<()> {
        match self.links.get_mut(broker) {
            Some(link) => link.send(command).await,
            None => Err(away("no connection")),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
