//! Payments: intents, attempts, channels, callbacks, refunds.

use garde::Validate;
use kernel::{Money, Page, Timestamp, id_kinds};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{UserId, event::event, order::OrderId};

id_kinds! {
    /// A payment intent: what is to be paid for one order.
    PaymentId, Payment = "pay";
    /// One try to pay it over a channel.
    AttemptId, Attempt = "att";
    /// A refund.
    RefundId, Refund = "rfd";
}

/// Error codes.
pub mod code {
    kernel::codes! {
        CHANNEL_UNKNOWN = 422 "payment.channel_unknown" "There is no such payment channel";
        STATE = 409 "payment.state" "The payment is in another state than this needs";
        REFUND_TOO_LARGE = 409 "payment.refund_too_large" "More would be refunded than was captured";
        SIGNATURE = 401 "payment.signature" "The callback's signature is wrong";
        PROVIDER = 503 "payment.provider_unavailable" "The payment provider does not answer";
        SANDBOX_DISABLED = 404 "payment.sandbox_disabled" "The sandbox is switched off here";
    }
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    /// Nothing is captured yet.
    Pending,
    /// All is captured.
    Succeeded,
    /// The last attempt failed; another may follow.
    Failed,
    /// The order was cancelled first.
    Cancelled,
    /// Time ran out.
    Expired,
    /// Something else than the amount was captured: a person looks at it.
    Conflicted,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentView {
    /// Its id.
    pub id: PaymentId,
    /// The number the provider and people see.
    pub number: String,
    /// Of which order.
    pub order_id: OrderId,
    /// Where it stands.
    pub state: IntentState,
    /// What is to be paid.
    pub amount: Money,
    /// What the provider has had of it; what went back is not taken off.
    pub captured: Money,
    /// What was refunded or is on its way back.
    pub refunded: Money,
    /// Over which channel.
    pub channel: String,
    /// Where the shopper pays; absent once it ended.
    pub redirect_url: Option<String>,
    /// The provider's number, once it told.
    pub provider_number: Option<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When the provider says it was paid.
    pub paid_at: Option<Timestamp>,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
    /// Why it failed or is conflicted.
    pub reason: Option<String>,
}

/// Opens a payment of an order. Only `order` calls this: it knows the amount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenPayment {
    /// Of which order.
    pub order_id: OrderId,
    /// The order's number, for the provider's page.
    pub order_number: String,
    /// Who pays.
    pub user_id: UserId,
    /// How much.
    pub amount: Money,
    /// Over which channel.
    pub channel: String,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Ends what is open of an order, and refunds what was captured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CancelPayments {
    /// Of which order.
    pub order_id: OrderId,
    /// Why.
    pub reason: String,
}

/// Refunds a payment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefundPayment {
    /// Which.
    pub payment_id: PaymentId,
    /// How much; all that is left when absent.
    pub amount: Option<Money>,
    /// Why.
    pub reason: String,
}

/// The body of a refund.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundInput {
    /// How much.
    #[garde(custom(is_positive))]
    pub amount: Money,
    /// Why.
    #[garde(length(chars, min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

fn is_positive(value: &Money, (): &()) -> garde::Result {
    if value.amount > 0 { Ok(()) } else { Err(garde::Error::new("amount must be above zero")) }
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Written down; the provider is being asked.
    Pending,
    /// The provider has done it.
    Succeeded,
    /// The provider refused for good: a person looks at it.
    Failed,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefundView {
    /// Its id.
    pub id: RefundId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub state: RefundState,
    /// Why.
    pub reason: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// A provider's callback, as it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProviderCallback {
    /// Channel in the path.
    pub channel: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as it came; at most 64 KiB.
    pub body: String,
}

/// The reply the provider wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallbackAnswer {
    /// Content type.
    pub content_type: String,
    /// Body.
    pub body: String,
}

/// What the sandbox's provider is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxOutcome {
    /// Capture, call back once.
    Succeed,
    /// Decline, call back once.
    Fail,
    /// Capture, call back twice.
    Duplicate,
    /// Capture, call back after the payment expired.
    Late,
    /// Capture, never call back: synchronisation finds out.
    Lost,
    /// Capture another amount, call back.
    WrongAmount,
}

/// Makes the sandbox's provider do something.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Simulate {
    /// With which payment.
    pub payment_id: PaymentId,
    /// What.
    pub outcome: SandboxOutcome,
}

/// The body of a simulation.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxInput {
    /// What the provider is to do.
    #[garde(skip)]
    pub outcome: SandboxOutcome,
}

/// Which payments to list (staff).
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ListPayments {
    /// In this state.
    #[garde(skip)]
    #[param(inline)]
    pub state: Option<IntentState>,
    /// From the page before.
    #[garde(length(max = 1000))]
    #[param(max_length = 1000)]
    pub cursor: Option<String>,
    /// 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

contract! {
    /// Payments. Shoppers see their own; others' are 404.
    Payments as "payment", PaymentsClient, PaymentsDispatcher {
        /// Opens a payment with the provider (system only). An order has one live intent: asking again over the same channel returns it.
        open(OpenPayment) -> PaymentView;
        /// A payment (owner, or `payment.read`).
        payment(PaymentId) -> PaymentView;
        /// An order's payments, newest first (owner, or `payment.read`).
        of_order(OrderId) -> Vec<PaymentView>;
        /// Every payment, newest first (`payment.read`).
        payments(ListPayments) -> Page<PaymentView>;
        /// Ends an order's open payments and refunds captured ones (system only). Again is harmless.
        cancel_order(CancelPayments) -> ();
        /// Refunds (`payment.refund`, or system). Needs an idempotency key, so that again is harmless.
        refund(RefundPayment) -> RefundView;
        /// A payment's refunds (owner, or `payment.read`).
        refunds(PaymentId) -> Vec<RefundView>;
        /// A provider calls back: signature, amount, currency and number are checked; duplicates are harmless.
        callback(ProviderCallback) -> CallbackAnswer;
        /// Makes the sandbox's provider do something (owner only, where `payment.sandbox.enabled`).
        simulate(Simulate) -> ();
    }
}

/// The provider has the money.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Its number.
    pub number: String,
    /// Of which order.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// When, by the provider's word.
    pub paid_at: Timestamp,
}
event!(PaymentCaptured, "payment.captured.v1", |e| e.order_id);

/// The provider has something else than was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentConflicted {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Of which order.
    pub order_id: OrderId,
    /// What is wrong.
    pub reason: String,
}
event!(PaymentConflicted, "payment.conflicted.v1", |e| e.order_id);

/// Money went back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentRefunded {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Of which order.
    pub order_id: OrderId,
    /// Which refund.
    pub refund_id: RefundId,
    /// This refund.
    pub amount: Money,
    /// All refunds of the payment that are done.
    pub refunded_in_all: Money,
    /// What was captured.
    pub captured: Money,
}
event!(PaymentRefunded, "payment.refunded.v1", |e| e.order_id);
