//! One's own account.

use contracts::{
    Ctx, UserId,
    account::{AccountView, UpdateAccount},
    valid,
};
use kernel::{Failure, Result};

use crate::{AccountService, model::required, store};

impl AccountService {
    pub(crate) async fn own_account(&self, ctx: &Ctx) -> Result<AccountView> {
        let row = store::account(self.db.read(), ctx.user()?)
            .await?
            .ok_or_else(|| Failure::not_found("account"))?;
        self.view_of(row).await
    }

    pub(crate) async fn update_own_account(&self, ctx: &Ctx, command: UpdateAccount) -> Result<AccountView> {
        let user = ctx.user()?;
        valid(&command)?;
        let name = command.name.as_deref().map(|name| required("/name", name)).transpose()?;
        let command = UpdateAccount { name, ..command };
        let row = self
            .db
            .write(user.shard(), (user, command), |tx, (user, command)| {
                Box::pin(async move { update(tx, *user, command).await })
            })
            .await?;
        self.view_of(row).await
    }
}

async fn update(
    tx: &platform_db::Tx,
    user: UserId,
    command: &UpdateAccount,
) -> Result<store::entity::account::Model> {
    let mut row = store::lock_account(tx, user).await?.ok_or_else(|| Failure::not_found("account"))?;
    if let Some(name) = &command.name {
        row.name.clone_from(name);
    }
    if let Some(phone) = &command.phone {
        row.phone = Some(phone.clone()).filter(|phone| !phone.is_empty());
    }
    if let Some(locale) = &command.locale {
        row.locale.clone_from(locale);
    }
    store::update_account(tx, &row).await?;
    Ok(row)
}
