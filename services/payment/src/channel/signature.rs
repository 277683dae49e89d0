//! Signatures as in [Standard Webhooks](https://www.standardwebhooks.com): `v1,` and the base64 of
//! HMAC-SHA256(`id.timestamp.body`), with id and timestamp in headers of their own. Requests to the sandbox's provider are
//! signed the same way under another key, with method and path as the id.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use kernel::Timestamp;
use platform_runtime::SecretKey;
use sha2::Sha256;

/// The id of a message.
pub(crate) const ID: &str = "webhook-id";
/// When it was sent, in seconds since 1970.
pub(crate) const TIMESTAMP: &str = "webhook-timestamp";
/// Its signatures, separated by blanks.
pub(crate) const SIGNATURE: &str = "webhook-signature";

/// How far a message's time may be from ours.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// A key for one purpose.
#[derive(Clone)]
pub(crate) struct Signer(SecretKey);

impl Signer {
    /// The key for `purpose` that follows from `secret`.
    pub(crate) fn derive(secret: &SecretKey, purpose: &str) -> Self {
        let bytes = mac(secret.expose(), &[purpose.as_bytes()]).finalize().into_bytes().into();
        Self(SecretKey::from_bytes(bytes))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        mac(self.0.expose(), &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
    }

    /// Timestamp and signature of a message sent now.
    pub(crate) fn sign(&self, id: &str, now: Timestamp, body: &[u8]) -> (String, String) {
        let timestamp = now.seconds().to_string();
        let signature = STANDARD.encode(self.mac(id, &timestamp, body).finalize().into_bytes());
        (timestamp, format!("v1,{signature}"))
    }

    /// Whether one of `signatures` is ours and the message is not older or newer than five minutes.
    pub(crate) fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now: Timestamp,
    ) -> bool {
        let Ok(sent) = timestamp.parse::<i64>() else { return false };
        let age = i128::from(now.seconds()) - i128::from(sent);
        let young = age.unsigned_abs() <= u128::from(TOLERANCE.as_secs());
        // Compared in constant time by `verify_slice`.
        let ours = signatures
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .filter_map(|signature| STANDARD.decode(signature).ok())
            .any(|signature| self.mac(id, timestamp, body).verify_slice(&signature).is_ok());
        young && ours
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    // HMAC pads a short key with zeros to the hash's block of 64 bytes (RFC 2104).
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn signer(purpose: &str) -> Signer {
        Signer::derive(&SecretKey::from_bytes([7; 32]), purpose)
    }

    #[test]
    fn takes_its_own_signature_for_five_minutes_and_nothing_else() {
        let signer = signer("callback");
        let (timestamp, signature) = signer.sign("msg_1", NOW, b"{}");
        let check = |id: &str, timestamp: &str, signatures: &str, body: &[u8], now| {
            signer.verify(id, timestamp, signatures, body, now)
        };
        assert!(check("msg_1", &timestamp, &signature, b"{}", NOW));
        assert!(check("msg_1", &timestamp, &format!("v1,AAAA {signature}"), b"{}", NOW));
        assert!(check("msg_1", &timestamp, &signature, b"{}", NOW.plus(Duration::from_secs(300))));
        assert!(!check("msg_1", &timestamp, &signature, b"{}", NOW.plus(Duration::from_secs(301))));
        assert!(!check("msg_1", &timestamp, &signature, b"{}", NOW.minus(Duration::from_secs(301))));
        assert!(!check("msg_2", &timestamp, &signature, b"{}", NOW));
        assert!(!check("msg_1", &timestamp, &signature, b"{ }", NOW));
        assert!(!check("msg_1", "1700000001", &signature, b"{}", NOW));
        for other in ["", "v1,", "v1,====", "v2,AAAA", &signature[3..]] {
            assert!(!check("msg_1", &timestamp, other, b"{}", NOW), "{other}");
        }
        for time in ["", "x", "-9223372036854775808", "9223372036854775807", "99999999999999999999"] {
            assert!(!check("msg_1", time, &signature, b"{}", NOW), "{time}");
        }
    }

    #[test]
    fn keys_of_different_purposes_differ() {
        let (timestamp, signature) = signer("callback").sign("m", NOW, b"");
        assert!(!signer("request").verify("m", &timestamp, &signature, b"", NOW));
    }
}
