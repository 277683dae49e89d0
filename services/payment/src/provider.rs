//! The sandbox's payment provider: another party, with its own server, its own tables and its own mind.
//!
//! It knows a merchant by the key its requests are signed with, and charges by the merchant's numbers: asking twice is one
//! charge, one refund. What the payer does is said by `simulate`; it then captures (or not) and calls back over HTTP until
//! it gets the reply it wants. Charges, refunds and callbacks to be made are in the database, so they survive a kill.

mod charges;
mod deliver;
mod http;
mod store;

use std::{net::TcpListener, sync::Arc};

use kernel::{Failure, Result};
use platform_db::Db;
use platform_runtime::{SecretKey, Tasks};
use tokio::sync::Notify;

use crate::{
    channel::{
        sandbox::{callback_signer, http_client, request_signer},
        signature::Signer,
    },
    config::PaymentConfig,
    places::Places,
};

/// The sandbox's provider.
pub(crate) struct Provider(Arc<Inner>);

struct Inner {
    db: Db,
    places: Places,
    config: PaymentConfig,
    requests: Signer,
    callbacks: Signer,
    client: reqwest::Client,
    /// Wakes the deliverer when a callback was written.
    due: Notify,
}

impl Provider {
    /// A provider that trusts requests signed with what follows from `secret`, which the channel has, too.
    pub(crate) fn new(db: Db, places: Places, secret: &SecretKey, config: PaymentConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self(Arc::new(Inner {
            db,
            places,
            requests: request_signer(secret),
            callbacks: callback_signer(secret),
            client: http_client(config.provider_timeout)?,
            config,
            due: Notify::new(),
        })))
    }

    /// Listens, serves and calls back until the tasks are told to stop.
    pub(crate) fn start(&self, tasks: &Tasks) -> Result<()> {
        let inner = Arc::clone(&self.0);
        let listen = inner.config.sandbox.listen;
        let listener = TcpListener::bind(listen).map_err(|error| {
            let text = format!("the sandbox's provider cannot listen on {listen}: {error}");
            Failure::internal(std::io::Error::new(error.kind(), text))
        })?;
        let address = listener.local_addr().map_err(Failure::internal)?;
        inner.places.provider_is_at(&format!("http://{address}"));
        tracing::info!(%address, "the sandbox's payment provider listens");
        http::serve(Arc::clone(&inner), listener, tasks)?;
        let token = tasks.token();
        tasks.spawn_essential("payment.sandbox.deliver", async move { deliver::run(&inner, token).await });
        Ok(())
    }
}
