//! Accounts on a database in a temporary folder.

mod addresses;
mod jurisdictions;

use std::{sync::Arc, time::Duration};

use contracts::{
    Caller, Ctx, Permission, SessionId, UserId,
    account::{
        AccountView, Accounts, AssignRoles, CreateStaff, ListAccounts, LogIn, RefreshSession, Register,
        RoleView, TokenPair, UpdateAccount, code,
    },
};
use kernel::{Clock, FakeClock, Result, Timestamp};
use migrations::Migrator;
use platform_cache::Caches;
use platform_db::{Db, testing};
use platform_http::{Auth, TokenSigner};
use platform_regions::Regions;
use platform_runtime::SecretKey;
use sea_orm_migration::MigratorTrait;

use crate::{AccountConfig, AccountService, PasswordConfig};

struct Shop {
    db: Db,
    clock: Arc<FakeClock>,
    accounts: Arc<AccountService>,
    auth: Auth,
    _folder: tempfile::TempDir,
}

const PASSWORD: &str = "correct horse battery";

impl Shop {
    async fn new() -> Self {
        Self::among(Regions::single()).await
    }

    async fn among(regions: Regions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
        let config = testing::config(folder.path());
        let db = Db::open(&config, clock.clone()).await.unwrap();
        db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
        let signer = TokenSigner::new(&[7; 32]).unwrap();
        let password = PasswordConfig { memory_kib: 8, passes: 1, ..PasswordConfig::default() };
        let config =
            AccountConfig { password, max_addresses: 3, max_sessions: 20, ..AccountConfig::default() };
        let config = AccountConfig { jurisdictions: [("de".to_owned(), "eu".to_owned())].into(), ..config };
        let accounts = AccountService::among(
            db.clone(),
            &Caches::alone(clock.clone()),
            signer.clone(),
            SecretKey::from_bytes([9; 32]),
            config,
            regions,
        )
        .unwrap();
        let auth = Auth::new(&[signer.verifying_key()], accounts.clone(), clock.clone());
        Self { db, clock, accounts, auth, _folder: folder }
    }

    fn system(&self) -> Ctx {
        Ctx::system("test", self.clock.now().plus(Duration::from_secs(60)))
    }

    fn stranger(&self) -> Ctx {
        Ctx { caller: Caller::Anonymous, ..self.system() }
    }

    async fn register(&self, email: &str) -> Result<AccountView> {
        let command = Register {
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            name: "Ada".to_owned(),
            country: None,
        };
        self.accounts.register(&self.stranger(), command).await
    }

    async fn log_in(&self, email: &str, password: &str) -> Result<TokenPair> {
        let command = LogIn { email: email.to_owned(), password: password.to_owned() };
        self.accounts.log_in(&self.stranger(), command).await
    }

    async fn refresh(&self, token: &str) -> Result<TokenPair> {
        let command = RefreshSession { refresh_token: token.to_owned() };
        self.accounts.refresh(&self.stranger(), command).await
    }

    /// The context of a request with this access token.
    async fn with(&self, pair: &TokenPair) -> Result<Ctx> {
        let base = self.stranger();
        Ok(Ctx { caller: self.auth.identify(&base, &pair.access_token).await?, ..base })
    }

    async fn member(&self, email: &str) -> Ctx {
        self.register(email).await.unwrap();
        self.with(&self.log_in(email, PASSWORD).await.unwrap()).await.unwrap()
    }

    async fn staff(&self, email: &str, roles: &[&str]) -> AccountView {
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        let command = CreateStaff { email: email.to_owned(), password: PASSWORD.to_owned(), roles };
        self.accounts.create_staff(&self.system(), command).await.unwrap()
    }

    async fn role(&self, name: &str, permissions: &[Permission]) {
        let role = RoleView { name: name.to_owned(), permissions: permissions.iter().copied().collect() };
        self.accounts.put_role(&self.system(), role).await.unwrap();
    }

    async fn actions(&self) -> Vec<String> {
        let query = ListAccounts { limit: Some(100), ..ListAccounts::default() };
        let page = self.accounts.audit(&self.system(), query).await.unwrap();
        page.items.into_iter().map(|line| line.action).collect()
    }
}

#[tokio::test]
async fn an_email_is_registered_once_whatever_its_case_and_however_many_try() {
    let shop = Shop::new().await;
    let emails = ["ada@example.org", "Ada@Example.org", " ADA@EXAMPLE.ORG", "ada@example.org"];
    let outcomes = futures::future::join_all(emails.map(|email| shop.register(email))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    for taken in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(taken.is(code::EMAIL_TAKEN), "{taken:?}");
    }
    assert!(shop.register("ada@EXAMPLE.org").await.unwrap_err().is(code::EMAIL_TAKEN));
    let blank = Register {
        email: "b@example.org".into(),
        password: PASSWORD.into(),
        name: " \u{0} ".into(),
        country: None,
    };
    assert_eq!(
        shop.accounts.register(&shop.stranger(), blank).await.unwrap_err().fields()[0].pointer,
        "/name"
    );
}

#[tokio::test]
async fn unknown_emails_and_wrong_passwords_look_alike_and_lock_alike() {
    let shop = Shop::new().await;
    shop.register("ada@example.org").await.unwrap();
    for email in ["ada@example.org", "nobody@example.org"] {
        for _ in 0..10 {
            let refused = shop.log_in(email, "wrong").await.unwrap_err();
            assert!(refused.is(code::BAD_CREDENTIALS), "{refused:?}");
        }
        let locked = shop.log_in(email, PASSWORD).await.unwrap_err();
        assert!(locked.is(code::LOCKED), "{locked:?}");
        assert!((890..=901).contains(&locked.problem().retry_after.unwrap()), "{:?}", locked.problem());
    }
    shop.clock.advance(Duration::from_secs(901));
    shop.log_in(" Ada@example.org ", PASSWORD).await.unwrap();
    let actions = shop.actions().await;
    assert_eq!(actions.iter().filter(|action| *action == "account.locked").count(), 2);
    assert_eq!(actions.iter().filter(|action| *action == "account.login_failed").count(), 20);
}

#[tokio::test]
async fn guesses_at_once_count_like_guesses_in_turn() {
    let shop = Shop::new().await;
    shop.register("ada@example.org").await.unwrap();
    let guesses = (0..40).map(|_| shop.log_in("ada@example.org", "wrong"));
    let outcomes = futures::future::join_all(guesses).await;
    let wrong = outcomes.iter().filter(|o| o.as_ref().is_err_and(|f| f.is(code::BAD_CREDENTIALS))).count();
    assert_eq!(wrong, 10);
    assert!(shop.log_in("ada@example.org", PASSWORD).await.unwrap_err().is(code::LOCKED));
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_theft_ends_the_session() {
    let shop = Shop::new().await;
    shop.register("ada@example.org").await.unwrap();
    let first = shop.log_in("ada@example.org", PASSWORD).await.unwrap();
    let second = shop.refresh(&first.refresh_token).await.unwrap();
    assert_ne!(second.refresh_token, first.refresh_token);
    shop.clock.advance(Duration::from_secs(30));
    let retried = shop.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(retried.refresh_token, second.refresh_token, "a retry gets the same successor");
    let third = shop.refresh(&second.refresh_token).await.unwrap();
    shop.with(&third).await.unwrap();
    // Two generations old: known all the same, and theft.
    assert!(shop.refresh(&first.refresh_token).await.unwrap_err().is(code::TOKEN_INVALID));
    assert_eq!(shop.with(&third).await.unwrap_err().status(), 401);
    assert!(shop.refresh(&third.refresh_token).await.unwrap_err().is(code::TOKEN_INVALID));
    assert!(shop.actions().await.contains(&"account.refresh_reused".to_owned()));
}

#[tokio::test]
async fn a_made_up_token_ends_nothing() {
    let shop = Shop::new().await;
    shop.register("ada@example.org").await.unwrap();
    let pair = shop.log_in("ada@example.org", PASSWORD).await.unwrap();
    let mut forged = pair.refresh_token.clone();
    forged.replace_range(forged.len() - 4.., "AAAA");
    for token in [forged.as_str(), "", "x", "%%%"] {
        let refused = shop.refresh(token).await.unwrap_err();
        assert!(refused.is(code::TOKEN_INVALID), "{refused:?}");
    }
    shop.refresh(&pair.refresh_token).await.unwrap();
}

#[tokio::test]
async fn logging_out_counts_at_once() {
    let shop = Shop::new().await;
    shop.register("ada@example.org").await.unwrap();
    let pair = shop.log_in("ada@example.org", PASSWORD).await.unwrap();
    let ctx = shop.with(&pair).await.unwrap();
    shop.accounts.log_out(&ctx, ()).await.unwrap();
    assert_eq!(shop.with(&pair).await.unwrap_err().status(), 401);
    assert!(shop.refresh(&pair.refresh_token).await.is_err());
    shop.accounts.log_out(&ctx, ()).await.unwrap();
    let unknown: SessionId = shop.db.ids().mint(shop.db.random_shard());
    assert!(!shop.accounts.session_open(&shop.system(), unknown).await.unwrap());
}

#[tokio::test]
async fn tokens_and_sessions_end_by_themselves() {
    let shop = Shop::new().await;
    shop.register("ada@example.org").await.unwrap();
    let pair = shop.log_in("ada@example.org", PASSWORD).await.unwrap();
    assert_eq!((pair.expires_in, pair.token_type.as_str()), (900, "Bearer"));
    shop.clock.advance(Duration::from_secs(900));
    assert_eq!(shop.with(&pair).await.unwrap_err().status(), 401);
    shop.clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert!(shop.refresh(&pair.refresh_token).await.unwrap_err().is(code::TOKEN_INVALID));
    shop.clock.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(
        shop.accounts.sweep().await.unwrap(),
        "1 sessions, 0 counts of failures and 0 lines of the audit log removed"
    );
}

#[tokio::test]
async fn a_profile_changes_only_where_it_is_told_to() {
    let shop = Shop::new().await;
    let ctx = shop.member("ada@example.org").await;
    let change = UpdateAccount { locale: Some("zh-CN".into()), ..UpdateAccount::default() };
    shop.accounts.update_me(&ctx, change).await.unwrap();
    let change =
        UpdateAccount { name: Some("  爱达\u{1} 王 ".into()), phone: Some("+861".into()), locale: None };
    let account = shop.accounts.update_me(&ctx, change).await.unwrap();
    assert_eq!((account.name.as_str(), account.locale.as_str()), ("爱达 王", "zh-CN"));
    assert_eq!(shop.accounts.me(&ctx, ()).await.unwrap().phone.as_deref(), Some("+861"));
    let account = shop.accounts.update_me(&ctx, UpdateAccount::default()).await.unwrap();
    assert_eq!(account.phone.as_deref(), Some("+861"), "absent is not empty");
    for phone in ["861", "+86", "+8613800138000000", "+86 1380", " "] {
        let wrong = UpdateAccount { phone: Some(phone.into()), ..UpdateAccount::default() };
        assert_eq!(shop.accounts.update_me(&ctx, wrong).await.unwrap_err().fields()[0].pointer, "/phone");
    }
    let none = UpdateAccount { phone: Some(String::new()), ..UpdateAccount::default() };
    assert_eq!(shop.accounts.update_me(&ctx, none).await.unwrap().phone, None, "an empty one removes it");
    let wrong = UpdateAccount { locale: Some("fr".into()), ..UpdateAccount::default() };
    assert_eq!(shop.accounts.update_me(&ctx, wrong).await.unwrap_err().fields()[0].pointer, "/locale");
    assert_eq!(shop.accounts.me(&shop.stranger(), ()).await.unwrap_err().status(), 401);
}

#[tokio::test]
async fn rights_that_change_count_at_once() {
    let shop = Shop::new().await;
    shop.role("clerk", &[Permission::OrderRead]).await;
    let clerk = shop.staff("clerk@example.org", &["clerk"]).await;
    let pair = shop.log_in("clerk@example.org", PASSWORD).await.unwrap();
    assert!(shop.with(&pair).await.unwrap().may(Permission::OrderRead));
    // The role itself changes.
    shop.role("clerk", &[Permission::OrderRead, Permission::OrderWrite]).await;
    assert_eq!(shop.with(&pair).await.unwrap_err().status(), 401);
    let pair = shop.log_in("clerk@example.org", PASSWORD).await.unwrap();
    assert!(shop.with(&pair).await.unwrap().may(Permission::OrderWrite));
    // The same roles again change nothing.
    let same = AssignRoles { account_id: clerk.id, roles: vec!["clerk".into(), "clerk".into()] };
    shop.accounts.assign_roles(&shop.system(), same).await.unwrap();
    shop.with(&pair).await.unwrap();
    assert!(
        shop.accounts.remove_role(&shop.system(), "clerk".into()).await.unwrap_err().is(code::ROLE_IN_USE)
    );
    let none = AssignRoles { account_id: clerk.id, roles: Vec::new() };
    assert!(shop.accounts.assign_roles(&shop.system(), none).await.unwrap().roles.is_empty());
    assert_eq!(shop.with(&pair).await.unwrap_err().status(), 401);
    shop.accounts.remove_role(&shop.system(), "clerk".into()).await.unwrap();
    assert_eq!(shop.accounts.remove_role(&shop.system(), "clerk".into()).await.unwrap_err().status(), 404);
    let unknown = AssignRoles { account_id: clerk.id, roles: vec!["clerk".into()] };
    assert_eq!(
        shop.accounts.assign_roles(&shop.system(), unknown).await.unwrap_err().fields()[0].pointer,
        "/roles/0"
    );
}

#[tokio::test]
async fn nobody_makes_themselves_admin() {
    let shop = Shop::new().await;
    shop.role("hr", &[Permission::AccountRead, Permission::AccountWrite]).await;
    let hr = shop.staff("hr@example.org", &["hr"]).await;
    let admin = shop.staff("root@example.org", &["admin"]).await;
    let ctx = shop.with(&shop.log_in("hr@example.org", PASSWORD).await.unwrap()).await.unwrap();
    let status = |outcome: Result<AccountView>| outcome.unwrap_err().status();
    let promote = AssignRoles { account_id: hr.id, roles: vec!["admin".into()] };
    assert_eq!(status(shop.accounts.assign_roles(&ctx, promote).await), 403);
    let depose = AssignRoles { account_id: admin.id, roles: Vec::new() };
    assert_eq!(status(shop.accounts.assign_roles(&ctx, depose).await), 403);
    let take_over = CreateStaff {
        email: "root@example.org".into(),
        password: "another password".into(),
        roles: vec!["hr".into()],
    };
    assert_eq!(status(shop.accounts.create_staff(&ctx, take_over).await), 403);
    let widen = RoleView { name: "hr".into(), permissions: Permission::ALL.into() };
    assert_eq!(shop.accounts.put_role(&ctx, widen).await.unwrap_err().status(), 403);
    let admins = RoleView { name: "admin".into(), permissions: Default::default() };
    assert_eq!(shop.accounts.put_role(&shop.system(), admins).await.unwrap_err().status(), 409);
    let member = shop.member("ada@example.org").await;
    assert_eq!(shop.accounts.accounts(&member, ListAccounts::default()).await.unwrap_err().status(), 403);
    assert_eq!(shop.accounts.roles(&shop.stranger(), ()).await.unwrap_err().status(), 401);
}

#[tokio::test]
async fn an_existing_account_becomes_staff_with_a_new_password() {
    let shop = Shop::new().await;
    let member = shop.register("Ada@example.org").await.unwrap();
    let pair = shop.log_in("ada@example.org", PASSWORD).await.unwrap();
    // Asked for, the session is remembered as open: that it ended with the roles is to be heard of, too.
    shop.with(&pair).await.unwrap();
    let command = CreateStaff {
        email: "ada@EXAMPLE.org".into(),
        password: "a new password".into(),
        roles: vec!["admin".into()],
    };
    let staff = shop.accounts.create_staff(&shop.system(), command).await.unwrap();
    assert_eq!((staff.id, staff.roles), (member.id, vec!["admin".to_owned()]));
    assert_eq!(shop.with(&pair).await.unwrap_err().status(), 401);
    assert!(shop.log_in("ada@example.org", PASSWORD).await.is_err());
    let pair = shop.log_in("ada@example.org", "a new password").await.unwrap();
    assert!(shop.with(&pair).await.unwrap().may(Permission::PaymentRefund));
}

#[tokio::test]
async fn accounts_are_listed_newest_first_page_by_page() {
    let shop = Shop::new().await;
    let mut opened: Vec<UserId> = Vec::new();
    for n in 0..5 {
        shop.clock.advance(Duration::from_secs(1));
        opened.insert(0, shop.register(&format!("user_{n}@example.org")).await.unwrap().id);
    }
    shop.staff("100%@example.org", &["admin"]).await;
    let query = |q: &str, cursor| ListAccounts { q: Some(q.to_owned()), cursor, limit: Some(2) };
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = shop.accounts.accounts(&shop.system(), query("USER_", cursor)).await.unwrap();
        listed.extend(page.items.iter().map(|account| account.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, opened);
    let found = shop.accounts.accounts(&shop.system(), query("0%@", None)).await.unwrap().items;
    assert_eq!((found.len(), found[0].roles.as_slice()), (1, &["admin".to_owned()][..]));
    // One that was made up, one of another search.
    let other = shop.accounts.accounts(&shop.system(), query("user_", None)).await.unwrap().next_cursor;
    for cursor in [Some("%".to_owned()), other] {
        assert!(cursor.is_some());
        let refused = shop.accounts.accounts(&shop.system(), query("example", cursor)).await.unwrap_err();
        assert_eq!(refused.fields()[0].pointer, "cursor");
    }
}

#[tokio::test]
async fn the_audit_log_names_no_emails_and_no_secrets() {
    let shop = Shop::new().await;
    let ada = shop.register("ada@example.org").await.unwrap();
    let _ = shop.log_in("ada@example.org", "wrong").await;
    let _ = shop.log_in("nobody@example.org", "wrong").await;
    shop.log_in("ada@example.org", PASSWORD).await.unwrap();
    let query = ListAccounts { limit: Some(100), ..ListAccounts::default() };
    let log = shop.accounts.audit(&shop.system(), query).await.unwrap().items;
    assert_eq!(log.len(), 4);
    for line in &log {
        let text = format!("{line:?}");
        assert!(!text.contains("example.org") && !text.contains(PASSWORD), "{text}");
    }
    let query = ListAccounts { q: Some(ada.id.to_string()), ..ListAccounts::default() };
    assert_eq!(shop.accounts.audit(&shop.system(), query).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn one_more_session_than_a_user_may_have_ends_the_oldest() {
    let shop = Shop::new().await;
    shop.register("ada@example.org").await.unwrap();
    shop.register("bob@example.org").await.unwrap();
    let bob = shop.log_in("bob@example.org", PASSWORD).await.unwrap();
    let mut pairs = Vec::new();
    for _ in 0..22 {
        pairs.push(shop.log_in("ada@example.org", PASSWORD).await.unwrap());
        shop.clock.advance(Duration::from_secs(1));
    }
    let (ended, open) = pairs.split_at(2);
    for pair in ended {
        assert!(shop.with(pair).await.is_err(), "its access token is refused at once");
        assert!(shop.refresh(&pair.refresh_token).await.is_err());
    }
    for pair in open.iter().chain([&bob]) {
        assert!(shop.with(pair).await.is_ok());
    }
    assert_eq!(shop.actions().await.iter().filter(|action| *action == "account.session_ended").count(), 2);
}

#[tokio::test]
async fn the_audit_log_forgets_what_is_old_and_nothing_else() {
    let shop = Shop::new().await;
    shop.register("ada@example.org").await.unwrap();
    shop.clock.advance(Duration::from_secs(100 * 24 * 3600));
    shop.log_in("ada@example.org", PASSWORD).await.unwrap();
    shop.accounts.sweep().await.unwrap();
    assert_eq!(shop.actions().await.len(), 2);
    shop.clock.advance(AccountConfig::default().audit_kept - Duration::from_secs(50 * 24 * 3600));
    shop.accounts.sweep().await.unwrap();
    assert_eq!(shop.actions().await, ["account.logged_in"]);
}

/// The cache alone would believe it for an hour.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn with_redis_a_log_out_is_believed_in_other_processes_at_once() {
    let server = stack::Redis::start().unwrap();
    let shop = Shop::new().await;
    // No stall of a busy machine ends the link: what is kept from before it is believed for an hour here.
    let config = platform_cache::testing::patient(&[server.address()]);
    let mut processes = Vec::new();
    for _ in 0..2 {
        let redis = platform_cache::testing::open(&config).await;
        let password = PasswordConfig { memory_kib: 8, passes: 1, ..PasswordConfig::default() };
        let hour = Duration::from_secs(3600);
        let config = AccountConfig { password, session_cache: hour, ..AccountConfig::default() };
        let caches = Caches::new(shop.clock.clone(), Some(redis));
        let signer = TokenSigner::new(&[7; 32]).unwrap();
        let key = SecretKey::from_bytes([9; 32]);
        processes.push(AccountService::new(shop.db.clone(), &caches, signer, key, config).unwrap());
    }
    shop.register("ada@example.com").await.unwrap();
    let log_in = LogIn { email: "ada@example.com".to_owned(), password: PASSWORD.to_owned() };
    let pair = processes[0].log_in(&shop.stranger(), log_in).await.unwrap();
    let caller = shop.auth.identify(&shop.system(), &pair.access_token).await.unwrap();
    let Caller::User { session, .. } = &caller else { panic!("a user logged in") };
    let session = *session;
    for process in &processes {
        assert!(process.session_open(&shop.system(), session).await.unwrap());
    }
    let kept = server.keys("meridian:account_sessions*").unwrap();
    assert!(kept.len() == 1 && !kept[0].contains(&pair.access_token), "{kept:?}");
    let ctx = Ctx { caller, ..shop.system() };
    processes[0].log_out(&ctx, ()).await.unwrap();
    assert!(!processes[0].session_open(&shop.system(), session).await.unwrap());
    let start = std::time::Instant::now();
    while processes[1].session_open(&shop.system(), session).await.unwrap() {
        assert!(start.elapsed() < Duration::from_secs(60), "it was not heard of");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
