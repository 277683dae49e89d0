//! Connects, links, keeps the link, and begins anew when it breaks.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use fred::{
    error::{Error, ErrorKind},
    interfaces::{EventInterface, PubsubInterface},
    types::{Message, Value},
};
use futures::future::BoxFuture;
use metrics::{counter, gauge};
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc};

use super::{
    News, Shared,
    link::believed_for,
    scripts,
    session::{Connected, Scripts, Session, script},
};

/// Pauses between two tries to connect.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// A link that lasted so long was no flapping one.
const STEADY: Duration = Duration::from_secs(10);

/// Why a link ended.
enum End {
    /// It was told to.
    Stopped,
    /// What was kept before is not to be believed any more.
    Anew(&'static str),
    Lost(String),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// What is told, as it arrives. Without a space: a new generation began.
#[derive(Deserialize)]
struct Heard {
    #[serde(default)]
    o: String,
    #[serde(default)]
    s: String,
    #[serde(default)]
    k: Vec<String>,
}

/// A sign of life: when it was sent, and what Redis answered.
type Beat = (Instant, Result<(String, u64), Error>);

/// Runs until it is told to stop.
pub(super) async fn supervise(shared: Arc<Shared>, mut news: mpsc::Receiver<News>) {
    let stop = shared.stop.clone();
    let mut pause = Pause(SHORTEST);
    loop {
        let began = Instant::now();
        let end = tokio::select! {
            connected = connect(&shared) => match connected {
                Ok(live) => live.run(&shared, &mut news).await,
                Err(end) => end,
            },
            () = stop.cancelled() => End::Stopped,
        };
        shared.unlink();
        match end {
            End::Stopped => break,
            End::Anew(why) => {
                shared.say(why);
                tracing::info!(why, "Redis is linked anew");
            }
            End::Lost(why) => {
                tracing::warn!(why, "Redis is not used");
                shared.say(&why);
                counter!("redis_link_losses_total").increment(1);
                // Stopped meanwhile: the next round ends it.
                stop.run_until_cancelled(tokio::time::sleep(pause.after(began.elapsed()))).await;
            }
        }
    }
    shared.stopped.cancel();
}

/// How long to wait before the next try: longer each time, jittered, so that processes do not come together.
struct Pause(Duration);

impl Pause {
    /// The pause after a link, or a try, that took so long.
    fn after(&mut self, lasted: Duration) -> Duration {
        if lasted > STEADY {
            self.0 = SHORTEST;
        }
        let pause = self.0.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}

/// A link that lasts.
struct Live {
    session: Arc<Session>,
    connected: Connected,
    messages: broadcast::Receiver<Message>,
    /// Number of the last message that was heard, and of the last one that had been sent at the last sign of life.
    heard: u64,
    sent: u64,
}

/// Connects, learns the generation, and delivers what waited.
async fn connect(shared: &Shared) -> Result<Live, End> {
    let config = &shared.config;
    let connected = Connected::open(config, shared.tls.as_ref()).await?;
    let ring = format!("{}:ring", config.prefix);
    let channel = format!("{}:news", config.prefix);
    let messages = connected.listener.message_rx();
    connected.listener.subscribe(channel.as_str()).await?;
    let asked = Instant::now();
    let wish = shared.undelivered.wanted_generation();
    let arguments = shared.ring_arguments("link", &connected.servers, &channel, wish.is_some());
    let (generation, sent): (String, u64) =
        script(&connected.listener, "EVAL", scripts::RING, &ring, arguments).await?;
    if generation.len() != 16 {
        return Err(Error::new(ErrorKind::Protocol, "the ring has no generation").into());
    }
    if let Some(wish) = wish {
        shared.undelivered.grant_generation(wish);
    }
    let names = Scripts {
        find: connected.load(&scripts::find(&generation), config).await?,
        fill: connected.load(scripts::FILL, config).await?,
        tell: connected.load(scripts::TELL, config).await?,
        bucket: connected.load(scripts::BUCKET, config).await?,
    };
    let names_of_ours = (ring, channel, shared.member.clone());
    let session = Arc::new(Session::new(&connected, names_of_ours, generation, names));
    if !shared.deliver(&session, &shared.undelivered.all()).await {
        return Err(End::Lost(format!("what changed could not be told: {}", session.why())));
    }
    shared.link(&session, asked + believed_for(config.lease));
    tracing::info!(nodes = ?config.nodes, "Redis is used");
    Ok(Live { session, connected, messages, heard: sent, sent })
}

impl Live {
    async fn run(mut self, shared: &Arc<Shared>, news: &mut mpsc::Receiver<News>) -> End {
        let session = Arc::clone(&self.session);
        let mut beat = self.next_beat(shared);
        let end = loop {
            let step = tokio::select! {
                () = shared.stop.cancelled() => Err(End::Stopped),
                () = session.broke.notified() => Err(End::Lost(session.why())),
                error = self.connected.ended() => Err(error.into()),
                message = self.messages.recv() => match message {
                    Ok(message) => self.hear(shared, &message),
                    Err(_) => Err(End::Anew("news were missed")),
                },
                () = shared.wake.notified() => self.deliver(shared).await,
                Some(some) = news.recv() => {
                    // Nobody relies on it.
                    let lines = some.lines.iter().map(String::as_str).collect();
                    let _ = session.tell(some.space, lines).await;
                    Ok(())
                }
                done = &mut beat => {
                    beat = self.next_beat(shared);
                    match self.beaten(shared, done) {
                        Ok(()) => self.deliver(shared).await,
                        end => end,
                    }
                }
            };
            if let Err(end) = step {
                break end;
            }
        };
        if matches!(end, End::Stopped) {
            self.leave(shared).await;
        }
        end
    }

    /// The next sign of life, a fifth of a lease from now.
    fn next_beat(&self, shared: &Arc<Shared>) -> BoxFuture<'static, Beat> {
        let (shared, session) = (Arc::clone(shared), Arc::clone(&self.session));
        Box::pin(async move {
            tokio::time::sleep(shared.config.lease / 5).await;
            let arguments = shared.ring_arguments("beat", &session.servers, &session.channel, false);
            let sent = Instant::now();
            let answer = script(&session.listener, "EVAL", scripts::RING, &session.ring, arguments).await;
            (sent, answer)
        })
    }

    fn beaten(&mut self, shared: &Shared, (at, answer): Beat) -> Result<(), End> {
        match answer {
            // Slow, but not gone: the epoch ends by itself if this goes on.
            Err(error) if *error.kind() == ErrorKind::Timeout && shared.link.lasts() => Ok(()),
            Err(error) => Err(error.into()),
            Ok((generation, sent)) => {
                if generation != self.session.generation {
                    return Err(End::Anew("a new generation began"));
                }
                if self.heard < self.sent {
                    return Err(End::Anew("news were missed"));
                }
                if !shared.link.lasts() {
                    return Err(End::Anew("this process stood still"));
                }
                self.sent = sent;
                shared.link.extend(at + believed_for(shared.config.lease));
                Ok(())
            }
        }
    }

    fn hear(&mut self, shared: &Shared, message: &Message) -> Result<(), End> {
        let text = message.value.as_str();
        let parts = text.as_deref().and_then(|text| {
            let (number, body) = text.split_once(' ')?;
            Some((number.parse::<u64>().ok()?, serde_json::from_str::<Heard>(body).ok()?))
        });
        // Somebody else publishes here: not ours.
        let Some((number, heard)) = parts else { return Ok(()) };
        if number > self.heard {
            if number != self.heard + 1 {
                return Err(End::Anew("news were missed"));
            }
            self.heard = number;
            if heard.s.is_empty() {
                return Err(End::Anew("a new generation began"));
            }
        }
        if heard.o != shared.member {
            let listeners = shared.listeners.read().unwrap_or_else(PoisonError::into_inner);
            for listener in listeners.get(heard.s.as_str()).into_iter().flatten() {
                heard.k.iter().for_each(|line| listener(line));
            }
        }
        Ok(())
    }

    /// Delivers what waits, also what a caller that went away left behind.
    async fn deliver(&self, shared: &Shared) -> Result<(), End> {
        if shared.undelivered.wanted_generation().is_some() {
            return Err(End::Anew("everything changed"));
        }
        let waiting = shared.undelivered.all();
        if waiting.is_empty() || shared.deliver(&self.session, &waiting).await {
            return Ok(());
        }
        Err(End::Lost("what changed could not be told".to_owned()))
    }

    /// Leaves the ring, unless somebody still has to be told something: then the lease runs out and everybody is careful.
    async fn leave(&self, shared: &Shared) {
        if self.deliver(shared).await.is_ok() {
            let member: Vec<Value> = vec![shared.member.as_str().into()];
            let session = &self.session;
            let left: Result<i64, Error> =
                script(&session.listener, "EVAL", scripts::LEAVE, &session.ring, member).await;
            if let Err(error) = left {
                tracing::debug!(%error, "the ring was not left");
            }
        }
    }
}

impl Shared {
    fn ring_arguments(&self, what: &str, servers: &str, channel: &str, renew: bool) -> Vec<Value> {
        let lease = i64::try_from(self.config.lease.as_millis()).unwrap_or(i64::MAX);
        vec![
            what.into(),
            servers.into(),
            format!("{:016x}", rand::random::<u64>()).into(),
            self.member.as_str().into(),
            lease.into(),
            channel.into(),
            i64::from(renew).into(),
        ]
    }

    fn link(&self, session: &Arc<Session>, until: Instant) {
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(session));
        self.link.begin(until);
        self.linked.send_replace(true);
        gauge!("redis_linked").set(1.0);
    }

    fn unlink(&self) {
        self.link.end();
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.linked.send_replace(false);
        gauge!("redis_linked").set(0.0);
    }

    fn say(&self, why: &str) {
        why.clone_into(&mut self.why.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
