//! Payments: intents, attempts, channels, callbacks, refunds.
//!
//! An *intent* is what is to be paid for one order; an *attempt* is one try to pay it over a channel; what the provider
//! says of an attempt is a *fact*, and one pure function, `model::judge`, decides what follows from it, whichever
//! way it came.
//!
//! Invariants:
//! - An order has one payment, whose id follows from the order's. Its amount comes from `order`, never from a client.
//! - Whatever is asked of a provider is written down first, and asked under a number of ours that the provider takes as
//!   its key: asking again is harmless.
//! - Money that was captured is never ignored: after a cancellation or too late it is recorded and published, and the order
//!   decides; another amount, currency or number is a conflict, which a person looks at; what is paid twice goes back.
//! - `PaymentCaptured` is published once a payment, in the write that moves it to `succeeded`.
//! - Refunds, pending ones counted, never exceed what was captured: the sum is made in the statement that sets the amount
//!   aside.
//! - No card numbers anywhere; no keys in the log.
//!
//! Tables: `payment_intent`, `payment_taken`, `payment_attempt`, `refund`, `payment_log`; the sandbox's provider, which is another party,
//! has `sandbox_charge`, `sandbox_refund`, `sandbox_callback`.
//! Events out: `payment.captured.v1`, `payment.conflicted.v1`, `payment.refunded.v1`; none in.
//! Jobs: `payment.sync`, `payment.expire`, `payment.refunds`. Check: `audit.payments`.

mod audit;
mod callback;
mod cancel;
mod channel;
mod config;
mod expire;
mod http;
mod list;
mod model;
mod open;
mod places;
mod provider;
mod refund;
mod service;
mod settle;
mod simulate;
mod store;
mod sync;
mod take_in;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use contracts::payment::{Payments, PaymentsDispatcher};
use kernel::Result;
use platform_db::Db;
use platform_runtime::{Check, Job, JobRun, Module, SecretKey};

pub use channel::Channels;
pub use config::{PaymentConfig, SandboxConfig};
pub use places::Places;
pub use service::PaymentService;

/// The module `payment`.
pub fn module(service: Arc<PaymentService>) -> Module {
    let config = service.config.clone();
    let job = |name, every: Duration, work: Work| {
        let service = Arc::clone(&service);
        Job::every(name, every, move |run| work(Arc::clone(&service), run))
    };
    let audited = Arc::clone(&service);
    Module::new("payment")
        .check(Check::new("audit.payments", move |scope| Arc::clone(&audited).audit(scope)))
        .routes(http::routes(Arc::clone(&service)))
        .dispatch(Arc::new(PaymentsDispatcher(Arc::clone(&service) as Arc<dyn Payments>)))
        .job(job("payment.sync", config.sync_every, |service, run| {
            Box::pin(async move { service.sync_pending(|| run.stopping()).await })
        }))
        .job(job("payment.expire", config.expire_every, |service, run| {
            Box::pin(async move { service.expire_overdue(|| run.stopping()).await })
        }))
        .job(job("payment.refunds", config.refund_every, |service, run| {
            Box::pin(async move { service.drive_refunds(|| run.stopping()).await })
        }))
}

/// The module `sandbox`: the provider behind the channel `sandbox`, on its own port. `secret` is the one the channel has.
pub fn sandbox(db: Db, config: &PaymentConfig, places: &Places, secret: &SecretKey) -> Result<Module> {
    let provider = provider::Provider::new(db, places.clone(), secret, config.clone())?;
    Ok(Module::new("sandbox").on_start(move |tasks| async move { provider.start(&tasks) }))
}

type Work = fn(Arc<PaymentService>, JobRun) -> futures::future::BoxFuture<'static, Result<String>>;
