//! The address book.
//!
//! As soon as there is an address, exactly one is the default: the first, until another is made it. A change locks the
//! account's row, so that two at once do not make two.

use contracts::{
    Ctx, UserId,
    account::{AddressId, AddressInput, AddressView, ReplaceAddress},
    valid,
};
use garde::Validate;
use kernel::{Failure, Result, code};
use platform_db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AccountService,
    model::clean,
    store::{self, entity::address},
};

/// A part of an address; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressChange {
    /// Who receives.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) recipient: Option<String>,
    /// Phone for the courier.
    #[garde(length(chars, min = 3, max = 32))]
    #[schema(min_length = 3, max_length = 32)]
    pub(crate) phone: Option<String>,
    /// ISO 3166-1 alpha-2, such as `US`.
    #[garde(pattern("^[A-Z]{2}$"))]
    #[schema(pattern = "^[A-Z]{2}$")]
    pub(crate) country: Option<String>,
    /// State or province.
    #[garde(length(chars, max = 100))]
    #[schema(max_length = 100)]
    pub(crate) region: Option<String>,
    /// City.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) city: Option<String>,
    /// District.
    #[garde(length(chars, max = 100))]
    #[schema(max_length = 100)]
    pub(crate) district: Option<String>,
    /// Street and number.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub(crate) line1: Option<String>,
    /// Flat, floor, company.
    #[garde(length(chars, max = 200))]
    #[schema(max_length = 200)]
    pub(crate) line2: Option<String>,
    /// Postal code.
    #[garde(length(chars, max = 20))]
    #[schema(max_length = 20)]
    pub(crate) postal_code: Option<String>,
    /// Whether checkout picks it by itself.
    #[garde(skip)]
    pub(crate) is_default: Option<bool>,
}

impl AddressChange {
    fn onto(self, known: AddressInput) -> AddressInput {
        AddressInput {
            recipient: self.recipient.unwrap_or(known.recipient),
            phone: self.phone.unwrap_or(known.phone),
            country: self.country.unwrap_or(known.country),
            region: self.region.unwrap_or(known.region),
            city: self.city.unwrap_or(known.city),
            district: self.district.unwrap_or(known.district),
            line1: self.line1.unwrap_or(known.line1),
            line2: self.line2.unwrap_or(known.line2),
            postal_code: self.postal_code.unwrap_or(known.postal_code),
            is_default: self.is_default.unwrap_or(known.is_default),
        }
    }
}

fn none() -> Failure {
    Failure::not_found("address")
}

impl AccountService {
    pub(crate) async fn list_addresses(&self, ctx: &Ctx) -> Result<Vec<AddressView>> {
        let rows = store::addresses(self.db.read(), ctx.user()?).await?;
        Ok(rows.into_iter().map(AddressView::from).collect())
    }

    pub(crate) async fn find_address(&self, ctx: &Ctx, id: AddressId) -> Result<AddressView> {
        let row = store::address(self.db.read(), ctx.user()?, id).await?;
        row.map(AddressView::from).ok_or_else(none)
    }

    pub(crate) async fn insert_address(&self, ctx: &Ctx, input: AddressInput) -> Result<AddressView> {
        let user = ctx.user()?;
        valid(&input)?;
        let id: AddressId = self.db.ids().mint(user.shard());
        let row = store::address_row(user, id, clean(input)?, self.db.now().micros());
        let most = self.config.max_addresses;
        let row = self
            .db
            .write(user.shard(), (user, row, most), |tx, (user, row, most)| {
                Box::pin(async move { insert(tx, *user, row.clone(), *most).await })
            })
            .await?;
        Ok(row.into())
    }

    pub(crate) async fn overwrite_address(&self, ctx: &Ctx, command: ReplaceAddress) -> Result<AddressView> {
        let user = ctx.user()?;
        valid(&command.address)?;
        let command = ReplaceAddress { address: clean(command.address)?, ..command };
        let row = self
            .db
            .write(user.shard(), (user, command), |tx, (user, command)| {
                Box::pin(overwrite(tx, *user, command.id, |_| Ok(command.address.clone())))
            })
            .await?;
        Ok(row.into())
    }

    /// Changes an address; what the change leaves out stays as it is when the change is written.
    pub(crate) async fn change_address(
        &self,
        ctx: &Ctx,
        id: AddressId,
        change: AddressChange,
    ) -> Result<AddressView> {
        let user = ctx.user()?;
        let row = self
            .db
            .write(user.shard(), (user, id, change), |tx, (user, id, change)| {
                Box::pin(overwrite(tx, *user, *id, |known| clean(change.clone().onto(known))))
            })
            .await?;
        Ok(row.into())
    }

    pub(crate) async fn delete_address(&self, ctx: &Ctx, id: AddressId) -> Result<()> {
        let user = ctx.user()?;
        self.db
            .write(user.shard(), (user, id), |tx, &(user, id)| {
                Box::pin(async move { delete(tx, user, id).await })
            })
            .await
    }
}

async fn lock_book(tx: &Tx, user: UserId) -> Result<Vec<address::Model>> {
    let account = store::lock_account(tx, user).await?.ok_or_else(|| Failure::not_found("account"))?;
    // Optimistic transactions do not see a row that was only read: the account is written, too.
    store::update_account(tx, &account).await?;
    store::addresses(tx, user).await
}

async fn insert(tx: &Tx, user: UserId, mut row: address::Model, most: u32) -> Result<address::Model> {
    let book = lock_book(tx, user).await?;
    if let Some(known) = book.iter().find(|known| known.id == row.id) {
        // This very write, whose commit was not heard of.
        return Ok(known.clone());
    }
    if book.len() >= most as usize {
        return Err(
            Failure::new(code::CONFLICT).detail(format!("an address book holds at most {most} addresses"))
        );
    }
    row.is_default |= book.is_empty();
    store::insert_address(tx, row.clone()).await?;
    if row.is_default && !book.is_empty() {
        store::set_default(tx, user, row.id).await?;
    }
    Ok(row)
}

/// Puts what `change` makes of an address in its place.
async fn overwrite(
    tx: &Tx,
    user: UserId,
    id: AddressId,
    change: impl FnOnce(AddressInput) -> Result<AddressInput> + Send,
) -> Result<address::Model> {
    let book = lock_book(tx, user).await?;
    let known = book.iter().find(|known| known.id == id.uuid()).ok_or_else(none)?;
    let address = change(AddressView::from(known.clone()).address)?;
    let mut row = store::address_row(user, id, address, known.created_at);
    // The default stays it until another is made it.
    row.is_default |= known.is_default;
    store::delete_address(tx, known).await?;
    store::insert_address(tx, row.clone()).await?;
    if row.is_default && !known.is_default {
        store::set_default(tx, user, row.id).await?;
    }
    Ok(row)
}

async fn delete(tx: &Tx, user: UserId, id: AddressId) -> Result<()> {
    let book = lock_book(tx, user).await?;
    let known = book.iter().find(|known| known.id == id.uuid()).ok_or_else(none)?;
    store::delete_address(tx, known).await?;
    let newest =
        book.iter().filter(|other| other.id != known.id).max_by_key(|other| (other.created_at, other.id));
    match newest {
        Some(newest) if known.is_default => store::set_default(tx, user, newest.id).await,
        _ => Ok(()),
    }
}
