//! Tokens in forms: one proves that a page of ours made the form, one makes its effect happen once.

use hmac::{Hmac, KeyInit, Mac};
use kernel::{Failure, Result};
use sha2::Sha256;

/// Signs forms. The token binds a form to the visitor's cookie and session; it holds as long as both do.
pub(crate) struct FormTokens(Hmac<Sha256>);

impl FormTokens {
    /// Tokens under this key.
    pub(crate) fn new(key: &[u8]) -> Result<Self> {
        Hmac::new_from_slice(key).map(Self).map_err(|_| Failure::internal("the key of form tokens is empty"))
    }

    fn mac(&self, visitor: &str, session: Option<&str>) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in ["storefront.form.v1", visitor, session.unwrap_or_default()] {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    /// The token of this visitor's forms.
    pub(crate) fn issue(&self, visitor: &str, session: Option<&str>) -> String {
        hex::encode(self.mac(visitor, session).finalize().into_bytes())
    }

    /// Whether `token` is this visitor's; takes the same time whatever is wrong with it.
    pub(crate) fn accepts(&self, token: &str, visitor: &str, session: Option<&str>) -> bool {
        hex::decode(token).is_ok_and(|bytes| self.mac(visitor, session).verify_slice(&bytes).is_ok())
    }
}

/// 128 random bits in hex: a visitor's cookie, the idempotency key of a form.
pub(crate) fn random() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// Whether `text` looks like one of [`random`]'s.
pub(crate) fn is_random(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_visitor_and_session_only() {
        let tokens = FormTokens::new(b"key").unwrap();
        let token = tokens.issue("v", Some("s"));
        assert!(tokens.accepts(&token, "v", Some("s")));
        assert!(!tokens.accepts(&token, "v", None));
        assert!(!tokens.accepts(&token, "w", Some("s")));
        assert!(!tokens.accepts("", "v", Some("s")));
        assert!(!FormTokens::new(b"other").unwrap().accepts(&token, "v", Some("s")));
    }
}
