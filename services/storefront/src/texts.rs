//! Tests: every language has every text, pages use no other, and pages look as they should.

use std::{collections::BTreeSet, fs, path::Path};

use askama::Template;
use contracts::{
    order::OrderState,
    payment::IntentState,
    pricing::{Explanation, Parameter},
};
use kernel::{Currency, Money};

use crate::{
    card::Card,
    categories::Link,
    flash::Flash,
    forms::{Field, Issues, Posted},
    frame::Frame,
    layer::ErrorPage,
    listing::{Criteria, Listing},
    locale::Locale,
    pages::{
        account, addresses, cart, category, checkout, help, home, orders, pay, product, regions, search,
        session,
    },
    quote, samples, states,
    stock::Stock,
};

fn folder(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn keys(locale: Locale) -> BTreeSet<String> {
    let file = fs::read_to_string(folder(&format!("locales/{}/shop.ftl", locale.tag()))).unwrap();
    let mut keys = BTreeSet::new();
    for line in file.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())) {
        let key = line.split(" =").next().unwrap().to_owned();
        assert!(keys.insert(key.clone()), "{key} stands twice in {}", locale.tag());
    }
    keys
}

fn sources(of: &Path, ending: &str, into: &mut String) {
    for entry in fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, ending, into);
        } else if path.extension().is_some_and(|e| e == ending) && !path.ends_with("texts.rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// What stands between `before` and the next quote, wherever `before` stands.
fn quoted_after(text: &str, before: &str) -> BTreeSet<String> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

#[test]
fn every_language_has_every_text() {
    let english = keys(Locale::En);
    assert_eq!(english, keys(Locale::ZhCn));
    for key in &english {
        for locale in Locale::ALL {
            assert!(!locale.text(key).is_empty() || locale.find(key).is_some(), "{key} in {}", locale.tag());
        }
    }
}

#[test]
fn pages_use_no_missing_text_and_no_text_is_idle() {
    let (mut templates, mut code) = (String::new(), String::new());
    sources(Path::new(&folder("templates")), "html", &mut templates);
    sources(Path::new(&folder("src")), "rs", &mut code);
    let known = keys(Locale::En);
    let mut used = BTreeSet::new();
    for call in ["page.t(\"", "page.t1(\"", "page.n(\""] {
        used.extend(quoted_after(&templates, call));
        used.extend(quoted_after(&code, call));
    }
    for call in [".text(\"", ".text_with(\"", ".text_with_all(\"", ".counted(\"", "part(\""] {
        used.extend(quoted_after(&code, call));
    }
    for field in quoted_after(&code, "Field::new(locale, \"").iter().chain(&quoted_after(&code, "= field(\""))
    {
        used.insert(format!("field-{}", field.replace('_', "-")));
    }
    used.extend(Flash::ALL.iter().map(|flash| flash.key().to_owned()));
    for (_, _, key) in states::OUTCOMES {
        used.insert(key.to_owned());
    }
    for topic in help::TOPICS {
        used.extend([format!("help-{topic}-q"), format!("help-{topic}-a")]);
    }
    let missing: Vec<_> = used.difference(&known).collect();
    assert!(missing.is_empty(), "used, but not written: {missing:?}");

    let by_name =
        ["explain-", "error-", "invalid-", "rule-", "reason-", "actor-", "hint-", "field-", "intent-state-"];
    let idle: Vec<_> = known
        .difference(&used)
        .filter(|key| !by_name.iter().any(|prefix| key.starts_with(prefix)))
        .filter(|key| !code.contains(&format!("\"{key}\"")) && !templates.contains(&format!("\"{key}\"")))
        .collect();
    assert!(idle.is_empty(), "written, but not used: {idle:?}");
}

/// Every sentence that pricing can put into a quote (`pricing/src/compute.rs`).
const SENTENCES: [&str; 18] = [
    "tax.included",
    "tax.added",
    "price.list",
    "price.list.reduced",
    "price.sale",
    "price.sale.reduced",
    "tax.line.none",
    "tax.line.on",
    "tax.line.in",
    "tax.shipping.none",
    "tax.shipping.on",
    "tax.shipping.in",
    "rounding.half_up",
    "rounding.half_up.shipping",
    "subtotal",
    "shipping.flat",
    "total.added",
    "total.contains",
];

#[test]
fn every_sentence_of_a_quote_is_told_in_the_visitors_language() {
    let money = |amount| Parameter::Money(Money::new(amount, Currency::USD));
    for code in SENTENCES {
        let params = [
            ("market", "US-CA".into()),
            ("currency", "USD".into()),
            ("of", "SHIRT".into()),
            ("rate", "7.25 %".into()),
            ("exact", "4.347825 USD".into()),
            ("quantity", 1_200_i64.into()),
            ("price", money(1_999)),
            ("before", money(2_500)),
            ("base", money(5_997)),
            ("rounded", money(435)),
            ("subtotal", money(1)),
            ("discount", money(2)),
            ("shipping", money(3)),
            ("tax", money(4)),
        ];
        let step = Explanation {
            rule: code.to_owned(),
            text: "in English".to_owned(),
            code: code.to_owned(),
            params: params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            amount: None,
        };
        let [english, chinese] = [Locale::En, Locale::ZhCn].map(|locale| quote::sentence(locale, &step));
        for told in [&english, &chinese] {
            assert!(told != "in English" && !told.contains('{'), "{code}: {told}");
        }
        assert_ne!(english, chinese, "{code}");
    }
    let unknown = Explanation { code: "magic".to_owned(), ..samples::quote().explanation.remove(0) };
    assert_eq!(quote::sentence(Locale::ZhCn, &unknown), unknown.text, "in the quote's own words");
}

#[test]
fn every_state_and_every_failure_has_words() {
    for locale in Locale::ALL {
        for state in [
            IntentState::Pending,
            IntentState::Succeeded,
            IntentState::Failed,
            IntentState::Cancelled,
            IntentState::Expired,
            IntentState::Conflicted,
        ] {
            let key = states::intent_key(state);
            assert!(
                locale.find(key).is_some() && locale.find(&format!("{key}-explained")).is_some(),
                "{key}"
            );
        }
        let codes = kernel::code::ALL
            .iter()
            .filter(|code| code.status != 412)
            .chain(contracts::cart::code::ALL)
            .chain(contracts::pricing::code::ALL.iter().filter(|code| !code.name.ends_with("window")))
            .chain(contracts::order::code::ALL)
            .chain(contracts::region::code::ALL);
        for code in codes {
            let key = crate::layer::error_key(code.name);
            assert!(locale.find(&key).is_some(), "{key} in {}", locale.tag());
        }
    }
}

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
