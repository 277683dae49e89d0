//! `X-Consistency-Token`: what a client wrote in one region it reads in every other.
//!
//! The answer to a write carries a token, a moment after its commit. The client sends it with later requests, and whichever
//! region answers them gives nothing from a cache whose load began before. The token is signed: one costs a cache at most a
//! load a key, and nobody makes one without a write.
//!
//! The moment is the writer's clock plus [`SKEW`], by which clocks of regions may differ. Not under it: the search index,
//! which follows the events, and caches of processes behind this one (a split shop).

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use kernel::{Result, Timestamp};

use crate::assertion::AssertionKey;

/// The header.
pub(crate) const CONSISTENCY: HeaderName = HeaderName::from_static("x-consistency-token");
/// How far the clocks of regions may be apart.
const SKEW: Duration = Duration::from_millis(250);
/// Another than that of assertions.
const VERSION: &str = "ct1";

impl AssertionKey {
    /// The token of a write that is committed by `now`.
    pub(crate) fn written(&self, now: Timestamp) -> Result<String> {
        self.seal(VERSION, &now.plus(SKEW).micros())
    }

    /// The moment that a request with these headers is held to, by the latest of its tokens; none without a token of ours. It
    /// is not after `now`: what is loaded from here on is young enough.
    pub(crate) fn held_to(&self, headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
        let moments = headers.get_all(CONSISTENCY).filter_map(|token| {
            let micros = self.unseal(VERSION, token.to_str().ok()?).ok()?;
            Some(Timestamp::from_micros(micros))
        });
        moments.max().map(|moment| moment.min(now))
    }

    /// Adds the token of a write that is committed by `now`, unless the region that did it has added its own.
    pub(crate) fn tell_written(&self, headers: &mut HeaderMap, now: Timestamp) {
        if !headers.contains_key(CONSISTENCY)
            && let Ok(token) = self.written(now)
            && let Ok(token) = HeaderValue::from_str(&token)
        {
            headers.insert(CONSISTENCY, token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn holds_to_the_write_and_to_nothing_that_is_still_to_come() {
        let key = AssertionKey::new([7; 32]);
        let mut headers = HeaderMap::new();
        assert_eq!(key.held_to(&headers, NOW), None);
        key.tell_written(&mut headers, NOW);
        assert_eq!(key.held_to(&headers, NOW), Some(NOW));
        assert_eq!(key.held_to(&headers, NOW.plus(Duration::from_secs(9))), Some(NOW.plus(SKEW)));
        let first = headers.get(CONSISTENCY).cloned();
        key.tell_written(&mut headers, NOW.plus(SKEW));
        assert_eq!(headers.get(CONSISTENCY).cloned(), first, "the token of whoever wrote");
        assert_eq!(AssertionKey::new([8; 32]).held_to(&headers, NOW), None);
        headers.insert(CONSISTENCY, HeaderValue::from_static("1700000000000000"));
        assert_eq!(key.held_to(&headers, NOW), None);
        // Of two writes, told in whatever order.
        let (early, late) = (NOW.minus(Duration::from_secs(9)), NOW.minus(Duration::from_secs(5)));
        for order in [[early, late], [late, early]] {
            headers.remove(CONSISTENCY);
            for moment in order {
                let token = HeaderValue::from_str(&key.written(moment).unwrap()).unwrap();
                headers.append(CONSISTENCY, token);
            }
            assert_eq!(key.held_to(&headers, NOW), Some(late.plus(SKEW)));
        }
    }
}
