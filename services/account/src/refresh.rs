//! Rotates refresh tokens.
//!
//! A token is good once. Who sends it again within the grace period gets the same successor: the answer was lost, or the
//! retry went through another region. Later it is theft, by whom nobody can tell, so the session ends.

use std::time::Duration;

use contracts::{
    SessionId, UserId,
    account::{TokenPair, code},
};
use kernel::{Failure, Result, Timestamp};
use platform_db::Tx;

use crate::{
    AccountService,
    store::{self, entity::session},
    token::RefreshToken,
};

struct Rotation {
    session: SessionId,
    presented: Vec<u8>,
    next: Vec<u8>,
    /// Whether the token was one of this session's before.
    old: bool,
    expires_at: Timestamp,
    grace: Duration,
}

/// What a rotation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Rotated(UserId),
    Reused,
    Unknown,
}

/// What a presented token is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presented {
    Current,
    JustUsed,
    Reused,
    Unknown,
}

impl AccountService {
    pub(crate) async fn rotate_token(&self, text: &str) -> Result<TokenPair> {
        let invalid = || Failure::new(code::TOKEN_INVALID);
        let token = RefreshToken::parse(text).ok_or_else(invalid)?;
        let row = store::session(self.db.read(), token.session()).await?.ok_or_else(invalid)?;
        let secret = self.secret.expose();
        let next = token.successor(secret);
        let rotation = Rotation {
            session: token.session(),
            presented: token.hash(),
            next: next.hash(),
            old: token.leads_to(&row.refresh_hash, row.generation, secret),
            expires_at: self.db.now().plus(self.config.session_ttl),
            grace: self.config.refresh_grace,
        };
        let outcome = self
            .db
            .write(token.session().shard(), rotation, |tx, rotation| {
                Box::pin(async move { rotate(tx, rotation).await })
            })
            .await?;
        match outcome {
            Outcome::Rotated(user) => self.pair(user, token.session(), next.text()).await,
            Outcome::Reused => {
                self.forget(&[token.session()]).await;
                metrics::counter!("account_refresh_reused_total").increment(1);
                tracing::warn!(session = %token.session(), "a refresh token was used again: the session has ended");
                Err(invalid())
            }
            Outcome::Unknown => Err(invalid()),
        }
    }
}

async fn rotate(tx: &Tx, rotation: &Rotation) -> Result<Outcome> {
    let Some(row) = store::lock_session(tx, rotation.session).await? else { return Ok(Outcome::Unknown) };
    if row.ended_at.is_some() || row.expires_at <= tx.now().micros() {
        return Ok(Outcome::Unknown);
    }
    let user = UserId::from_uuid(row.user_id);
    match judge(&row, rotation, tx.now()) {
        Presented::Current => {
            let rotated = store::rotate(tx, &row, rotation.next.clone(), rotation.expires_at).await?;
            Ok(if rotated { Outcome::Rotated(user) } else { Outcome::Unknown })
        }
        Presented::JustUsed => Ok(Outcome::Rotated(user)),
        Presented::Reused => {
            store::end_session(tx, rotation.session, "token_reused").await?;
            let detail = format!("session {}", rotation.session);
            store::note(tx, "anonymous", "account.refresh_reused", &user.to_string(), &detail).await?;
            Ok(Outcome::Reused)
        }
        Presented::Unknown => Ok(Outcome::Unknown),
    }
}

fn judge(row: &session::Model, rotation: &Rotation, now: Timestamp) -> Presented {
    if row.refresh_hash == rotation.presented {
        return Presented::Current;
    }
    if row.previous_hash.as_ref() == Some(&rotation.presented) {
        let rotated_at = Timestamp::from_micros(row.rotated_at.unwrap_or(0));
        return if now <= rotated_at.plus(rotation.grace) { Presented::JustUsed } else { Presented::Reused };
    }
    if rotation.old { Presented::Reused } else { Presented::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(current: &[u8], previous: Option<&[u8]>, rotated_at: i64) -> session::Model {
        session::Model {
            shard: 0,
            id: uuid::Uuid::nil(),
            user_id: uuid::Uuid::nil(),
            refresh_hash: current.to_vec(),
            previous_hash: previous.map(<[u8]>::to_vec),
            generation: 2,
            rotated_at: Some(rotated_at),
            created_at: 0,
            expires_at: i64::MAX,
            ended_at: None,
            end_reason: None,
        }
    }

    fn rotation(presented: &[u8], old: bool) -> Rotation {
        Rotation {
            session: SessionId::from_uuid(uuid::Uuid::nil()),
            presented: presented.to_vec(),
            next: Vec::new(),
            old,
            expires_at: Timestamp::default(),
            grace: Duration::from_secs(30),
        }
    }

    #[test]
    fn a_token_is_good_once_and_for_retries_within_the_grace_period() {
        let row = row(b"c", Some(b"b"), 0);
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        assert_eq!(judge(&row, &rotation(b"c", false), at(99)), Presented::Current);
        assert_eq!(judge(&row, &rotation(b"b", true), at(30)), Presented::JustUsed);
        assert_eq!(judge(&row, &rotation(b"b", true), at(31)), Presented::Reused);
        assert_eq!(judge(&row, &rotation(b"a", true), at(1)), Presented::Reused);
        assert_eq!(judge(&row, &rotation(b"x", false), at(1)), Presented::Unknown);
    }
}
