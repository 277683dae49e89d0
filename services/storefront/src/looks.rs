//! Tests: pages look as they should, in every language.

use std::collections::BTreeSet;

use askama::Template;
use contracts::{order::OrderState, payment::IntentState};

use crate::{
    card::Card,
    categories::Link,
    forms::{Field, Issues, Posted},
    frame::Frame,
    layer::ErrorPage,
    listing::{Criteria, Listing},
    locale::Locale,
    pages::{
        account, addresses, cart, category, checkout, help, home, orders, pay, product, regions, search,
        session,
    },
    samples,
    stock::Stock,
};

fn links() -> Vec<Link> {
    ["Apparel", "Home & Kitchen", "Garden", "Paper goods", "Outdoors", "Pantry"]
        .iter()
        .zip(1..)
        .map(|(name, n)| Link { slug: name.to_lowercase(), name: (*name).to_owned(), count: n * 37 })
        .collect()
}

fn browsing(frame: &Frame) -> Vec<(&'static str, String)> {
    let locale = frame.locale;
    let cards: Vec<Card> = samples::cards().iter().map(|card| Card::new(locale, card)).collect();
    let listing = |categories| Listing::new(locale, &Criteria::sample(), &samples::results(), categories);
    let words = || {
        vec![
            ("/search?q=linen".to_owned(), "linen".to_owned()),
            ("/search?q=mug".to_owned(), "mug".to_owned()),
        ]
    };
    let none =
        || Listing { cards: vec![], total: 0, chips: vec![], facets: vec![], next: None, ..listing(true) };
    let item = samples::product();
    let skus = [
        (&item.skus[0], 8_900, Some(11_000), 3),
        (&item.skus[1], 8_900, None, 0),
        (&item.skus[2], 9_200, None, 30),
    ];
    let live = product::samples::live(&skus);
    vec![
        (
            "home",
            home::HomePage {
                page: frame.clone().listed("d"),
                categories: links(),
                newest: cards.clone(),
                best_selling: cards[2..6].to_vec(),
                hot: words(),
            }
            .render()
            .unwrap(),
        ),
        (
            "categories",
            category::CategoriesPage {
                page: frame.clone(),
                branches: links().into_iter().map(|link| category::Branch { link, below: links() }).collect(),
            }
            .render()
            .unwrap(),
        ),
        (
            "category",
            category::CategoryPage {
                page: frame.clone(),
                name: "Shirts".to_owned(),
                above: links()[..1].to_vec(),
                below: links(),
                listing: listing(false),
            }
            .render()
            .unwrap(),
        ),
        (
            "search",
            search::SearchPage {
                page: Frame {
                    title: locale.text_with("search-title", "words", "linnen"),
                    ..frame.clone().searching("linnen")
                },
                words: "linnen".to_owned(),
                corrected: Some(("/search?q=linen".to_owned(), "linen".to_owned())),
                listing: listing(true),
                hot: vec![],
            }
            .render()
            .unwrap(),
        ),
        (
            "search-none",
            search::SearchPage {
                page: Frame {
                    title: locale.text_with("search-title", "words", "qwxyz"),
                    ..frame.clone().searching("qwxyz")
                },
                words: "qwxyz".to_owned(),
                corrected: None,
                listing: none(),
                hot: words(),
            }
            .render()
            .unwrap(),
        ),
        ("product", product::view(frame, locale, &item, &item.skus[0], &live).render().unwrap()),
        ("product-out", product::view(frame, locale, &item, &item.skus[1], &live).render().unwrap()),
        (
            "help",
            help::HelpPage {
                page: frame.clone(),
                topics: help::TOPICS
                    .iter()
                    .map(|t| (*t, locale.text(&format!("help-{t}-q")), locale.text(&format!("help-{t}-a"))))
                    .collect(),
            }
            .render()
            .unwrap(),
        ),
        ("regions", {
            let (map, running) = (samples::regions(), samples::operation());
            regions::view(frame.clone(), &map, Some(&running), true, Issues::default()).render().unwrap()
        }),
        ("regions-drilled", {
            let map = contracts::region::RegionsView { drills: None, operation: None, ..samples::regions() };
            let last = samples::drilled();
            regions::view(frame.clone(), &map, Some(&last), true, Issues::default()).render().unwrap()
        }),
        ("regions-none", {
            let none = contracts::region::RegionsView::default();
            regions::view(frame.clone(), &none, None, true, Issues::default()).render().unwrap()
        }),
        (
            "error",
            ErrorPage {
                page: Frame { title: locale.text("error-title-404"), ..frame.clone() },
                status: 404,
                text: locale.text("error-request-not-found"),
                request_id: "r1".to_owned(),
            }
            .render()
            .unwrap(),
        ),
    ]
}

fn buying(frame: &Frame) -> Vec<(&'static str, String)> {
    let locale = frame.locale;
    let frame = Frame { member: true, ..frame.clone() };
    let empty = contracts::cart::CartView { items: vec![], quantity: 0, subtotal: None, ..samples::cart() };
    let book = [samples::address(1, true), samples::address(2, false)];
    let mut issues = Issues::default();
    issues.add(locale, "recipient", "");
    issues.add(locale, "city", "");
    let posted = Posted::of([("email", "ada".to_owned())]);
    let fields = || {
        vec![
            Field::new(locale, "email").kind("email").filled(&posted, &Issues::default()),
            Field::new(locale, "password").kind("password").filled(&posted, &Issues::default()),
        ]
    };
    let pay = |state, waiting| {
        let order = samples::order(OrderState::PendingPayment);
        pay::view(frame.clone(), &samples::payment(state), &order, waiting, true, Issues::default())
            .render()
            .unwrap()
    };
    let order = |state| {
        let history = samples::history(state);
        orders::view(frame.clone(), &samples::order(state), &history, &Posted::default(), Issues::default())
            .render()
            .unwrap()
    };
    vec![
        ("cart", cart::view(frame.clone(), Issues::default(), &samples::cart()).render().unwrap()),
        ("cart-empty", cart::view(frame.clone(), Issues::default(), &empty).render().unwrap()),
        (
            "checkout",
            checkout::samples::page(frame.clone(), &book, &samples::quote(), Issues::default())
                .render()
                .unwrap(),
        ),
        (
            "checkout-new",
            checkout::samples::page(frame.clone(), &[], &samples::quote(), issues.clone()).render().unwrap(),
        ),
        ("pay", pay(IntentState::Pending, false)),
        ("pay-waiting", pay(IntentState::Pending, true)),
        ("pay-failed", pay(IntentState::Failed, false)),
        ("order", order(OrderState::PendingPayment)),
        ("order-paid", order(OrderState::Paid)),
        (
            "orders",
            orders::OrdersPage {
                page: frame.clone(),
                filters: vec![orders::Filter {
                    label: locale.text("orders-all"),
                    href: "/orders".to_owned(),
                    current: true,
                }],
                rows: [OrderState::PendingPayment, OrderState::Paid, OrderState::Cancelled]
                    .map(|state| orders::row(locale, &samples::order(state)))
                    .into(),
                next: Some("/orders?cursor=x".to_owned()),
                first: None,
            }
            .render()
            .unwrap(),
        ),
        (
            "account",
            account::view(frame.clone(), &samples::account(), &book, None, Issues::default())
                .render()
                .unwrap(),
        ),
        (
            "address",
            addresses::AddressPage {
                page: Frame { title: locale.text("address-new-title"), ..frame.clone() },
                fields: addresses::fields(locale, &addresses::blank(locale), &issues),
                issues,
                action: "/account/addresses/new".to_owned(),
            }
            .render()
            .unwrap(),
        ),
        (
            "login",
            session::LogInPage {
                page: frame.clone(),
                issues: Issues {
                    general: Some(locale.text("error-account-bad-credentials")),
                    fields: vec![],
                },
                fields: fields(),
                next: "/".to_owned(),
                register_url: "/register".to_owned(),
            }
            .render()
            .unwrap(),
        ),
        (
            "register",
            session::RegisterPage {
                page: frame,
                issues: Issues::default(),
                fields: fields(),
                next: "/".to_owned(),
                login_url: "/login".to_owned(),
            }
            .render()
            .unwrap(),
        ),
    ]
}

fn pages() -> Vec<(Locale, &'static str, String)> {
    Locale::ALL
        .into_iter()
        .flat_map(|locale| {
            let frame = Frame::sample(locale);
            browsing(&frame).into_iter().chain(buying(&frame)).map(move |(name, html)| (locale, name, html))
        })
        .collect()
}

/// Values of an attribute, in order.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    html.split(&format!(" {name}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn pages_hold_what_the_policy_and_assistive_technology_need() {
    for (locale, name, html) in pages() {
        let at = format!("{name} in {}", locale.tag());
        assert!(html.contains(&format!("<html lang=\"{}\"", locale.tag())), "{at}");
        assert!(!html.contains(" style=") && !html.contains("<style"), "{at}: style in the page");
        assert!(!html.contains(" onclick=") && !html.contains("javascript:"), "{at}: script in the page");
        let scripts = html.matches("<script").count();
        let allowed =
            html.matches("<script src=\"/assets/").count() + html.matches("application/ld+json").count();
        assert_eq!(scripts, allowed, "{at}: script in the page");
        assert_eq!(html.matches("<h1").count(), 1, "{at}: headings");
        let ids = attributes(&html, "id");
        let unique: BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), unique.len(), "{at}: an id stands twice: {ids:?}");
        for target in attributes(&html, "for").into_iter().chain(attributes(&html, "aria-describedby")) {
            for one in target.split(' ') {
                assert!(ids.contains(&one), "{at}: nothing has the id {one}");
            }
        }
        for href in attributes(&html, "href").into_iter().filter_map(|href| href.strip_prefix('#')) {
            assert!(ids.contains(&href), "{at}: nothing has the id {href}");
        }
        let posts = html.matches("method=\"post\"").count();
        assert_eq!(posts, html.matches("name=\"csrf\"").count(), "{at}: a form without its token");
        assert_eq!(
            html.matches("<img ").count(),
            attributes(&html, "alt").len(),
            "{at}: an image without alt"
        );
        assert_eq!(
            html.matches("<table").count(),
            html.matches("<caption").count(),
            "{at}: a table without caption"
        );
    }
}

#[test]
fn what_people_write_is_escaped() {
    for (_, name, html) in pages() {
        assert!(!html.contains("<b>at the door</b>"), "{name}");
        assert!(!html.contains("Harbour & Sons<"), "{name}");
    }
}

#[test]
fn stock_is_told_in_words() {
    let page = Frame::sample(Locale::En);
    assert_eq!(Stock::of(0).text(&page), "Out of stock");
    assert_eq!(Stock::of(-1), Stock::Out);
    assert_eq!(Stock::of(3).text(&page), "Only 3 left");
    assert_eq!(Stock::of(10), Stock::Plenty);
}
