//! Logging in, registering, logging out.

use actix_web::{HttpRequest, http::StatusCode};
use askama::Template;
use contracts::{
    account::{LogIn, Register, UpdateAccount},
    cart::MergeCart,
};

use crate::{
    error::Answer,
    flash::Flash,
    forms::{Field, Issues, Posted},
    frame::Frame,
    link,
    locale::Locale,
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct LogInPage {
    pub(crate) page: Frame,
    pub(crate) issues: Issues,
    pub(crate) fields: Vec<Field>,
    pub(crate) next: String,
    pub(crate) register_url: String,
}

#[derive(Template)]
#[template(path = "register.html")]
pub(crate) struct RegisterPage {
    pub(crate) page: Frame,
    pub(crate) issues: Issues,
    pub(crate) fields: Vec<Field>,
    pub(crate) next: String,
    pub(crate) login_url: String,
}

/// `GET /login?next=`.
pub(crate) async fn login_form(visitor: Visitor) -> Answer {
    if visitor.is_member() {
        return Ok(visitor.go(&link::local(visitor.param("next"))));
    }
    let posted = Posted::of([("next", visitor.param("next").to_owned())]);
    show_login(&visitor, StatusCode::OK, &posted, Issues::default())
}

fn show_login(visitor: &Visitor, status: StatusCode, posted: &Posted, issues: Issues) -> Answer {
    let locale = visitor.locale();
    let next = link::local(posted.raw("next"));
    let fields = vec![
        Field::new(locale, "email")
            .kind("email")
            .autocomplete("username")
            .longest(254)
            .filled(posted, &issues),
        // The hint about length is for those who choose a password.
        Field::new(locale, "password")
            .kind("password")
            .autocomplete("current-password")
            .longest(128)
            .without_hint()
            .filled(posted, &issues),
    ];
    let page = LogInPage {
        page: visitor
            .frame(visitor.text("login-title"))
            .at(link::with_params("/login", [("next", next.as_str())])),
        register_url: link::with_params("/register", [("next", next.as_str())]),
        issues,
        fields,
        next,
    };
    visitor.show(status, &page)
}

/// `POST /login`.
pub(crate) async fn log_in(visitor: Visitor, request: HttpRequest, posted: Posted) -> Answer {
    let command = LogIn { email: posted.line("email"), password: posted.raw("password").to_owned() };
    let issues = Issues::of(visitor.locale(), &command);
    if !issues.is_empty() {
        return show_login(&visitor, StatusCode::UNPROCESSABLE_ENTITY, &posted, issues);
    }
    match enter(&visitor, &request, command).await {
        Ok(()) => {
            recall_language(&visitor).await;
            Ok(visitor.go_saying(&link::local(posted.raw("next")), Flash::Welcome))
        }
        Err(failure) => {
            let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let issues = Issues::from_failure(visitor.locale(), failure)?;
            show_login(&visitor, status, &posted, issues)
        }
    }
}

/// Opens a session and brings the guest's cart along.
async fn enter(visitor: &Visitor, request: &HttpRequest, command: LogIn) -> kernel::Result<()> {
    let shop = visitor.shop();
    let guest_cart = visitor.ctx().cart_token;
    let pair = shop.accounts.log_in(&visitor.ctx(), command).await?;
    visitor.keep_session(request, &pair).await?;
    match guest_cart {
        Some(token) => bring_cart(visitor, token).await,
        None => count_cart(visitor).await,
    }
    Ok(())
}

/// Speaks the account's language, unless another was chosen on this device.
async fn recall_language(visitor: &Visitor) {
    if !visitor.chose_language()
        && let Ok(account) = visitor.shop().accounts.me(&visitor.ctx(), ()).await
        && let Some(locale) = Locale::parse(&account.locale)
    {
        visitor.speak(locale);
    }
}

/// A new account keeps the language it was opened in. Where that fails the account page can still change it.
async fn keep_language(visitor: &Visitor) {
    let command =
        UpdateAccount { locale: Some(visitor.locale().tag().to_owned()), ..UpdateAccount::default() };
    if let Err(failure) = visitor.shop().accounts.update_me(&visitor.ctx(), command).await {
        tracing::warn!(error = ?failure, "a new account's language was not kept");
    }
}

/// Merges a guest's cart into the member's. Where that fails for now the cookie stays, and the next log-in tries again.
async fn bring_cart(visitor: &Visitor, token: String) {
    match visitor.shop().carts.merge(&visitor.ctx(), MergeCart { token: Some(token) }).await {
        Ok(cart) => {
            visitor.count_units(cart.quantity);
            visitor.forget_guest_cart();
        }
        // A token that is none of ours has nothing to bring.
        Err(failure) if failure.status() == 422 => visitor.forget_guest_cart(),
        Err(failure) => tracing::warn!(error = ?failure, "the guest's cart was not merged"),
    }
}

/// Finds out how much a member has in the cart from another visit; only the number in the header depends on it.
async fn count_cart(visitor: &Visitor) {
    let lines = visitor.shop().carts.checkout_lines(&visitor.ctx(), ()).await.unwrap_or_default();
    visitor.count_units(lines.iter().map(|line| line.quantity).sum());
}

/// `GET /register?next=`.
pub(crate) async fn register_form(visitor: Visitor) -> Answer {
    if visitor.is_member() {
        return Ok(visitor.go("/account"));
    }
    let posted = Posted::of([("next", visitor.param("next").to_owned())]);
    show_register(&visitor, StatusCode::OK, &posted, Issues::default())
}

fn show_register(visitor: &Visitor, status: StatusCode, posted: &Posted, issues: Issues) -> Answer {
    let locale = visitor.locale();
    let next = link::local(posted.raw("next"));
    let fields = vec![
        Field::new(locale, "name").autocomplete("name").longest(100).filled(posted, &issues),
        Field::new(locale, "email").kind("email").autocomplete("email").longest(254).filled(posted, &issues),
        Field::new(locale, "password")
            .kind("password")
            .autocomplete("new-password")
            .longest(128)
            .filled(posted, &issues),
    ];
    let page = RegisterPage {
        page: visitor
            .frame(visitor.text("register-title"))
            .at(link::with_params("/register", [("next", next.as_str())])),
        login_url: link::with_params("/login", [("next", next.as_str())]),
        issues,
        fields,
        next,
    };
    visitor.show(status, &page)
}

/// `POST /register`: opens an account and logs in.
pub(crate) async fn register(visitor: Visitor, request: HttpRequest, posted: Posted) -> Answer {
    let command = Register {
        email: posted.line("email"),
        password: posted.raw("password").to_owned(),
        name: posted.line("name"),
        country: None,
    };
    let issues = Issues::of(visitor.locale(), &command);
    if !issues.is_empty() {
        return show_register(&visitor, StatusCode::UNPROCESSABLE_ENTITY, &posted, issues);
    }
    let log_in = LogIn { email: command.email.clone(), password: command.password.clone() };
    let registered = visitor.shop().accounts.register(&visitor.ctx(), command).await;
    if let Err(failure) = registered {
        let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        let issues = Issues::from_failure(visitor.locale(), failure)?;
        return show_register(&visitor, status, &posted, issues);
    }
    enter(&visitor, &request, log_in).await?;
    keep_language(&visitor).await;
    Ok(visitor.go_saying(&link::local(posted.raw("next")), Flash::Registered))
}

/// `POST /logout`.
pub(crate) async fn log_out(visitor: Visitor, _posted: Posted) -> Answer {
    if visitor.is_member() {
        visitor.shop().accounts.log_out(&visitor.ctx(), ()).await?;
    }
    visitor.forget_session();
    visitor.count_units(0);
    Ok(visitor.go_saying("/", Flash::Goodbye))
}

/// `GET /logout`: nothing happens by following a link.
pub(crate) async fn home(visitor: Visitor) -> Answer {
    Ok(visitor.go("/"))
}
