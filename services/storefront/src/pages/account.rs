//! `/account`: profile, address book, the way out.

use actix_web::http::StatusCode;
use askama::Template;
use contracts::account::{AccountView, AddressId, AddressView, UpdateAccount};

use crate::{
    error::Answer,
    flash::Flash,
    forms::{Field, Issues, Posted},
    frame::Frame,
    locale::Locale,
    pages::addresses,
    visitor::Visitor,
};

/// An address in the book.
pub(crate) struct AddressRow {
    pub(crate) id: AddressId,
    pub(crate) recipient: String,
    pub(crate) lines: Vec<String>,
    pub(crate) is_default: bool,
}

#[derive(Template)]
#[template(path = "account.html")]
pub(crate) struct AccountPage {
    pub(crate) page: Frame,
    pub(crate) issues: Issues,
    pub(crate) email: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) addresses: Vec<AddressRow>,
    /// Whether the account has a role: staff find their pages from here.
    pub(crate) staff: bool,
}

/// `GET /account`.
pub(crate) async fn account(visitor: Visitor) -> Answer {
    visitor.member("/account")?;
    show(&visitor, StatusCode::OK, None, Issues::default()).await
}

async fn show(visitor: &Visitor, status: StatusCode, posted: Option<Posted>, issues: Issues) -> Answer {
    let accounts = &visitor.shop().accounts;
    let ctx = visitor.ctx();
    let (account, addresses) = futures::try_join!(accounts.me(&ctx, ()), accounts.addresses(&ctx, ()))?;
    let frame = visitor.frame(visitor.text("account-title")).at("/account");
    visitor.show(status, &view(frame, &account, &addresses, posted, issues))
}

/// The page of an account.
pub(crate) fn view(
    page: Frame,
    account: &AccountView,
    addresses: &[AddressView],
    posted: Option<Posted>,
    issues: Issues,
) -> AccountPage {
    let locale = page.locale;
    let posted = posted.unwrap_or_else(|| {
        Posted::of([
            ("name", account.name.clone()),
            ("phone", account.phone.clone().unwrap_or_default()),
            ("locale", account.locale.clone()),
        ])
    });
    let languages =
        Locale::ALL.iter().map(|locale| (locale.tag().to_owned(), locale.name().to_owned())).collect();
    let fields = vec![
        Field::new(locale, "name").autocomplete("name").longest(100).filled(&posted, &issues),
        Field::new(locale, "phone")
            .kind("tel")
            .autocomplete("tel")
            .longest(16)
            .optional()
            .filled(&posted, &issues),
        Field::new(locale, "locale").autocomplete("off").choices(languages).filled(&posted, &issues),
    ];
    AccountPage {
        email: account.email.clone(),
        staff: !account.roles.is_empty(),
        fields,
        addresses: addresses
            .iter()
            .map(|view| AddressRow {
                id: view.id,
                recipient: view.address.recipient.clone(),
                lines: addresses::lines(locale, &view.address),
                is_default: view.address.is_default,
            })
            .collect(),
        page,
        issues,
    }
}

/// `POST /account`: saves the profile.
pub(crate) async fn save(visitor: Visitor, posted: Posted) -> Answer {
    visitor.member("/account")?;
    let command = UpdateAccount {
        name: Some(posted.line("name")),
        phone: Some(posted.line("phone").replace([' ', '-', '(', ')'], "")),
        locale: posted.optional("locale"),
    };
    let issues = Issues::of(visitor.locale(), &command);
    if !issues.is_empty() {
        return show(&visitor, StatusCode::UNPROCESSABLE_ENTITY, Some(posted), issues).await;
    }
    match visitor.shop().accounts.update_me(&visitor.ctx(), command).await {
        Ok(account) => {
            if let Some(locale) = Locale::parse(&account.locale) {
                visitor.speak(locale);
            }
            Ok(visitor.go_saying("/account", Flash::ProfileSaved))
        }
        Err(failure) => {
            let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let issues = Issues::from_failure(visitor.locale(), failure)?;
            show(&visitor, status, Some(posted), issues).await
        }
    }
}
