//! Events as the broker's messages.

use contracts::Event;
use kernel::{Failure, Result, Shard, Timestamp};
use prost_of_pulsar::Message as _;
use pulsar::{
    Payload,
    message::Message as Frame,
    proto::{self, BaseCommand, CommandSend, KeyValue, MessageMetadata, SingleMessageMetadata},
};

/// The body's schema: JSON, of whatever fields; what it holds is said by the property `topic`, whose version changes with it.
pub(crate) fn schema(domain: &str) -> String {
    format!(r#"{{"type":"record","name":"Event","namespace":"meridian.{domain}","fields":[]}}"#)
}

/// Who publishes a batch.
pub(crate) struct Sender<'a> {
    /// The producer's number on its connection.
    pub(crate) id: u64,
    pub(crate) name: &'a str,
    pub(crate) schema_version: Option<&'a Vec<u8>>,
}

/// A batch of one shard's events, in order, as a command `Send`. Its sequence id is the first position and its highest
/// sequence id the last (Pulsar binary protocol, "Producer" and "Batch messages").
pub(crate) fn batch(sender: &Sender<'_>, events: &[&Event], now: Timestamp) -> Result<Frame> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Err(Failure::internal("a batch of nothing"));
    };
    let count = i32::try_from(events.len()).map_err(Failure::internal)?;
    let mut data = Vec::with_capacity(events.iter().map(|event| event.body.len() + 160).sum());
    for event in events {
        let metadata = single(event)?;
        let length = u32::try_from(metadata.encoded_len()).map_err(Failure::internal)?;
        data.extend_from_slice(&length.to_be_bytes());
        metadata.encode(&mut data).map_err(Failure::internal)?;
        data.extend_from_slice(&event.body);
    }
    let metadata = MessageMetadata {
        producer_name: sender.name.to_owned(),
        sequence_id: sequence(first.pos)?,
        highest_sequence_id: Some(sequence(last.pos)?),
        publish_time: millis(now),
        num_messages_in_batch: Some(count),
        ordering_key: Some(key(first.shard)),
        schema_version: sender.schema_version.cloned(),
        ..MessageMetadata::default()
    };
    let command = BaseCommand {
        r#type: proto::base_command::Type::Send as i32,
        send: Some(CommandSend {
            producer_id: sender.id,
            sequence_id: metadata.sequence_id,
            highest_sequence_id: metadata.highest_sequence_id,
            num_messages: Some(count),
            ..CommandSend::default()
        }),
        ..BaseCommand::default()
    };
    Ok(Frame { command, payload: Some(Payload { metadata, data }) })
}

/// The property with the event's `traceparent`, where it has one.
const TRACE: &str = "traceparent";

fn single(event: &Event) -> Result<SingleMessageMetadata> {
    let property = |key: &str, value: String| KeyValue { key: key.to_owned(), value };
    let mut properties = vec![
        property("shard", event.shard.number().to_string()),
        property("pos", event.pos.to_string()),
        property("at", event.at.micros().to_string()),
        property("topic", event.topic.clone()),
    ];
    properties.extend(event.trace.iter().map(|trace| property(TRACE, trace.clone())));
    Ok(SingleMessageMetadata {
        properties,
        partition_key: Some(event.aggregate.clone()),
        ordering_key: Some(key(event.shard)),
        event_time: Some(millis(event.at)),
        sequence_id: Some(sequence(event.pos)?),
        payload_size: i32::try_from(event.body.len()).map_err(Failure::internal)?,
        ..SingleMessageMetadata::default()
    })
}

/// What the broker shares work by.
fn key(shard: Shard) -> Vec<u8> {
    shard.number().to_string().into_bytes()
}

fn sequence(pos: i64) -> Result<u64> {
    u64::try_from(pos).map_err(Failure::internal)
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.micros() / 1_000).unwrap_or_default()
}

/// The event of a message.
pub(crate) fn event(payload: &Payload) -> Result<Event> {
    let find = |key: &str| {
        let found = payload.metadata.properties.iter().find(|property| property.key == key);
        found.map(|property| property.value.as_str())
    };
    let property = |key: &str| {
        find(key).ok_or_else(|| Failure::internal(format!("a message without the property {key}")))
    };
    Ok(Event {
        shard: Shard::new(property("shard")?.parse().map_err(Failure::internal)?),
        pos: property("pos")?.parse().map_err(Failure::internal)?,
        topic: property("topic")?.to_owned(),
        aggregate: payload.metadata.partition_key.clone().unwrap_or_default(),
        at: Timestamp::from_micros(property("at")?.parse().map_err(Failure::internal)?),
        body: payload.data.clone(),
        trace: find(TRACE).map(str::to_owned),
    })
}
