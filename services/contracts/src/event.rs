//! Events: what happened, in the past tense.

use kernel::{Failure, Result, Shard, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

/// A kind of event: its topic and the aggregate it is about.
pub trait EventBody: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Topic, `domain.what.v1`. A change that old consumers cannot read gets a new version beside the old one.
    const TOPIC: &'static str;
    /// The aggregate's id as text: events of one aggregate are delivered in order.
    fn aggregate(&self) -> String;
}

/// An event as it stands in the log.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its shard.
    pub shard: Shard,
    /// Position in the shard's log, without gaps, from 1.
    pub pos: i64,
    /// Topic.
    pub topic: String,
    /// Aggregate it is about.
    pub aggregate: String,
    /// When its transaction ran.
    pub at: Timestamp,
    /// The body as JSON.
    pub body: Vec<u8>,
    /// The trace it happened in, as a W3C `traceparent`; None when nobody traced.
    pub trace: Option<String>,
}

impl Event {
    /// The body, when the event is a `T`; `None` for another topic.
    pub fn body<T: EventBody>(&self) -> Result<Option<T>> {
        if self.topic == T::TOPIC {
            serde_json::from_slice(&self.body).map(Some).map_err(Failure::internal)
        } else {
            Ok(None)
        }
    }
}

/// Implements [`EventBody`]: `event!(OrderPlaced, "order.placed.v1", |e| e.order_id)`.
macro_rules! event {
    ($Event:ty, $topic:literal, |$it:ident| $aggregate:expr) => {
        impl $crate::EventBody for $Event {
            const TOPIC: &'static str = $topic;
            fn aggregate(&self) -> String {
                let $it = self;
                ($aggregate).to_string()
            }
        }
    };
}
pub(crate) use event;
