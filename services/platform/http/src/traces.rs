//! Whose word about traces counts: a trace that is followed decides whether we record the request.

use std::net::IpAddr;

use actix_web::{
    dev::{RequestHead, ServiceRequest},
    http::header::HeaderName,
};
use tracing::Span;

use crate::{ASSERTION_HEADER, FollowTraces, Hop, shared::Shared};

const TRACEPARENT: HeaderName = HeaderName::from_static(platform_trace::HEADER);
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace that a request says it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    traceparent: String,
    followed: bool,
}

impl Told {
    /// What `req` says. What is not followed is taken off: nobody behind this process could tell whose word it was.
    pub(crate) fn take(shared: &Shared, req: &mut ServiceRequest, hop: Option<&Hop>) -> Option<Self> {
        let traceparent = req.headers().get(TRACEPARENT)?.to_str().map(str::to_owned);
        let followed = shared.follows(req.head(), hop);
        if !followed {
            req.headers_mut().remove(TRACEPARENT);
            req.headers_mut().remove(TRACESTATE);
        }
        Some(Self { traceparent: traceparent.ok()?, followed })
    }

    /// Makes `span`, which has not begun, part of that trace, or links it with it.
    pub(crate) fn tell(&self, span: &Span) {
        if self.followed {
            platform_trace::continue_from(span, &self.traceparent);
        } else {
            platform_trace::link_to(span, &self.traceparent);
        }
    }
}

impl Shared {
    /// Whether the trace that a request says it belongs to is continued. `head` is as it came: its peer, and our headers.
    fn follows(&self, head: &RequestHead, hop: Option<&Hop>) -> bool {
        match self.config.follow_traces {
            FollowTraces::Anyone => true,
            FollowTraces::Trusted => {
                let near = |ip: IpAddr| ip.to_canonical().is_loopback() || self.trusts(ip);
                hop.is_some()
                    || head.peer_addr.is_some_and(|peer| near(peer.ip()))
                    || self.is_call_of_ours(head)
            }
        }
    }

    /// Whether an assertion of ours comes with a call between processes. Its body is compared where it is read.
    fn is_call_of_ours(&self, head: &RequestHead) -> bool {
        let assertion = head.headers().get(ASSERTION_HEADER).and_then(|value| value.to_str().ok());
        let (Some(key), Some(assertion)) = (&self.internal, assertion) else { return false };
        key.open(assertion, self.clock.now()).is_ok()
    }
}
