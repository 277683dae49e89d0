//! The entrance of a region: what may happen to a request between the gate and its handler.
//!
//! A shop without regions has none, and nothing is asked of it on any request.

use std::{net::IpAddr, rc::Rc, time::Duration};

use actix_web::{
    Error, HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
};
use futures::future::LocalBoxFuture;
use kernel::{Failure, Region, Result};

use crate::Hop;

/// What decides where requests are served. One a process.
pub trait Entrance: Send + Sync {
    /// The region that is entered here; it stands in every line that the log has about a request.
    fn region(&self) -> &Region;

    /// Counts the answer to a public request; `failed`: a 5xx.
    fn answered(&self, failed: bool);

    /// How long ago this process read the map of regions: other regions judge by it whether this one reaches the database.
    fn map_age(&self) -> Duration;

    /// Where a worker's requests enter.
    fn door(&self) -> Result<Rc<dyn Door>>;
}

/// A worker's part of an [`Entrance`].
pub trait Door {
    /// Serves a public request: by its handler (`inward`), or in any other way.
    fn enter(self: Rc<Self>, arrival: Arrival, inward: Inward) -> LocalBoxFuture<'static, Entered>;
}

/// The way to the handler.
pub type Inward =
    Box<dyn FnOnce(ServiceRequest) -> LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, Error>>>;

/// A request that the gate let in.
#[derive(Debug)]
pub struct Arrival {
    /// The request, without any header that only our own processes may send.
    pub request: ServiceRequest,
    /// Its id.
    pub id: String,
    /// Where it comes from another region: what that one says about it.
    pub hop: Option<Hop>,
    /// Whether it says that it was passed on, be that believed or not: it goes no further. Loops end without a clock that
    /// agrees with others, and who only says so loses no more than the way home.
    pub passed_on: bool,
    /// The shopper's address, where it is known.
    pub client: Option<IpAddr>,
    /// Whether it carries an idempotency key and goes to an operation that heeds it: running it again is harmless.
    pub keyed: bool,
    /// Whether a person waits for a page.
    pub page: bool,
    /// How long it may take in all.
    pub within: Duration,
}

/// What in a page is its visitor's own, word for word (a form token); among the answer's extensions. A copy for others is
/// made without it, and without the answer's cookies.
#[derive(Clone, Debug)]
pub struct Personal(pub String);

/// What became of it.
#[derive(Debug)]
pub enum Entered {
    /// An answer to a request that is still there.
    Answer(Result<ServiceResponse<BoxBody>, Error>),
    /// An answer in place of the handler's, which has the request.
    Instead(HttpResponse),
    /// No answer but this failure.
    Refused(Failure),
}
