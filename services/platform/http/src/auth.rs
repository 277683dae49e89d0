//! Access tokens: EdDSA JWTs (RFC 8037), made by the account service, checked here.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{Caller, Ctx, Permission, SessionId, UserId, account::Accounts};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use kernel::{Clock, Failure, Result, Timestamp, code};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Who our tokens say they are from.
pub const ISSUER: &str = "meridian";
/// The longest token that is looked at.
const MAX_TOKEN: usize = 8 * 1_024;
/// Tokens whose signature was checked and is not checked again.
const REMEMBERED: usize = 16_384;

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The user.
    pub sub: UserId,
    /// The session; when it ends the token is refused, whatever `exp` says.
    pub sid: SessionId,
    /// Not valid from this moment on, in seconds since 1970.
    pub exp: i64,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// [`ISSUER`].
    pub iss: String,
    /// What the user may do beyond their own things.
    pub permissions: BTreeSet<Permission>,
    /// The roles the permissions come from, for display.
    pub roles: Vec<String>,
}

impl AccessClaims {
    /// Claims of a token that is made now and lives for `lifetime`.
    pub fn new(
        user: UserId,
        session: SessionId,
        permissions: BTreeSet<Permission>,
        roles: Vec<String>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Self {
        Self {
            sub: user,
            sid: session,
            exp: now.plus(lifetime).seconds(),
            iat: now.seconds(),
            iss: ISSUER.to_owned(),
            permissions,
            roles,
        }
    }
}

/// Signs access tokens.
#[derive(Clone)]
pub struct TokenSigner {
    key: EncodingKey,
    public: [u8; 32],
    header: Header,
}

impl TokenSigner {
    /// A signer whose Ed25519 private key is `seed`.
    pub fn new(seed: &[u8; 32]) -> Result<Self> {
        let signing = SigningKey::from_bytes(seed);
        let der = signing.to_pkcs8_der().map_err(|error| Failure::internal(error.to_string()))?;
        let public = signing.verifying_key().to_bytes();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key_id(&public));
        Ok(Self { key: EncodingKey::from_ed_der(der.as_bytes()), public, header })
    }

    /// The key that checks what this signs.
    pub fn verifying_key(&self) -> [u8; 32] {
        self.public
    }

    /// The signed token.
    pub fn issue(&self, claims: &AccessClaims) -> Result<String> {
        encode(&self.header, claims, &self.key).map_err(Failure::internal)
    }
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSigner(***)")
    }
}

/// Finds out who calls.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    keys: Vec<(String, [u8; 32], DecodingKey)>,
    validation: Validation,
    accounts: Arc<dyn Accounts>,
    clock: Arc<dyn Clock>,
    remembered: Mutex<HashMap<[u8; 32], Arc<AccessClaims>>>,
}

impl Auth {
    /// Checks tokens by the Ed25519 keys `verifying_keys` (the current one and, while a rotation lasts, the one before)
    /// and sessions by `accounts`.
    pub fn new(verifying_keys: &[[u8; 32]], accounts: Arc<dyn Accounts>, clock: Arc<dyn Clock>) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "exp"]);
        // Expiry is checked below, by our clock.
        validation.validate_exp = false;
        let keys =
            verifying_keys.iter().map(|key| (key_id(key), *key, DecodingKey::from_ed_der(key))).collect();
        Self(Arc::new(Inner { keys, validation, accounts, clock, remembered: Mutex::default() }))
    }

    /// Who `token` belongs to. `auth.unauthenticated` when it is none of ours, has expired or its session has ended;
    /// `base` gives the deadline and the request id.
    pub async fn identify(&self, base: &Ctx, token: &str) -> Result<Caller> {
        let claims = self.claims(token)?;
        if claims.exp <= self.0.clock.now().seconds() {
            return Err(Failure::new(code::UNAUTHENTICATED).detail("the access token has expired"));
        }
        let ctx = Ctx::system(base.request_id.clone(), base.deadline);
        if !self.0.accounts.session_open(&ctx, claims.sid).await? {
            return Err(Failure::new(code::UNAUTHENTICATED).detail("the session has ended"));
        }
        Ok(Caller::User { id: claims.sub, session: claims.sid, permissions: claims.permissions.clone() })
    }

    /// Whom `token` names, by its signature alone: it may have expired, and its session may have ended.
    pub fn names(&self, token: &str) -> Option<UserId> {
        self.claims(token).ok().map(|claims| claims.sub)
    }

    /// The public keys as a JSON Web Key Set (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<_> = self.0.keys.iter().map(|(kid, key, _)| {
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": URL_SAFE_NO_PAD.encode(key),
            })
        }).collect();
        serde_json::json!({ "keys": keys })
    }

    /// What a token says, once its signature is known to be ours. A signature costs tens of microseconds, so tokens
    /// that passed are remembered by their hash.
    fn claims(&self, token: &str) -> Result<Arc<AccessClaims>> {
        if token.len() > MAX_TOKEN {
            return Err(refused());
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(claims) = self.remembered().get(&hash) {
            return Ok(claims.clone());
        }
        let kid = decode_header(token).map_err(|_| refused())?.kid.ok_or_else(refused)?;
        let (_, _, key) = self.0.keys.iter().find(|(id, ..)| *id == kid).ok_or_else(refused)?;
        let claims = decode::<AccessClaims>(token, key, &self.0.validation).map_err(|_| refused())?.claims;
        let claims = Arc::new(claims);
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            let now = self.0.clock.now().seconds();
            remembered.retain(|_, claims| claims.exp > now);
            if remembered.len() >= REMEMBERED {
                remembered.clear();
            }
        }
        remembered.insert(hash, claims.clone());
        Ok(claims)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<AccessClaims>>> {
        self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Auth").field(&self.0.keys.iter().map(|(kid, ..)| kid).collect::<Vec<_>>()).finish()
    }
}

fn refused() -> Failure {
    Failure::new(code::UNAUTHENTICATED).detail("the access token is not valid")
}

/// The key's JWK thumbprint (RFC 7638; RFC 8037, appendix A.3).
fn key_id(key: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(key);
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}
