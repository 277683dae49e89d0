//! Ends sessions, and says whether one is open.

use contracts::{Caller, Ctx, SessionId};
use kernel::{Failure, Result, Timestamp, code};

use crate::{AccountService, store};

impl AccountService {
    /// Ends the caller's session. Again is harmless.
    pub(crate) async fn end_own_session(&self, ctx: &Ctx) -> Result<()> {
        let Caller::User { id, session, .. } = &ctx.caller else {
            return Err(Failure::new(code::UNAUTHENTICATED));
        };
        let (user, session) = (*id, *session);
        let ended = self
            .db
            .write(session.shard(), (user, session), |tx, &(user, session)| {
                Box::pin(async move {
                    if store::end_session(tx, session, "logged_out").await? {
                        let user = user.to_string();
                        store::note(tx, &user, "account.logged_out", &user, &format!("session {session}"))
                            .await?;
                    }
                    Ok(())
                })
            })
            .await;
        // Even when it failed: whether it was committed may be unknown.
        self.forget(&[session]).await;
        ended
    }

    /// Whether a session is open. What another process ended may be believed open here for `session_cache`, where there is
    /// no Redis by which it is heard of.
    pub(crate) async fn is_open(&self, session: SessionId) -> Result<bool> {
        let load = || async move {
            let row = store::session(self.db.read(), session).await?;
            Ok(row.filter(|row| row.ended_at.is_none()).map(|row| Timestamp::from_micros(row.expires_at)))
        };
        let now = self.db.now();
        match self.open.get_or_load(&session, load).await? {
            Some(until) if until > now => Ok(true),
            None => Ok(false),
            // Over, unless it was refreshed since that was read.
            Some(_) => {
                let until = self.open.get_or_load_since(&session, now, load).await?;
                Ok(until.is_some_and(|until| until > now))
            }
        }
    }
}
