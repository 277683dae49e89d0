//! What each domain promises the others: a trait, its commands and views, its error codes and its events.
//!
//! A module a domain. Callers hold `Arc<dyn Orders>` and cannot tell whether the service sits in this process or
//! behind `POST /internal/order/<method>`: the `contract!` macro writes the trait, the client and the dispatcher from
//! one declaration, so the two sides cannot drift.

mod contracts;
mod ctx;
mod event;
#[macro_use]
mod remote;
mod valid;

pub mod account;
pub mod cart;
pub mod catalog;
pub mod import;
pub mod intake;
pub mod inventory;
pub mod order;
pub mod payment;
pub mod pricing;
pub mod region;
pub mod search;

pub use contracts::Contracts;
pub use ctx::{Caller, Ctx, Permission, SessionId, UserId};
pub use event::{Event, EventBody};
pub use remote::{Dispatch, Transport};
pub use valid::valid;
