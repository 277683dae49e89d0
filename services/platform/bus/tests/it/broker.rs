//! The broker that tests run on.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::LazyLock,
    time::{Duration, Instant},
};

use kernel::Shard;
use platform_bus::{BusConfig, BusEngine, PulsarConfig};
use pulsar::{ConsumerOptions, Pulsar, TokioExecutor, consumer::InitialPosition, reader::Reader};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

const HOW: &str = "the feature `pulsar` is tested on a real broker: set MERIDIAN_TEST_PULSAR=pulsar://host:port, \
                   MERIDIAN_TEST_PULSAR_ADMIN=http://host:port and MERIDIAN_TEST_PULSAR_CLUSTER (standalone)";

/// A variable that says where the broker is.
#[expect(clippy::disallowed_methods, reason = "tests are told where the broker is by the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Tests that need the broker alive hold it shared; the one that kills it holds it alone.
static TURN: LazyLock<std::sync::Arc<RwLock<()>>> = LazyLock::new(Default::default);

pub(crate) type Turn = OwnedRwLockReadGuard<()>;

pub(crate) async fn shared() -> Turn {
    std::sync::Arc::clone(&TURN).read_owned().await
}

pub(crate) async fn alone() -> OwnedRwLockWriteGuard<()> {
    std::sync::Arc::clone(&TURN).write_owned().await
}

/// The configuration of a bus on the broker, in namespaces that nobody else uses.
pub(crate) fn config(config: BusConfig) -> BusConfig {
    let own: u64 = rand::random();
    let pulsar = PulsarConfig {
        url: variable("MERIDIAN_TEST_PULSAR").expect(HOW),
        admin_url: variable("MERIDIAN_TEST_PULSAR_ADMIN").expect(HOW),
        cluster: variable("MERIDIAN_TEST_PULSAR_CLUSTER").unwrap_or_else(|| "standalone".to_owned()),
        tenant: "meridian-test".to_owned(),
        namespace: format!("regional-{own:x}"),
        global_namespace: format!("global-{own:x}"),
        global: Vec::new(),
        topics: BTreeMap::from([("test".to_owned(), 3)]),
        reconnect: Duration::from_millis(500),
        ..PulsarConfig::default()
    };
    BusConfig { engine: BusEngine::Pulsar, pulsar, ..config }
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
            let next = tokio::time::timeout(Duration::from_secs(10), futures::StreamExt::next(&mut reader));
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

/// Messages that the broker has taken in for the topic `test` since it runs.
pub(crate) async fn taken_in(config: &PulsarConfig) -> u64 {
    let PulsarConfig { admin_url, tenant, namespace, .. } = config;
    let url = format!("{admin_url}/admin/v2/persistent/{tenant}/{namespace}/test/partitioned-stats");
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let stats: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    stats["msgInCounter"].as_u64().unwrap_or(0)
}

/// Kills or starts the broker: `MERIDIAN_TEST_PULSAR_CONTROL` is a program that does so when called with `kill` or `start`.
pub(crate) fn control(what: &str) {
    let program = variable("MERIDIAN_TEST_PULSAR_CONTROL").expect(
        "to kill the broker, set MERIDIAN_TEST_PULSAR_CONTROL to a program that takes `kill` and `start`",
    );
    let began = Instant::now();
    let status = Command::new(&program).arg(what).status().unwrap();
    assert!(status.success(), "{program} {what}: {status}");
    eprintln!("broker {what}: {:?}", began.elapsed());
}
