//! Tests: every language has every text, and pages use no other.

use std::{collections::BTreeSet, fs, path::Path};

use contracts::{
    payment::IntentState,
    pricing::{Explanation, Parameter},
};
use kernel::{Currency, Money};

use crate::{flash::Flash, locale::Locale, pages::help, quote, samples, states};

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
