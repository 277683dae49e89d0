//! From the home page to a paid order, as a shopper does it.

use anyhow::{Result, ensure};

use crate::{
    browser::{Browser, until},
    inspect::inspect,
};

const PASSWORD: &str = "correct horse battery";

/// Walks the whole way.
pub(crate) async fn whole_way(browser: &Browser) -> Result<()> {
    browse(browser).await?;
    choose(browser).await?;
    register(browser).await?;
    order(browser).await?;
    pay(browser).await
}

/// Orders to an address that was ticked after the page was made, without scripts: the page comes again with what it comes
/// to there, and the order goes there. An order to the one that was ticked before would be the shop's mistake.
pub(crate) async fn to_another_address(browser: &Browser) -> Result<()> {
    browse(browser).await?;
    choose(browser).await?;
    register(browser).await?;
    give_address(browser, "Ada").await?;
    browser.click(".new-address summary").await?;
    give_address(browser, "Grace").await?;
    let (other, ticked) = ("input[name=address_id]:not(:checked)", ".choice:has(:checked) b");
    browser.see(other).await?;
    ensure!(browser.text(ticked).await? == "Grace", "the new one is chosen");
    browser.click(other).await?;
    browser.leave("button.only-without-script").await?;
    ensure!(browser.text(ticked).await? == "Ada" && browser.path().await? == "/checkout", "Ada is chosen");

    browser.click(other).await?;
    browser.click("#place-order button").await?;
    browser.see("#issues").await?;
    ensure!(browser.text(ticked).await? == "Grace", "what was ticked stays ticked");
    browser.click("#place-order button").await?;
    browser.see("button[value=succeed]").await?;
    browser.open("/orders").await?;
    browser.click("table.orders tbody a").await?;
    let to = browser.text("aside address b").await?;
    ensure!(to == "Grace", "it goes to {to}");
    Ok(())
}

/// Finds the shirt by searching.
async fn browse(browser: &Browser) -> Result<()> {
    // The index takes its time, and suggestions are made once a word.
    until("the shirt is found", async || {
        browser.open("/search?q=linen+camp").await?;
        Ok(browser.count("#listing .card a[href='/p/linen-camp-shirt']").await? > 0)
    })
    .await?;
    // What pages complained about that were asked for too early.
    browser.complaints().await?;
    until("there are products on the home page", async || {
        browser.open("/").await?;
        Ok(browser.count(".cards .card a").await? > 0)
    })
    .await?;
    inspect(browser).await?;
    browser.picture("home").await?;
    browser.fill("#q", "linen camp").await?;
    if browser.window().scripts {
        browser.see("#suggestions a").await?;
    }
    browser.click("form.search button").await?;
    browser.see("#listing").await?;
    inspect(browser).await?;
    browser.click("#listing .card a[href='/p/linen-camp-shirt']").await
}

/// Picks a size and puts two into the cart.
async fn choose(browser: &Browser) -> Result<()> {
    browser.see("#price").await?;
    browser.click("#option-1-2").await?;
    browser.see("#option-1-2[aria-current]").await?;
    inspect(browser).await?;
    browser.picture("product").await?;
    browser.click("form.add button").await?;
    browser.see("#to-checkout").await?;
    ensure!(browser.path().await? == "/cart", "it goes to the cart");
    browser.fill(".cart-lines input[name=quantity]", "2").await?;
    browser.click(".cart-lines .amount .button").await?;
    until("the cart counts two", async || Ok(browser.text("#cart-count").await?.starts_with('2'))).await?;
    inspect(browser).await?;
    browser.picture("cart").await
}

/// Opens an account on the way to the checkout; the cart comes along.
async fn register(browser: &Browser) -> Result<()> {
    browser.click("#to-checkout").await?;
    browser.see("#login-form").await?;
    browser.click("main a[href^='/register']").await?;
    browser.see("#register-form").await?;
    inspect(browser).await?;
    browser.fill("#f-name", "Ada 王").await?;
    browser.fill("#f-email", "ada@example.com").await?;
    browser.fill("#f-password", PASSWORD).await?;
    browser.click("#register-form button").await?;
    browser.see("#checkout").await?;
    inspect(browser).await
}

/// Adds an address.
async fn give_address(browser: &Browser, recipient: &str) -> Result<()> {
    for (field, text) in [
        ("recipient", recipient),
        ("phone", "+1 206 555 0100"),
        ("line1", "1 Pine Street"),
        ("city", "Seattle"),
        ("region", "WA"),
        ("postal_code", "98101"),
    ] {
        browser.fill(&format!("#f-{field}"), text).await?;
    }
    browser.click(".new-address button").await?;
    browser.see("#place-order button").await?;
    Ok(())
}

/// Gives an address and places the order.
async fn order(browser: &Browser) -> Result<()> {
    give_address(browser, "Ada 王").await?;
    browser.fill("#f-remark", "Ring twice.").await?;
    inspect(browser).await?;
    browser.picture("checkout").await?;
    if browser.window().scripts && !browser.window().phone {
        browser.double_click("#place-order button").await?;
    } else {
        browser.click("#place-order button").await?;
    }
    browser.see("button[value=succeed]").await?;
    inspect(browser).await?;
    browser.picture("pay").await
}

/// Pays, waits for the provider, and finds one paid order.
async fn pay(browser: &Browser) -> Result<()> {
    let amount = browser.text("#pay-amount").await?;
    browser.click("button[value=succeed]").await?;
    browser.see("#pay-state.good").await?;
    browser.click("#to-order").await?;
    browser.see("#payment-state").await?;
    until("the order is paid", async || {
        browser.open(&browser.path().await?).await?;
        Ok(browser.count("#order-state.good").await? == 1)
    })
    .await?;
    inspect(browser).await?;
    browser.picture("order").await?;
    let total = browser.text(".sums .total dd").await?;
    ensure!(total == amount, "{amount} to pay, {total} in the order");

    browser.open("/orders").await?;
    browser.see("table.orders").await?;
    inspect(browser).await?;
    let orders = browser.count("table.orders tbody tr").await?;
    ensure!(orders == 1, "one order, however often it was sent; there are {orders}");
    until("the cart is empty again", async || {
        browser.open("/orders").await?;
        Ok(browser.count("#cart-count").await? == 0)
    })
    .await
}
