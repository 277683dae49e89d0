//! A connection to a broker for the relay: producers whose sequence ids we choose.
//!
//! The client library numbers messages by itself, from 0 with every new producer; with the broker's deduplication that would
//! lose them. So the relay speaks the producer's part of the binary protocol itself
//! (<https://pulsar.apache.org/docs/developing-binary-protocol>), on the library's codec and messages.

use std::{pin::Pin, time::Duration};

use futures::{SinkExt, Stream, StreamExt, stream, stream::SplitSink};
use kernel::{Failure, Result, code};
use pulsar::{
    BrokerAddress,
    message::{Codec, Message as Frame},
    proto::{
        BaseCommand, CommandCloseProducer, CommandConnect, CommandFlow, CommandPong, CommandProducer,
        CommandSubscribe, MessageIdData, Schema, ServerError, base_command::Type, command_subscribe::SubType,
        schema,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tokio_util::{codec::Framed, either::Either};

use super::{
    message,
    site::away,
    trust::{Trust, Wire},
};

/// The protocol's version that knows the highest sequence id of a batch and the schema's version.
const PROTOCOL: i32 = 15;

/// What a broker sends us, in order; it ends with an error.
pub(crate) type Incoming = Pin<Box<dyn Stream<Item = Result<BaseCommand>> + Send>>;
/// The same with the payloads of messages, as they lie in the broker.
pub(crate) type Frames = Pin<Box<dyn Stream<Item = Result<Frame>> + Send>>;

/// The sending side of a connection.
pub(crate) struct Link {
    sink: SplitSink<Framed<Wire, Codec>, Frame>,
    timeout: Duration,
}

impl Link {
    /// Connects and shakes hands, for one who is sent no messages.
    pub(crate) async fn connect(
        address: &BrokerAddress,
        trust: &Trust,
        token: &SecretString,
        timeout: Duration,
    ) -> Result<(Self, Incoming)> {
        let (link, frames) = Self::dial(address, trust, token, timeout).await?;
        Ok((link, Box::pin(frames.map(|frame| frame.map(|frame| frame.command)))))
    }

    /// Connects and shakes hands.
    pub(crate) async fn dial(
        address: &BrokerAddress,
        trust: &Trust,
        token: &SecretString,
        timeout: Duration,
    ) -> Result<(Self, Frames)> {
        let shake = async {
            let host = address.url.host_str().unwrap_or_default();
            let encrypted = address.url.scheme() == "pulsar+ssl";
            let port = address.url.port().unwrap_or(if encrypted { 6651 } else { 6650 });
            let socket = TcpStream::connect((host, port)).await.map_err(away)?;
            socket.set_nodelay(true).map_err(away)?;
            let wire = if encrypted { trust.encrypt(host, socket).await? } else { Either::Left(socket) };
            let (sink, stream) = Framed::new(wire, Codec).split();
            let ended = stream::once(async { Err(away("the connection ended")) });
            let mut incoming: Frames =
                Box::pin(stream.map(|frame| frame.map_err(|e| away(e.to_string()))).chain(ended));
            let mut link = Self { sink, timeout };
            link.send(hello(address, token)).await?;
            match incoming.next().await {
                Some(Ok(Frame { command: BaseCommand { connected: Some(_), .. }, .. })) => {
                    Ok((link, incoming))
                }
                Some(Ok(Frame { command: BaseCommand { error: Some(error), .. }, .. })) => {
                    Err(away(error.message))
                }
                Some(Err(failure)) => Err(failure),
                _ => Err(away("an unexpected answer to a connection")),
            }
        };
        tokio::time::timeout(timeout, shake).await.map_err(away)?
    }

    /// Sends at once.
    pub(crate) async fn send(&mut self, command: BaseCommand) -> Result<()> {
        self.feed(Frame { command, payload: None }).await?;
        self.flush().await
    }

    /// Queues; what is queued goes out with [`Link::flush`] at the latest.
    pub(crate) async fn feed(&mut self, frame: Frame) -> Result<()> {
        let fed = tokio::time::timeout(self.timeout, self.sink.feed(frame)).await;
        fed.map_err(away)?.map_err(|error| away(error.to_string()))
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        let flushed = tokio::time::timeout(self.timeout, self.sink.flush()).await;
        flushed.map_err(away)?.map_err(|error| away(error.to_string()))
    }
}

fn hello(address: &BrokerAddress, token: &SecretString) -> BaseCommand {
    let token = token.expose_secret();
    BaseCommand {
        r#type: Type::Connect as i32,
        connect: Some(CommandConnect {
            client_version: concat!("meridian-", env!("CARGO_PKG_VERSION")).to_owned(),
            protocol_version: Some(PROTOCOL),
            auth_method_name: (!token.is_empty()).then(|| "token".to_owned()),
            auth_data: (!token.is_empty()).then(|| token.as_bytes().to_vec()),
            proxy_to_broker_url: address.proxy.then(|| address.broker_url.clone()),
            ..CommandConnect::default()
        }),
        ..BaseCommand::default()
    }
}

/// Asks for a producer. The broker answers with the last sequence id it has of this name.
pub(crate) fn open_producer(request: u64, id: u64, name: &str, topic: &str, domain: &str) -> BaseCommand {
    BaseCommand {
        r#type: Type::Producer as i32,
        producer: Some(CommandProducer {
            topic: topic.to_owned(),
            producer_id: id,
            request_id: request,
            producer_name: Some(name.to_owned()),
            user_provided_producer_name: Some(true),
            schema: Some(Schema {
                name: "Event".to_owned(),
                schema_data: message::schema(domain).into_bytes(),
                r#type: schema::Type::Json as i32,
                properties: Vec::new(),
            }),
            ..CommandProducer::default()
        }),
        ..BaseCommand::default()
    }
}

/// Gives a producer up.
pub(crate) fn close_producer(request: u64, id: u64) -> BaseCommand {
    BaseCommand {
        r#type: Type::CloseProducer as i32,
        close_producer: Some(CommandCloseProducer { producer_id: id, request_id: request }),
        ..BaseCommand::default()
    }
}

/// Asks for a partition's messages behind `from`, which nobody is to acknowledge.
pub(crate) fn look(request: u64, id: u64, topic: &str, from: MessageIdData) -> BaseCommand {
    BaseCommand {
        r#type: Type::Subscribe as i32,
        subscribe: Some(CommandSubscribe {
            topic: topic.to_owned(),
            subscription: format!("meridian-look-{:016x}", rand::random::<u64>()),
            sub_type: SubType::Exclusive as i32,
            consumer_id: id,
            request_id: request,
            durable: Some(false),
            start_message_id: Some(from),
            force_topic_creation: Some(false),
            ..CommandSubscribe::default()
        }),
        ..BaseCommand::default()
    }
}

/// Asks for so many messages more.
pub(crate) fn flow(id: u64, messages: u32) -> BaseCommand {
    BaseCommand {
        r#type: Type::Flow as i32,
        flow: Some(CommandFlow { consumer_id: id, message_permits: messages }),
        ..BaseCommand::default()
    }
}

pub(crate) fn pong() -> BaseCommand {
    BaseCommand { r#type: Type::Pong as i32, pong: Some(CommandPong {}), ..BaseCommand::default() }
}

/// What the broker refused: a conflict when another process has the producer's name.
pub(crate) fn refused(error: i32, text: String) -> Failure {
    match ServerError::try_from(error) {
        Ok(ServerError::ProducerBusy) => Failure::new(code::CONFLICT).because(text),
        _ => away(text),
    }
}
