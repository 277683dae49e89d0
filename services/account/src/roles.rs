//! Roles: names for sets of permissions. `admin` is built in.

use contracts::{
    Ctx, Permission, SessionId,
    account::{RoleView, code as account_code},
    valid,
};
use kernel::{Failure, Result, code};
use platform_db::Tx;

use crate::{
    AccountService,
    model::{ADMIN, Actor},
    store,
};

/// The most roles there are.
const MOST_ROLES: usize = 500;

impl AccountService {
    pub(crate) async fn list_roles(&self, ctx: &Ctx) -> Result<Vec<RoleView>> {
        ctx.require(Permission::AccountRead)?;
        let admin = RoleView { name: ADMIN.to_owned(), permissions: Permission::ALL.into() };
        let others = store::roles(self.db.read()).await?;
        Ok(std::iter::once(admin)
            .chain(others.into_iter().map(|(name, permissions)| RoleView { name, permissions }))
            .collect())
    }

    /// Makes or changes a role. The sessions of all who have it end when it changes.
    pub(crate) async fn write_role(&self, ctx: &Ctx, role: RoleView) -> Result<RoleView> {
        ctx.require(Permission::AccountWrite)?;
        valid(&role)?;
        not_admin(&role.name)?;
        let ended = self
            .db
            .write(self.db.shard_of(&role.name), (role.clone(), Actor::of(ctx)), |tx, (role, actor)| {
                Box::pin(async move { write(tx, role, actor).await })
            })
            .await?;
        self.forget(&ended).await;
        Ok(role)
    }

    /// Removes a role that nobody has.
    pub(crate) async fn delete_role(&self, ctx: &Ctx, name: String) -> Result<()> {
        ctx.require(Permission::AccountWrite)?;
        not_admin(&name)?;
        self.db
            .write(self.db.shard_of(&name), (name, Actor::of(ctx)), |tx, (name, actor)| {
                Box::pin(async move {
                    let allowed =
                        store::lock_role(tx, name).await?.ok_or_else(|| Failure::not_found("role"))?;
                    actor.must_have(&allowed)?;
                    if store::count_holders(tx, name).await? > 0 {
                        return Err(Failure::new(account_code::ROLE_IN_USE));
                    }
                    store::delete_role(tx, name).await?;
                    store::note(tx, &actor.name, "role.removed", name, "").await
                })
            })
            .await
    }
}

fn not_admin(name: &str) -> Result<()> {
    if name == ADMIN {
        return Err(Failure::new(code::CONFLICT).detail("the role admin is built in and stays as it is"));
    }
    Ok(())
}

async fn write(tx: &Tx, role: &RoleView, actor: &Actor) -> Result<Vec<SessionId>> {
    let before = store::lock_role(tx, &role.name).await?;
    actor.must_have(&role.permissions)?;
    match &before {
        Some(before) if *before == role.permissions => return Ok(Vec::new()),
        Some(before) => actor.must_have(before)?,
        None if store::roles(tx).await?.len() >= MOST_ROLES => {
            return Err(Failure::new(code::CONFLICT)
                .detail(format!("there are {MOST_ROLES} roles, which is the most")));
        }
        None => {}
    }
    store::put_role(tx, &role.name, &role.permissions, before.is_some()).await?;
    let detail = serde_json::to_string(&role.permissions).map_err(Failure::internal)?;
    store::note(tx, &actor.name, "role.changed", &role.name, &detail).await?;
    let mut ended = Vec::new();
    for user in store::holders(tx, &role.name).await? {
        ended.extend(store::end_sessions(tx, user, "role_changed").await?);
    }
    Ok(ended)
}
