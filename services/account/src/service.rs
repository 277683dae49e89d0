//! The dependencies, and the contract by delegation.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use contracts::{
    Ctx, SessionId, UserId,
    account::{
        AccountView, Accounts, AddressId, AddressInput, AddressView, AssignRoles, AuditView, CreateStaff,
        ListAccounts, LogIn, RefreshSession, Register, ReplaceAddress, RoleView, TokenPair, UpdateAccount,
    },
};
use kernel::{Page, Result, Timestamp};
use platform_cache::{Cache, Caches, Codec, Settings};
use platform_db::Db;
use platform_http::{AccessClaims, TokenSigner};
use platform_regions::Regions;
use platform_runtime::SecretKey;

use crate::{config::AccountConfig, password::Passwords, store};

/// Sessions a process remembers.
const REMEMBERED_SESSIONS: u64 = 100_000;

/// How long a process that hears of ended sessions believes that one is open, and how long Redis does: bounds for the rare
/// end that nobody was told of.
const LINKED: Duration = Duration::from_secs(60);
const SHARED: Duration = Duration::from_secs(600);

/// Accounts, sessions, addresses and roles over one database.
pub struct AccountService {
    pub(crate) db: Db,
    pub(crate) signer: TokenSigner,
    pub(crate) secret: SecretKey,
    pub(crate) config: AccountConfig,
    pub(crate) passwords: Passwords,
    /// Until when sessions are open.
    pub(crate) open: Cache<SessionId, Timestamp>,
    pub(crate) regions: Regions,
}

impl AccountService {
    /// A service that signs access tokens with `signer`. `secret` derives successors of refresh tokens and hides e-mails
    /// in the table of failures: all processes of an installation share it. Fails on a configuration that cannot work.
    pub fn new(
        db: Db,
        caches: &Caches,
        signer: TokenSigner,
        secret: SecretKey,
        config: AccountConfig,
    ) -> Result<Arc<Self>> {
        Self::among(db, caches, signer, secret, config, Regions::single())
    }

    /// The same in a region: new accounts get shards of their country's jurisdiction.
    pub fn among(
        db: Db,
        caches: &Caches,
        signer: TokenSigner,
        secret: SecretKey,
        config: AccountConfig,
        regions: Regions,
    ) -> Result<Arc<Self>> {
        config.validate()?;
        let passwords = Passwords::new(&config.password)?;
        let settings = Settings::new("account_sessions", REMEMBERED_SESSIONS, config.session_cache)
            .linked_ttl(LINKED)
            .far_ttl(SHARED);
        let open = caches.shared(settings, Codec::json());
        Ok(Arc::new(Self { db, signer, secret, config, passwords, open, regions }))
    }

    /// The account with these roles, as everybody sees it.
    pub(crate) async fn view_of(&self, row: store::entity::account::Model) -> Result<AccountView> {
        let roles = store::roles_of(self.db.read(), UserId::from_uuid(row.id)).await?;
        Ok(store::view(row, roles))
    }

    /// The answer to a log-in or a refresh: an access token for `session` and this refresh token.
    pub(crate) async fn pair(
        &self,
        user: UserId,
        session: SessionId,
        refresh_token: String,
    ) -> Result<TokenPair> {
        let roles = store::roles_of(self.db.read(), user).await?;
        let permissions = store::permissions(self.db.read(), &roles).await?;
        let lifetime = self.config.access_token_ttl;
        let claims = AccessClaims::new(user, session, permissions, roles, self.db.now(), lifetime);
        Ok(TokenPair {
            access_token: self.signer.issue(&claims)?,
            token_type: "Bearer".to_owned(),
            expires_in: u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX),
            refresh_token,
        })
    }

    /// Forgets sessions that have ended, so that this process, and those that hear of it, refuse their tokens from now on.
    pub(crate) async fn forget(&self, sessions: &[SessionId]) {
        if !sessions.is_empty() {
            self.open.invalidate_many(sessions).await;
        }
    }
}

impl std::fmt::Debug for AccountService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountService").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl Accounts for AccountService {
    async fn register(&self, ctx: &Ctx, command: Register) -> Result<AccountView> {
        self.register_account(ctx, command).await
    }

    async fn log_in(&self, _ctx: &Ctx, command: LogIn) -> Result<TokenPair> {
        self.open_session(command).await
    }

    async fn refresh(&self, _ctx: &Ctx, command: RefreshSession) -> Result<TokenPair> {
        self.rotate_token(&command.refresh_token).await
    }

    async fn log_out(&self, ctx: &Ctx, (): ()) -> Result<()> {
        self.end_own_session(ctx).await
    }

    async fn session_open(&self, _ctx: &Ctx, session: SessionId) -> Result<bool> {
        self.is_open(session).await
    }

    async fn me(&self, ctx: &Ctx, (): ()) -> Result<AccountView> {
        self.own_account(ctx).await
    }

    async fn update_me(&self, ctx: &Ctx, command: UpdateAccount) -> Result<AccountView> {
        self.update_own_account(ctx, command).await
    }

    async fn addresses(&self, ctx: &Ctx, (): ()) -> Result<Vec<AddressView>> {
        self.list_addresses(ctx).await
    }

    async fn address(&self, ctx: &Ctx, id: AddressId) -> Result<AddressView> {
        self.find_address(ctx, id).await
    }

    async fn add_address(&self, ctx: &Ctx, input: AddressInput) -> Result<AddressView> {
        self.insert_address(ctx, input).await
    }

    async fn replace_address(&self, ctx: &Ctx, command: ReplaceAddress) -> Result<AddressView> {
        self.overwrite_address(ctx, command).await
    }

    async fn remove_address(&self, ctx: &Ctx, id: AddressId) -> Result<()> {
        self.delete_address(ctx, id).await
    }

    async fn create_staff(&self, ctx: &Ctx, command: CreateStaff) -> Result<AccountView> {
        self.open_staff_account(ctx, command).await
    }

    async fn accounts(&self, ctx: &Ctx, query: ListAccounts) -> Result<Page<AccountView>> {
        self.list_accounts(ctx, query).await
    }

    async fn assign_roles(&self, ctx: &Ctx, command: AssignRoles) -> Result<AccountView> {
        self.give_roles(ctx, command).await
    }

    async fn roles(&self, ctx: &Ctx, (): ()) -> Result<Vec<RoleView>> {
        self.list_roles(ctx).await
    }

    async fn put_role(&self, ctx: &Ctx, role: RoleView) -> Result<RoleView> {
        self.write_role(ctx, role).await
    }

    async fn remove_role(&self, ctx: &Ctx, name: String) -> Result<()> {
        self.delete_role(ctx, name).await
    }

    async fn audit(&self, ctx: &Ctx, query: ListAccounts) -> Result<Page<AuditView>> {
        self.read_audit(ctx, query).await
    }
}
