//! Tests of the pages behind the real server, over a transport that plays all services.

mod browser;
mod services;

use actix_web::{cookie::SameSite, test};
use contracts::{Permission, order::OrderState, payment::IntentState};

use self::{browser::browser, services::LIFE};
use crate::samples;

#[actix_web::test]
async fn a_guest_gets_a_page_with_its_policy_and_harmless_cookies() {
    let mut browser = browser().await;
    let home = browser.get("/").await;
    assert_eq!(home.status, 200);
    assert!(home.policy.contains("script-src 'self'") && !home.policy.contains("unsafe"), "{}", home.policy);
    assert!(home.body.contains("Just arrived"));
    for cookie in &home.cookies {
        assert_eq!(cookie.http_only(), Some(true), "{cookie}");
        assert_eq!(cookie.same_site(), Some(SameSite::Lax), "{cookie}");
        assert_ne!(cookie.secure(), Some(true), "{cookie}");
    }
    let visitor = browser.cookie("meridian_visitor").unwrap().to_owned();
    assert!(browser.get("/help").await.cookies.is_empty());
    assert_eq!(browser.cookie("meridian_visitor").unwrap(), visitor);
}

#[actix_web::test]
async fn a_form_needs_its_token_and_our_own_page() {
    let mut browser = browser().await;
    let page = browser.get("/p/linen-shirt").await;
    let (csrf, sku) = (page.field("csrf"), page.field("sku_id"));
    let fields = [("csrf", csrf.as_str()), ("sku_id", sku.as_str()), ("quantity", "3")];
    // Removing the token check, or the check of where the form came from, makes these fail.
    assert_eq!(browser.post("/cart/items", &fields[1..]).await.status, 403);
    assert_eq!(browser.post("/cart/items", &[("csrf", "00"), fields[1], fields[2]]).await.status, 403);
    let foreign =
        test::TestRequest::post().uri("/cart/items").insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(browser.send(foreign.set_form(&fields[..])).await.status, 403);
    let unknown = test::TestRequest::post().uri("/cart/items").set_form(&fields[..]);
    assert_eq!(browser.send(unknown).await.status, 403);
    assert!(browser.services.calls("cart.put").is_empty());

    let added = browser.post("/cart/items", &fields).await;
    assert_eq!((added.status, added.location.as_str()), (303, "/cart"));
    // Two were in the cart already.
    assert_eq!(browser.services.calls("cart.put")[0].1["quantity"], 5);
    assert_eq!(browser.cookie("meridian_cart"), Some("guest-token"));
    let cart = browser.get("/cart").await;
    assert!(cart.body.contains("id=\"flash\""));
    assert_eq!(browser.services.calls("cart.cart")[0].0.cart_token.as_deref(), Some("guest-token"));
    assert!(!browser.get("/cart").await.body.contains("id=\"flash\""), "said once");
}

#[actix_web::test]
async fn logging_in_brings_the_cart_and_leads_to_our_own_pages_only() {
    let mut browser = browser().await;
    browser.get("/cart").await;
    let form = browser.get("/login?next=/checkout").await;
    assert_eq!(form.field("next"), "/checkout");
    let csrf = form.field("csrf");
    let fields = |password, next| {
        [("csrf", csrf.as_str()), ("email", "ada@example.com"), ("password", password), ("next", next)]
    };
    let wrong = browser.post("/login", &fields("wrong horse", "/checkout")).await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.contains("E-mail or password is wrong"));
    assert!(wrong.body.contains("value=\"ada@example.com\"") && !wrong.body.contains("wrong horse"));

    let entered = browser.post("/login", &fields("correct horse", "//evil.test/")).await;
    assert_eq!((entered.status, entered.location.as_str()), (303, "/"));
    assert_eq!(browser.services.calls("cart.merge")[0].1["token"], "guest-token");
    assert_eq!(browser.cookie("meridian_cart"), None);
    assert_eq!(browser.cookie("meridian_refresh"), Some("refresh-1"));
    assert!(browser.get("/").await.body.contains("href=\"/account\""));
}

#[actix_web::test]
async fn a_visit_goes_on_when_the_access_token_ends() {
    let mut browser = browser().await;
    browser.log_in().await;
    browser.services.clock.advance(LIFE);
    // Also an error page must hand over the new tokens: the old one counts as stolen when it comes again.
    let missing = browser.get("/orders/nothing").await;
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("href=\"/account\""));
    assert_eq!(browser.cookie("meridian_refresh"), Some("refresh-2"));
    assert_eq!(browser.get("/account").await.status, 200);

    browser.services.clock.advance(LIFE);
    let refused = browser.get("/account").await;
    assert_eq!((refused.status, refused.location.as_str()), (303, "/login?next=%2Faccount"));
    assert_eq!(browser.cookie("meridian_refresh"), None);
    let part =
        test::TestRequest::get().uri(&format!("/pay/{}/state", samples::payment(IntentState::Pending).id));
    let part = browser.send(part.insert_header(("hx-request", "true"))).await;
    assert_eq!(part.status, 204, "a part of a page is not replaced by the log-in page");
}

#[actix_web::test]
async fn an_order_is_placed_under_the_forms_own_key() {
    let mut browser = browser().await;
    browser.log_in().await;
    let form = browser.get("/checkout").await;
    let named = ["csrf", "key", "address_id", "quote"].map(|name| (name, form.field(name)));
    let mut fields: Vec<(&str, &str)> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fields.push(("remark", "ring <twice>"));

    *browser.services.refuse_order.lock().unwrap() = Some(contracts::pricing::code::PRICE_ROSE);
    let refused = browser.post("/checkout", &fields).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("A price has risen meanwhile"));
    assert!(refused.body.contains("ring &#60;twice&#62;"), "what was typed is kept");
    assert_ne!(refused.field("key"), form.field("key"), "another try is another request");

    *browser.services.refuse_order.lock().unwrap() = Some(kernel::code::UNAVAILABLE);
    let unsettled = browser.post("/checkout", &fields).await;
    assert_eq!(unsettled.status, 503);
    for name in ["key", "quote"] {
        assert_eq!(
            unsettled.field(name),
            form.field(name),
            "it may have been placed: the same request again"
        );
    }

    *browser.services.refuse_order.lock().unwrap() = None;
    let payment = format!("/pay/{}", samples::payment(IntentState::Pending).id);
    for _ in 0..2 {
        assert_eq!(browser.post("/checkout", &fields).await.location, payment);
    }
    let placed = browser.services.calls("order.place");
    let keys: Vec<_> = placed.iter().map(|(ctx, _)| ctx.idempotency_key.clone()).collect();
    assert_eq!(keys, vec![Some(form.field("key")); 4]);
    let paid: Vec<_> =
        browser.services.calls("order.pay").into_iter().map(|(ctx, _)| ctx.idempotency_key).collect();
    assert_eq!(paid[0], paid[1]);
    assert_ne!(paid[0], keys[0]);

    let keyless: Vec<_> = fields.iter().filter(|(name, _)| *name != "key").copied().collect();
    assert_eq!(browser.post("/checkout", &keyless).await.status, 400);
    assert_eq!(browser.services.calls("order.place").len(), 4);
}

#[actix_web::test]
async fn an_order_goes_to_the_address_that_is_ticked() {
    let mut browser = browser().await;
    browser.log_in().await;
    let form = browser.get("/checkout").await;
    // Removing the radios' form, or sending another field of that name with the order, makes this fail.
    let inputs = form.body.split("<input ").skip(1).filter_map(|rest| rest.split('>').next());
    let radios: Vec<&str> = inputs.filter(|input| input.contains(" name=\"address_id\"")).collect();
    assert_eq!(radios.len(), 2);
    for radio in radios {
        assert!(radio.contains("type=\"radio\"") && radio.contains(" form=\"place-order\""), "{radio}");
    }
    let other = samples::address(2, false).id.to_string();
    let is_ticked = |body: &str| {
        body.contains(&format!("value=\"{other}\" id=\"address-{other}\" form=\"place-order\" checked>"))
    };
    assert!(!is_ticked(&form.body));

    let named = ["csrf", "key", "quote"].map(|name| (name, form.field(name)));
    let mut fields: Vec<(&str, &str)> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fields.push(("address_id", &other));
    *browser.services.refuse_order.lock().unwrap() = Some(contracts::pricing::code::QUOTE_INVALID);
    let refused = browser.post("/checkout", &fields).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("your address has changed") && is_ticked(&refused.body));
    assert_eq!(browser.services.calls("order.place")[0].1["address_id"], other.as_str());
    let quotes = browser.services.calls("order.quote");
    assert_eq!(quotes.last().unwrap().1["address_id"], other.as_str(), "the price there is shown");

    let chosen = browser.post("/checkout/choice", &fields).await;
    assert_eq!((chosen.status, chosen.location), (303, format!("/checkout?address_id={other}")));
    let page = browser.get(&format!("/checkout?address_id={other}")).await;
    assert!(is_ticked(&page.body));
    assert_eq!(browser.services.calls("order.place").len(), 1, "choosing places nothing");
}

#[actix_web::test]
async fn the_language_is_the_visitors() {
    let mut browser = browser().await;
    let asked = test::TestRequest::get().uri("/nowhere").insert_header(("accept-language", "zh-TW,en;q=0.5"));
    let missing = browser.send(asked).await;
    assert_eq!(missing.status, 404);
    assert!(
        missing.body.contains("<html lang=\"zh-CN\"") && missing.body.contains("404"),
        "{}",
        missing.body
    );
    assert!(browser.get("/help?lang=zh-CN").await.body.contains("<html lang=\"zh-CN\""));
    assert!(browser.get("/help").await.body.contains("<html lang=\"zh-CN\""), "remembered");
    assert!(browser.get("/help?lang=en").await.body.contains("<html lang=\"en\""));
    assert_eq!(browser.get("/api/v1/nowhere").await.body.chars().next(), Some('{'), "programs get problems");
}

#[actix_web::test]
async fn a_page_links_to_this_shop_whatever_its_address() {
    let mut browser = browser().await;
    for path in ["//evil.test", "//evil.test/p?x=1", "/\\evil.test"] {
        let missing = browser.get(path).await;
        assert_eq!(missing.status, 404, "{path}");
        assert!(
            !missing.body.contains("=\"//") && !missing.body.contains("=\"/\\"),
            "{path}: {}",
            missing.body
        );
        assert!(missing.body.contains("href=\"/?lang=zh-CN\""), "{path}: {}", missing.body);
    }
    let missing = browser.get("/nowhere?x=1&lang=en").await;
    assert!(missing.body.contains("href=\"/nowhere?x=1&#38;lang=zh-CN\""), "{}", missing.body);
}

#[actix_web::test]
async fn every_page_can_be_shown_and_is_only_the_members_own() {
    let mut browser = browser().await;
    let order = samples::order(OrderState::PendingPayment).id;
    let payment = samples::payment(IntentState::Pending).id;
    let address = samples::address(1, true).id;
    let open = [
        "/",
        "/c",
        "/search?q=linen",
        "/search?min=x&max=5&sort=nothing",
        "/search/suggest?q=l",
        "/p/linen-shirt",
        "/cart",
        "/login",
        "/register",
        "/help",
        "/robots.txt",
        "/favicon.ico",
    ];
    let own = [
        "/checkout".to_owned(),
        "/account".to_owned(),
        "/account/addresses/new".to_owned(),
        format!("/account/addresses/{address}"),
        "/orders".to_owned(),
        "/orders?state=paid".to_owned(),
        format!("/orders/{order}"),
        format!("/pay/{payment}"),
        format!("/pay/{payment}/state"),
    ];
    for path in open {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
    }
    assert_eq!(browser.get("/c/nothing").await.status, 404);
    for path in &own {
        let seen = browser.get(path).await;
        assert!(seen.status == 303 && seen.location.starts_with("/login?next="), "{path}: {}", seen.status);
    }
    browser.log_in().await;
    for path in &own {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
    }
    let stylesheet = crate::assets::url("shop.css");
    assert_eq!(browser.get(&stylesheet).await.status, 200);
    assert!(browser.get("/search/suggest?q=l").await.body.contains("linen &#60;shirt&#62;"));
}

#[actix_web::test]
async fn what_is_wrong_with_a_field_is_said_at_the_field() {
    let mut browser = browser().await;
    browser.log_in().await;
    let csrf = browser.get("/account/addresses/new").await.field("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("recipient", "Ada"),
        ("country", "US"),
        ("phone", "1"),
        ("line1", "1 Main St"),
    ];
    let refused = browser.post("/account/addresses/new", &fields).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("href=\"#f-city\"") && refused.body.contains("id=\"e-city\""));
    assert!(refused.body.contains("value=\"1 Main St\""));
    assert!(browser.services.calls("account.add_address").is_empty());
}

#[actix_web::test]
async fn a_phone_number_is_removed_by_emptying_its_field() {
    let mut browser = browser().await;
    browser.log_in().await;
    let csrf = browser.get("/account").await.field("csrf");
    for (typed, sent) in [("+1 (415) 555-0100", "+14155550100"), ("", "")] {
        let fields = [("csrf", csrf.as_str()), ("name", "Ada"), ("phone", typed), ("locale", "en")];
        assert_eq!(browser.post("/account", &fields).await.status, 303);
        assert_eq!(browser.services.calls("account.update_me").last().unwrap().1["phone"], sent);
    }
}

#[actix_web::test]
async fn regions_are_for_staff_and_beginning_for_those_who_may() {
    let mut browser = browser().await;
    let guest = browser.get("/staff/regions").await;
    assert_eq!((guest.status, guest.location.as_str()), (303, "/login?next=%2Fstaff%2Fregions"));
    browser.log_in().await;
    assert_eq!(browser.get("/staff/regions").await.status, 403, "a shopper");

    *browser.services.permissions.lock().unwrap() = [Permission::OperationsRead].into();
    browser.cookies.clear();
    browser.log_in().await;
    let seen = browser.get("/staff/regions").await;
    assert_eq!(seen.status, 200);
    assert!(
        seen.body.contains("Fenced")
            && seen.body.contains("Shard 15 lives in")
            && seen.body.contains("Preflight")
    );
    for part in
        ["How it went", "5.0 s before the decision", "Not yet", "only clients see them", "Each Saturday"]
    {
        assert!(seen.body.contains(part), "{part}: {}", seen.body);
    }
    assert!(!seen.body.contains("/drill"), "only looks");
    let csrf = browser.get("/account").await.field("csrf");
    let key = "0".repeat(32);
    let fields = [("csrf", csrf.as_str()), ("key", key.as_str())];
    assert_eq!(browser.post("/staff/regions/us-east/drill", &fields).await.status, 403);

    *browser.services.permissions.lock().unwrap() =
        [Permission::OperationsRead, Permission::OperationsWrite].into();
    browser.cookies.clear();
    browser.log_in().await;
    let page = browser.get("/staff/regions").await;
    let (csrf, key) = (page.field("csrf"), page.field("key"));
    let fields = [("csrf", csrf.as_str()), ("key", key.as_str())];
    // Removing the token check, or the key, makes these fail.
    assert_eq!(browser.post("/staff/regions/us-east/drill", &fields[1..]).await.status, 403);
    assert_eq!(browser.post("/staff/regions/us-east/drill", &fields[..1]).await.status, 400);
    let begun = browser.post("/staff/regions/us-east/switchover", &fields).await;
    assert_eq!((begun.status, begun.location.as_str()), (303, "/staff/regions"));
    let calls = browser.services.calls("region.begin");
    let (ctx, asked) = calls.last().unwrap();
    assert_eq!(ctx.idempotency_key.as_deref(), Some(key.as_str()));
    assert_eq!((asked["kind"].as_str(), asked["region"].as_str()), (Some("switchover"), Some("us-east")));
    assert!(browser.get("/staff/regions").await.body.contains("id=\"flash\""));

    *browser.services.refuse_operation.lock().unwrap() = Some(contracts::region::code::BUSY);
    let busy = browser.post("/staff/regions/us-east/drill", &fields).await;
    assert_eq!(busy.status, 409);
    assert!(busy.body.contains("Another operation runs") && busy.body.contains("Shard 15 lives in"));
    let abort = [("csrf", csrf.as_str()), ("operation", "3")];
    *browser.services.refuse_operation.lock().unwrap() = None;
    assert_eq!(browser.post("/staff/regions/abort", &abort).await.status, 303);
    assert_eq!(browser.services.calls("region.abort").last().unwrap().1["id"], 3);
}
