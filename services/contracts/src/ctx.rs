//! Who calls, until when, and under which key.

use std::collections::BTreeSet;

use kernel::{Failure, Result, Shard, Timestamp, code, id_kinds};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

id_kinds! {
    /// A user's account.
    UserId, User = "usr";
    /// A logged-in session.
    SessionId, Session = "ses";
}

/// What a member of staff may do: resource and action. No wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Permission {
    /// See categories, brands and products that are not published.
    #[serde(rename = "catalog.read")]
    CatalogRead,
    /// Change the catalog.
    #[serde(rename = "catalog.write")]
    CatalogWrite,
    /// Run imports.
    #[serde(rename = "import.run")]
    ImportRun,
    /// See price history.
    #[serde(rename = "pricing.read")]
    PricingRead,
    /// Change prices.
    #[serde(rename = "pricing.write")]
    PricingWrite,
    /// See warehouses, stock and movements.
    #[serde(rename = "inventory.read")]
    InventoryRead,
    /// Change warehouses and stock.
    #[serde(rename = "inventory.write")]
    InventoryWrite,
    /// See every shopper's orders.
    #[serde(rename = "order.read")]
    OrderRead,
    /// Cancel any order.
    #[serde(rename = "order.write")]
    OrderWrite,
    /// See every payment.
    #[serde(rename = "payment.read")]
    PaymentRead,
    /// Refund.
    #[serde(rename = "payment.refund")]
    PaymentRefund,
    /// See users, roles and the audit log.
    #[serde(rename = "account.read")]
    AccountRead,
    /// Change users and roles.
    #[serde(rename = "account.write")]
    AccountWrite,
    /// See jobs, dead letters and the search index's state.
    #[serde(rename = "operations.read")]
    OperationsRead,
    /// Run jobs, replay dead letters, rebuild the index.
    #[serde(rename = "operations.write")]
    OperationsWrite,
}

impl Permission {
    /// Every permission; the role `admin` has them all.
    pub const ALL: [Self; 15] = [
        Self::CatalogRead,
        Self::CatalogWrite,
        Self::ImportRun,
        Self::PricingRead,
        Self::PricingWrite,
        Self::InventoryRead,
        Self::InventoryWrite,
        Self::OrderRead,
        Self::OrderWrite,
        Self::PaymentRead,
        Self::PaymentRefund,
        Self::AccountRead,
        Self::AccountWrite,
        Self::OperationsRead,
        Self::OperationsWrite,
    ];
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Caller {
    /// Nobody we know.
    Anonymous,
    /// A logged-in user; staff are users with permissions.
    User {
        /// Who.
        id: UserId,
        /// The session the token belongs to.
        session: SessionId,
        /// What they may do beyond their own things.
        permissions: BTreeSet<Permission>,
    },
    /// Meridian itself: a consumer, a job, the command line.
    System,
}

/// Goes first into every call: who, until when, under which idempotency key, in which trace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ctx {
    /// Who calls.
    pub caller: Caller,
    /// After this moment nobody waits for the answer.
    pub deadline: Timestamp,
    /// The client's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// A guest's cart token, from `X-Cart-Token` or the cookie.
    pub cart_token: Option<String>,
    /// Ties log lines of one request together.
    pub request_id: String,
}

impl Ctx {
    /// A call by Meridian itself that may take until `deadline`.
    pub fn system(request_id: impl Into<String>, deadline: Timestamp) -> Self {
        Self {
            caller: Caller::System,
            deadline,
            idempotency_key: None,
            cart_token: None,
            request_id: request_id.into(),
        }
    }

    /// The logged-in user; `auth.unauthenticated` without one.
    pub fn user(&self) -> Result<UserId> {
        match &self.caller {
            Caller::User { id, .. } => Ok(*id),
            Caller::Anonymous | Caller::System => Err(Failure::new(code::UNAUTHENTICATED)),
        }
    }

    /// Whether the caller may; Meridian itself always may.
    pub fn may(&self, permission: Permission) -> bool {
        match &self.caller {
            Caller::System => true,
            Caller::User { permissions, .. } => permissions.contains(&permission),
            Caller::Anonymous => false,
        }
    }

    /// `auth.unauthenticated` for strangers, `auth.forbidden` for users without the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        match &self.caller {
            Caller::Anonymous => Err(Failure::new(code::UNAUTHENTICATED)),
            _ if self.may(permission) => Ok(()),
            _ => Err(Failure::new(code::FORBIDDEN)),
        }
    }

    /// Whether the caller is `owner` or may read others' things by `permission`. Other people's things are answered
    /// with 404, never 403, so that ids cannot be probed.
    pub fn may_see(&self, owner: UserId, permission: Permission) -> bool {
        matches!(&self.caller, Caller::User { id, .. } if *id == owner) || self.may(permission)
    }

    /// The key of a call that must be run at most once; `idempotency_key_missing` without one.
    pub fn key(&self) -> Result<&str> {
        self.idempotency_key.as_deref().ok_or_else(|| Failure::new(code::KEY_MISSING))
    }

    /// Who the idempotency row belongs to: keys of different callers never meet.
    pub fn principal(&self) -> String {
        match &self.caller {
            Caller::Anonymous => "anonymous".to_owned(),
            Caller::User { id, .. } => id.to_string(),
            Caller::System => "system".to_owned(),
        }
    }

    /// The caller's shard, or the first one for callers that own nothing.
    pub fn shard(&self) -> Shard {
        match &self.caller {
            Caller::User { id, .. } => id.shard(),
            Caller::Anonymous | Caller::System => Shard::new(0),
        }
    }
}
