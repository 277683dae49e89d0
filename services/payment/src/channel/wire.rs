//! What goes over the wire between the sandbox and its provider: JSON, amounts in minor units.

use kernel::{Money, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /v1/charges`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChargeRequest {
    /// The merchant's number; the idempotency key, too.
    pub(crate) reference: String,
    /// For the payer.
    pub(crate) description: String,
    /// How much.
    pub(crate) amount: Money,
    /// Until when it can be paid.
    pub(crate) expires_at: Timestamp,
}

/// Where a charge stands with the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChargeState {
    /// Waits for the payer.
    Open,
    /// Paid, but not settled.
    Processing,
    /// The money is there.
    Captured,
    /// The payer's bank said no.
    Declined,
    /// Closed by the merchant.
    Cancelled,
}

/// A charge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    /// The provider's number.
    pub(crate) number: String,
    /// The merchant's number.
    pub(crate) reference: String,
    /// Where it stands.
    pub(crate) state: ChargeState,
    /// What was asked for.
    pub(crate) amount: Money,
    /// What was captured.
    pub(crate) captured: Money,
    /// Since when.
    pub(crate) settled_at: Option<Timestamp>,
    /// Why it was declined.
    pub(crate) reason: Option<String>,
}

/// `POST /v1/charges/{reference}/refunds`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundRequest {
    /// The merchant's key: one refund each.
    pub(crate) key: String,
    /// How much.
    pub(crate) amount: Money,
    /// Why.
    pub(crate) reason: String,
}

/// A refund.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refund {
    /// The provider's number.
    pub(crate) number: String,
    /// How much.
    pub(crate) amount: Money,
}

/// `POST /v1/charges/{reference}/simulate`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SimulateRequest {
    /// What the payer does.
    pub(crate) outcome: contracts::payment::SandboxOutcome,
}

/// The body of a callback.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CallbackBody {
    /// `charge.captured` or `charge.declined`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The charge as it is.
    pub(crate) data: Charge,
}

/// The body of an error.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    /// What is wrong.
    pub(crate) error: String,
}

/// The reply the provider wants to a callback.
pub(crate) const RECEIVED: &str = r#"{"received":true}"#;
