//! The broker that tests run on.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use futures::{SinkExt, StreamExt};
use kernel::Shard;
use platform_bus::{BusConfig, BusEngine, PulsarConfig};
use pulsar::{
    ConsumerOptions, Payload, Pulsar, TokioExecutor,
    consumer::InitialPosition,
    message::{Codec, Message as Frame},
    proto::{
        BaseCommand, CommandConnect, CommandProducer, CommandSend, CompressionType, MessageMetadata,
        base_command::Type,
    },
    reader::Reader,
};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio_util::codec::Framed;

/// The broker of this run. It ends with the process.
static BROKER: LazyLock<stack::Pulsar> = LazyLock::new(|| {
    let started = stack::Certificates::new().and_then(stack::Pulsar::start_encrypted);
    started.unwrap_or_else(|error| panic!("{error:#}"))
});

/// Tests that need the broker alive hold it shared; the one that kills it holds it alone.
static TURN: LazyLock<std::sync::Arc<RwLock<()>>> = LazyLock::new(Default::default);

pub(crate) type Turn = OwnedRwLockReadGuard<()>;

pub(crate) async fn shared() -> Turn {
    std::sync::Arc::clone(&TURN).read_owned().await
}

pub(crate) async fn alone() -> OwnedRwLockWriteGuard<()> {
    std::sync::Arc::clone(&TURN).write_owned().await
}

/// How long the broker may take to answer, on a machine that has much else to do.
const LIMIT: Duration = Duration::from_secs(60);

/// The configuration of a bus on the broker, in namespaces that nobody else uses.
pub(crate) fn config(config: BusConfig) -> BusConfig {
    let own: u64 = rand::random();
    let pulsar = PulsarConfig {
        url: BROKER.url(),
        admin_url: BROKER.admin_url(),
        cluster: BROKER.cluster().to_owned(),
        tenant: "meridian-test".to_owned(),
        namespace: format!("regional-{own:x}"),
        global_namespace: format!("global-{own:x}"),
        global: Vec::new(),
        topics: BTreeMap::from([("test".to_owned(), 3)]),
        reconnect: Duration::from_millis(500),
        // A busy machine must not look like a broker that is away.
        timeout: Duration::from_secs(30),
        ..PulsarConfig::default()
    };
    BusConfig { engine: BusEngine::Pulsar, pulsar, ..config }
}

/// The same over encrypted connections, which trust the broker's authority or another one.
pub(crate) fn encrypted(config: &BusConfig, known: bool) -> BusConfig {
    let certificates = BROKER.certificates().unwrap();
    let roots = if known { certificates.authority() } else { certificates.other_authority() };
    let pulsar = PulsarConfig {
        url: BROKER.encrypted_url(),
        admin_url: BROKER.encrypted_admin_url(),
        tls_roots: roots.to_str().unwrap().to_owned(),
        ..config.pulsar.clone()
    };
    BusConfig { pulsar, ..config.clone() }
}

/// Everything that lies in the broker's topic `test`: shard and position, as they stand there, by partition.
pub(crate) async fn stored(config: &PulsarConfig) -> Vec<(Shard, i64)> {
    let client = Pulsar::builder(config.url.as_str(), TokioExecutor).build().await.unwrap();
    let mut found = Vec::new();
    for partition in 0..config.topics["test"] {
        let topic = format!("persistent://{}/{}/test-partition-{partition}", config.tenant, config.namespace);
        let options = ConsumerOptions::default().with_initial_position(InitialPosition::Earliest);
        let mut reader: Reader<Vec<u8>, _> =
            client.reader().with_topic(topic).with_options(options).into_reader().await.unwrap();
        let last = reader.get_last_message_id().await.unwrap();
        // An empty topic ends at entry -1.
        let mut more = last.entry_id != u64::MAX;
        while more {
            let next = tokio::time::timeout(LIMIT, futures::StreamExt::next(&mut reader));
            let message = next.await.unwrap().unwrap().unwrap();
            let id = message.message_id();
            let whole = id.batch_index.unwrap_or(0) + 1 >= message.message_id.batch_size.unwrap_or(1);
            more = !whole || (id.ledger_id, id.entry_id) < (last.ledger_id, last.entry_id);
            let property = |key: &str| {
                let properties = &message.payload.metadata.properties;
                properties.iter().find(|property| property.key == key).unwrap().value.clone()
            };
            found.push((Shard::new(property("shard").parse().unwrap()), property("pos").parse().unwrap()));
        }
    }
    found
}

/// Puts a message of somebody else into the topic `test`: it says nothing about itself.
pub(crate) async fn intrude(config: &PulsarConfig) {
    let client = Pulsar::builder(config.url.as_str(), TokioExecutor).build().await.unwrap();
    let topic = format!("persistent://{}/{}/test-partition-0", config.tenant, config.namespace);
    let mut producer = client.producer().with_topic(topic).with_name("somebody-else").build().await.unwrap();
    producer.send_non_blocking("hello").await.unwrap().await.unwrap();
}

/// Puts messages into the topic `test` that say they are compressed, or a batch, and are neither: our client cannot read them.
pub(crate) async fn intrude_unreadable(config: &PulsarConfig, name: &str) {
    let client = Pulsar::builder(config.url.as_str(), TokioExecutor).build().await.unwrap();
    let topic = format!("persistent://{}/{}/test-partition-1", config.tenant, config.namespace);
    // The broker takes the topic on when it is asked for it.
    let address = client.lookup_topic(topic.as_str()).await.unwrap();
    let (host, port) = (address.url.host_str().unwrap(), address.url.port().unwrap());
    let socket = tokio::net::TcpStream::connect((host, port)).await.unwrap();
    let mut broker = Framed::new(socket, Codec);
    let command = |kind: Type| BaseCommand { r#type: kind as i32, ..BaseCommand::default() };
    let hello = CommandConnect {
        client_version: "somebody else".to_owned(),
        protocol_version: Some(15),
        ..CommandConnect::default()
    };
    tell(&mut broker, BaseCommand { connect: Some(hello), ..command(Type::Connect) }, None).await;
    heard(&mut broker, |answer| answer.connected.is_some()).await;
    let producer = CommandProducer {
        topic,
        producer_id: 1,
        request_id: 1,
        producer_name: Some(name.to_owned()),
        ..CommandProducer::default()
    };
    tell(&mut broker, BaseCommand { producer: Some(producer), ..command(Type::Producer) }, None).await;
    heard(&mut broker, |answer| answer.producer_success.is_some()).await;
    let kinds = [CompressionType::Lz4, CompressionType::Zlib, CompressionType::Zstd, CompressionType::Snappy];
    let mut odd: Vec<MessageMetadata> = kinds
        .map(|kind| MessageMetadata {
            compression: Some(kind as i32),
            uncompressed_size: Some(1_000),
            ..MessageMetadata::default()
        })
        .into();
    odd.push(MessageMetadata { num_messages_in_batch: Some(3), ..MessageMetadata::default() });
    for (sequence_id, odd) in (0..).zip(odd) {
        let metadata =
            MessageMetadata { producer_name: name.to_owned(), sequence_id, publish_time: 1, ..odd };
        let send =
            CommandSend { producer_id: 1, sequence_id, num_messages: Some(1), ..CommandSend::default() };
        let payload = Payload { metadata, data: b"hello".to_vec() };
        tell(&mut broker, BaseCommand { send: Some(send), ..command(Type::Send) }, Some(payload)).await;
        heard(&mut broker, |answer| answer.send_receipt.is_some()).await;
    }
}

type Wire = Framed<tokio::net::TcpStream, Codec>;

async fn tell(broker: &mut Wire, command: BaseCommand, payload: Option<Payload>) {
    broker.send(Frame { command, payload }).await.unwrap();
}

/// Waits for an answer.
async fn heard(broker: &mut Wire, is_it: impl Fn(&BaseCommand) -> bool) {
    let answers = async {
        while let Some(answer) = broker.next().await {
            let answer = answer.unwrap().command;
            assert!(answer.error.is_none() && answer.send_error.is_none(), "{answer:?}");
            if is_it(&answer) {
                return true;
            }
        }
        false
    };
    assert!(tokio::time::timeout(LIMIT, answers).await.unwrap(), "the connection ended");
}

/// Messages that the broker has taken in for the topic `test` since it runs.
pub(crate) async fn taken_in(config: &PulsarConfig) -> u64 {
    let PulsarConfig { admin_url, tenant, namespace, .. } = config;
    let url = format!("{admin_url}/admin/v2/persistent/{tenant}/{namespace}/test/partitioned-stats");
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let stats: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    stats["msgInCounter"].as_u64().unwrap_or(0)
}

/// kill -9 to the broker.
pub(crate) fn kill() {
    BROKER.kill().unwrap();
}

/// Starts the broker again, on what it had stored.
pub(crate) fn restart() {
    BROKER.restart().unwrap();
}

/// A second cluster that knows the broker's, and the broker's knows it.
pub(crate) fn second() -> stack::Pulsar {
    let second = stack::Pulsar::start_named("second").unwrap();
    BROKER.introduce(&second).unwrap();
    second.introduce(&BROKER).unwrap();
    second
}
