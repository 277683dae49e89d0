//! Answers before they are compressed, for an entrance that keeps copies: what one client can read, another may not.

use std::future::{Ready, ready};

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::header::CONTENT_ENCODING,
    web::Bytes,
};
use futures::{TryFutureExt, future::MapOk};

/// Among a request's extensions: a copy of its answer's body is wanted as the handler made it.
#[derive(Clone, Copy, Debug)]
pub struct WholeWanted;

/// Among its answer's extensions then: that body, where it was there at once and no coding of the handler's own is on it.
#[derive(Clone, Debug)]
pub struct Whole(pub Bytes);

/// The middleware, between the handlers and what compresses. It allocates nothing of its own.
pub(crate) struct Wholes;

impl<S, B> Transform<S, ServiceRequest> for Wholes
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = WholesService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(WholesService { inner }))
    }
}

pub(crate) struct WholesService<S> {
    inner: S,
}

impl<S, B> Service<ServiceRequest> for WholesService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = MapOk<S::Future, fn(ServiceResponse<B>) -> ServiceResponse<BoxBody>>;

    forward_ready!(inner);

    fn call(&self, req: ServiceRequest) -> Self::Future {
        let note: fn(ServiceResponse<B>) -> ServiceResponse<BoxBody> = noted::<B>;
        self.inner.call(req).map_ok(note)
    }
}

/// The answer, with its body once more among its extensions where that is wanted.
fn noted<B: MessageBody + 'static>(response: ServiceResponse<B>) -> ServiceResponse<BoxBody> {
    let response = response.map_into_boxed_body();
    let wanted = response.request().extensions().contains::<WholeWanted>();
    if !wanted || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let mut whole = None;
    let mut response = response.map_body(|_, sent| match sent.try_into_bytes() {
        Ok(bytes) => {
            whole = Some(Whole(bytes.clone()));
            BoxBody::new(bytes)
        }
        Err(sent) => sent,
    });
    if let Some(whole) = whole {
        response.response_mut().extensions_mut().insert(whole);
    }
    response
}
