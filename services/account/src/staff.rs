//! Staff: opens their accounts, gives roles, lists accounts.
//!
//! A change of what an account may do ends its sessions: the new rights count at once, not at the next refresh.

use contracts::{
    Ctx, Permission, SessionId, UserId,
    account::{AccountOpened, AccountView, AssignRoles, CreateStaff, ListAccounts},
    valid,
};
use kernel::{Cursors, Failure, Page, Result, page_limit};
use platform_db::{Tx, is_duplicate};

use crate::{
    AccountService,
    model::{Actor, email_key, required},
    store::{self, entity::account},
};

/// The most roles of one account.
const MOST_ROLES: usize = 20;

impl AccountService {
    /// Opens a staff account, or gives an existing account these roles and this password.
    pub(crate) async fn open_staff_account(&self, ctx: &Ctx, command: CreateStaff) -> Result<AccountView> {
        ctx.require(Permission::AccountWrite)?;
        let command = CreateStaff { email: command.email.trim().to_owned(), ..command };
        valid(&command)?;
        let roles = distinct(command.roles)?;
        let name = required("/email", command.email.split('@').next().unwrap_or_default())?;
        let fresh = self
            .new_account(
                self.db.random_shard(),
                command.email,
                name.chars().take(100).collect(),
                &command.password,
            )
            .await?;
        let actor = Actor::of(ctx);
        // The second try finds the account that was opened at the same time.
        let mut outcome = self.write_staff(fresh.clone(), &roles, &actor).await;
        if outcome.as_ref().is_err_and(|failure| is_duplicate(failure, "account_email")) {
            outcome = self.write_staff(fresh, &roles, &actor).await;
        }
        let (row, ended) = outcome?;
        self.forget(&ended).await;
        Ok(store::view(row, roles))
    }

    async fn write_staff(
        &self,
        fresh: account::Model,
        roles: &[String],
        actor: &Actor,
    ) -> Result<(account::Model, Vec<SessionId>)> {
        let known = store::owner_of(self.db.read(), &email_key(&fresh.email)).await?;
        let shard = known.unwrap_or(UserId::from_uuid(fresh.id)).shard();
        self.db
            .write(
                shard,
                (fresh, known, roles.to_vec(), actor.clone()),
                |tx, (fresh, known, roles, actor)| {
                    Box::pin(async move {
                        actor.must_have(&store::lock_roles(tx, roles).await?)?;
                        match known {
                            Some(user) => renew(tx, *user, fresh, roles, actor).await,
                            None => open(tx, fresh, roles, actor).await,
                        }
                    })
                },
            )
            .await
    }

    /// Gives an account exactly these roles.
    pub(crate) async fn give_roles(&self, ctx: &Ctx, command: AssignRoles) -> Result<AccountView> {
        ctx.require(Permission::AccountWrite)?;
        let roles = distinct(command.roles)?;
        let user = command.account_id;
        let (row, ended) = self
            .db
            .write(user.shard(), (user, roles.clone(), Actor::of(ctx)), |tx, (user, roles, actor)| {
                Box::pin(async move {
                    actor.must_have(&store::lock_roles(tx, roles).await?)?;
                    let row = lock(tx, *user).await?;
                    let ended = set_roles(tx, *user, roles, actor).await?;
                    Ok((row, ended))
                })
            })
            .await?;
        self.forget(&ended).await;
        Ok(store::view(row, roles))
    }

    /// Any account (`account.read`).
    pub(crate) async fn find_account(&self, ctx: &Ctx, user: UserId) -> Result<AccountView> {
        ctx.require(Permission::AccountRead)?;
        let row = store::account(self.db.read(), user).await?.ok_or_else(|| Failure::not_found("account"))?;
        self.view_of(row).await
    }

    /// Accounts, newest first.
    pub(crate) async fn list_accounts(&self, ctx: &Ctx, query: ListAccounts) -> Result<Page<AccountView>> {
        ctx.require(Permission::AccountRead)?;
        valid(&query)?;
        let limit = page_limit(query.limit)?;
        let q = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
        let cursors = Cursors::of("account.accounts", &q);
        let after = cursors.read(query.cursor.as_deref())?;
        let rows = store::accounts(self.db.read(), q, after, limit).await?;
        let page = cursors.page(rows, limit, |row| (row.created_at, row.id));
        let ids: Vec<_> = page.items.iter().map(|row| row.id).collect();
        let mut roles = store::roles_of_many(self.db.read(), &ids).await?;
        Ok(page.map(|row| {
            let roles = roles.remove(&row.id).unwrap_or_default();
            store::view(row, roles)
        }))
    }
}

/// Names of roles in order, each once.
fn distinct(mut roles: Vec<String>) -> Result<Vec<String>> {
    if roles.len() > MOST_ROLES {
        return Err(Failure::invalid("/roles", format!("an account has at most {MOST_ROLES} roles")));
    }
    roles.sort();
    roles.dedup();
    Ok(roles)
}

async fn lock(tx: &Tx, user: UserId) -> Result<account::Model> {
    let row = store::lock_account(tx, user).await?.ok_or_else(|| Failure::not_found("account"))?;
    store::update_account(tx, &row).await?;
    Ok(row)
}

async fn open(
    tx: &Tx,
    fresh: &account::Model,
    roles: &[String],
    actor: &Actor,
) -> Result<(account::Model, Vec<SessionId>)> {
    let user = UserId::from_uuid(fresh.id);
    if store::owner_of(tx, &fresh.email_key).await? == Some(user) {
        // This very write, whose commit was not heard of.
        return Ok((fresh.clone(), Vec::new()));
    }
    store::insert_account(tx, fresh.clone()).await?;
    store::replace_roles(tx, user, roles).await?;
    store::note(tx, &actor.name, "account.staff_created", &user.to_string(), &roles.join(", ")).await?;
    tx.publish(&AccountOpened { user_id: user }).await?;
    Ok((fresh.clone(), Vec::new()))
}

async fn renew(
    tx: &Tx,
    user: UserId,
    fresh: &account::Model,
    roles: &[String],
    actor: &Actor,
) -> Result<(account::Model, Vec<SessionId>)> {
    let mut row = lock(tx, user).await?;
    let mut ended = set_roles(tx, user, roles, actor).await?;
    row.password_hash.clone_from(&fresh.password_hash);
    store::update_account(tx, &row).await?;
    store::note(tx, &actor.name, "account.password_changed", &user.to_string(), "").await?;
    // Those that ended with the roles are over by now, and no less to be forgotten.
    ended.extend(store::end_sessions(tx, user, "password_changed").await?);
    Ok((row, ended))
}

/// Replaces roles; the sessions end when anything changes.
async fn set_roles(tx: &Tx, user: UserId, roles: &[String], actor: &Actor) -> Result<Vec<SessionId>> {
    let before = store::roles_of(tx, user).await?;
    // Whoever may change roles cannot take away more than they have: an admin's account is for admins.
    actor.must_have(&store::permissions(tx, &before).await?)?;
    if before == roles {
        return Ok(Vec::new());
    }
    store::replace_roles(tx, user, roles).await?;
    let detail = format!("from [{}] to [{}]", before.join(", "), roles.join(", "));
    store::note(tx, &actor.name, "account.roles_changed", &user.to_string(), &detail).await?;
    store::end_sessions(tx, user, "roles_changed").await
}
