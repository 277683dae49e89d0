//! Who looks at a page: identity, language, cart and the cookies that carry them.

use std::{
    cell::{Cell, RefCell},
    future::{Ready, ready},
    rc::Rc,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
    dev::Payload,
    http::{StatusCode, header},
    web::Data,
};
use askama::Template;
use contracts::{
    Caller, Ctx, UserId,
    account::{RefreshSession, TokenPair},
    cart::CartView,
};
use kernel::{Failure, code};
use platform_http::{ACCESS_COOKIE, CART_COOKIE};
use url::Url;

use crate::{
    config::SecureCookies,
    error::{Answer, PageError},
    flash::Flash,
    frame::Frame,
    link,
    locale::Locale,
    shop::Shop,
    token,
};

const REFRESH: &str = "meridian_refresh";
const VISITOR: &str = "meridian_visitor";
const UNITS: &str = "meridian_cart_units";
pub(crate) const LANGUAGE: &str = "meridian_lang";
const FLASH: &str = "meridian_flash";

/// Access tokens are dropped by the browser this many seconds before they expire, so that a page seldom comes with one
/// that ends while it is made.
const ACCESS_MARGIN: i64 = 20;

/// Who looks at a page. Cheap to clone; a clone is the same visitor.
#[derive(Clone)]
pub(crate) struct Visitor(Rc<Seen>);

struct Seen {
    shop: Data<Shop>,
    ctx: RefCell<Ctx>,
    locale: Locale,
    /// Whether the language is the visitor's own choice.
    chose_language: bool,
    /// The random id in the visitor's cookie.
    id: String,
    units: Cell<i64>,
    flash: Cell<Option<Flash>>,
    path: String,
    query: Vec<(String, String)>,
    origin: String,
    secure: bool,
    /// Cookies to set, in order.
    cookies: RefCell<Vec<Cookie<'static>>>,
}

impl Visitor {
    /// Who sent this request. Without a good access token the refresh token is traded for new ones, so that a visit goes
    /// on without notice; where that is refused the visitor is a guest from then on.
    pub(crate) async fn arrive(shop: &Data<Shop>, request: &HttpRequest) -> (Self, Result<(), Failure>) {
        let cookie = |name: &str| request.cookie(name).map(|cookie| cookie.value().to_owned());
        let (mut ctx, readable) = match platform_http::anonymous(request) {
            Ok(ctx) => (ctx, Ok(())),
            Err(failure) => (stranger(shop), Err(failure)),
        };
        ctx.cart_token = cookie(CART_COOKIE).filter(|token| !token.is_empty());
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
        let asked = query.iter().find(|(name, _)| name == "lang").and_then(|(_, tag)| Locale::parse(tag));
        let known = cookie(LANGUAGE);
        let accepted = request
            .headers()
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .and_then(Locale::accepted);
        let locale =
            asked.or_else(|| known.as_deref().and_then(Locale::parse)).or(accepted).unwrap_or_default();
        let visitor_id = cookie(VISITOR).filter(|id| token::is_random(id));
        let (origin, https) = origin(shop, request);
        let seen = Seen {
            ctx: RefCell::new(ctx),
            locale,
            chose_language: asked.is_some() || known.is_some(),
            id: visitor_id.clone().unwrap_or_else(token::random),
            units: Cell::new(
                cookie(UNITS).and_then(|n| n.parse().ok()).map_or(0, |n: i64| n.clamp(0, 99_999)),
            ),
            flash: Cell::new(cookie(FLASH).and_then(|name| Flash::parse(&name))),
            path: request.path().to_owned(),
            query,
            origin,
            secure: match shop.config.secure_cookies {
                SecureCookies::Auto => https,
                SecureCookies::Always => true,
                SecureCookies::Never => false,
            },
            cookies: RefCell::default(),
            shop: shop.clone(),
        };
        let visitor = Self(Rc::new(seen));
        if visitor_id.is_none() {
            visitor.set(VISITOR, &visitor.0.id, None);
        }
        if let Some(asked) = asked
            && known.as_deref() != Some(asked.tag())
        {
            visitor.speak(asked);
        }
        let identified = match readable {
            Ok(()) => visitor.identify(request, cookie(ACCESS_COOKIE), cookie(REFRESH)).await,
            Err(failure) => Err(failure),
        };
        (visitor, identified)
    }

    async fn identify(
        &self,
        request: &HttpRequest,
        access: Option<String>,
        refresh: Option<String>,
    ) -> Result<(), Failure> {
        let had_tokens = access.is_some() || refresh.is_some();
        if let Some(access) = access.filter(|token| !token.is_empty()) {
            match self.become_owner_of(request, &access).await {
                Err(failure) if failure.status() == 401 => {}
                settled => return settled,
            }
        }
        let Some(refresh_token) = refresh.filter(|token| !token.is_empty() && token.len() <= 512) else {
            if had_tokens {
                self.forget_session();
            }
            return Ok(());
        };
        let shop = &self.0.shop;
        match shop.accounts.refresh(&self.ctx(), RefreshSession { refresh_token }).await {
            Ok(pair) => self.keep_session(request, &pair).await,
            Err(failure) if failure.status() == 401 => {
                self.forget_session();
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    async fn become_owner_of(&self, request: &HttpRequest, access: &str) -> Result<(), Failure> {
        let identified = platform_http::identified(request, access).await?;
        self.0.ctx.borrow_mut().caller = identified.caller;
        Ok(())
    }

    /// The visitor of a request that passed the layer.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// The services.
    pub(crate) fn shop(&self) -> &Shop {
        &self.0.shop
    }

    /// The context of calls made for this page.
    pub(crate) fn ctx(&self) -> Ctx {
        self.0.ctx.borrow().clone()
    }

    /// The same with an idempotency key.
    pub(crate) fn ctx_with_key(&self, key: &str) -> Ctx {
        let mut ctx = self.ctx();
        ctx.idempotency_key = Some(key.to_owned());
        ctx
    }

    /// The language of the page.
    pub(crate) fn locale(&self) -> Locale {
        self.0.locale
    }

    /// Whether the visitor chose it.
    pub(crate) fn chose_language(&self) -> bool {
        self.0.chose_language
    }

    /// A text in that language.
    pub(crate) fn text(&self, key: &str) -> String {
        self.0.locale.text(key)
    }

    /// Whether somebody is logged in.
    pub(crate) fn is_member(&self) -> bool {
        matches!(self.0.ctx.borrow().caller, Caller::User { .. })
    }

    /// The logged-in user; without one, log in first and go on to `next`.
    pub(crate) fn member(&self, next: &str) -> Answer<UserId> {
        match self.0.ctx.borrow().caller {
            Caller::User { id, .. } => Ok(id),
            Caller::Anonymous | Caller::System => Err(PageError::LogIn(next.to_owned())),
        }
    }

    /// The value of a parameter in the address; empty when it is not there.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.0.query.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.trim())
    }

    /// Path and parameters of this page, without the language; the home page where a link to it would lead elsewhere.
    pub(crate) fn here(&self) -> String {
        let params = self.0.query.iter().filter(|(name, _)| name != "lang");
        link::local(&link::with_params(&self.0.path, params.map(|(n, v)| (n.as_str(), v.as_str()))))
    }

    fn session(&self) -> Option<String> {
        match &self.0.ctx.borrow().caller {
            Caller::User { session, .. } => Some(session.to_string()),
            Caller::Anonymous | Caller::System => None,
        }
    }

    /// What is put into this visitor's forms.
    pub(crate) fn form_token(&self) -> String {
        self.0.shop.tokens.issue(&self.0.id, self.session().as_deref())
    }

    /// Whether `token` was put into a form for this visitor.
    pub(crate) fn made_form(&self, token: &str) -> bool {
        self.0.shop.tokens.accepts(token, &self.0.id, self.session().as_deref())
    }

    /// What every page shows around its own content.
    pub(crate) fn frame(&self, title: impl Into<String>) -> Frame {
        let flash = self.0.flash.take();
        if flash.is_some() {
            self.drop_cookie(FLASH);
        }
        Frame {
            locale: self.0.locale,
            title: title.into(),
            description: None,
            csrf: self.form_token(),
            member: self.is_member(),
            units: self.0.units.get(),
            here: self.here(),
            words: String::new(),
            flash: flash.map(|flash| self.text(flash.key())),
            origin: self.0.origin.clone(),
            index: false,
            refresh: None,
        }
    }

    /// A page.
    pub(crate) fn show(&self, status: StatusCode, page: &impl Template) -> Answer {
        let body = page.render().map_err(Failure::internal)?;
        Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(body))
    }

    /// On to another page, after a form.
    pub(crate) fn go(&self, path: &str) -> HttpResponse {
        HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
    }

    /// On to another page, which says `flash`.
    pub(crate) fn go_saying(&self, path: &str, flash: Flash) -> HttpResponse {
        self.set(FLASH, flash.name(), None);
        self.go(path)
    }

    /// Logs in: keeps the tokens in cookies that no script reads.
    pub(crate) async fn keep_session(&self, request: &HttpRequest, pair: &TokenPair) -> Result<(), Failure> {
        let remembered = self.days();
        let access_life = (i64::from(pair.expires_in) - ACCESS_MARGIN).max(1);
        self.set(ACCESS_COOKIE, &pair.access_token, Some(Duration::seconds(access_life)));
        self.set(REFRESH, &pair.refresh_token, Some(remembered));
        self.become_owner_of(request, &pair.access_token).await
    }

    /// Forgets the tokens; the visitor is a guest from here on.
    pub(crate) fn forget_session(&self) {
        self.drop_cookie(ACCESS_COOKIE);
        self.drop_cookie(REFRESH);
        self.0.ctx.borrow_mut().caller = Caller::Anonymous;
    }

    /// Takes note of a cart: how much is in it, and the guest's token.
    pub(crate) fn keep_cart(&self, cart: &CartView) {
        self.count_units(cart.quantity);
        if let Some(token) = &cart.token {
            self.set(CART_COOKIE, token, Some(self.days()));
            self.0.ctx.borrow_mut().cart_token = Some(token.clone());
        }
    }

    /// Takes note of how many units are in the cart.
    pub(crate) fn count_units(&self, units: i64) {
        if self.0.units.replace(units) != units {
            self.set(UNITS, &units.to_string(), Some(self.days()));
        }
    }

    /// Forgets the guest's cart: it was merged.
    pub(crate) fn forget_guest_cart(&self) {
        self.drop_cookie(CART_COOKIE);
        self.0.ctx.borrow_mut().cart_token = None;
    }

    /// Pages come in this language from the next one on.
    pub(crate) fn speak(&self, locale: Locale) {
        self.set(LANGUAGE, locale.tag(), Some(Duration::days(365)));
    }

    fn days(&self) -> Duration {
        Duration::days(i64::from(self.0.shop.config.remember_days))
    }

    fn set(&self, name: &'static str, value: &str, max_age: Option<Duration>) {
        let mut cookie = Cookie::build(name, value.to_owned())
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.0.secure);
        if let Some(max_age) = max_age {
            cookie = cookie.max_age(max_age);
        }
        let mut cookies = self.0.cookies.borrow_mut();
        cookies.retain(|earlier| earlier.name() != name);
        cookies.push(cookie.finish());
    }

    fn drop_cookie(&self, name: &'static str) {
        self.set(name, "", Some(Duration::ZERO));
    }

    /// The cookies to set, once.
    pub(crate) fn take_cookies(&self) -> Vec<Cookie<'static>> {
        self.0.cookies.take()
    }

    /// The shop's configured address.
    pub(crate) fn public_url(shop: &Shop) -> Option<Url> {
        Url::parse(&shop.config.public_url).ok()
    }
}

/// Scheme and host for links that leave the page, and whether the request came over https.
fn origin(shop: &Shop, request: &HttpRequest) -> (String, bool) {
    let connection = request.connection_info();
    let https = connection.scheme() == "https";
    let origin = match shop.config.public_url.trim_end_matches('/') {
        "" => format!("{}://{}", connection.scheme(), connection.host()),
        public => public.to_owned(),
    };
    (origin, https)
}

/// A context to say what is wrong with, when the request's own cannot be read.
fn stranger(shop: &Shop) -> Ctx {
    Ctx {
        caller: Caller::Anonymous,
        deadline: shop.clock.now().plus(std::time::Duration::from_secs(5)),
        idempotency_key: None,
        cart_token: None,
        request_id: token::random(),
    }
}

impl FromRequest for Visitor {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| {
            PageError::Failure(Failure::new(code::INTERNAL).because("the route is not behind the page layer"))
        }))
    }
}
