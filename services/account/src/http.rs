//! Routes.

use std::{collections::BTreeSet, sync::Arc};

use actix_web::{delete, get, patch, post, put, web::Data};
use contracts::{
    Permission, UserId,
    account::{
        AccountView, Accounts, AddressId, AddressInput, AddressView, AssignRoles, AuditView, CreateStaff,
        ListAccounts, LogIn, RefreshSession, Register, ReplaceAddress, RoleView, TokenPair, UpdateAccount,
    },
};
use garde::Validate;
use kernel::{Failure, Page};
use platform_http::{Answer, Anyone, Member, Params, PathOf, Routes, Staff, Valid, created, no_content, ok};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountService, addresses::AddressChange};

/// Everything under `/api/v1/accounts`, `/sessions`, `/addresses`, `/admin/users`, `/admin/roles` and `/admin/audit`.
pub(crate) fn routes(service: Arc<AccountService>) -> Routes {
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&service) as Arc<dyn Accounts>))
            .app_data(Data::from(Arc::clone(&service)))
            .service(register)
            .service(me)
            .service(update_me)
            .service(log_in)
            .service(refresh)
            .service(log_out)
            .service(list_addresses)
            .service(add_address)
            .service(read_address)
            .service(replace_address)
            .service(change_address)
            .service(remove_address)
            .service(list_users)
            .service(read_user)
            .service(create_staff)
            .service(assign_roles)
            .service(list_roles)
            .service(put_role)
            .service(remove_role)
            .service(read_audit);
    })
}

/// Opens an account.
#[utoipa::path(tag = "accounts", request_body = Register, responses((status = 201, body = AccountView)))]
#[post("/api/v1/accounts")]
async fn register(accounts: Data<dyn Accounts>, Anyone(ctx): Anyone, Valid(body): Valid<Register>) -> Answer {
    let account = accounts.register(&ctx, body).await?;
    Ok(created("/api/v1/accounts/me", &account))
}

/// The caller's account.
#[utoipa::path(tag = "accounts", responses((status = 200, body = AccountView)))]
#[get("/api/v1/accounts/me")]
async fn me(accounts: Data<dyn Accounts>, Member(ctx): Member) -> Answer {
    Ok(ok(accounts.me(&ctx, ()).await?))
}

/// Changes the caller's account; absent fields stay.
#[utoipa::path(tag = "accounts", request_body = UpdateAccount, responses((status = 200, body = AccountView)))]
#[patch("/api/v1/accounts/me")]
async fn update_me(
    accounts: Data<dyn Accounts>,
    Member(ctx): Member,
    Valid(body): Valid<UpdateAccount>,
) -> Answer {
    Ok(ok(accounts.update_me(&ctx, body).await?))
}

/// Logs in.
#[utoipa::path(tag = "sessions", request_body = LogIn, responses((status = 201, body = TokenPair)))]
#[post("/api/v1/sessions")]
async fn log_in(accounts: Data<dyn Accounts>, Anyone(ctx): Anyone, Valid(body): Valid<LogIn>) -> Answer {
    Ok(created("/api/v1/sessions/current", accounts.log_in(&ctx, body).await?))
}

/// Trades a refresh token for a new pair.
#[utoipa::path(tag = "sessions", request_body = RefreshSession, responses((status = 200, body = TokenPair)))]
#[post("/api/v1/sessions/refresh")]
async fn refresh(
    accounts: Data<dyn Accounts>,
    Valid(body): Valid<RefreshSession>,
    req: actix_web::HttpRequest,
) -> Answer {
    // The access token that is being renewed may have expired, so it is not looked at.
    let ctx = platform_http::anonymous(&req)?;
    Ok(ok(accounts.refresh(&ctx, body).await?))
}

/// Logs out: the session's tokens are refused from now on.
#[utoipa::path(tag = "sessions", responses((status = 204)))]
#[delete("/api/v1/sessions/current")]
async fn log_out(accounts: Data<dyn Accounts>, Member(ctx): Member) -> Answer {
    accounts.log_out(&ctx, ()).await?;
    Ok(no_content())
}

/// The caller's addresses, the default first.
#[utoipa::path(tag = "addresses", responses((status = 200, body = Page<AddressView>)))]
#[get("/api/v1/addresses")]
async fn list_addresses(accounts: Data<dyn Accounts>, Member(ctx): Member) -> Answer {
    Ok(ok(Page { items: accounts.addresses(&ctx, ()).await?, next_cursor: None }))
}

/// Adds an address.
#[utoipa::path(tag = "addresses", request_body = AddressInput, responses((status = 201, body = AddressView)))]
#[post("/api/v1/addresses")]
async fn add_address(
    accounts: Data<dyn Accounts>,
    Member(ctx): Member,
    Valid(body): Valid<AddressInput>,
) -> Answer {
    let address = accounts.add_address(&ctx, body).await?;
    Ok(created(&format!("/api/v1/addresses/{}", address.id), &address))
}

/// One of the caller's addresses.
#[utoipa::path(tag = "addresses", params(("id" = AddressId, Path)), responses((status = 200, body = AddressView)))]
#[get("/api/v1/addresses/{id}")]
async fn read_address(
    accounts: Data<dyn Accounts>,
    Member(ctx): Member,
    PathOf(id): PathOf<AddressId>,
) -> Answer {
    Ok(ok(accounts.address(&ctx, id).await?))
}

/// Replaces an address. The default stays the default until another address is made it.
#[utoipa::path(
    tag = "addresses",
    params(("id" = AddressId, Path)),
    request_body = AddressInput,
    responses((status = 200, body = AddressView))
)]
#[put("/api/v1/addresses/{id}")]
async fn replace_address(
    accounts: Data<dyn Accounts>,
    Member(ctx): Member,
    PathOf(id): PathOf<AddressId>,
    Valid(address): Valid<AddressInput>,
) -> Answer {
    Ok(ok(accounts.replace_address(&ctx, ReplaceAddress { id, address }).await?))
}

/// Changes an address; absent fields stay.
#[utoipa::path(
    tag = "addresses",
    params(("id" = AddressId, Path)),
    request_body = AddressChange,
    responses((status = 200, body = AddressView))
)]
#[patch("/api/v1/addresses/{id}")]
async fn change_address(
    service: Data<AccountService>,
    Member(ctx): Member,
    PathOf(id): PathOf<AddressId>,
    Valid(change): Valid<AddressChange>,
) -> Answer {
    Ok(ok(service.change_address(&ctx, id, change).await?))
}

/// Removes an address; the newest of the others becomes the default when it was.
#[utoipa::path(tag = "addresses", params(("id" = AddressId, Path)), responses((status = 204)))]
#[delete("/api/v1/addresses/{id}")]
async fn remove_address(
    accounts: Data<dyn Accounts>,
    Member(ctx): Member,
    PathOf(id): PathOf<AddressId>,
) -> Answer {
    accounts.remove_address(&ctx, id).await?;
    Ok(no_content())
}

/// Accounts, newest first (`account.read`).
#[utoipa::path(tag = "users", params(ListAccounts), responses((status = 200, body = Page<AccountView>)))]
#[get("/api/v1/admin/users")]
async fn list_users(
    accounts: Data<dyn Accounts>,
    Staff(ctx): Staff,
    Params(query): Params<ListAccounts>,
) -> Answer {
    Ok(ok(accounts.accounts(&ctx, query).await?))
}

/// An account (`account.read`).
#[utoipa::path(tag = "users", params(("id" = UserId, Path)), responses((status = 200, body = AccountView)))]
#[get("/api/v1/admin/users/{id}")]
async fn read_user(service: Data<AccountService>, Staff(ctx): Staff, PathOf(id): PathOf<UserId>) -> Answer {
    Ok(ok(service.find_account(&ctx, id).await?))
}

/// Opens a staff account, or gives an existing account these roles and this password (`account.write`).
#[utoipa::path(tag = "users", request_body = CreateStaff, responses((status = 201, body = AccountView)))]
#[post("/api/v1/admin/users")]
async fn create_staff(
    accounts: Data<dyn Accounts>,
    Staff(ctx): Staff,
    Valid(body): Valid<CreateStaff>,
) -> Answer {
    let account = accounts.create_staff(&ctx, body).await?;
    Ok(created(&format!("/api/v1/admin/users/{}", account.id), &account))
}

/// The roles an account is to have.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleNames {
    /// Names of roles; empty for a shopper.
    #[garde(length(max = 20), inner(length(min = 1, max = 40)))]
    #[schema(max_items = 20)]
    roles: Vec<String>,
}

/// Gives an account exactly these roles; its sessions end when that changes anything (`account.write`).
#[utoipa::path(
    tag = "users",
    params(("id" = UserId, Path)),
    request_body = RoleNames,
    responses((status = 200, body = AccountView))
)]
#[put("/api/v1/admin/users/{id}/roles")]
async fn assign_roles(
    accounts: Data<dyn Accounts>,
    Staff(ctx): Staff,
    PathOf(account_id): PathOf<UserId>,
    Valid(body): Valid<RoleNames>,
) -> Answer {
    Ok(ok(accounts.assign_roles(&ctx, AssignRoles { account_id, roles: body.roles }).await?))
}

/// All roles (`account.read`).
#[utoipa::path(tag = "users", responses((status = 200, body = Page<RoleView>)))]
#[get("/api/v1/admin/roles")]
async fn list_roles(accounts: Data<dyn Accounts>, Staff(ctx): Staff) -> Answer {
    Ok(ok(Page { items: accounts.roles(&ctx, ()).await?, next_cursor: None }))
}

/// What a role is to allow.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleInput {
    /// The name in the path, where given.
    #[garde(skip)]
    #[serde(default)]
    name: Option<String>,
    /// What it allows.
    #[garde(skip)]
    permissions: BTreeSet<Permission>,
}

/// Makes or changes a role; the sessions of those who have it end when that changes anything (`account.write`).
#[utoipa::path(
    tag = "users",
    params(("name" = String, Path)),
    request_body = RoleInput,
    responses((status = 200, body = RoleView))
)]
#[put("/api/v1/admin/roles/{name}")]
async fn put_role(
    accounts: Data<dyn Accounts>,
    Staff(ctx): Staff,
    PathOf(name): PathOf<String>,
    Valid(body): Valid<RoleInput>,
) -> Answer {
    if body.name.is_some_and(|other| other != name) {
        return Err(Failure::invalid("/name", "is not the name in the path").into());
    }
    Ok(ok(accounts.put_role(&ctx, RoleView { name, permissions: body.permissions }).await?))
}

/// Removes a role that nobody has (`account.write`).
#[utoipa::path(tag = "users", params(("name" = String, Path)), responses((status = 204)))]
#[delete("/api/v1/admin/roles/{name}")]
async fn remove_role(
    accounts: Data<dyn Accounts>,
    Staff(ctx): Staff,
    PathOf(name): PathOf<String>,
) -> Answer {
    accounts.remove_role(&ctx, name).await?;
    Ok(no_content())
}

/// The audit log, newest first; `q` is the subject: an account's id, a role's name (`account.read`).
#[utoipa::path(tag = "users", params(ListAccounts), responses((status = 200, body = Page<AuditView>)))]
#[get("/api/v1/admin/audit")]
async fn read_audit(
    accounts: Data<dyn Accounts>,
    Staff(ctx): Staff,
    Params(query): Params<ListAccounts>,
) -> Answer {
    Ok(ok(accounts.audit(&ctx, query).await?))
}
