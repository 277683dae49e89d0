//! Identity, sessions, addresses, staff.

use std::slice;

use contracts::{
    Caller, Ctx, Permission, SessionId, UserId,
    account::{
        AddressId, AddressInput, AssignRoles, CreateStaff, ListAccounts, LogIn, RefreshSession, Register,
        ReplaceAddress, RoleView, UpdateAccount, code,
    },
};
use kernel::{Result, Shard, code as general};

use super::{
    callers::{nobody, pages, refused, same, staff, system, user},
    fixture::Fixture,
    goods::{PASSWORD, address},
};

const NAME: &str = "Ada 爱达 🪐 O'Néill \"<b>\\";

pub(crate) async fn an_account_is_opened_once_and_shows_what_it_was_told(shop: &Fixture) -> Result<()> {
    let accounts = &shop.contracts.accounts;
    let told = Register {
        email: "  Ada@Example.com ".to_owned(),
        password: PASSWORD.to_owned(),
        name: NAME.to_owned(),
        country: Some("DE".to_owned()),
    };
    let opened = accounts.register(&nobody(), told.clone()).await?;
    assert_eq!((opened.email.as_str(), opened.name.as_str()), ("Ada@Example.com", NAME));
    assert_eq!((&opened.phone, opened.locale.as_str(), opened.last_login_at), (&None, "en", None));
    assert!(opened.roles.is_empty());
    let ada = user(opened.id, &[]);
    same(&accounts.me(&ada, ()).await?, &opened);

    let again = Register { email: "ADA@example.COM".to_owned(), country: None, ..told.clone() };
    refused(accounts.register(&nobody(), again).await, code::EMAIL_TAKEN, &[]);
    let wrong = Register {
        email: "nobody".to_owned(),
        password: "short".to_owned(),
        name: String::new(),
        country: Some("de".to_owned()),
    };
    let fields = ["/country", "/email", "/name", "/password"];
    refused(accounts.register(&nobody(), wrong).await, general::INVALID, &fields);

    let phone = UpdateAccount {
        phone: Some("+4930123456".to_owned()),
        locale: Some("zh-CN".to_owned()),
        ..UpdateAccount::default()
    };
    let changed = accounts.update_me(&ada, phone).await?;
    assert_eq!((changed.name.as_str(), changed.locale.as_str()), (NAME, "zh-CN"));
    assert_eq!(changed.phone.as_deref(), Some("+4930123456"));
    same(&accounts.update_me(&ada, UpdateAccount::default()).await?, &changed);
    let blank = UpdateAccount { name: Some(" ".to_owned()), ..UpdateAccount::default() };
    refused(accounts.update_me(&ada, blank).await, general::INVALID, &["/name"]);
    refused(accounts.update_me(&nobody(), UpdateAccount::default()).await, general::UNAUTHENTICATED, &[]);
    refused(accounts.me(&nobody(), ()).await, general::UNAUTHENTICATED, &[]);
    refused(accounts.me(&staff(&[]), ()).await, general::NOT_FOUND, &[]);
    Ok(())
}

pub(crate) async fn a_session_opens_rotates_and_ends(shop: &Fixture) -> Result<()> {
    let accounts = &shop.contracts.accounts;
    let (account, ctx) = shop.member("grace").await?;
    let log_in = |email: &str, password: &str| {
        let command = LogIn { email: email.to_owned(), password: password.to_owned() };
        async move { accounts.log_in(&nobody(), command).await }
    };
    refused(log_in("grace@example.com", "wrong password").await, code::BAD_CREDENTIALS, &[]);
    refused(log_in("stranger@example.com", PASSWORD).await, code::BAD_CREDENTIALS, &[]);
    let first = log_in("Grace@Example.com", PASSWORD).await?;
    assert_eq!((first.token_type.as_str(), first.expires_in), ("Bearer", 900));
    assert!(accounts.me(&ctx, ()).await?.last_login_at.is_some());
    let session = newest_session(shop, account.id).await?;
    assert!(accounts.session_open(&system(), session).await?);
    let never = SessionId::derive(Shard::new(3), &[b"never"]);
    assert!(!accounts.session_open(&system(), never).await?);

    let refresh = |token: &str| {
        let command = RefreshSession { refresh_token: token.to_owned() };
        async move { accounts.refresh(&nobody(), command).await }
    };
    let second = refresh(&first.refresh_token).await?;
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_eq!(refresh(&first.refresh_token).await?.refresh_token, second.refresh_token, "a retry");
    refused(refresh("none of ours").await, code::TOKEN_INVALID, &[]);

    let caller = Caller::User { id: account.id, session, permissions: [].into() };
    let inside = Ctx { caller, ..system() };
    accounts.log_out(&inside, ()).await?;
    accounts.log_out(&inside, ()).await?;
    assert!(!accounts.session_open(&system(), session).await?);
    refused(refresh(&second.refresh_token).await, code::TOKEN_INVALID, &[]);
    refused(accounts.log_out(&nobody(), ()).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}

/// The session that the audit log says was opened last.
async fn newest_session(shop: &Fixture, of: UserId) -> Result<SessionId> {
    let query = ListAccounts { q: Some(of.to_string()), ..ListAccounts::default() };
    let lines = shop.contracts.accounts.audit(&system(), query).await?.items;
    let opened = lines.iter().find(|line| line.action == "account.logged_in").expect("a line of the log-in");
    assert_eq!((&opened.actor, &opened.subject), (&of.to_string(), &of.to_string()));
    Ok(opened.detail.strip_prefix("session ").and_then(|id| id.parse().ok()).expect("the session's id"))
}

pub(crate) async fn too_many_failures_say_when_to_come_back(shop: &Fixture) -> Result<()> {
    let try_it = async || {
        let command = LogIn { email: "victim@example.com".to_owned(), password: "a guess".to_owned() };
        shop.contracts.accounts.log_in(&nobody(), command).await
    };
    for _ in 0..10 {
        refused(try_it().await, code::BAD_CREDENTIALS, &[]);
    }
    let after = refused(try_it().await, code::LOCKED, &[]).problem().retry_after.expect("when");
    assert!((1..=901).contains(&after), "{after}");
    Ok(())
}

pub(crate) async fn addresses_are_their_shoppers_own(shop: &Fixture) -> Result<()> {
    let accounts = &shop.contracts.accounts;
    let (_, ctx) = shop.member("joan").await?;
    let (_, other) = shop.member("jean").await?;
    assert!(accounts.addresses(&ctx, ()).await?.is_empty());
    let told = AddressInput { city: "台北市".to_owned(), country: "TW".to_owned(), ..address(NAME) };
    let first = accounts.add_address(&ctx, told.clone()).await?;
    assert_eq!(first.address, AddressInput { is_default: true, ..told });
    let second = accounts.add_address(&ctx, address("Joan")).await?;
    assert!(!second.address.is_default);
    assert_eq!(accounts.addresses(&ctx, ()).await?, [first.clone(), second.clone()]);
    assert_eq!(accounts.address(&ctx, second.id).await?, second);

    let chosen = AddressInput { is_default: true, ..address("Joan Clarke") };
    let replace = ReplaceAddress { id: second.id, address: chosen.clone() };
    assert_eq!(accounts.replace_address(&ctx, replace.clone()).await?.address, chosen);
    let order: Vec<AddressId> = accounts.addresses(&ctx, ()).await?.iter().map(|it| it.id).collect();
    assert_eq!(order, [second.id, first.id], "the default comes first");
    accounts.remove_address(&ctx, second.id).await?;
    assert_eq!(accounts.addresses(&ctx, ()).await?, slice::from_ref(&first));

    refused(accounts.address(&ctx, second.id).await, general::NOT_FOUND, &[]);
    refused(accounts.address(&other, first.id).await, general::NOT_FOUND, &[]);
    refused(accounts.remove_address(&other, first.id).await, general::NOT_FOUND, &[]);
    let theirs = ReplaceAddress { id: first.id, ..replace };
    refused(accounts.replace_address(&other, theirs).await, general::NOT_FOUND, &[]);
    refused(accounts.addresses(&nobody(), ()).await, general::UNAUTHENTICATED, &[]);
    let abroad = AddressInput { country: "us".to_owned(), ..address("Joan") };
    refused(accounts.add_address(&ctx, abroad).await, general::INVALID, &["/country"]);
    let blank = AddressInput { city: " ".to_owned(), ..address("Joan") };
    refused(accounts.add_address(&ctx, blank).await, general::INVALID, &["/city"]);
    for n in 1..50 {
        accounts.add_address(&ctx, address(&format!("Joan {n}"))).await?;
    }
    assert_eq!(accounts.addresses(&ctx, ()).await?.len(), 50);
    refused(accounts.add_address(&ctx, address("Joan")).await, general::CONFLICT, &[]);
    Ok(())
}

pub(crate) async fn roles_say_what_staff_may_do(shop: &Fixture) -> Result<()> {
    let accounts = &shop.contracts.accounts;
    let keeper = staff(&[Permission::AccountRead, Permission::AccountWrite, Permission::CatalogRead]);
    let role = |name: &str, permissions: &[Permission]| RoleView {
        name: name.to_owned(),
        permissions: permissions.iter().copied().collect(),
    };
    let reader = role("reader", &[Permission::CatalogRead]);
    same(&accounts.put_role(&keeper, reader.clone()).await?, &reader);
    let idle = role("idle", &[]);
    same(&accounts.put_role(&keeper, idle.clone()).await?, &idle);
    let all = accounts.roles(&keeper, ()).await?;
    let admin = all.iter().find(|role| role.name == "admin").expect("the built-in role");
    assert_eq!(admin.permissions, Permission::ALL.into());
    same(&all.into_iter().find(|role| role.name == "reader"), &Some(reader));

    let greedy = role("cashier", &[Permission::PaymentRefund]);
    refused(accounts.put_role(&keeper, greedy).await, general::FORBIDDEN, &[]);
    refused(accounts.put_role(&system(), role("admin", &[])).await, general::CONFLICT, &[]);
    refused(accounts.put_role(&keeper, role("No Name", &[])).await, general::INVALID, &["/name"]);
    refused(accounts.roles(&staff(&[]), ()).await, general::FORBIDDEN, &[]);
    refused(accounts.put_role(&nobody(), idle).await, general::UNAUTHENTICATED, &[]);

    let hire = |password: &str, roles: &[&str]| CreateStaff {
        email: "clerk@example.com".to_owned(),
        password: password.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    let clerk = accounts.create_staff(&keeper, hire(PASSWORD, &["reader", "idle"])).await?;
    assert_eq!(
        (clerk.email.as_str(), clerk.roles.as_slice()),
        ("clerk@example.com", &["idle", "reader"].map(str::to_owned)[..])
    );
    refused(
        accounts.create_staff(&keeper, hire("short", &[])).await,
        general::INVALID,
        &["/password", "/roles"],
    );
    let unknown = accounts.create_staff(&keeper, hire(PASSWORD, &["idle", "无"])).await;
    let unknown = refused(unknown, general::INVALID, &["/roles/1"]);
    assert_eq!(unknown.fields()[0].detail, "there is no role \"无\"");
    refused(accounts.create_staff(&staff(&[]), hire(PASSWORD, &["idle"])).await, general::FORBIDDEN, &[]);

    refused(accounts.remove_role(&keeper, "reader".to_owned()).await, code::ROLE_IN_USE, &[]);
    let none = AssignRoles { account_id: clerk.id, roles: Vec::new() };
    assert!(accounts.assign_roles(&keeper, none.clone()).await?.roles.is_empty());
    refused(accounts.assign_roles(&staff(&[]), none.clone()).await, general::FORBIDDEN, &[]);
    let stranger = AssignRoles { account_id: UserId::derive(Shard::new(2), &[b"stranger"]), ..none };
    refused(accounts.assign_roles(&keeper, stranger).await, general::NOT_FOUND, &[]);
    accounts.remove_role(&keeper, "reader".to_owned()).await?;
    refused(accounts.remove_role(&keeper, "reader".to_owned()).await, general::NOT_FOUND, &[]);
    Ok(())
}

pub(crate) async fn accounts_and_the_audit_log_are_read_in_pages(shop: &Fixture) -> Result<()> {
    let accounts = &shop.contracts.accounts;
    let reader = staff(&[Permission::AccountRead]);
    let mut opened = Vec::new();
    for name in ["reader-one", "reader-two", "reader-three"] {
        opened.push(shop.member(name).await?.0.id);
    }
    opened.reverse();
    let query = |q: &str, cursor, limit| ListAccounts { q: Some(q.to_owned()), cursor, limit: Some(limit) };
    let found = pages(async |cursor| accounts.accounts(&reader, query("READER-", cursor, 2)).await).await?;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(found.concat().iter().map(|account| account.id).collect::<Vec<_>>(), opened);
    let none = accounts.accounts(&reader, query("no such account", None, 100)).await?;
    assert!(none.items.is_empty() && none.next_cursor.is_none());

    accounts.put_role(&system(), RoleView { name: "paged".to_owned(), permissions: [].into() }).await?;
    accounts.remove_role(&system(), "paged".to_owned()).await?;
    let lines = pages(async |cursor| accounts.audit(&reader, query("paged", cursor, 1)).await).await?;
    let actions: Vec<_> = lines.concat().into_iter().map(|line| line.action).collect();
    assert_eq!(actions, ["role.removed", "role.changed"]);

    let odd = query("x", Some("none of ours".to_owned()), 1);
    refused(accounts.accounts(&reader, odd.clone()).await, general::INVALID, &["cursor"]);
    refused(accounts.audit(&reader, odd).await, general::INVALID, &["cursor"]);
    refused(accounts.accounts(&reader, query("x", None, 101)).await, general::INVALID, &["/limit"]);
    refused(accounts.accounts(&staff(&[]), query("x", None, 1)).await, general::FORBIDDEN, &[]);
    refused(accounts.audit(&nobody(), query("x", None, 1)).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}
