//! Opens a session.
//!
//! An unknown e-mail and a wrong password get the same answer after as much work. Failures count per e-mail, whether or
//! not an account has it, so a lock tells nothing either.

use std::time::Duration;

use contracts::{
    SessionId, UserId,
    account::{LogIn, TokenPair, code},
    valid,
};
use kernel::{Failure, Result};

use crate::{
    AccountService,
    config::LockoutConfig,
    model::{Failures, email_key},
    password::is_bcrypt,
    store::{self, entity::session},
    token::{RefreshToken, email_hash},
};

/// What a write about a log-in came to.
enum Outcome {
    /// With the sessions that ended for it.
    Opened(Vec<SessionId>),
    Refused,
    Locked(Duration),
}

struct Attempt {
    email_hash: Vec<u8>,
    user: Option<UserId>,
    checked_hash: String,
    /// The hash that takes its place: of an account from another shop, the first time.
    fresh_hash: Option<String>,
    session: Option<session::Model>,
    rule: LockoutConfig,
    max_sessions: u32,
}

impl AccountService {
    pub(crate) async fn open_session(&self, command: LogIn) -> Result<TokenPair> {
        valid(&command)?;
        let key = email_key(&command.email);
        let email_hash = email_hash(self.secret.expose(), &key);
        if let Some(failures) = store::failures(self.db.read(), &email_hash).await?
            && let Some(wait) = failures.locked_for(self.db.now())
        {
            return Err(locked(wait));
        }
        let account = match store::owner_of(self.db.read(), &key).await? {
            Some(user) => store::account(self.db.read(), user).await?,
            None => None,
        };
        let checked_hash = account.as_ref().map(|account| account.password_hash.clone());
        let right = self.passwords.verify(&command.password, checked_hash.as_deref()).await?;
        let mut attempt = Attempt {
            email_hash,
            user: account.map(|account| UserId::from_uuid(account.id)),
            checked_hash: checked_hash.unwrap_or_default(),
            fresh_hash: None,
            session: None,
            rule: self.config.lockout.clone(),
            max_sessions: self.config.max_sessions,
        };
        match attempt.user {
            Some(user) if right => {
                let id: SessionId = self.db.ids().mint(user.shard());
                let token = RefreshToken::first(id);
                attempt.session = Some(self.new_session(user, &token));
                if is_bcrypt(&attempt.checked_hash) {
                    attempt.fresh_hash = Some(self.passwords.hash(&command.password).await?);
                }
                self.settle_attempt(attempt).await?;
                metrics::counter!("account_logins_total", "outcome" => "opened").increment(1);
                self.pair(user, id, token.text()).await
            }
            _ => {
                metrics::counter!("account_logins_total", "outcome" => "refused").increment(1);
                self.settle_attempt(attempt).await?;
                Err(Failure::new(code::BAD_CREDENTIALS))
            }
        }
    }

    fn new_session(&self, user: UserId, token: &RefreshToken) -> session::Model {
        let now = self.db.now();
        session::Model {
            shard: store::shard(user.shard()),
            id: token.session().uuid(),
            user_id: user.uuid(),
            refresh_hash: token.hash(),
            previous_hash: None,
            generation: 0,
            rotated_at: None,
            created_at: now.micros(),
            expires_at: now.plus(self.config.session_ttl).micros(),
            ended_at: None,
            end_reason: None,
        }
    }

    /// Writes down what became of an attempt. The lock is looked at again in the write: of many attempts at once, those
    /// that commit after the last allowed failure are refused, right or wrong.
    async fn settle_attempt(&self, attempt: Attempt) -> Result<()> {
        let shard =
            attempt.user.map_or_else(|| self.db.shard_of(&hex::encode(&attempt.email_hash)), UserId::shard);
        let outcome = self
            .db
            .write(shard, attempt, |tx, attempt| {
                Box::pin(async move {
                    let before = store::lock_failures(tx, &attempt.email_hash).await?;
                    if let Some(wait) = before.and_then(|before| before.locked_for(tx.now())) {
                        return Ok(Outcome::Locked(wait));
                    }
                    match (attempt.user, &attempt.session) {
                        (Some(user), Some(session)) => open(tx, attempt, before, user, session).await,
                        _ => refuse(tx, attempt, before).await,
                    }
                })
            })
            .await?;
        match outcome {
            Outcome::Opened(ended) => {
                self.forget(&ended).await;
                Ok(())
            }
            Outcome::Refused => Err(Failure::new(code::BAD_CREDENTIALS)),
            Outcome::Locked(wait) => Err(locked(wait)),
        }
    }
}

async fn open(
    tx: &platform_db::Tx,
    attempt: &Attempt,
    before: Option<Failures>,
    user: UserId,
    session: &session::Model,
) -> Result<Outcome> {
    let id = SessionId::from_uuid(session.id);
    if store::session(tx, id).await?.is_some() {
        // This very write, whose commit was not heard of.
        return Ok(Outcome::Opened(Vec::new()));
    }
    if !store::note_login(tx, user, &attempt.checked_hash).await? {
        // The password was changed since it was checked.
        return Ok(Outcome::Refused);
    }
    if let Some(fresh) = &attempt.fresh_hash {
        store::rehash(tx, user, &attempt.checked_hash, fresh).await?;
    }
    if before.is_some() {
        store::clear_failures(tx, &attempt.email_hash).await?;
    }
    platform_db::Rows::new().row(session.clone()).insert(tx).await?;
    store::note(tx, &user.to_string(), "account.logged_in", &user.to_string(), &format!("session {id}"))
        .await?;
    let ended = store::end_oldest_sessions(tx, user, id, attempt.max_sessions - 1).await?;
    for id in &ended {
        store::note(
            tx,
            "system",
            "account.session_ended",
            &user.to_string(),
            &format!("session {id}: too many"),
        )
        .await?;
    }
    Ok(Outcome::Opened(ended))
}

async fn refuse(tx: &platform_db::Tx, attempt: &Attempt, before: Option<Failures>) -> Result<Outcome> {
    let after = Failures::and_another(before, tx.now(), &attempt.rule);
    store::put_failures(tx, &attempt.email_hash, before.is_some(), after).await?;
    let subject = attempt.user.map_or_else(
        || format!("email:{}", &hex::encode(&attempt.email_hash)[..16]),
        |user| user.to_string(),
    );
    store::note(tx, "anonymous", "account.login_failed", &subject, "").await?;
    if after.locked_for(tx.now()).is_some() {
        let detail = format!("for {} s", attempt.rule.duration.as_secs());
        store::note(tx, "system", "account.locked", &subject, &detail).await?;
    }
    Ok(Outcome::Refused)
}

fn locked(wait: Duration) -> Failure {
    // Rounded up: who comes back then is not refused.
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    Failure::new(code::LOCKED).retry_after(seconds)
}
