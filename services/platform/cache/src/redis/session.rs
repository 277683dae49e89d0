//! One life of the connections to Redis, from being made to the first that breaks. fred is not told to reconnect by
//! itself: what was true of a server before it went away is to be checked first.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use fred::{
    clients::Client,
    error::{Error, ErrorKind},
    interfaces::{ClientLike, FredResult, KeysInterface},
    types::{
        ClusterHash, ConnectHandle, CustomCommand, FromValue, InfoKind, RespVersion, Value,
        config::{
            ClusterDiscoveryPolicy, Config, ConnectionConfig, Options, PerformanceConfig, Server,
            ServerConfig, TcpConfig, TlsConnector, UnresponsiveConfig,
        },
    },
};
use futures::future::{join_all, select_all};
use kernel::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::sync::Notify;

use super::{Claim, Found, Stored};
use crate::RedisConfig;

/// Commands in a row that get no answer in time before Redis counts as gone.
const MOST_TIMEOUTS: u32 = 3;
/// Keys in one round trip.
pub(super) const AT_ONCE: usize = 256;
/// How long a claim stands: a load that takes longer fills nothing.
const CLAIM: Duration = Duration::from_secs(10);

/// Connections, driven by a task each.
struct Lines(Vec<ConnectHandle>);

impl Drop for Lines {
    fn drop(&mut self) {
        for line in &self.0 {
            line.abort();
        }
    }
}

/// Connections that are up, and the servers behind them.
pub(super) struct Connected {
    lines: Lines,
    clients: Vec<Client>,
    /// Hears what is told, and tells that this process lives.
    pub(super) listener: Client,
    nodes: Vec<Option<Server>>,
    /// Names the run of every server that keeps keys.
    pub(super) servers: String,
}

impl Connected {
    /// Connects, and finds out who is there.
    pub(super) async fn open(config: &RedisConfig, tls: Option<&TlsConnector>) -> Result<Self, Error> {
        let patient = patience(config);
        let clients: Vec<Client> =
            (0..config.connections).map(|_| client(config, tls, config.command_timeout)).collect();
        let listener = client(config, tls, patient);
        let all: Vec<&Client> = clients.iter().chain([&listener]).collect();
        let mut lines = Lines(all.iter().map(|client| client.connect()).collect());
        let up = join_all(all.iter().zip(&mut lines.0).map(|(client, line)| up(client, line)));
        let limit = config.connect_timeout * 2;
        for outcome in tokio::time::timeout(limit, up)
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, format!("no connection within {limit:?}")))?
        {
            outcome?;
        }
        let nodes: Vec<Option<Server>> = if config.cluster {
            listener.active_connections().into_iter().map(Some).collect()
        } else {
            vec![None]
        };
        let mut runs = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let info: String = on(&listener, node, patient).info(Some(InfoKind::Server)).await?;
            runs.push(run_of(&info)?);
        }
        runs.sort_unstable();
        Ok(Self { lines, clients, listener, nodes, servers: runs.join(",") })
    }

    /// Waits for the first connection that ends.
    pub(super) async fn ended(&mut self) -> Error {
        let (outcome, ..) = select_all(&mut self.lines.0).await;
        ended(outcome)
    }

    /// Makes every server know `script`; its name.
    pub(super) async fn load(&self, script: &str, config: &RedisConfig) -> Result<String, Error> {
        let mut name = String::new();
        for node in &self.nodes {
            let load = CustomCommand::new_static("SCRIPT", ClusterHash::Random, false);
            name = on(&self.listener, node, patience(config)).custom(load, vec!["LOAD", script]).await?;
        }
        Ok(name)
    }
}

/// How long the listener's commands may take: it is not in anybody's way.
pub(super) fn patience(config: &RedisConfig) -> Duration {
    // A quarter of the shortest lease is less than the least patience.
    (config.command_timeout * 10).max(Duration::from_millis(200)).min(config.lease / 4)
}

/// Runs a script on one key: by its text (`EVAL`), or by its name (`EVALSHA`).
pub(super) async fn script<R: FromValue>(
    client: &impl ClientLike,
    how: &'static str,
    script: &str,
    key: &str,
    arguments: Vec<Value>,
) -> FredResult<R> {
    let slot = fred::util::redis_keyslot(key.as_bytes());
    let mut all: Vec<Value> = vec![script.into(), 1.into(), key.into()];
    all.extend(arguments);
    client.custom(CustomCommand::new_static(how, ClusterHash::Custom(slot), false), all).await
}

fn on(client: &Client, node: &Option<Server>, timeout: Duration) -> fred::clients::WithOptions<Client> {
    client.with_options(&Options { cluster_node: node.clone(), timeout: Some(timeout), ..Options::default() })
}

fn client(config: &RedisConfig, tls: Option<&TlsConnector>, timeout: Duration) -> Client {
    let mut hosts: Vec<Server> =
        config.addresses().into_iter().map(|(host, port)| Server::new(host, port)).collect();
    let server = if config.cluster {
        ServerConfig::Clustered { hosts, policy: ClusterDiscoveryPolicy::ConfigEndpoint }
    } else {
        ServerConfig::Centralized { server: hosts.swap_remove(0) }
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Client::new(
        Config {
            username: some(&config.username),
            password: some(config.password.expose_secret()),
            server,
            tls: tls.cloned().map(Into::into),
            version: RespVersion::RESP3,
            ..Config::default()
        },
        Some(PerformanceConfig {
            default_command_timeout: timeout,
            broadcast_channel_capacity: 8_192,
            ..PerformanceConfig::default()
        }),
        Some(ConnectionConfig {
            connection_timeout: config.connect_timeout,
            internal_command_timeout: config.connect_timeout,
            max_command_attempts: 1,
            max_command_buffer_len: 10_000,
            tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
            unresponsive: UnresponsiveConfig {
                max_timeout: Some(config.lease.max(Duration::from_secs(2))),
                interval: Duration::from_millis(500),
            },
            ..ConnectionConfig::default()
        }),
        None,
    )
}

/// Waits until the client is connected, or its task has given up.
async fn up(client: &Client, line: &mut ConnectHandle) -> Result<(), Error> {
    loop {
        if client.is_connected() {
            return Ok(());
        }
        if line.is_finished() {
            return Err(ended(line.await));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn ended(outcome: Result<Result<(), Error>, tokio::task::JoinError>) -> Error {
    match outcome {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => Error::new(ErrorKind::IO, "the connection was closed"),
    }
}

/// The run that `INFO server` tells of; an error where the server is too old.
fn run_of(info: &str) -> Result<String, Error> {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let major = field("redis_version").and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    if major.is_none_or(|major| major < 6) {
        return Err(Error::new(ErrorKind::Config, "Redis 6 or newer is needed"));
    }
    field("run_id")
        .map(|run| run.trim().to_owned())
        .ok_or_else(|| Error::new(ErrorKind::Protocol, "the server does not tell its run_id"))
}

/// Names of the scripts.
pub(super) struct Scripts {
    pub(super) find: String,
    pub(super) fill: String,
    pub(super) tell: String,
    pub(super) bucket: String,
}

/// What is told.
#[derive(Serialize)]
struct Told<'a> {
    o: &'a str,
    s: &'a str,
    k: Vec<&'a str>,
}

/// Connections that this process may use: it knows the generation and hears what changes.
pub(crate) struct Session {
    clients: Vec<Client>,
    pub(super) listener: Client,
    next: AtomicUsize,
    member: String,
    pub(super) ring: String,
    pub(super) channel: String,
    pub(super) servers: String,
    pub(super) generation: String,
    scripts: Scripts,
    timeouts: AtomicU32,
    broken: AtomicBool,
    why: Mutex<String>,
    pub(super) broke: Notify,
}

impl Session {
    pub(super) fn new(
        connected: &Connected,
        (ring, channel, member): (String, String, String),
        generation: String,
        scripts: Scripts,
    ) -> Self {
        Self {
            clients: connected.clients.clone(),
            listener: connected.listener.clone(),
            next: AtomicUsize::new(0),
            member,
            ring,
            channel,
            servers: connected.servers.clone(),
            generation,
            scripts,
            timeouts: AtomicU32::new(0),
            broken: AtomicBool::new(false),
            why: Mutex::default(),
            broke: Notify::new(),
        }
    }

    /// Whether it should not be asked any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Why.
    pub(super) fn why(&self) -> String {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What Redis has under these keys, loaded at `since` or later; where it has nothing, this process' claims stand.
    pub(crate) async fn find(&self, keys: &[String], since: Timestamp) -> Option<Vec<Found>> {
        let since = digits(since);
        let mut all = Vec::with_capacity(keys.len());
        for some in keys.chunks(AT_ONCE) {
            let claims: Vec<String> =
                some.iter().map(|_| format!("c{}{:016x}", self.generation, rand::random::<u64>())).collect();
            let life = millis(CLAIM);
            let arguments = |claim: &String| -> Vec<Value> {
                vec![claim.as_str().into(), life.into(), since.as_str().into()]
            };
            let answers: Vec<Value> = if let ([key], [claim]) = (some, claims.as_slice()) {
                let asked = script(self.client(), "EVALSHA", &self.scripts.find, key, arguments(claim)).await;
                vec![self.settle(asked)?]
            } else {
                let asked = async {
                    let pipeline = self.client().pipeline();
                    for (key, claim) in some.iter().zip(&claims) {
                        let () =
                            script(&pipeline, "EVALSHA", &self.scripts.find, key, arguments(claim)).await?;
                    }
                    pipeline.all().await
                };
                self.settle(asked.await)?
            };
            all.extend(
                some.iter().zip(claims).zip(answers).map(|((key, claim), answer)| found(key, claim, &answer)),
            );
        }
        Some(all)
    }

    /// Puts values where claims still stand.
    pub(crate) async fn fill(&self, values: Vec<(Claim, Stored, Duration)>) {
        let mut values = values.into_iter().peekable();
        while values.peek().is_some() {
            let some: Vec<_> = values.by_ref().take(AT_ONCE).collect();
            let put = async {
                let pipeline = self.client().pipeline();
                for (claim, stored, life) in &some {
                    let arguments: Vec<Value> = vec![
                        claim.token.as_str().into(),
                        Value::Bytes(stored.bytes(claim.generation()).into()),
                        millis(*life).into(),
                    ];
                    let () = script(&pipeline, "EVALSHA", &self.scripts.fill, &claim.key, arguments).await?;
                }
                pipeline.all::<Vec<Value>>().await
            };
            if self.settle(put.await).is_none() {
                return;
            }
        }
    }

    /// Takes values, and claims, away.
    pub(super) async fn remove(&self, keys: &[String]) -> Option<()> {
        let removed = async {
            let pipeline = self.client().pipeline();
            for key in keys {
                let () = pipeline.del(key.as_str()).await?;
            }
            pipeline.all::<Vec<Value>>().await
        };
        self.settle(removed.await).map(|_| ())
    }

    /// Tells every process about keys of a space.
    pub(super) async fn tell(&self, space: &str, keys: Vec<&str>) -> Option<()> {
        let text = serde_json::to_string(&Told { o: &self.member, s: space, k: keys }).ok()?;
        let arguments: Vec<Value> = vec![self.channel.as_str().into(), text.into()];
        let told = script(self.client(), "EVALSHA", &self.scripts.tell, &self.ring, arguments).await;
        self.settle::<i64>(told).map(|_| ())
    }

    /// Takes one from a bucket; how many microseconds to wait, 0 for none.
    pub(crate) async fn take(&self, key: &str, each: Duration, full: Duration) -> Option<u64> {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let arguments: Vec<Value> = vec![micros(each).into(), micros(full).into()];
        let taken = script(self.client(), "EVALSHA", &self.scripts.bucket, key, arguments).await;
        self.settle::<i64>(taken).map(|wait| u64::try_from(wait).unwrap_or(0))
    }

    fn client(&self) -> &Client {
        &self.clients[self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len()]
    }

    /// The answer; none for an error, which may end the session: a connection that is gone and a server that does not know
    /// us at once, one that is slow or full after a few times.
    fn settle<T>(&self, outcome: Result<T, Error>) -> Option<T> {
        match outcome {
            Ok(answer) => {
                if self.timeouts.load(Ordering::Relaxed) > 0 {
                    self.timeouts.store(0, Ordering::Relaxed);
                }
                Some(answer)
            }
            Err(error) => {
                let other_server = ["NOSCRIPT", "READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "NOPERM"]
                    .iter()
                    .any(|start| error.details().starts_with(start));
                let gone = other_server
                    || !matches!(
                        error.kind(),
                        ErrorKind::Timeout | ErrorKind::Unknown | ErrorKind::Backpressure
                    );
                if gone || self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_TIMEOUTS {
                    self.end(error.to_string());
                }
                None
            }
        }
    }

    fn end(&self, why: String) {
        if !self.broken.swap(true, Ordering::AcqRel) {
            *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
            self.broke.notify_one();
        }
    }
}

fn found(key: &str, claim: String, answer: &Value) -> Found {
    match answer {
        Value::Null => Found::Claimed(Claim { key: key.to_owned(), token: claim }),
        Value::Integer(_) => Found::Nothing,
        other => other.as_bytes().and_then(Stored::parse).map_or(Found::Nothing, Found::Value),
    }
}

/// A moment that sorts as text; those before 1970 are the beginning.
pub(super) fn digits(at: Timestamp) -> String {
    format!("{:020}", at.micros().max(0))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("generation", &self.generation).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_fits_into_every_lease() {
        for (lease, command, expected) in
            [(500, 50, 125), (799, 1, 199), (5_000, 50, 500), (5_000, 1, 200), (60_000, 10_000, 15_000)]
        {
            let config = RedisConfig {
                lease: Duration::from_millis(lease),
                command_timeout: Duration::from_millis(command),
                ..RedisConfig::default()
            };
            config.validate().unwrap();
            assert_eq!(patience(&config).as_millis(), expected, "a lease of {lease} ms");
        }
    }
}
