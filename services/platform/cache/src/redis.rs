//! The handle to Redis: a second level for caches, news of what other processes changed, shared buckets.
//!
//! Everything here may be missing at any moment: each call then says so at once, and the caller goes on without.

mod link;
mod scripts;
mod session;
mod supervise;
mod tls;
mod undelivered;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use fred::types::config::TlsConnector;
use kernel::{Failure, Result, Timestamp, code};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{RedisConfig, RedisEngine};
use link::Link;
use session::Session;
use undelivered::{Batch, Undelivered};

/// News that may wait to be told; more are dropped. Nobody relies on them.
const NEWS: usize = 1_024;

/// A cache as Redis knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    pub(crate) name: &'static str,
    /// Of the values' encoding: processes of two versions of the code do not read each other's.
    pub(crate) version: u32,
    /// Whether Redis keeps its values, or only hears of its changes.
    pub(crate) stored: bool,
}

/// What Redis has under a key.
#[derive(Debug)]
pub(crate) enum Found {
    Value(Stored),
    /// Nothing, and what the caller loads now may be put there.
    Claimed(Claim),
    /// Nothing to be used, and nothing may be put there.
    Nothing,
}

/// A value as Redis keeps it: format, generation, the moment before it was loaded, whether there is one, and its bytes.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) since: Timestamp,
    /// `None`: there is none.
    pub(crate) body: Option<Vec<u8>>,
}

/// The right to put a value under a key, until somebody changes it.
#[derive(Debug)]
pub(crate) struct Claim {
    key: String,
    token: String,
}

/// Bytes before the value: format 1, generation 16, moment 20, whether there is a value 1.
const HEAD: usize = 38;

impl Stored {
    fn bytes(&self, generation: &str) -> Vec<u8> {
        let kind = if self.body.is_some() { 'v' } else { 'n' };
        let mut bytes = format!("1{generation}{}{kind}", session::digits(self.since)).into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, body) = bytes.split_at_checked(HEAD)?;
        let since = std::str::from_utf8(&head[17..37]).ok()?.parse().ok()?;
        let body = match head[37] {
            b'v' => Some(body.to_vec()),
            b'n' => None,
            _ => return None,
        };
        Some(Self { since: Timestamp::from_micros(since), body })
    }
}

impl Claim {
    fn generation(&self) -> &str {
        &self.token[1..17]
    }
}

type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// A Redis, or the hope of one. Cheap to clone; the connections end with the last clone.
#[derive(Clone)]
pub struct Redis(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

/// What the handle and its supervisor share.
struct Shared {
    config: RedisConfig,
    tls: Option<TlsConnector>,
    /// This process' name in the ring.
    member: String,
    link: Link,
    session: RwLock<Option<Arc<Session>>>,
    undelivered: Undelivered,
    listeners: RwLock<HashMap<&'static str, Vec<Listener>>>,
    /// Rings when something is undelivered.
    wake: Notify,
    why: Mutex<String>,
    linked: watch::Sender<bool>,
    stop: CancellationToken,
    stopped: CancellationToken,
    tell: mpsc::Sender<News>,
}

/// Something to tell.
struct News {
    space: &'static str,
    lines: Vec<String>,
}

impl Redis {
    /// The Redis of this configuration, none where it names none. Connects in the background, on the current runtime, and
    /// again and again. `request.invalid` names a setting that is out of range, or a file
    /// that cannot be used.
    pub fn open(config: &RedisConfig) -> Result<Option<Self>> {
        config.validate()?;
        if config.engine == RedisEngine::None {
            return Ok(None);
        }
        let tls = tls::connector(config)?;
        Ok(Some(Self::start(config.clone(), tls)))
    }

    fn start(config: RedisConfig, tls: Option<TlsConnector>) -> Self {
        let stop = CancellationToken::new();
        let (tell, news) = mpsc::channel(NEWS);
        let shared = Arc::new(Shared {
            config,
            tls,
            member: format!("{:032x}", rand::random::<u128>()),
            link: Link::new(),
            session: RwLock::new(None),
            undelivered: Undelivered::default(),
            listeners: RwLock::default(),
            wake: Notify::new(),
            why: Mutex::new("not connected yet".to_owned()),
            linked: watch::Sender::new(false),
            stop: stop.clone(),
            stopped: CancellationToken::new(),
            tell,
        });
        #[expect(
            clippy::disallowed_methods,
            reason = "ends with the last handle, or when told to by `close`"
        )]
        tokio::spawn(supervise::supervise(Arc::clone(&shared), news));
        Self(Arc::new(Handle { shared, _stop: stop.drop_guard() }))
    }

    /// How it was configured.
    pub fn config(&self) -> &RedisConfig {
        &self.0.shared.config
    }

    /// Fails while there is no Redis, and says why: everything works, slower.
    pub fn health(&self) -> Result<()> {
        if self.link() != 0 {
            return Ok(());
        }
        let why = self.0.shared.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(Failure::new(code::UNAVAILABLE)
            .detail(format!("Redis is not used: {why}; caches work from the database")))
    }

    /// Waits until it is connected, at most so long; whether it is.
    pub async fn connected(&self, within: Duration) -> bool {
        let mut linked = self.0.shared.linked.subscribe();
        tokio::time::timeout(within, linked.wait_for(|linked| *linked)).await.is_ok_and(|seen| seen.is_ok())
    }

    /// Tells other processes what they do not know yet and leaves; whether everything was told.
    pub async fn close(&self, within: Duration) -> bool {
        let shared = &self.0.shared;
        if !shared.undelivered.is_empty() {
            self.connected(within).await;
        }
        shared.stop.cancel();
        let in_time = tokio::time::timeout(within, shared.stopped.cancelled()).await.is_ok();
        in_time && shared.undelivered.is_empty()
    }

    /// Gives up everything that Redis keeps, for all processes: after the database was replaced. False where Redis could
    /// not be told within that time.
    pub async fn forget_all(&self, within: Duration) -> bool {
        let shared = &self.0.shared;
        shared.undelivered.want_generation();
        shared.wake.notify_one();
        let told = async {
            while !shared.undelivered.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(within, told).await.is_ok()
    }

    /// Calls `hear` with each line that another process tells in `space`. It must not wait.
    pub fn listen(&self, space: &'static str, hear: impl Fn(&str) + Send + Sync + 'static) {
        let mut listeners = self.0.shared.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.entry(space).or_default().push(Box::new(hear));
    }

    /// Tells other processes some lines, soon; nothing happens where that cannot be.
    pub fn tell(&self, space: &'static str, lines: Vec<String>) {
        if self.link() != 0 && !lines.is_empty() {
            // Full: what is told is worth little by the time it would arrive.
            let _ = self.0.shared.tell.try_send(News { space, lines });
        }
    }

    /// The epoch in which this process hears of every change; 0 while it does not.
    pub(crate) fn link(&self) -> u64 {
        self.0.shared.link.epoch()
    }

    // The client's futures are large. They are boxed, so that those of whoever may ask Redis are not.

    /// What Redis has under `keys`, loaded at `since` or later; in their order.
    pub(crate) async fn find(&self, space: Space, keys: &[String], since: Timestamp) -> Option<Vec<Found>> {
        let session = self.session()?;
        let shared = &self.0.shared;
        if shared.undelivered.is_empty() {
            let names: Vec<String> = keys.iter().map(|key| self.name(space, key)).collect();
            return Box::pin(session.find(&names, since)).await;
        }
        let (asked, names): (Vec<usize>, Vec<String>) = keys
            .iter()
            .enumerate()
            .filter(|(_, key)| !shared.undelivered.has(space.name, key))
            .map(|(index, key)| (index, self.name(space, key)))
            .unzip();
        let mut all: Vec<Found> = keys.iter().map(|_| Found::Nothing).collect();
        if !asked.is_empty() {
            for (index, found) in asked.into_iter().zip(Box::pin(session.find(&names, since)).await?) {
                all[index] = found;
            }
        }
        Some(all)
    }

    /// Puts values where their claims still stand.
    pub(crate) async fn fill(&self, values: Vec<(Claim, Stored, Duration)>) {
        if let Some(session) = self.session() {
            Box::pin(session.fill(values)).await;
        }
    }

    /// Notes that keys changed: from now on this process does not ask Redis for them. To be [delivered](Self::deliver).
    pub(crate) fn changed(&self, space: Space, keys: Vec<String>) -> Changed {
        Changed(self.0.shared.undelivered.add(space, keys))
    }

    /// Notes that everything changed; delivered in the background.
    pub(crate) fn changed_all(&self, space: Space) {
        self.0.shared.undelivered.add(space, vec!["*".to_owned()]);
        if space.stored {
            self.0.shared.undelivered.want_generation();
        }
        self.0.shared.wake.notify_one();
    }

    /// Takes what changed out of Redis and tells other processes. What cannot be told now is told in the background.
    pub(crate) async fn deliver(&self, changed: Changed) {
        let shared = &self.0.shared;
        let delivered = match self.session() {
            Some(session) => Box::pin(shared.deliver(&session, &[changed.0])).await,
            None => false,
        };
        metrics::counter!("redis_invalidations_total", "outcome" => if delivered { "delivered" } else { "late" })
            .increment(1);
        if !delivered {
            shared.wake.notify_one();
        }
    }

    /// Takes one from the bucket `key`; how long to wait where it is empty, none where Redis cannot be asked.
    pub(crate) async fn take(&self, key: &str, each: Duration, full: Duration) -> Option<Option<Duration>> {
        let session = self.session()?;
        let key = format!("{}:bucket:{key}", self.0.shared.config.prefix);
        let wait = Box::pin(session.take(&key, each, full)).await?;
        Some((wait > 0).then(|| Duration::from_micros(wait)))
    }

    fn session(&self) -> Option<Arc<Session>> {
        if self.link() == 0 {
            return None;
        }
        let session = self.0.shared.session.read().unwrap_or_else(PoisonError::into_inner).clone();
        session.filter(|session| !session.is_broken())
    }

    fn name(&self, space: Space, key: &str) -> String {
        self.0.shared.name(space, key)
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("nodes", &self.config().nodes)
            .field("linked", &(self.link() != 0))
            .finish_non_exhaustive()
    }
}

/// Keys that changed, to be delivered.
pub(crate) struct Changed(Batch);

impl Shared {
    fn name(&self, space: Space, key: &str) -> String {
        format!("{}:{}.{}:{key}", self.config.prefix, space.name, space.version)
    }

    /// Delivers; whether everything was. Values go before the news: who hears and loads again must not find the old one.
    async fn deliver(&self, session: &Session, batches: &[Batch]) -> bool {
        for batch in batches {
            for some in batch.keys.chunks(session::AT_ONCE) {
                if batch.space.stored {
                    let names: Vec<String> =
                        some.iter().map(|(key, _)| self.name(batch.space, key)).collect();
                    if session.remove(&names).await.is_none() {
                        return false;
                    }
                }
                let keys = some.iter().map(|(key, _)| key.as_str()).collect();
                if session.tell(batch.space.name, keys).await.is_none() {
                    return false;
                }
            }
            self.undelivered.done(batch);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_moment_and_its_bytes() {
        for body in [Some(b"{}".to_vec()), Some(Vec::new()), None] {
            let stored = Stored { since: Timestamp::from_micros(1_800_000_000_000_001), body };
            let bytes = stored.bytes("0123456789abcdef");
            assert_eq!(&bytes[..17], b"10123456789abcdef");
            let again = Stored::parse(&bytes).unwrap();
            assert_eq!((again.since, again.body), (stored.since, stored.body));
        }
        assert!(Stored::parse(b"1short").is_none());
    }
}
