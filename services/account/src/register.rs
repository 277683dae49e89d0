//! Opens an account.

use contracts::{
    Ctx, UserId,
    account::{AccountOpened, AccountView, Register, code},
    valid,
};
use kernel::{Failure, Result, Shard, code as general};
use platform_db::is_duplicate;

use crate::{
    AccountService,
    model::{email_key, required},
    store::{self, entity::account},
};

/// Whose law data is under where the configuration names no other.
const ANY: &str = "any";

impl AccountService {
    /// Opens an account on a shard of its country's jurisdiction, chosen at random; of this region, where no country is given. The e-mail's row decides between two at once.
    pub(crate) async fn register_account(&self, ctx: &Ctx, command: Register) -> Result<AccountView> {
        let command = Register { email: command.email.trim().to_owned(), ..command };
        valid(&command)?;
        let name = required("/name", &command.name)?;
        if store::owner_of(self.db.read(), &email_key(&command.email)).await?.is_some() {
            return Err(Failure::new(code::EMAIL_TAKEN));
        }
        let shard = self.shard_for(command.country.as_deref())?;
        let row = self.new_account(shard, command.email, name, &command.password).await?;
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

    /// Where an account of this country lives. `server.unavailable` where no region that serves keeps its data.
    fn shard_for(&self, country: Option<&str>) -> Result<Shard> {
        let Some(country) = country else { return Ok(self.db.random_shard()) };
        let jurisdiction = self.config.jurisdiction(country);
        let Some(shards) = self.regions.shards_under(jurisdiction.unwrap_or(ANY)) else {
            return Ok(self.db.random_shard());
        };
        if shards.is_empty() && jurisdiction.is_some() {
            return Err(Failure::new(general::UNAVAILABLE)
                .detail("no region that keeps data of this country serves right now")
                .retry_after(5));
        }
        Ok(self.db.random_of(&shards))
    }

    /// The row of an account that does not exist yet, on this shard.
    pub(crate) async fn new_account(
        &self,
        shard: Shard,
        email: String,
        name: String,
        password: &str,
    ) -> Result<account::Model> {
        let user: UserId = self.db.ids().mint(shard);
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
