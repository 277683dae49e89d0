//! Contracts over HTTP: the transport between our own processes.
//!
//! A call goes to `POST <base URL of the domain>/internal/<domain>/<method>` with a signed assertion of who calls, over
//! connections that are kept. It ends by the caller's deadline. A problem comes back as the failure it was on the other
//! side; what cannot be reached is `server.unavailable`.
//!
//! **Nothing is sent twice.** A call is tried again only when no connection could be made, so that nothing was sent:
//! the caller alone knows whether its call may be repeated, and under which idempotency key.
//!
//! Among regions a call on behalf of a user names their home (`x-meridian-home`), for a mesh to route by; nothing of ours
//! believes it.
//!
//! Calls in flight to a domain are bounded, and a breaker refuses calls to one that keeps failing.

pub mod breaker;
mod config;
mod transport;

pub use config::ClientConfig;
pub use transport::HttpTransport;

#[cfg(test)]
mod tests;
