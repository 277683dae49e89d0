//! All SQL of accounts and sessions; addresses and roles have files of their own.

mod addresses;
pub(crate) mod entity;
mod intake;
mod roles;

use contracts::{SessionId, UserId, account::AccountView};
use kernel::{Result, Shard, Timestamp};
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LikeExpr},
};
use uuid::Uuid;

pub(crate) use self::{addresses::*, intake::*, roles::*};
use crate::model::Failures;
use entity::{account, account_email, audit_log, login_failure, session};

/// A shard as the database keeps it.
pub(crate) fn shard(shard: Shard) -> i32 {
    i32::from(shard.number())
}

/// The key of a row of `user`.
pub(crate) fn key(user: UserId) -> (i32, Uuid) {
    (shard(user.shard()), user.uuid())
}

/// The view of an account with these roles.
pub(crate) fn view(row: account::Model, roles: Vec<String>) -> AccountView {
    AccountView {
        id: UserId::from_uuid(row.id),
        email: row.email,
        name: row.name,
        phone: row.phone,
        locale: row.locale,
        roles,
        created_at: Timestamp::from_micros(row.created_at),
        last_login_at: row.last_login_at.map(Timestamp::from_micros),
    }
}

pub(crate) async fn account(on: &impl ConnectionTrait, user: UserId) -> Result<Option<account::Model>> {
    account::Entity::find_by_id(key(user)).one(on).await.db()
}

/// Reads an account and keeps others from changing it, its roles and its addresses until the end of the write.
pub(crate) async fn lock_account(tx: &Tx, user: UserId) -> Result<Option<account::Model>> {
    account::Entity::find_by_id(key(user)).lock_exclusive().one(tx).await.db()
}

/// Who has this e-mail.
pub(crate) async fn owner_of(on: &impl ConnectionTrait, email_key: &str) -> Result<Option<UserId>> {
    let row = account_email::Entity::find_by_id(email_key.to_owned()).one(on).await.db()?;
    Ok(row.map(|row| UserId::from_uuid(row.user_id)))
}

/// Inserts an account with its e-mail.
pub(crate) async fn insert_account(tx: &Tx, row: account::Model) -> Result<()> {
    let email = account_email::Model { email: row.email_key.clone(), user_id: row.id };
    Rows::new().row(email).row(row).insert(tx).await
}

/// Writes the row back as it is now.
pub(crate) async fn update_account(tx: &Tx, row: &account::Model) -> Result<()> {
    account::Entity::update_many()
        .col_expr(account::Column::Name, Expr::value(row.name.clone()))
        .col_expr(account::Column::Phone, Expr::value(row.phone.clone()))
        .col_expr(account::Column::Locale, Expr::value(row.locale.clone()))
        .col_expr(account::Column::PasswordHash, Expr::value(row.password_hash.clone()))
        .col_expr(account::Column::Version, Expr::value(row.version + 1))
        .filter(account::Column::Shard.eq(row.shard))
        .filter(account::Column::Id.eq(row.id))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}

/// Notes a log-in, provided that the password is still the one that was checked.
pub(crate) async fn note_login(tx: &Tx, user: UserId, checked_hash: &str) -> Result<bool> {
    let (shard, id) = key(user);
    let done = account::Entity::update_many()
        .col_expr(account::Column::LastLoginAt, Expr::value(tx.now().micros()))
        .filter(account::Column::Shard.eq(shard))
        .filter(account::Column::Id.eq(id))
        .filter(account::Column::PasswordHash.eq(checked_hash))
        .exec(tx)
        .await
        .db()?;
    Ok(done.rows_affected == 1)
}

/// A page's position: when, and which among those.
pub(crate) type Position = (i64, Uuid);

/// Accounts, newest first, one more than `limit`; `q` is part of the e-mail or the name.
pub(crate) async fn accounts(
    on: &impl ConnectionTrait,
    q: Option<&str>,
    after: Option<Position>,
    limit: u32,
) -> Result<Vec<account::Model>> {
    let mut query = account::Entity::find();
    if let Some(q) = q {
        let part = contains(q);
        query = query.filter(
            Condition::any()
                .add(Expr::col(account::Column::EmailKey).like(contains(&q.to_lowercase())))
                .add(Expr::col(account::Column::Name).like(part)),
        );
    }
    if let Some((at, id)) = after {
        query =
            query.filter(Condition::any().add(account::Column::CreatedAt.lt(at)).add(
                Condition::all().add(account::Column::CreatedAt.eq(at)).add(account::Column::Id.lt(id)),
            ));
    }
    query
        .order_by_desc(account::Column::CreatedAt)
        .order_by_desc(account::Column::Id)
        .limit(u64::from(limit) + 1)
        .all(on)
        .await
        .db()
}

fn contains(text: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('!')
}

pub(crate) async fn session(on: &impl ConnectionTrait, id: SessionId) -> Result<Option<session::Model>> {
    session::Entity::find_by_id((shard(id.shard()), id.uuid())).one(on).await.db()
}

pub(crate) async fn lock_session(tx: &Tx, id: SessionId) -> Result<Option<session::Model>> {
    session::Entity::find_by_id((shard(id.shard()), id.uuid())).lock_exclusive().one(tx).await.db()
}

/// Puts `next` in the place of the token whose hash is `row.refresh_hash`; false when somebody was faster.
pub(crate) async fn rotate(
    tx: &Tx,
    row: &session::Model,
    next: Vec<u8>,
    expires_at: Timestamp,
) -> Result<bool> {
    let done = session::Entity::update_many()
        .col_expr(session::Column::PreviousHash, Expr::value(Some(row.refresh_hash.clone())))
        .col_expr(session::Column::RefreshHash, Expr::value(next))
        .col_expr(session::Column::Generation, Expr::value(row.generation + 1))
        .col_expr(session::Column::RotatedAt, Expr::value(tx.now().micros()))
        .col_expr(session::Column::ExpiresAt, Expr::value(expires_at.micros()))
        .filter(session::Column::Shard.eq(row.shard))
        .filter(session::Column::Id.eq(row.id))
        .filter(session::Column::RefreshHash.eq(row.refresh_hash.clone()))
        .filter(session::Column::EndedAt.is_null())
        .exec(tx)
        .await
        .db()?;
    Ok(done.rows_affected == 1)
}

/// Ends a session; false when it had ended.
pub(crate) async fn end_session(tx: &Tx, id: SessionId, reason: &str) -> Result<bool> {
    let done = session::Entity::update_many()
        .col_expr(session::Column::EndedAt, Expr::value(tx.now().micros()))
        .col_expr(session::Column::EndReason, Expr::value(reason))
        .filter(session::Column::Shard.eq(shard(id.shard())))
        .filter(session::Column::Id.eq(id.uuid()))
        .filter(session::Column::EndedAt.is_null())
        .exec(tx)
        .await
        .db()?;
    Ok(done.rows_affected == 1)
}

/// Ends all sessions of a user and says which they were.
pub(crate) async fn end_sessions(tx: &Tx, user: UserId, reason: &str) -> Result<Vec<SessionId>> {
    let (shard, id) = key(user);
    let open = session::Entity::find()
        .filter(session::Column::Shard.eq(shard))
        .filter(session::Column::UserId.eq(id))
        .filter(session::Column::EndedAt.is_null())
        .lock_exclusive()
        .all(tx)
        .await
        .db()?;
    session::Entity::update_many()
        .col_expr(session::Column::EndedAt, Expr::value(tx.now().micros()))
        .col_expr(session::Column::EndReason, Expr::value(reason))
        .filter(session::Column::Shard.eq(shard))
        .filter(session::Column::UserId.eq(id))
        .filter(session::Column::EndedAt.is_null())
        .exec(tx)
        .await
        .db()?;
    Ok(open.into_iter().map(|row| SessionId::from_uuid(row.id)).collect())
}

/// Ends the oldest sessions of a user: beside `new` at most `keep` others stay open. Says which they were. They are swept
/// like those that ran out by themselves.
pub(crate) async fn end_oldest_sessions(
    tx: &Tx,
    user: UserId,
    new: SessionId,
    keep: u32,
) -> Result<Vec<SessionId>> {
    let (shard, id) = key(user);
    let now = tx.now().micros();
    let oldest = session::Entity::find()
        .filter(session::Column::Shard.eq(shard))
        .filter(session::Column::UserId.eq(id))
        .filter(session::Column::EndedAt.is_null())
        .filter(session::Column::ExpiresAt.gt(now))
        .filter(session::Column::Id.ne(new.uuid()))
        .order_by_desc(session::Column::CreatedAt)
        .order_by_desc(session::Column::Id)
        .offset(u64::from(keep))
        // SQLite and MySQL take an offset only with a limit. What is above the bound is ended in each log-in.
        .limit(1_000)
        .all(tx)
        .await
        .db()?;
    if oldest.is_empty() {
        return Ok(Vec::new());
    }
    session::Entity::update_many()
        .col_expr(session::Column::EndedAt, Expr::value(now))
        .col_expr(session::Column::EndReason, Expr::value("too_many"))
        .col_expr(session::Column::ExpiresAt, Expr::value(now))
        .filter(session::Column::Shard.eq(shard))
        .filter(session::Column::Id.is_in(oldest.iter().map(|row| row.id)))
        .filter(session::Column::EndedAt.is_null())
        .exec(tx)
        .await
        .db()?;
    Ok(oldest.into_iter().map(|row| SessionId::from_uuid(row.id)).collect())
}

/// Removes up to `limit` lines of the audit log from before `before`, the oldest first.
pub(crate) async fn sweep_audit(tx: &Tx, before: Timestamp, limit: u64) -> Result<u64> {
    let old = audit_log::Entity::find()
        .filter(audit_log::Column::At.lt(before.micros()))
        .order_by_asc(audit_log::Column::At)
        .limit(limit)
        .all(tx)
        .await
        .db()?;
    for row in &old {
        audit_log::Entity::delete_by_id((row.shard, row.id)).exec(tx).await.db()?;
    }
    Ok(old.len() as u64)
}

/// Removes up to `limit` sessions that cannot be refreshed since before `before`.
pub(crate) async fn sweep_sessions(tx: &Tx, before: Timestamp, limit: u64) -> Result<u64> {
    let gone = session::Entity::find()
        .filter(session::Column::ExpiresAt.lt(before.micros()))
        .order_by_asc(session::Column::ExpiresAt)
        .limit(limit)
        .all(tx)
        .await
        .db()?;
    for row in &gone {
        session::Entity::delete_by_id((row.shard, row.id)).exec(tx).await.db()?;
    }
    Ok(gone.len() as u64)
}

pub(crate) async fn failures(on: &impl ConnectionTrait, email_hash: &[u8]) -> Result<Option<Failures>> {
    let row = login_failure::Entity::find_by_id(email_hash.to_vec()).one(on).await.db()?;
    Ok(row.map(|row| Failures {
        count: u32::try_from(row.failures).unwrap_or(0),
        since: Timestamp::from_micros(row.since),
        locked_until: row.locked_until.map(Timestamp::from_micros),
    }))
}

/// Reads failures that the write is going to decide by.
pub(crate) async fn lock_failures(tx: &Tx, email_hash: &[u8]) -> Result<Option<Failures>> {
    // The touched row is ours until the end of the write.
    login_failure::Entity::update_many()
        .col_expr(login_failure::Column::UpdatedAt, Expr::value(tx.now().micros()))
        .filter(login_failure::Column::EmailHash.eq(email_hash.to_vec()))
        .exec(tx)
        .await
        .db()?;
    failures(tx, email_hash).await
}

/// Writes failures; `known` says whether there is a row.
pub(crate) async fn put_failures(tx: &Tx, email_hash: &[u8], known: bool, failures: Failures) -> Result<()> {
    let count = i32::try_from(failures.count).unwrap_or(i32::MAX);
    let locked_until = failures.locked_until.map(Timestamp::micros);
    if !known {
        let row = login_failure::Model {
            email_hash: email_hash.to_vec(),
            failures: count,
            since: failures.since.micros(),
            locked_until,
            updated_at: tx.now().micros(),
        };
        return Rows::new().row(row).insert(tx).await;
    }
    login_failure::Entity::update_many()
        .col_expr(login_failure::Column::Failures, Expr::value(count))
        .col_expr(login_failure::Column::Since, Expr::value(failures.since.micros()))
        .col_expr(login_failure::Column::LockedUntil, Expr::value(locked_until))
        .filter(login_failure::Column::EmailHash.eq(email_hash.to_vec()))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}

/// Forgets the failures of an e-mail.
pub(crate) async fn clear_failures(tx: &Tx, email_hash: &[u8]) -> Result<()> {
    login_failure::Entity::delete_by_id(email_hash.to_vec()).exec(tx).await.db()?;
    Ok(())
}

/// Removes failures that nobody added to since `before`.
pub(crate) async fn sweep_failures(tx: &Tx, before: Timestamp) -> Result<u64> {
    let done = login_failure::Entity::delete_many()
        .filter(login_failure::Column::UpdatedAt.lt(before.micros()))
        .exec(tx)
        .await
        .db()?;
    Ok(done.rows_affected)
}

/// Writes a line of the audit log. No secrets and no e-mails in it.
pub(crate) async fn note(tx: &Tx, actor: &str, action: &str, subject: &str, detail: &str) -> Result<()> {
    let row = audit_log::Model {
        shard: shard(tx.shard()),
        id: tx.ids().uuid(tx.shard()),
        at: tx.now().micros(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: detail.chars().take(1_000).collect(),
    };
    Rows::new().row(row).insert(tx).await
}

/// The audit log, newest first, one line more than `limit`.
pub(crate) async fn audit(
    on: &impl ConnectionTrait,
    subject: Option<&str>,
    after: Option<Position>,
    limit: u32,
) -> Result<Vec<audit_log::Model>> {
    let mut query = audit_log::Entity::find();
    if let Some(subject) = subject {
        query = query.filter(audit_log::Column::Subject.eq(subject));
    }
    if let Some((at, id)) = after {
        query = query.filter(
            Condition::any()
                .add(audit_log::Column::At.lt(at))
                .add(Condition::all().add(audit_log::Column::At.eq(at)).add(audit_log::Column::Id.lt(id))),
        );
    }
    query
        .order_by_desc(audit_log::Column::At)
        .order_by_desc(audit_log::Column::Id)
        .limit(u64::from(limit) + 1)
        .all(on)
        .await
        .db()
}
