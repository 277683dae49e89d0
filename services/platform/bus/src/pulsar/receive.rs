//! From the broker to a consumer.

use std::{collections::BTreeSet, pin::Pin, sync::Arc, task::Poll, time::Duration};

use contracts::Event;
use futures::Stream;
use kernel::{Failure, Result};
use pulsar::{
    Consumer, ConsumerOptions, Payload, Pulsar, SubType, TokioExecutor,
    consumer::{InitialPosition, Message},
    proto::MessageIdData,
};
use tokio_util::sync::CancellationToken;

use super::{
    foreign, message,
    site::{Site, away, within},
};
use crate::{
    Sharing,
    deliver::{Courier, ParkedOf},
    retry::ParkedSet,
    store,
};

/// Takes a subscription's events from the broker. Several processes share them; what one leaves unacknowledged another gets.
pub(crate) struct Receiver {
    pub(crate) site: Arc<Site>,
    pub(crate) courier: Courier,
}

impl Receiver {
    /// Receives until it is told to stop; connects again whenever the broker is lost.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let name = self.courier.consumer.subscription();
        let mut failures = 0;
        while !stop.is_cancelled() {
            let Err((failure, received)) = self.session(stop).await else { break };
            failures = if received { 1 } else { failures + 1 };
            tracing::warn!(subscription = name, ?failure, "events are not received; they wait");
            self.site.troubles.set(name, failure.message().to_owned());
            self.site.forget_client().await;
            stop.run_until_cancelled(tokio::time::sleep(self.site.pause(failures))).await;
        }
    }

    /// From a connection to its loss. A failure says whether something had been received.
    async fn session(&self, stop: &CancellationToken) -> Result<(), (Failure, bool)> {
        let mut inlet = self.open().await.map_err(|failure| (failure, false))?;
        self.site.troubles.clear(self.courier.consumer.subscription());
        let mut received = false;
        loop {
            let batch = stop.run_until_cancelled(inlet.batch(self.most())).await;
            let Some(batch) = batch else { break };
            let step = async {
                let Batch { events, entries, unreadable } = batch?;
                if self.take(events, stop).await? {
                    inlet.acknowledge(entries).await?;
                    self.pass_over(&mut inlet, &unreadable).await?;
                }
                Ok(())
            };
            step.await.map_err(|failure| (failure, received))?;
            received = true;
            if stop.is_cancelled() {
                break;
            }
        }
        inlet.close().await;
        Ok(())
    }

    async fn open(&self) -> Result<Inlet> {
        let consumer = self.courier.consumer.as_ref();
        let config = &self.site.config.pulsar;
        // Who asks for a replay, or prunes, knows a subscription by its cursors.
        store::cursors(&self.site.db, consumer.subscription()).await?;
        let client = self.site.client().await?;
        let mut partitions = Vec::new();
        for domain in Site::domains(consumer) {
            self.site.prepare(domain).await?;
            for topic in config.every_partition(domain) {
                let sharing = consumer.sharing();
                let opened = subscribe(&client, &topic, consumer.subscription(), sharing, config.queue);
                partitions.push(Partition {
                    topic: topic.clone(),
                    consumer: within(config.timeout, opened).await?,
                });
            }
        }
        Ok(Inlet { subscription: consumer.subscription(), partitions, next: 0 })
    }

    /// Acknowledges what cannot be read, in the partitions where something was.
    async fn pass_over(&self, inlet: &mut Inlet, unreadable: &[usize]) -> Result<()> {
        for index in BTreeSet::from_iter(unreadable) {
            let Some(partition) = inlet.partitions.get(*index) else { continue };
            let found = foreign::unreadable(&self.site, &partition.topic, inlet.subscription).await?;
            for id in &found {
                let (ledger, entry) = (id.ledger_id, id.entry_id);
                let what =
                    format!("{} {ledger}:{entry}: compressed, or no batch of messages", partition.topic);
                let_go(inlet.subscription, &what);
            }
            inlet.acknowledge(found.into_iter().map(|id| (*index, id)).collect()).await?;
        }
        Ok(())
    }

    fn most(&self) -> usize {
        usize::try_from(self.site.config.batch).unwrap_or(usize::MAX)
    }

    /// Delivers what the consumer takes of these events; what failed is parked. False when it was told to stop before all had
    /// their turn: they are not acknowledged then.
    async fn take(&self, events: Vec<Event>, stop: &CancellationToken) -> Result<bool> {
        let consumer = &self.courier.consumer;
        let topics = consumer.topics();
        let events: Vec<Arc<Event>> =
            events.into_iter().filter(|event| topics.contains(&event.topic.as_str())).map(Arc::new).collect();
        if events.is_empty() {
            return Ok(true);
        }
        let Some(parked) = self.parked_before(stop).await? else { return Ok(false) };
        let db = &self.site.db;
        let Some(failed) = self.courier.deliver(&events, &parked, db.now()).await else { return Ok(false) };
        self.park(failed, &events).await?;
        Ok(true)
    }

    /// The subscription's parked events, once they are few enough to go on and no replay is under way: the order within an
    /// aggregate asks for both. None when told to stop meanwhile.
    async fn parked_before(&self, stop: &CancellationToken) -> Result<Option<ParkedSet>> {
        let name = self.courier.consumer.subscription();
        let limit = self.site.config.parked;
        loop {
            let parked = ParkedSet::load(store::parked(&self.site.db, name, None, limit).await?);
            let replaying = self.site.sight.state.borrow().has_cursors(&store::replay_of(name));
            if !replaying && parked.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok(Some(parked));
            }
            let pause = self.site.config.watch.mul_f64(rand::random_range(0.5..1.0));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(None);
            }
        }
    }

    /// Parks what failed, for the caretaker to try again from the log, which gets back what was pruned of it. An event behind
    /// the log's end was never in it: nobody could try it again, so it is let go.
    async fn park(&self, failed: Vec<ParkedOf>, events: &[Arc<Event>]) -> Result<()> {
        if failed.is_empty() {
            return Ok(());
        }
        let subscription = self.courier.consumer.subscription();
        let ends = self.site.db.log_ends().await?;
        let mut parked = Vec::with_capacity(failed.len());
        for (row, _) in failed {
            let event = events.iter().find(|event| (event.shard, event.pos) == (row.shard, row.pos));
            match event {
                Some(event) if ends.get(&row.shard).is_some_and(|end| row.pos <= *end) => {
                    parked.push((row, Arc::clone(event)));
                }
                _ => {
                    let_go(subscription, &format!("event {} of shard {}: {}", row.pos, row.shard, row.error))
                }
            }
        }
        store::park_received(&self.site.db, subscription, parked).await?;
        self.site.sight.look.notify_one();
        Ok(())
    }
}

/// Tells of a message that is none of ours. It is acknowledged like any other: else it would come again for ever, and what
/// lies behind it never.
fn let_go(subscription: &'static str, what: &str) {
    tracing::error!(subscription, what, "a message that is no event of this shop is let go");
    metrics::counter!("bus_foreign_total", "subscription" => subscription).increment(1);
}

/// The event of a message; None where it holds none.
fn event_in(subscription: &'static str, payload: &Payload) -> Option<Event> {
    message::event(payload).inspect_err(|failure| let_go(subscription, &format!("{failure:?}"))).ok()
}

async fn subscribe(
    client: &Pulsar<TokioExecutor>,
    topic: &str,
    subscription: &str,
    sharing: Sharing,
    queue: u32,
) -> Result<Consumer<Vec<u8>, TokioExecutor>, pulsar::Error> {
    let kind = match sharing {
        Sharing::ByAggregate => SubType::KeyShared,
        Sharing::Freely => SubType::Shared,
    };
    let options = ConsumerOptions::default()
        .durable(true)
        .with_initial_position(InitialPosition::Earliest)
        .with_receiver_queue_size(queue);
    client
        .consumer()
        .with_topic(topic)
        .with_subscription(subscription)
        .with_subscription_type(kind)
        .with_batch_size(queue)
        .with_options(options)
        .build()
        .await
}

/// All partitions a subscription takes from.
struct Inlet {
    subscription: &'static str,
    partitions: Vec<Partition>,
    /// Where to look first: none starves.
    next: usize,
}

struct Partition {
    topic: String,
    consumer: Consumer<Vec<u8>, TokioExecutor>,
}

/// What was received, and how to acknowledge it: whole message batches, since a broker knows no smaller part.
struct Batch {
    events: Vec<Event>,
    entries: Vec<(usize, MessageIdData)>,
    /// Partitions that brought a message that cannot be read, once for each.
    unreadable: Vec<usize>,
}

/// What a partition brings.
enum Came {
    Message(Box<Message<Vec<u8>>>),
    /// A message of which nothing is known but that it came.
    Unreadable,
}

impl Inlet {
    /// Waits for a message, then takes what else is there, up to `most` events (or as many messages that hold none) and the
    /// end of a message batch.
    async fn batch(&mut self, most: usize) -> Result<Batch> {
        let mut batch = Batch { events: Vec::new(), entries: Vec::new(), unreadable: Vec::new() };
        let (index, came) = self.any().await?;
        self.entry(index, came, &mut batch).await?;
        while batch.events.len().max(batch.entries.len() + batch.unreadable.len()) < most {
            let more = futures::poll!(std::pin::pin!(self.any()));
            let Poll::Ready(more) = more else { break };
            let (index, came) = more?;
            self.entry(index, came, &mut batch).await?;
        }
        Ok(batch)
    }

    /// The next message of any partition.
    async fn any(&mut self) -> Result<(usize, Came)> {
        std::future::poll_fn(|context| {
            let count = self.partitions.len();
            for step in 0..count {
                let index = (self.next + step) % count;
                if let Poll::Ready(message) =
                    Pin::new(&mut self.partitions[index].consumer).poll_next(context)
                {
                    self.next = (index + 1) % count;
                    return Poll::Ready(received(message).map(|came| (index, came)));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes the rest of the message batch that begins with what came.
    async fn entry(&mut self, index: usize, mut came: Came, batch: &mut Batch) -> Result<()> {
        loop {
            let Came::Message(message) = came else {
                // It stands for a whole message batch.
                batch.unreadable.push(index);
                return Ok(());
            };
            batch.events.extend(event_in(self.subscription, &message.payload));
            let id = message.message_id();
            let place = id.batch_index.unwrap_or(0);
            if place + 1 >= message.message_id.batch_size.unwrap_or(1) {
                let whole = MessageIdData { batch_index: None, batch_size: None, ..id.clone() };
                batch.entries.push((index, whole));
                return Ok(());
            }
            let consumer = &mut self.partitions[index].consumer;
            let next = std::future::poll_fn(|context| Pin::new(&mut *consumer).poll_next(context)).await;
            came = received(next)?;
        }
    }

    async fn acknowledge(&mut self, entries: Vec<(usize, MessageIdData)>) -> Result<()> {
        for (index, id) in entries {
            let Partition { topic, consumer } = &mut self.partitions[index];
            consumer.ack_with_id(topic.as_str(), id).await.map_err(|error| away(error.to_string()))?;
        }
        Ok(())
    }

    /// Gives back what is not acknowledged; a broker that does not answer finds out by itself.
    async fn close(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let all = self.partitions.iter_mut().map(|partition| partition.consumer.close());
        if tokio::time::timeout(PATIENCE, futures::future::join_all(all)).await.is_err() {
            tracing::debug!("the broker does not answer; its consumers end with the connection");
        }
    }
}

fn received(message: Option<Result<Message<Vec<u8>>, pulsar::Error>>) -> Result<Came> {
    match message {
        Some(Ok(message)) => Ok(Came::Message(Box::new(message))),
        Some(Err(error)) if foreign::is_told_by(&error) => Ok(Came::Unreadable),
        Some(Err(error)) => Err(away(error.to_string())),
        None => Err(away("the subscription ended")),
    }
}

#[cfg(test)]
mod tests {
    use pulsar::proto::{KeyValue, MessageMetadata};

    use super::*;

    const OURS: [(&str, &str); 4] =
        [("shard", "3"), ("pos", "7"), ("at", "1"), ("topic", "test.happened.v1")];

    fn message(properties: &[(&str, &str)]) -> Payload {
        let property =
            |(key, value): &(&str, &str)| KeyValue { key: (*key).to_owned(), value: (*value).to_owned() };
        let properties = properties.iter().map(property).collect();
        Payload {
            metadata: MessageMetadata { properties, ..MessageMetadata::default() },
            data: b"{}".to_vec(),
        }
    }

    #[test]
    fn a_message_that_holds_no_event_is_passed_over() {
        let event = event_in("test.one", &message(&OURS)).unwrap();
        assert_eq!((event.shard.number(), event.pos, event.topic.as_str()), (3, 7, "test.happened.v1"));
        assert!(event_in("test.one", &message(&[])).is_none());
        for left_out in OURS {
            let rest: Vec<_> = OURS.into_iter().filter(|property| *property != left_out).collect();
            assert!(event_in("test.one", &message(&rest)).is_none(), "without {left_out:?}");
        }
        let odd = [OURS[0], ("pos", "seven"), OURS[2], OURS[3]];
        assert!(event_in("test.one", &message(&odd)).is_none());
    }
}
