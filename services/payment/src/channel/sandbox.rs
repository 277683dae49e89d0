//! The channel `sandbox`: a client of the provider in `provider/`, which is spoken to over HTTP like any other.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use contracts::payment::{CallbackAnswer, ProviderCallback, SandboxOutcome, code};
use kernel::{Clock, Failure, Result, Timestamp};
use platform_runtime::SecretKey;
use reqwest::{Client, Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Channel, ChannelError, NewCharge, NewRefund, Report,
    signature::{ID, SIGNATURE, Signer, TIMESTAMP},
    wire::{
        CallbackBody, Charge, ChargeRequest, ChargeState, ErrorBody, RECEIVED, Refund, RefundRequest,
        SimulateRequest,
    },
};
use crate::{model::Fact, places::Places};

/// The channel's name.
pub(crate) const NAME: &str = "sandbox";
/// The largest answer that is read.
const LARGEST: usize = 64 * 1_024;

/// A client of the sandbox's provider.
pub(crate) struct Sandbox {
    places: Places,
    clock: Arc<dyn Clock>,
    client: Client,
    requests: Signer,
    callbacks: Signer,
}

/// The key requests to the provider are signed with.
pub(crate) fn request_signer(secret: &SecretKey) -> Signer {
    Signer::derive(secret, "sandbox request")
}

/// The key callbacks are signed with.
pub(crate) fn callback_signer(secret: &SecretKey) -> Signer {
    Signer::derive(secret, "sandbox callback")
}

/// A client that goes where it is told: no proxy, no redirects, an answer in time.
pub(crate) fn http_client(timeout: Duration) -> Result<Client> {
    // The binary has done this at start; an error says so, and that is all it says.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout.min(Duration::from_secs(2)))
        .timeout(timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .build()
        .map_err(Failure::internal)
}

/// Reads an answer's body up to the limit.
pub(crate) async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, ChannelError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(ChannelError::unavailable)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(ChannelError::unavailable("the answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Sandbox {
    pub(crate) fn new(
        places: Places,
        clock: Arc<dyn Clock>,
        secret: &SecretKey,
        timeout: Duration,
    ) -> Result<Self> {
        Ok(Self {
            places,
            clock,
            client: http_client(timeout)?,
            requests: request_signer(secret),
            callbacks: callback_signer(secret),
        })
    }

    /// Makes the payer do something; `payment.state` when the charge is not open any more.
    pub(crate) async fn simulate(&self, reference: &str, outcome: SandboxOutcome) -> Result<()> {
        let path = format!("/v1/charges/{reference}/simulate");
        match self.call::<_, Charge>(Method::POST, &path, Some(&SimulateRequest { outcome })).await? {
            Some(_) => Ok(()),
            None => Err(Failure::new(code::STATE).detail("the provider does not know this payment yet")),
        }
    }

    /// Sends a signed request; `None` for 404.
    async fn call<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Option<T>, ChannelError> {
        let base = self
            .places
            .provider()
            .ok_or_else(|| ChannelError::unavailable("where the sandbox's provider listens is not known"))?;
        let body =
            body.map(serde_json::to_vec).transpose().map_err(ChannelError::unavailable)?.unwrap_or_default();
        let id = format!("{method} {path}");
        let (timestamp, signature) = self.requests.sign(&id, self.clock.now(), &body);
        let mut request = self
            .client
            .request(method, format!("{base}{path}"))
            .header("content-type", "application/json")
            .header(TIMESTAMP, timestamp)
            .header(SIGNATURE, signature)
            .body(body);
        if let Some(trace) = platform_trace::traceparent() {
            request = request.header(platform_trace::HEADER, trace);
        }
        let answer = request.send().await.map_err(ChannelError::unavailable)?;
        let status = answer.status();
        let body = read(answer).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map(Some).map_err(ChannelError::unavailable);
        }
        let error =
            serde_json::from_slice::<ErrorBody>(&body).map_or_else(|_| status.to_string(), |body| body.error);
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => Err(ChannelError::Refused(error)),
            _ => Err(ChannelError::unavailable(format!("{status}: {error}"))),
        }
    }
}

impl From<Charge> for Report {
    fn from(charge: Charge) -> Self {
        let words = serde_json::to_string(&charge).unwrap_or_default();
        let fact = match charge.state {
            ChargeState::Open | ChargeState::Processing => Fact::Open,
            ChargeState::Captured => {
                Fact::Captured { amount: charge.captured, at: charge.settled_at.unwrap_or_default() }
            }
            ChargeState::Declined => {
                Fact::Declined { reason: charge.reason.unwrap_or_else(|| "declined".to_owned()) }
            }
            ChargeState::Cancelled => Fact::Cancelled,
        };
        Self { reference: charge.reference, provider_number: Some(charge.number), fact, words }
    }
}

#[async_trait]
impl Channel for Sandbox {
    async fn create(&self, charge: &NewCharge) -> Result<Report, ChannelError> {
        let request = ChargeRequest {
            reference: charge.reference.clone(),
            description: charge.description.clone(),
            amount: charge.amount,
            expires_at: charge.expires_at,
        };
        let charge: Option<Charge> = self.call(Method::POST, "/v1/charges", Some(&request)).await?;
        charge.map(Report::from).ok_or_else(|| ChannelError::unavailable("404 to a new charge"))
    }

    async fn query(&self, reference: &str) -> Result<Option<Report>, ChannelError> {
        let charge = self.call::<(), Charge>(Method::GET, &format!("/v1/charges/{reference}"), None).await?;
        Ok(charge.map(Report::from))
    }

    async fn cancel(&self, reference: &str) -> Result<Option<Report>, ChannelError> {
        let charge =
            self.call::<(), Charge>(Method::POST, &format!("/v1/charges/{reference}/cancel"), None).await?;
        Ok(charge.map(Report::from))
    }

    async fn refund(&self, refund: &NewRefund) -> Result<String, ChannelError> {
        let path = format!("/v1/charges/{}/refunds", refund.reference);
        let request =
            RefundRequest { key: refund.key.clone(), amount: refund.amount, reason: refund.reason.clone() };
        let done: Option<Refund> = self.call(Method::POST, &path, Some(&request)).await?;
        done.map(|refund| refund.number)
            .ok_or_else(|| ChannelError::Refused("there is no such charge".to_owned()))
    }

    fn read(&self, callback: &ProviderCallback, now: Timestamp) -> Result<Option<Report>> {
        let header = |name: &str| {
            callback.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
        };
        let (id, body) = (header(ID), callback.body.as_bytes());
        if !self.callbacks.verify(id, header(TIMESTAMP), header(SIGNATURE), body, now) {
            return Err(Failure::new(code::SIGNATURE));
        }
        let body: CallbackBody = serde_json::from_str(&callback.body).map_err(|error| {
            Failure::new(kernel::code::MALFORMED).detail("the callback cannot be read").because(error)
        })?;
        let matters = matches!(body.kind.as_str(), "charge.captured" | "charge.declined");
        Ok(matters.then(|| body.data.into()))
    }

    fn received(&self) -> CallbackAnswer {
        CallbackAnswer { content_type: "application/json".to_owned(), body: RECEIVED.to_owned() }
    }
}
