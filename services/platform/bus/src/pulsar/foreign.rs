//! Messages of somebody else that the client library cannot read: compressed ones, and batches whose parts cannot be told apart,
//! such as encrypted ones. Ours are neither.
//!
//! The library says that there was one, not which. It must be acknowledged all the same: the broker would send it again with
//! every connection, keep all that lies behind it, and call the subscription late for ever. So the messages that a
//! subscription was sent and has not acknowledged are looked at once more, by a reader that reads them as they lie there.
//! Nothing is decompressed: a few bytes of somebody else's could become gigabytes.

use std::time::Duration;

use futures::StreamExt;
use kernel::Result;
use prost_of_pulsar::Message as _;
use pulsar::{
    Payload,
    error::{ConnectionError, ConsumerError},
    message::Message as Frame,
    proto::{BaseCommand, CommandMessage, CompressionType, MessageIdData, SingleMessageMetadata},
};

use super::{
    admin::Position,
    link::{self, Frames, Link},
    site::{Site, away, within},
};

/// Number of our only request and our only consumer on a connection.
const ONE: u64 = 1;
/// Messages that the broker may send ahead.
const AHEAD: u32 = 500;
/// Most messages that a batch may claim to hold.
const CLAIMED: u32 = 1 << 30;
/// Message batches that are looked at, at most: more are never outstanding.
const MOST: usize = 100_000;
/// How long nothing comes where there is nothing more.
const QUIET: Duration = Duration::from_secs(2);

/// Whether the library tells of a message that it cannot read, and goes on behind it.
pub(crate) fn is_told_by(error: &pulsar::Error) -> bool {
    matches!(
        error,
        pulsar::Error::Consumer(ConsumerError::Io(_))
            | pulsar::Error::Connection(ConnectionError::Decoding(_))
    )
}

/// The unreadable messages among those that a subscription was sent from a partition and has not acknowledged.
pub(crate) async fn unreadable(
    site: &Site,
    partition: &str,
    subscription: &str,
) -> Result<Vec<MessageIdData>> {
    let Some((from, to)) = site.admin.outstanding(partition, subscription).await? else {
        return Ok(Vec::new());
    };
    if is_last(from, to) {
        return Ok(Vec::new());
    }
    let config = &site.config.pulsar;
    let client = site.client().await?;
    let lookup = async { client.lookup_topic(partition).await };
    let address = within(config.timeout, lookup).await?;
    let (mut link, mut frames) = Link::dial(&address, &site.trust, &config.token, config.timeout).await?;
    link.send(link::look(ONE, ONE, partition, id_at(from))).await?;
    admitted(&mut link, &mut frames, config.timeout).await?;
    link.send(link::flow(ONE, AHEAD)).await?;
    let (mut found, mut taken) = (Vec::new(), 0);
    for _ in 0..MOST {
        let Some((message, payload)) = next(&mut link, &mut frames).await? else { break };
        let messages = payload.metadata.num_messages_in_batch.unwrap_or(1);
        let at = position(&message.message_id);
        if at < to && !is_readable(&payload) {
            found.push(message.message_id);
        }
        if is_last(at, to) {
            break;
        }
        taken += u32::try_from(messages).unwrap_or(1).clamp(1, CLAIMED);
        if taken >= AHEAD / 2 {
            link.send(link::flow(ONE, taken)).await?;
            taken = 0;
        }
    }
    Ok(found)
}

/// Waits until the broker lets us read.
async fn admitted(link: &mut Link, frames: &mut Frames, timeout: Duration) -> Result<()> {
    let answer = async {
        loop {
            match frames.next().await {
                Some(Ok(Frame { command: BaseCommand { success: Some(_), .. }, .. })) => return Ok(()),
                Some(Ok(Frame { command: BaseCommand { error: Some(error), .. }, .. })) => {
                    return Err(away(error.message));
                }
                Some(Ok(Frame { command: BaseCommand { ping: Some(_), .. }, .. })) => {
                    link.send(link::pong()).await?;
                }
                Some(Ok(_)) => {}
                Some(Err(failure)) => return Err(failure),
                None => return Err(away("the connection ended")),
            }
        }
    };
    tokio::time::timeout(timeout, answer).await.map_err(away)?
}

/// The next message; none where there is none any more.
async fn next(link: &mut Link, frames: &mut Frames) -> Result<Option<(CommandMessage, Payload)>> {
    loop {
        let Ok(frame) = tokio::time::timeout(QUIET, frames.next()).await else { return Ok(None) };
        match frame {
            Some(Ok(Frame {
                command: BaseCommand { message: Some(message), .. },
                payload: Some(payload),
            })) => {
                return Ok(Some((message, payload)));
            }
            Some(Ok(Frame { command: BaseCommand { ping: Some(_), .. }, .. })) => {
                link.send(link::pong()).await?;
            }
            Some(Ok(Frame { command: BaseCommand { close_consumer: Some(_), .. }, .. })) => {
                return Err(away("the broker closes what is read"));
            }
            Some(Ok(_)) => {}
            Some(Err(failure)) => return Err(failure),
            None => return Err(away("the connection ended")),
        }
    }
}

fn id_at((ledger, entry): Position) -> MessageIdData {
    MessageIdData {
        ledger_id: ledger.cast_unsigned(),
        entry_id: entry.cast_unsigned(),
        ..MessageIdData::default()
    }
}

fn position(id: &MessageIdData) -> Position {
    (id.ledger_id.cast_signed(), id.entry_id.cast_signed())
}

/// Whether nothing lies between `at` and `to`. Where a new ledger begins between them that is found out by the quiet.
fn is_last((ledger, entry): Position, to: Position) -> bool {
    (ledger, entry.saturating_add(1)) >= to
}

/// Whether the library can read a message.
fn is_readable(payload: &Payload) -> bool {
    let metadata = &payload.metadata;
    let plain = metadata.compression.unwrap_or(0) == CompressionType::None as i32;
    plain && metadata.num_messages_in_batch.is_none_or(|count| holds(count, &payload.data))
}

/// Whether a batch holds so many messages.
fn holds(count: i32, mut data: &[u8]) -> bool {
    for _ in 0..count {
        let Some(rest) = without_first(data) else { return false };
        data = rest;
    }
    count > 0
}

/// What follows the first message of a batch (Pulsar binary protocol, "Batch messages").
fn without_first(data: &[u8]) -> Option<&[u8]> {
    let (length, data) = data.split_first_chunk::<4>()?;
    let (metadata, data) = data.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let metadata = SingleMessageMetadata::decode(metadata).ok()?;
    data.get(usize::try_from(metadata.payload_size).ok()?..)
}

#[cfg(test)]
mod tests {
    use contracts::Event;
    use kernel::{Shard, Timestamp};
    use pulsar::proto::MessageMetadata;

    use super::*;
    use crate::pulsar::message::{self, Sender};

    fn ours() -> Payload {
        let event = |pos| Event {
            shard: Shard::new(3),
            pos,
            topic: "test.happened.v1".to_owned(),
            aggregate: "a".to_owned(),
            at: Timestamp::default(),
            body: b"{}".to_vec(),
            trace: None,
        };
        let (one, two) = (event(1), event(2));
        let sender = Sender { id: 1, name: "relay-3", schema_version: None };
        message::batch(&sender, &[&one, &two], Timestamp::default()).unwrap().payload.unwrap()
    }

    #[test]
    fn what_we_publish_is_readable() {
        assert!(is_readable(&ours()));
        let single = Payload { metadata: MessageMetadata::default(), data: b"hello".to_vec() };
        assert!(is_readable(&single), "whatever it says, it can be read");
    }

    #[test]
    fn what_is_compressed_or_broken_is_not() {
        for kind in
            [CompressionType::Lz4, CompressionType::Zlib, CompressionType::Zstd, CompressionType::Snappy]
        {
            let mut compressed = ours();
            compressed.metadata.compression = Some(kind as i32);
            assert!(!is_readable(&compressed), "{kind:?}");
        }
        for count in [-1, 0, 3] {
            let mut other = ours();
            other.metadata.num_messages_in_batch = Some(count);
            assert!(!is_readable(&other), "{count} messages");
        }
        let mut cut = ours();
        cut.data.pop();
        assert!(!is_readable(&cut));
        let mut encrypted = ours();
        encrypted.data.iter_mut().for_each(|byte| *byte ^= 0x5a);
        assert!(!is_readable(&encrypted));
    }

    #[test]
    fn only_what_the_library_goes_on_behind_is_passed_over() {
        let unread = pulsar::Error::Consumer(ConsumerError::Io(std::io::Error::other(
            "got a zlib compressed message",
        )));
        assert!(is_told_by(&unread));
        assert!(is_told_by(&pulsar::Error::Connection(ConnectionError::Decoding("a batch".to_owned()))));
        assert!(!is_told_by(&pulsar::Error::Connection(ConnectionError::Disconnected)));
        assert!(!is_told_by(&pulsar::Error::Consumer(ConsumerError::Closed)));
    }

    #[test]
    fn positions_end_where_the_next_is_read() {
        assert!(is_last((12, 4), (12, 5)) && is_last((12, 5), (12, 5)) && is_last((13, -1), (12, 5)));
        assert!(!is_last((12, 3), (12, 5)) && !is_last((12, 9), (13, 0)));
        assert_eq!(position(&id_at((12, -1))), (12, -1));
    }
}
