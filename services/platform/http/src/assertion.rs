//! Who calls, carried between our own processes: a signed assertion that lives for thirty seconds.

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::Ctx;
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Code, Failure, Result, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// The header that carries the assertion.
pub const ASSERTION_HEADER: &str = "x-meridian-assertion";
/// Not `auth.unauthenticated`: the process that calls is at fault, and the user it calls for must not be told to log in.
pub const ASSERTION_REFUSED: Code =
    Code { name: "internal.assertion_refused", status: 401, title: "The caller is none of our processes" };
/// How long an assertion is good for.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30);
/// The version is signed with the rest, so that a later format cannot be passed off as this one.
const VERSION: &str = "v1";

/// Signs and checks assertions: HMAC-SHA256 under a secret that only our processes share.
#[derive(Clone)]
pub struct AssertionKey([u8; 32]);

#[derive(Serialize, Deserialize)]
struct Claims {
    ctx: Ctx,
    /// Microseconds since 1970.
    expires: i64,
    /// SHA-256 of path and body, base64url.
    request: String,
}

impl AssertionKey {
    /// A key from the shared secret.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The header's value for `POST path` with `body` on behalf of `ctx`: `v1.<claims>.<mac>`.
    pub fn sign(&self, ctx: &Ctx, path: &str, body: &[u8], now: Timestamp) -> Result<String> {
        let claims =
            Claims { ctx: ctx.clone(), expires: now.plus(LIFETIME).micros(), request: digest(path, body) };
        self.seal(VERSION, &claims)
    }

    /// Opens an assertion; [`ASSERTION_REFUSED`] when it is not ours or has expired. What it carries counts only after
    /// [`Opened::on_behalf`]: the two are apart so that no body is read for a stranger.
    pub(crate) fn open(&self, assertion: &str, now: Timestamp) -> Result<Opened> {
        let claims: Claims = self.unseal(VERSION, assertion)?;
        if is_over(claims.expires, now) { Err(refused()) } else { Ok(Opened(claims)) }
    }

    /// `<version>.<claims>.<mac>`.
    pub(crate) fn seal(&self, version: &str, claims: &impl Serialize) -> Result<String> {
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).map_err(Failure::internal)?);
        let signed = format!("{version}.{claims}");
        let mac = URL_SAFE_NO_PAD.encode(self.mac(&signed)?.finalize().into_bytes());
        Ok(format!("{signed}.{mac}"))
    }

    /// The claims of a text that [`AssertionKey::seal`] made for this version; [`ASSERTION_REFUSED`] for any other.
    pub(crate) fn unseal<T: DeserializeOwned>(&self, version: &str, sealed: &str) -> Result<T> {
        let (signed, mac) = sealed.rsplit_once('.').ok_or_else(refused)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| refused())?;
        self.mac(signed)?.verify_slice(&mac).map_err(|_| refused())?;
        let claims =
            signed.strip_prefix(version).and_then(|rest| rest.strip_prefix('.')).ok_or_else(refused)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| refused())?;
        serde_json::from_slice(&claims).map_err(|_| refused())
    }

    fn mac(&self, signed: &str) -> Result<Hmac<Sha256>> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).map_err(|error| Failure::internal(error.to_string()))?;
        mac.update(signed.as_bytes());
        Ok(mac)
    }
}

/// An assertion of ours, not yet compared with the request it came with.
pub(crate) struct Opened(Claims);

impl Opened {
    /// On whose behalf the call is; [`ASSERTION_REFUSED`] when the assertion was made for another path or body.
    pub(crate) fn on_behalf(self, path: &str, body: &[u8]) -> Result<Ctx> {
        if self.0.request == digest(path, body) { Ok(self.0.ctx) } else { Err(refused()) }
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AssertionKey(***)")
    }
}

/// Whether something that is good until `expires` (microseconds since 1970) does not count at `now`. One that expires later
/// than any of ours would was made by a clock that is far ahead.
pub(crate) fn is_over(expires: i64, now: Timestamp) -> bool {
    let expires = Timestamp::from_micros(expires);
    expires <= now || expires > now.plus(2 * LIFETIME)
}

pub(crate) fn digest(path: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update((path.len() as u64).to_be_bytes());
    hash.update(path.as_bytes());
    hash.update(body);
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

pub(crate) fn refused() -> Failure {
    ASSERTION_REFUSED.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn holds_for_one_path_one_body_and_thirty_seconds() {
        let key = AssertionKey::new([7; 32]);
        let verify = |key: &AssertionKey, assertion: &str, path: &str, body: &[u8], now: Timestamp| {
            key.open(assertion, now)?.on_behalf(path, body)
        };
        let ctx = Ctx::system("r-1", NOW.plus(Duration::from_secs(9)));
        let signed = key.sign(&ctx, "/internal/order/place", b"{}", NOW).unwrap();
        let back =
            verify(&key, &signed, "/internal/order/place", b"{}", NOW.plus(Duration::from_secs(29))).unwrap();
        assert_eq!(back.request_id, "r-1");
        assert_eq!(back.deadline, ctx.deadline);
        for (path, body, after) in [
            ("/internal/order/cancel", &b"{}"[..], 0),
            ("/internal/order/place", b"{ }", 0),
            ("/internal/order/place", b"{}", 30),
        ] {
            let refused =
                verify(&key, &signed, path, body, NOW.plus(Duration::from_secs(after))).unwrap_err();
            assert_eq!(refused.status(), 401);
        }
        assert!(
            verify(&key, &signed, "/internal/order/place", b"{}", NOW.minus(Duration::from_secs(31)))
                .is_err()
        );
        assert!(verify(&AssertionKey::new([8; 32]), &signed, "/internal/order/place", b"{}", NOW).is_err());
        let forged = signed.replacen("v1.", "v1.e", 1);
        assert!(verify(&key, &forged, "/internal/order/place", b"{}", NOW).is_err());
        for nonsense in ["", ".", "v1", "v1..", "v1.e30."] {
            assert!(verify(&key, nonsense, "/internal/order/place", b"{}", NOW).is_err());
        }
    }
}
