//! A request on its way from one region to another: who passes it on, and for whom.
//!
//! The region that took a shopper's request may pass it on to the shopper's home, once. The headers of such a hop are
//! believed only together with an assertion under the key that our processes share; a client's own are taken off. A
//! believed hop is served where it arrives, whatever the map there says, so that no request goes round in circles; and it
//! is not counted against the limits again, which the first region did by the shopper's address.

use std::{net::IpAddr, time::Duration};

use actix_web::http::{
    Method,
    header::{HeaderMap, HeaderName},
};
use kernel::{Region, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::assertion::{ASSERTION_HEADER, AssertionKey, LIFETIME, digest, is_over, refused};

/// The header that names the region a request was passed on by.
pub const HOP_HEADER: &str = "x-meridian-hop";
/// The header that names the home region of whose request it is: a hint by which a mesh may route it. Our edge and our calls
/// between processes carry it, a client's own is taken off, and nothing of ours believes it.
pub const HOME_HEADER: &str = "x-meridian-home";
/// The header of an answer to a hop by which a region says why it did nothing at all with it: the region that passed it on
/// may serve it, whatever it is.
pub const UNSERVED_HEADER: &str = "x-meridian-unserved";
/// Another than that of calls between processes: neither can be passed off as the other.
const VERSION: &str = "hop1";

/// What a region says about a request that it passes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The region that passes it on.
    pub from: Region,
    /// The shopper's address, where it is known.
    pub client: Option<IpAddr>,
    /// How long the region that passes it on waits for an answer. A duration, since clocks of regions differ.
    #[serde(with = "humantime_serde")]
    pub left: Duration,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    hop: Hop,
    /// Microseconds since 1970.
    expires: i64,
    /// SHA-256 of method and target, base64url.
    request: String,
}

impl AssertionKey {
    /// The assertion that goes with `hop` and a request of this method and target (path and query). It does not cover
    /// the body: what is asserted is only who passes the request on, and the shopper's own token comes with it.
    pub fn vouch(&self, hop: &Hop, method: &str, target: &str, now: Timestamp) -> Result<String> {
        let request = digest(target, method.as_bytes());
        self.seal(VERSION, &Claims { hop: hop.clone(), expires: now.plus(LIFETIME).micros(), request })
    }

    /// The hop of a request; [`ASSERTION_REFUSED`](crate::ASSERTION_REFUSED) when the assertion is none of ours, has
    /// expired or was made for another request.
    pub fn vouched(&self, assertion: &str, method: &str, target: &str, now: Timestamp) -> Result<Hop> {
        let claims: Claims = self.unseal(VERSION, assertion)?;
        if is_over(claims.expires, now) || claims.request != digest(target, method.as_bytes()) {
            return Err(refused());
        }
        Ok(claims.hop)
    }

    /// The hop that these headers speak of, if it is to be believed.
    pub(crate) fn believed(
        &self,
        headers: &HeaderMap,
        method: &Method,
        target: &str,
        now: Timestamp,
    ) -> Option<Hop> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (from, assertion) = (text(HOP_HEADER)?, text(ASSERTION_HEADER)?);
        self.vouched(assertion, method.as_str(), target, now).ok().filter(|hop| hop.from.as_str() == from)
    }
}

/// Whether a header goes further than one connection (RFC 9110, section 7.6.1) and is nothing that the next hop says
/// itself. What `Connection` names besides is the caller's to leave out.
pub fn travels(name: &HeaderName) -> bool {
    !matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "expect"
    ) && !name.as_str().starts_with(OURS)
}

/// What only our own processes may say to each other.
pub(crate) const OURS: &str = "x-meridian-";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn is_believed_for_one_request_from_one_region_for_a_while() {
        let key = AssertionKey::new([7; 32]);
        let hop = Hop {
            from: Region::new("us-east"),
            client: Some([10, 0, 0, 9].into()),
            left: Duration::from_millis(1_500),
        };
        let signed = key.vouch(&hop, "POST", "/api/v1/orders?x=1", NOW).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(HOP_HEADER), "us-east".parse().unwrap());
        headers.insert(HeaderName::from_static(ASSERTION_HEADER), signed.parse().unwrap());
        let believed = |headers: &HeaderMap, method, target, now| key.believed(headers, &method, target, now);
        assert_eq!(believed(&headers, Method::POST, "/api/v1/orders?x=1", NOW), Some(hop));
        assert_eq!(believed(&headers, Method::GET, "/api/v1/orders?x=1", NOW), None);
        assert_eq!(believed(&headers, Method::POST, "/api/v1/orders", NOW), None);
        let later = NOW.plus(Duration::from_secs(30));
        assert_eq!(believed(&headers, Method::POST, "/api/v1/orders?x=1", later), None);
        headers.insert(HeaderName::from_static(HOP_HEADER), "eu-west".parse().unwrap());
        assert_eq!(believed(&headers, Method::POST, "/api/v1/orders?x=1", NOW), None);
        assert!(
            AssertionKey::new([8; 32]).vouched(&signed, "POST", "/api/v1/orders?x=1", NOW).is_err(),
            "another shop's key"
        );
    }

    #[test]
    fn is_no_call_between_processes_and_the_other_way_round() {
        let key = AssertionKey::new([7; 32]);
        let hop = Hop { from: Region::new("us-east"), client: None, left: Duration::from_secs(1) };
        let signed = key.vouch(&hop, "POST", "/internal/order/place", NOW).unwrap();
        assert!(key.open(&signed, NOW).is_err());
        let ctx = contracts::Ctx::system("r", NOW.plus(Duration::from_secs(1)));
        let call = key.sign(&ctx, "/api/v1/orders", b"POST", NOW).unwrap();
        assert!(key.vouched(&call, "POST", "/api/v1/orders", NOW).is_err());
    }

    #[test]
    fn headers_of_one_connection_and_our_own_stay() {
        for (name, on) in [
            ("connection", false),
            ("transfer-encoding", false),
            ("x-meridian-hop", false),
            ("content-length", false),
            ("expect", false),
            ("cookie", true),
            ("host", true),
            ("accept-encoding", true),
            ("idempotency-key", true),
        ] {
            assert_eq!(travels(&HeaderName::from_static(name)), on, "{name}");
        }
    }
}
