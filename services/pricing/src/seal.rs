//! Signs quotes and checks them: `q1.<promise>.<signature>`, both base64url. Pure.
//!
//! The promise is JSON; the signature is HMAC-SHA256 over a fixed text and the promise's bytes, so that a key used for
//! something else by mistake signs no quotes. The prefix is the format's version.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::pricing::{QuotePromise, code};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Failure, Result};
use platform_runtime::SecretKey;
use sha2::Sha256;

const VERSION: &str = "q1";
const DOMAIN: &[u8] = b"meridian quote 1\0";
/// A hundred lines come to some twelve thousand characters.
const LONGEST: usize = 65_536;

/// The signed text of a promise.
pub(crate) fn sign(key: &SecretKey, promise: &QuotePromise) -> Result<String> {
    let bytes = serde_json::to_vec(promise).map_err(Failure::internal)?;
    let signature = mac(key, &bytes)?.finalize().into_bytes();
    Ok(format!("{VERSION}.{}.{}", URL_SAFE_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(signature)))
}

/// What a signed text promised; `pricing.quote_invalid` for every text that [`sign`] did not make. The signatures are
/// compared in constant time.
pub(crate) fn open(key: &SecretKey, text: &str) -> Result<QuotePromise> {
    read(key, text)?
        .ok_or_else(|| Failure::new(code::QUOTE_INVALID).field("/quote", "is not one of our quotes"))
}

fn read(key: &SecretKey, text: &str) -> Result<Option<QuotePromise>> {
    if text.len() > LONGEST {
        return Ok(None);
    }
    let mut parts = text.split('.');
    let (Some(VERSION), Some(promise), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let (Ok(promise), Ok(signature)) = (URL_SAFE_NO_PAD.decode(promise), URL_SAFE_NO_PAD.decode(signature))
    else {
        return Ok(None);
    };
    if mac(key, &promise)?.verify_slice(&signature).is_err() {
        return Ok(None);
    }
    // Signed by us: if it cannot be read, an older version of ours wrote it, and it is of no use.
    Ok(serde_json::from_slice(&promise).ok())
}

fn mac(key: &SecretKey, promise: &[u8]) -> Result<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).map_err(Failure::internal)?;
    mac.update(DOMAIN);
    mac.update(promise);
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use contracts::pricing::Destination;
    use kernel::{Currency, Id, Money, Shard, Timestamp};

    use super::*;

    fn promise() -> QuotePromise {
        QuotePromise {
            lines: vec![(Id::derive(Shard::new(1), &[b"a"]), 2, Money::new(500, Currency::JOD))],
            total: Money::new(1_000, Currency::JOD),
            destination: Some(Destination {
                country: "JO".to_owned(),
                region: String::new(),
                address_id: None,
            }),
            expires_at: Timestamp::from_micros(1_800_000_000_000_000),
        }
    }

    #[test]
    fn opens_what_it_signed() {
        let key = SecretKey::from_bytes([7; 32]);
        let text = sign(&key, &promise()).unwrap();
        assert!(text.starts_with("q1."));
        assert_eq!(open(&key, &text).unwrap(), promise());
    }

    #[test]
    fn refuses_every_other_text() {
        let key = SecretKey::from_bytes([7; 32]);
        let text = sign(&key, &promise()).unwrap();
        // Every character counts, the signature's and the promise's.
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let spoiled = String::from_utf8(bytes).unwrap();
            if spoiled != text {
                assert!(open(&key, &spoiled).unwrap_err().is(code::QUOTE_INVALID), "character {index}");
            }
        }
        let unsigned = text.rsplit_once('.').unwrap().0.to_owned();
        for other in [
            "",
            "q1",
            "q1..",
            &unsigned,
            &format!("{text}.x"),
            &text.replacen("q1", "q2", 1),
            &"x".repeat(70_000),
        ] {
            assert!(open(&key, other).unwrap_err().is(code::QUOTE_INVALID));
        }
        assert!(open(&SecretKey::from_bytes([8; 32]), &text).unwrap_err().is(code::QUOTE_INVALID));
    }
}
