//! Opens an account.

use contracts::{
    Ctx, UserId,
    account::{AccountOpened, AccountView, Register, code},
};
use kernel::{Failure, Result};
use platform_db::is_duplicate;

use crate::{
    AccountService,
    model::{email_key, required, valid},
    store::{self, entity::account},
};

impl AccountService {
    /// Opens an account on a shard chosen at random. The e-mail's row decides between two at once.
    pub(crate) async fn register_account(&self, ctx: &Ctx, command: Register) -> Result<AccountView> {
        let command = Register { email: command.email.trim().to_owned(), ..command };
        valid(&command)?;
        let name = required("/name", &command.name)?;
        if store::owner_of(self.db.read(), &email_key(&command.email)).await?.is_some() {
            return Err(Failure::new(code::EMAIL_TAKEN));
        }
        let row = self.new_account(command.email, name, &command.password).await?;
        let user = UserId::from_uuid(row.id);
        let outcome = self
            .db
            .write(user.shard(), (row.clone(), ctx.principal()), |tx, (row, actor)| {
                Box::pin(async move {
                    let user = UserId::from_uuid(row.id);
                    match store::owner_of(tx, &row.email_key).await? {
                        // This very write, whose commit was not heard of.
                        Some(owner) if owner == user => return Ok(()),
                        Some(_) => return Err(Failure::new(code::EMAIL_TAKEN)),
                        None => store::insert_account(tx, row.clone()).await?,
                    }
                    store::note(tx, actor, "account.registered", &user.to_string(), "").await?;
                    tx.publish(&AccountOpened { user_id: user }).await
                })
            })
            .await;
        match outcome {
            Ok(()) => {
                metrics::counter!("account_registered_total").increment(1);
                Ok(store::view(row, Vec::new()))
            }
            Err(failure) if is_duplicate(&failure, "account_email") => Err(Failure::new(code::EMAIL_TAKEN)),
            Err(failure) => Err(failure),
        }
    }

    /// The row of an account that does not exist yet.
    pub(crate) async fn new_account(
        &self,
        email: String,
        name: String,
        password: &str,
    ) -> Result<account::Model> {
        let user: UserId = self.db.ids().mint(self.db.random_shard());
        Ok(account::Model {
            shard: store::shard(user.shard()),
            id: user.uuid(),
            email_key: email_key(&email),
            email,
            name,
            phone: None,
            locale: "en".to_owned(),
            password_hash: self.passwords.hash(password).await?,
            version: 1,
            created_at: self.db.now().micros(),
            last_login_at: None,
        })
    }
}
