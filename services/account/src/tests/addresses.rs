//! The address book.

use contracts::account::{AddressInput, ReplaceAddress};

use super::*;
use crate::addresses::AddressChange;

fn address(city: &str, is_default: bool) -> AddressInput {
    AddressInput {
        recipient: "Ada\u{7} Lovelace".to_owned(),
        phone: "+14155550100".to_owned(),
        country: "US".to_owned(),
        region: "CA".to_owned(),
        city: city.to_owned(),
        district: String::new(),
        line1: "1 Main St".to_owned(),
        line2: String::new(),
        postal_code: "94016".to_owned(),
        is_default,
    }
}

#[tokio::test]
async fn exactly_one_address_is_the_default() {
    let shop = Shop::new().await;
    let ctx = shop.member("ada@example.org").await;
    let add = |city: &'static str, is_default| shop.accounts.add_address(&ctx, address(city, is_default));
    let defaults = async || {
        let book = shop.accounts.addresses(&ctx, ()).await.unwrap();
        let defaults = book.iter().filter(|one| one.address.is_default).count();
        assert_eq!(defaults, usize::from(!book.is_empty()));
        book.first().map(|one| one.address.city.clone())
    };
    let first = add("first", false).await.unwrap();
    assert!(first.address.is_default);
    assert_eq!(first.address.recipient, "Ada Lovelace");
    shop.clock.advance(Duration::from_secs(1));
    let second = add("second", false).await.unwrap();
    assert!(!second.address.is_default);
    shop.clock.advance(Duration::from_secs(1));
    let third = add("third", true).await.unwrap();
    assert_eq!(defaults().await.unwrap(), "third");
    assert_eq!(add("fourth", true).await.unwrap_err().status(), 409);
    // The default cannot stop being it by itself.
    let command = ReplaceAddress { id: third.id, address: address("third!", false) };
    assert!(shop.accounts.replace_address(&ctx, command).await.unwrap().address.is_default);
    shop.accounts.remove_address(&ctx, third.id).await.unwrap();
    assert_eq!(defaults().await.unwrap(), "second");
    let command = ReplaceAddress { id: first.id, address: address("first!", true) };
    shop.accounts.replace_address(&ctx, command).await.unwrap();
    assert_eq!(defaults().await.unwrap(), "first!");

    let other = shop.member("bob@example.org").await;
    assert_eq!(shop.accounts.address(&other, first.id).await.unwrap_err().status(), 404);
    assert_eq!(shop.accounts.remove_address(&other, first.id).await.unwrap_err().status(), 404);
    let command = ReplaceAddress { id: first.id, address: address("stolen", true) };
    assert_eq!(shop.accounts.replace_address(&other, command).await.unwrap_err().status(), 404);

    shop.accounts.remove_address(&ctx, first.id).await.unwrap();
    shop.accounts.remove_address(&ctx, second.id).await.unwrap();
    assert_eq!(defaults().await, None);
}

#[tokio::test]
async fn addresses_added_at_once_make_one_default() {
    let shop = Shop::new().await;
    let ctx = shop.member("ada@example.org").await;
    let cities = ["a", "b", "c", "d"];
    let outcomes =
        futures::future::join_all(cities.map(|city| shop.accounts.add_address(&ctx, address(city, true))))
            .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3, "the book holds three");
    let book = shop.accounts.addresses(&ctx, ()).await.unwrap();
    assert_eq!(book.iter().filter(|one| one.address.is_default).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_are_all_kept() {
    let shop = Shop::new().await;
    let ctx = shop.member("ada@example.org").await;
    let one = shop.accounts.add_address(&ctx, address("first", false)).await.unwrap();
    let to = |text: &str| Some(text.to_owned());
    let changes = [
        AddressChange { city: to("Paris"), ..AddressChange::default() },
        AddressChange { line1: to("2 Rue"), ..AddressChange::default() },
        AddressChange { phone: to("+33155550100"), ..AddressChange::default() },
        AddressChange { recipient: to("Bob"), ..AddressChange::default() },
    ];
    let changed = changes.map(|change| shop.accounts.change_address(&ctx, one.id, change));
    for outcome in futures::future::join_all(changed).await {
        outcome.unwrap();
    }
    let kept = shop.accounts.address(&ctx, one.id).await.unwrap().address;
    assert_eq!(
        (kept.city.as_str(), kept.line1.as_str(), kept.phone.as_str(), kept.recipient.as_str()),
        ("Paris", "2 Rue", "+33155550100", "Bob")
    );
    assert_eq!((kept.postal_code.as_str(), kept.is_default), ("94016", true), "the rest stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_says_nothing_of_the_default_does_not_take_it_back() {
    let shop = Shop::new().await;
    let ctx = shop.member("ada@example.org").await;
    let first = shop.accounts.add_address(&ctx, address("first", false)).await.unwrap();
    let second = shop.accounts.add_address(&ctx, address("second", false)).await.unwrap();
    let other = AddressChange { line1: Some("2 Rue".to_owned()), ..AddressChange::default() };
    let default = AddressChange { is_default: Some(true), ..AddressChange::default() };
    let (moved, changed) = tokio::join!(
        shop.accounts.change_address(&ctx, second.id, default),
        shop.accounts.change_address(&ctx, first.id, other),
    );
    assert!(moved.is_ok() && changed.is_ok(), "{moved:?} {changed:?}");
    let book = shop.accounts.addresses(&ctx, ()).await.unwrap();
    let defaults: Vec<_> = book.iter().filter(|one| one.address.is_default).map(|one| one.id).collect();
    assert_eq!(defaults, [second.id]);
}

#[tokio::test]
async fn a_change_is_checked_and_of_ones_own() {
    let shop = Shop::new().await;
    let ctx = shop.member("ada@example.org").await;
    let one = shop.accounts.add_address(&ctx, address("first", false)).await.unwrap();
    let blank = AddressChange { city: Some(" \u{0} ".to_owned()), ..AddressChange::default() };
    let refused = shop.accounts.change_address(&ctx, one.id, blank).await.unwrap_err();
    assert_eq!(refused.fields()[0].pointer, "/city");
    let other = shop.member("bob@example.org").await;
    let theirs = shop.accounts.change_address(&other, one.id, AddressChange::default()).await;
    assert_eq!(theirs.unwrap_err().status(), 404);
    assert_eq!(shop.accounts.address(&ctx, one.id).await.unwrap().address.city, "first");
}
