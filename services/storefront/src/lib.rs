//! The shop's pages: server-rendered HTML (askama), which htmx only makes quicker. Every form works without scripts.
//!
//! Calls contracts and owns no table; neither publishes nor consumes events. Identity travels in `HttpOnly` cookies:
//! access and refresh token (renewed on the way in, see [`visitor`]), a random visitor id, the guest's cart token, the
//! language. Every POST carries a token bound to visitor and session and must come from a page of ours ([`csp`]); it
//! answers 303, so that loading again sends nothing. Placing and paying carry an idempotency key made with the form.
//!
//! Invariants: no script or style stands in a page; what a merchant or a shopper wrote is escaped, except descriptions
//! (sanitised by the catalog) and highlights (escaped by search); `next` leads only to a path of this shop; an error keeps
//! what was typed, except passwords.

use std::sync::Arc;

use actix_web::{
    Resource,
    middleware::from_fn,
    web::{self, Data, get, post},
};
use contracts::Contracts;
use kernel::{Clock, Result};
use platform_http::{ErrorPage, NotFoundPage, Routes};
use platform_runtime::{Module, SecretKey};

mod assets;
mod card;
mod categories;
mod config;
mod countries;
mod csp;
mod error;
mod flash;
mod format;
mod forms;
mod frame;
mod layer;
mod link;
mod listed;
mod listing;
mod locale;
mod pages;
mod quote;
mod shop;
mod states;
mod stock;
mod token;
mod visitor;

#[cfg(test)]
mod looks;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod texts;

pub use config::{SecureCookies, StorefrontConfig};
use pages::{
    account, addresses, cart, category, checkout, help, home, orders, pay, product, regions, search, session,
};
use shop::Shop;

/// What the pages are made from.
pub struct StorefrontDeps {
    /// What the pages ask.
    pub contracts: Contracts,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Signs forms: `keys.secret("storefront")`. The same in every process that serves pages.
    pub form_key: SecretKey,
    /// Section `storefront` of the configuration.
    pub config: StorefrontConfig,
}

/// The module `storefront`: all pages, their assets, and the page for paths that do not exist. Refuses a configuration
/// that no page can be made with.
pub fn module(deps: StorefrontDeps) -> Result<Module> {
    let needs = ["catalog", "pricing", "inventory", "cart", "order", "payment", "account", "search"];
    Ok(Module::new("storefront").needs(needs).routes(routes(deps)?))
}

fn routes(deps: StorefrontDeps) -> Result<Routes> {
    deps.config.validate()?;
    let shop = Data::new(Shop {
        contracts: deps.contracts,
        clock: deps.clock,
        categories: categories::Categories::default(),
        tokens: token::FormTokens::new(deps.form_key.expose())?,
        config: deps.config,
    });
    Ok(Arc::new(move |cfg| {
        cfg.app_data(shop.clone());
        cfg.app_data(ErrorPage::new(layer::refused));
        cfg.app_data(NotFoundPage::new(|request| Box::pin(layer::not_found(request))));
        // Pages are for people: they stay out of the API's document.
        cfg.map(|cfg| {
            assets_into(cfg);
            browsing(cfg);
            buying(cfg);
            personal(cfg);
            staff(cfg);
            cfg
        });
    }))
}

/// Puts a page behind the layer that knows its visitor.
fn page(cfg: &mut web::ServiceConfig, resource: Resource) {
    cfg.service(resource.wrap(from_fn(layer::layer)));
}

fn assets_into(cfg: &mut web::ServiceConfig) {
    cfg.route("/assets/{version}/{name}", get().to(assets::asset));
    cfg.route("/favicon.ico", get().to(assets::favicon));
    cfg.route("/robots.txt", get().to(assets::robots));
}

fn browsing(cfg: &mut web::ServiceConfig) {
    page(cfg, web::resource("/").route(get().to(home::home)));
    page(cfg, web::resource("/c").route(get().to(category::categories)));
    page(cfg, web::resource("/c/{slug}").route(get().to(category::category)));
    page(cfg, web::resource("/search").route(get().to(search::search)));
    page(cfg, web::resource("/search/suggest").route(get().to(search::suggest)));
    page(cfg, web::resource("/p/{slug}").route(get().to(product::product)));
    page(cfg, web::resource("/help").route(get().to(help::help)));
}

fn buying(cfg: &mut web::ServiceConfig) {
    let back = || get().to(cart::back);
    page(cfg, web::resource("/cart").route(get().to(cart::cart)));
    page(cfg, web::resource("/cart/items").route(back()).route(post().to(cart::add)));
    page(cfg, web::resource("/cart/items/{sku}").route(back()).route(post().to(cart::set)));
    page(cfg, web::resource("/cart/items/{sku}/remove").route(back()).route(post().to(cart::remove)));
    page(
        cfg,
        web::resource("/checkout").route(get().to(checkout::checkout)).route(post().to(checkout::place)),
    );
    let choice = web::resource("/checkout/choice");
    page(cfg, choice.route(get().to(checkout::back)).route(post().to(checkout::choose)));
    let address = web::resource("/checkout/address");
    page(cfg, address.route(get().to(checkout::back)).route(post().to(checkout::add_address)));
    page(cfg, web::resource("/pay/{id}").route(get().to(pay::pay)));
    page(cfg, web::resource("/pay/{id}/state").route(get().to(pay::state)));
    page(cfg, web::resource("/pay/{id}/sandbox").route(get().to(pay::back)).route(post().to(pay::simulate)));
}

fn personal(cfg: &mut web::ServiceConfig) {
    page(cfg, web::resource("/orders").route(get().to(orders::orders)));
    page(cfg, web::resource("/orders/{id}").route(get().to(orders::order)));
    page(
        cfg,
        web::resource("/orders/{id}/cancel").route(get().to(orders::back)).route(post().to(orders::cancel)),
    );
    page(cfg, web::resource("/orders/{id}/pay").route(get().to(orders::back)).route(post().to(orders::pay)));
    page(cfg, web::resource("/account").route(get().to(account::account)).route(post().to(account::save)));
    let new = web::resource("/account/addresses/new");
    page(cfg, new.route(get().to(addresses::new_form)).route(post().to(addresses::add)));
    let one = web::resource("/account/addresses/{id}");
    page(cfg, one.route(get().to(addresses::edit_form)).route(post().to(addresses::replace)));
    page(cfg, web::resource("/account/addresses/{id}/remove").route(post().to(addresses::remove)));
    page(cfg, web::resource("/account/addresses/{id}/default").route(post().to(addresses::make_default)));
    page(cfg, web::resource("/login").route(get().to(session::login_form)).route(post().to(session::log_in)));
    let register = web::resource("/register");
    page(cfg, register.route(get().to(session::register_form)).route(post().to(session::register)));
    page(cfg, web::resource("/logout").route(get().to(session::home)).route(post().to(session::log_out)));
}

/// For staff. Paths below `/staff` are reached by the names in `http.staff_hosts` only, as those of their API.
fn staff(cfg: &mut web::ServiceConfig) {
    let back = || get().to(regions::back);
    page(cfg, web::resource("/staff/regions").route(get().to(regions::regions)));
    page(cfg, web::resource("/staff/regions/abort").route(back()).route(post().to(regions::abort)));
    page(cfg, web::resource("/staff/regions/{region}/drill").route(back()).route(post().to(regions::drill)));
    let switchover = web::resource("/staff/regions/{region}/switchover");
    page(cfg, switchover.route(back()).route(post().to(regions::switchover)));
}
