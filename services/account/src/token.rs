//! Refresh tokens.
//!
//! A token is its session's id and 32 secret bytes, base64url. Only its SHA-256 is stored. The successor's secret is
//! HMAC-SHA256 of the token under a key of the server, so a retry can be given the same successor though nothing secret
//! was kept, and an old token is known by walking from it to the current one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::SessionId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How far back an old token is known: three months of a refresh every quarter of an hour.
const LONGEST_WALK: i64 = 8_192;

/// A refresh token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    session: SessionId,
    secret: [u8; 32],
}

impl RefreshToken {
    /// The first token of a session.
    pub(crate) fn first(session: SessionId) -> Self {
        Self { session, secret: rand::random() }
    }

    /// Reads what [`Self::text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 48] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (mut session, mut secret) = ([0; 16], [0; 32]);
        session.copy_from_slice(&bytes[..16]);
        secret.copy_from_slice(&bytes[16..]);
        Some(Self { session: SessionId::from_uuid(Uuid::from_bytes(session)), secret })
    }

    /// The token as clients keep it.
    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.session.uuid().as_bytes().as_slice(), &self.secret].concat())
    }

    /// Its session.
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// What is stored of it.
    pub(crate) fn hash(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.session.uuid().as_bytes());
        hash.update(self.secret);
        hash.finalize().to_vec()
    }

    /// The token that follows this one.
    pub(crate) fn successor(&self, key: &[u8; 32]) -> Self {
        let mut mac = keyed(key, b"refresh");
        mac.update(self.session.uuid().as_bytes());
        mac.update(&self.secret);
        Self { session: self.session, secret: mac.finalize().into_bytes().into() }
    }

    /// Whether the token whose hash is `current`, the `generation`th of its session, follows from this one: then this one
    /// was ours once.
    pub(crate) fn leads_to(&self, current: &[u8], generation: i64, key: &[u8; 32]) -> bool {
        let mut token = self.clone();
        for _ in 0..generation.clamp(0, LONGEST_WALK) {
            token = token.successor(key);
            if token.hash() == current {
                return true;
            }
        }
        false
    }
}

/// What stands for an e-mail in the table of failures and in the audit log; without the key it cannot be guessed back.
pub(crate) fn email_hash(key: &[u8; 32], email_key: &str) -> Vec<u8> {
    let mut mac = keyed(key, b"e-mail");
    mac.update(email_key.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn keyed(key: &[u8; 32], purpose: &[u8]) -> Hmac<Sha256> {
    // HMAC pads a short key with zeros to the hash's block of 64 bytes (RFC 2104).
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    mac.update(purpose);
    mac.update(&[0]);
    mac
}

#[cfg(test)]
mod tests {
    use kernel::{Id, Shard};
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn session(part: &[u8]) -> SessionId {
        Id::derive(Shard::new(3), &[part])
    }

    #[test]
    fn a_retry_gets_the_same_successor_and_only_with_the_key() {
        let token = RefreshToken::first(session(b"a"));
        assert_eq!(token.successor(&KEY).text(), token.successor(&KEY).text());
        assert_ne!(token.successor(&KEY).text(), token.successor(&[8; 32]).text());
        assert_ne!(token.successor(&KEY).text(), token.text());
    }

    #[test]
    fn knows_its_own_old_tokens_and_no_others() {
        let first = RefreshToken::first(session(b"a"));
        let third = first.successor(&KEY).successor(&KEY);
        assert!(first.leads_to(&third.hash(), 2, &KEY));
        assert!(!first.leads_to(&third.hash(), 1, &KEY));
        assert!(!RefreshToken::first(session(b"a")).leads_to(&third.hash(), 2, &KEY));
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote_and_nothing_else(text: String, part: Vec<u8>) {
            let token = RefreshToken::first(session(&part));
            prop_assert!(RefreshToken::parse(&token.text()).is_some_and(|read| read == token));
            if let Some(read) = RefreshToken::parse(&text) {
                prop_assert_eq!(read.text(), text);
            }
        }
    }
}
