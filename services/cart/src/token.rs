//! A guest's token: the name of a cart and the secret that opens it.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::cart::{CartId, code};
use kernel::{Failure, Ids, Result, Shard};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const NAME: usize = 16;
const SECRET: usize = 24;

/// 16 bytes of the cart's id and 24 random ones, base64url. Opaque to clients; only the hash of the secret is stored, so a
/// copy of the database opens no cart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token {
    cart: CartId,
    secret: [u8; SECRET],
}

impl Token {
    /// A new cart's token, on this shard.
    pub(crate) fn mint(ids: &Ids, shard: Shard) -> Self {
        Self { cart: ids.mint(shard), secret: rand::random() }
    }

    /// Reads a token; `pointer` names it in the failure. `cart.token_invalid` for what can be none of ours: another form,
    /// a shard there is not, or the name of a member's cart, which is derived (UUID version 8) and never minted.
    pub(crate) fn parse(text: &str, shards: u16, pointer: &str) -> Result<Self> {
        let read = || -> Option<Self> {
            let bytes: [u8; NAME + SECRET] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
            let (name, secret) = bytes.split_at(NAME);
            let name = Uuid::from_bytes(name.try_into().ok()?);
            let cart = CartId::from_uuid(name);
            let minted = name.get_version_num() == 7 && cart.shard().number() < shards;
            minted.then_some(Self { cart, secret: secret.try_into().ok()? })
        };
        read().ok_or_else(|| Failure::new(code::TOKEN_INVALID).field(pointer, "is no cart token"))
    }

    /// The cart it names.
    pub(crate) fn cart(&self) -> CartId {
        self.cart
    }

    /// What the database keeps of its secret. 192 random bits need no slow hash.
    pub(crate) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.secret).to_vec()
    }

    /// The token for its owner.
    pub(crate) fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.cart.uuid().as_bytes().as_slice(), &self.secret].concat())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, ***)", self.cart)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::{FakeClock, Timestamp};

    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let ids = Ids::new(Arc::new(FakeClock::new(Timestamp::from_micros(1_795_248_000_000_000))));
        let token = Token::mint(&ids, Shard::new(3));
        let text = token.reveal();
        assert!(text.len() <= 200 && text.bytes().all(|b| b.is_ascii_graphic()));
        assert_eq!(Token::parse(&text, 16, "X-Cart-Token").unwrap(), token);
        assert!(!format!("{token:?}").contains(&text[24..]), "the secret is not printed");
        let members = URL_SAFE_NO_PAD.encode(
            [CartId::derive(Shard::new(3), &[b"x"]).uuid().as_bytes().as_slice(), &[0; SECRET]].concat(),
        );
        for odd in ["", "abc", &text[1..], &format!("{text}AAAA"), &members] {
            let refused = Token::parse(odd, 16, "X-Cart-Token").unwrap_err();
            assert!(refused.is(code::TOKEN_INVALID), "{odd}");
            assert_eq!(refused.fields()[0].pointer, "X-Cart-Token");
        }
        assert!(Token::parse(&text, 3, "/token").is_err(), "shard 3 of 3 is not there");
    }
}
