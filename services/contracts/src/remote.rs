//! Contracts between processes.

use async_trait::async_trait;
use kernel::Result;

use crate::Ctx;

/// Carries a call to the process that runs a domain: `POST /internal/<domain>/<method>`, JSON both ways.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `body` and returns the answer's body; a problem comes back as the failure it was on the other side.
    async fn call(
        &self,
        ctx: &Ctx,
        domain: &'static str,
        method: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>>;
}

/// Answers calls that came over a [`Transport`].
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// The domain's name in the path.
    fn domain(&self) -> &'static str;
    /// Runs `method` with the JSON command in `body`.
    async fn dispatch(&self, ctx: &Ctx, method: &str, body: &[u8]) -> Result<Vec<u8>>;
}

/// Declares a contract: the trait, its client over a [`Transport`] and its dispatcher.
///
/// ```ignore
/// contract! {
///     /// Orders of shoppers.
///     Orders as "order", OrdersClient, OrdersDispatcher {
///         /// Places an order.
///         place(PlaceOrder) -> OrderView;
///     }
/// }
/// ```
macro_rules! contract {
    (
        $(#[$doc:meta])*
        $Trait:ident as $domain:literal, $Client:ident, $Dispatcher:ident {
            $($(#[$method_doc:meta])* $method:ident($Command:ty) -> $Answer:ty;)*
        }
    ) => {
        $(#[$doc])*
        #[async_trait::async_trait]
        pub trait $Trait: Send + Sync {
            $($(#[$method_doc])*
            async fn $method(&self, ctx: &$crate::Ctx, command: $Command) -> kernel::Result<$Answer>;)*
        }

        #[doc = concat!("[`", stringify!($Trait), "`] in another process.")]
        pub struct $Client(pub std::sync::Arc<dyn $crate::Transport>);

        #[async_trait::async_trait]
        impl $Trait for $Client {
            $(async fn $method(&self, ctx: &$crate::Ctx, command: $Command) -> kernel::Result<$Answer> {
                let body = serde_json::to_vec(&command).map_err(kernel::Failure::internal)?;
                let answer = self.0.call(ctx, $domain, stringify!($method), body).await?;
                serde_json::from_slice(&answer).map_err(kernel::Failure::internal)
            })*
        }

        #[doc = concat!("Answers `POST /internal/", $domain, "/<method>` with a [`", stringify!($Trait), "`].")]
        pub struct $Dispatcher(pub std::sync::Arc<dyn $Trait>);

        impl $Dispatcher {
            /// The contract's methods, by the names they have in the path.
            pub const METHODS: &'static [&'static str] = &[$(stringify!($method)),*];
        }

        #[async_trait::async_trait]
        impl $crate::Dispatch for $Dispatcher {
            fn domain(&self) -> &'static str {
                $domain
            }

            async fn dispatch(&self, ctx: &$crate::Ctx, method: &str, body: &[u8]) -> kernel::Result<Vec<u8>> {
                match method {
                    $(stringify!($method) => {
                        let command: $Command = serde_json::from_slice(body).map_err(|error| {
                            kernel::Failure::new(kernel::code::MALFORMED).detail(error.to_string())
                        })?;
                        let answer = self.0.$method(ctx, command).await?;
                        serde_json::to_vec(&answer).map_err(kernel::Failure::internal)
                    })*
                    _ => Err(kernel::Failure::not_found("method")),
                }
            }
        }
    };
}
