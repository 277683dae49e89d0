//! Accounts: identity, sessions, addresses, roles.

use std::collections::BTreeSet;

use garde::Validate;
use kernel::{Page, Timestamp, id_kinds};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Permission, UserId, event::event};

id_kinds! {
    /// An address in a shopper's book.
    AddressId, Address = "adr";
}

/// Error codes.
pub mod code {
    kernel::codes! {
        EMAIL_TAKEN = 409 "account.email_taken" "An account with this e-mail exists";
        BAD_CREDENTIALS = 401 "account.bad_credentials" "E-mail or password is wrong";
        LOCKED = 429 "account.locked" "Too many failed attempts; try again later";
        TOKEN_INVALID = 401 "account.token_invalid" "The token is not valid any more";
        ROLE_IN_USE = 409 "account.role_in_use" "The role is still assigned";
    }
}

/// Opens an account.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// E-mail, unique without regard to case.
    #[garde(email, length(max = 254))]
    #[schema(max_length = 254, format = Email)]
    pub email: String,
    /// 8 to 128 characters.
    #[garde(length(chars, min = 8, max = 128))]
    #[schema(format = Password, min_length = 8, max_length = 128)]
    pub password: String,
    /// How to address the person.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Where the person lives, ISO 3166-1 alpha-2: under whose law the account's data is kept (`account.jurisdictions`). Where it
    /// is not said, the region that is asked keeps it.
    #[garde(length(min = 2, max = 2), pattern("^[A-Z]{2}$"))]
    #[schema(min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    #[serde(default)]
    pub country: Option<String>,
}

/// Logs in.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// E-mail.
    #[garde(length(chars, min = 1, max = 254))]
    #[schema(min_length = 1, max_length = 254)]
    pub email: String,
    /// Password.
    #[garde(length(chars, min = 1, max = 128))]
    #[schema(format = Password, min_length = 1, max_length = 128)]
    pub password: String,
}

/// Trades a refresh token for a new pair.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshSession {
    /// The token of the last answer. Used twice it ends the session, except within 30 s, when the same successor is
    /// returned.
    #[garde(length(min = 1, max = 512))]
    #[schema(min_length = 1, max_length = 512)]
    pub refresh_token: String,
}

/// What a client needs to call on.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenPair {
    /// EdDSA JWT for `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token expires.
    pub expires_in: u32,
    /// Opaque, rotates at every use.
    pub refresh_token: String,
}

impl std::fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenPair(***)")
    }
}

/// An account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// Its id.
    pub id: UserId,
    /// E-mail as typed at registration, trimmed.
    pub email: String,
    /// Name.
    pub name: String,
    /// Phone in E.164, where given.
    pub phone: Option<String>,
    /// Preferred language: `en` or `zh-CN`.
    pub locale: String,
    /// Roles; empty for shoppers.
    pub roles: Vec<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When somebody last logged in.
    pub last_login_at: Option<Timestamp>,
}

/// Changes one's profile; absent fields stay.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAccount {
    /// Name.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Phone in E.164; an empty text removes it.
    #[garde(inner(custom(is_phone_or_none)))]
    #[schema(max_length = 16, pattern = "^([+][0-9]{3,15})?$")]
    pub phone: Option<String>,
    /// `en` or `zh-CN`.
    #[garde(inner(custom(is_locale)))]
    #[schema(pattern = "^(en|zh-CN)$")]
    pub locale: Option<String>,
}

fn is_phone_or_none(value: &str, (): &()) -> garde::Result {
    let digits = value.strip_prefix('+').unwrap_or("");
    let is_phone = (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if is_phone || value.is_empty() {
        Ok(())
    } else {
        Err(garde::Error::new("expected a number such as +14155550100, or nothing"))
    }
}

fn is_locale(value: &str, (): &()) -> garde::Result {
    if matches!(value, "en" | "zh-CN") { Ok(()) } else { Err(garde::Error::new("expected en or zh-CN")) }
}

/// An address to ship to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressInput {
    /// Who receives.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub recipient: String,
    /// Phone for the courier.
    #[garde(length(chars, min = 3, max = 32))]
    #[schema(min_length = 3, max_length = 32)]
    pub phone: String,
    /// ISO 3166-1 alpha-2, such as `US`.
    #[garde(custom(is_country))]
    #[schema(pattern = "^[A-Z]{2}$")]
    pub country: String,
    /// State or province.
    #[garde(length(chars, max = 100))]
    #[schema(max_length = 100)]
    #[serde(default)]
    pub region: String,
    /// City.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub city: String,
    /// District.
    #[garde(length(chars, max = 100))]
    #[schema(max_length = 100)]
    #[serde(default)]
    pub district: String,
    /// Street and number.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub line1: String,
    /// Flat, floor, company.
    #[garde(length(chars, max = 200))]
    #[schema(max_length = 200)]
    #[serde(default)]
    pub line2: String,
    /// Postal code.
    #[garde(length(chars, max = 20))]
    #[schema(max_length = 20)]
    #[serde(default)]
    pub postal_code: String,
    /// Whether checkout picks it by itself; the first address always is.
    #[garde(skip)]
    #[serde(default)]
    pub is_default: bool,
}

fn is_country(value: &str, (): &()) -> garde::Result {
    if value.len() == 2 && value.bytes().all(|b| b.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(garde::Error::new("expected two capital letters (ISO 3166-1), such as US"))
    }
}

/// An address in the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddressView {
    /// Its id.
    pub id: AddressId,
    /// The address.
    #[serde(flatten)]
    pub address: AddressInput,
}

/// Replaces an address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplaceAddress {
    /// Which.
    pub id: AddressId,
    /// By what.
    pub address: AddressInput,
}

/// Opens a staff account, or gives an existing account its roles and password.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
pub struct CreateStaff {
    /// E-mail.
    #[garde(email, length(max = 254))]
    #[schema(max_length = 254, format = Email)]
    pub email: String,
    /// Password, 12 to 128 characters.
    #[garde(length(chars, min = 12, max = 128))]
    #[schema(format = Password, min_length = 12, max_length = 128)]
    pub password: String,
    /// Roles that exist; `admin` always does.
    #[garde(length(min = 1, max = 20))]
    #[schema(min_items = 1, max_items = 20)]
    pub roles: Vec<String>,
}

/// Which accounts to list (staff).
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ListAccounts {
    /// Part of the e-mail or name.
    #[garde(length(chars, max = 100))]
    #[param(max_length = 100)]
    pub q: Option<String>,
    /// From the page before.
    #[garde(skip)]
    pub cursor: Option<String>,
    /// 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleView {
    /// Its name, `a-z` and `-`.
    #[garde(length(min = 1, max = 40), pattern("^[a-z][a-z0-9-]*$"))]
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z][a-z0-9-]*$")]
    pub name: String,
    /// What it allows.
    #[garde(skip)]
    pub permissions: BTreeSet<Permission>,
}

/// Gives an account exactly these roles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssignRoles {
    /// Whose.
    pub account_id: UserId,
    /// Names of roles.
    pub roles: Vec<String>,
}

/// A line of the audit log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    /// When.
    pub at: Timestamp,
    /// Who did it: an account id, `system` or `anonymous`.
    pub actor: String,
    /// What: `account.logged_in`, `role.changed`, …
    pub action: String,
    /// To what.
    pub subject: String,
    /// More, without secrets.
    pub detail: String,
}

/// A session of one's account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenSession {
    /// Whose.
    pub user_id: UserId,
}

contract! {
    /// Accounts and sessions.
    Accounts as "account", AccountsClient, AccountsDispatcher {
        /// Opens an account. `account.email_taken` when there is one.
        register(Register) -> AccountView;
        /// Opens a session. `account.bad_credentials` for unknown e-mails and wrong passwords alike.
        log_in(LogIn) -> TokenPair;
        /// Rotates a refresh token.
        refresh(RefreshSession) -> TokenPair;
        /// Ends the caller's session; its access token is refused from then on.
        log_out(()) -> ();
        /// Whether a session is still open (cached for seconds).
        session_open(crate::SessionId) -> bool;
        /// The caller's account.
        me(()) -> AccountView;
        /// Changes the caller's account.
        update_me(UpdateAccount) -> AccountView;
        /// The caller's addresses, the default first.
        addresses(()) -> Vec<AddressView>;
        /// One of the caller's addresses.
        address(AddressId) -> AddressView;
        /// Adds an address; at most 50.
        add_address(AddressInput) -> AddressView;
        /// Replaces an address.
        replace_address(ReplaceAddress) -> AddressView;
        /// Removes an address; the newest of the others becomes the default when it was.
        remove_address(AddressId) -> ();
        /// Opens a staff account (system or `account.write`).
        create_staff(CreateStaff) -> AccountView;
        /// Accounts, newest first (`account.read`).
        accounts(ListAccounts) -> Page<AccountView>;
        /// Gives roles (`account.write`).
        assign_roles(AssignRoles) -> AccountView;
        /// All roles (`account.read`).
        roles(()) -> Vec<RoleView>;
        /// Makes or changes a role (`account.write`); `admin` cannot be changed.
        put_role(RoleView) -> RoleView;
        /// Removes a role that nobody has (`account.write`).
        remove_role(String) -> ();
        /// The audit log, newest first (`account.read`); `q` filters by subject.
        audit(ListAccounts) -> Page<AuditView>;
    }
}

/// An account was opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountOpened {
    /// Which; no personal data crosses the log.
    pub user_id: UserId,
}
event!(AccountOpened, "account.opened.v1", |e| e.user_id);
