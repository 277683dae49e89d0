//! The whole way, on every kind of screen and in both shapes of the shop.

use anyhow::{Result, ensure};
use support::{Shape, Shop};

use crate::{
    browser::{Browser, Window, until},
    inspect::inspect,
    journey::{to_another_address, whole_way},
};

#[tokio::test(flavor = "multi_thread")]
async fn on_a_desktop() -> Result<()> {
    let shop = Shop::builder().with_sample().start().await?;
    Browser::with(shop.base(), Window::DESKTOP, whole_way).await?;
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_in_chinese() -> Result<()> {
    let shop = Shop::builder().with_sample().start().await?;
    Browser::with(shop.base(), Window::CHINESE_PHONE, async |browser| {
        whole_way(browser).await?;
        browser.open("/account").await?;
        inspect(browser).await?;
        ensure!(
            browser.value("#f-locale").await? == "zh-CN",
            "the account keeps the language it was opened in"
        );
        let title = browser.text("h1").await?;
        ensure!(title == "我的账户", "{title}");
        Ok(())
    })
    .await?;
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts() -> Result<()> {
    let shop = Shop::builder().with_sample().start().await?;
    Browser::with(shop.base(), Window::WITHOUT_SCRIPTS, whole_way).await?;
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_to_the_address_that_is_ticked() -> Result<()> {
    let shop = Shop::builder().with_sample().start().await?;
    Browser::with(shop.base(), Window::WITHOUT_SCRIPTS, to_another_address).await?;
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_three_processes() -> Result<()> {
    // Only a shop in one process fills its own shelves.
    let shop = Shop::builder().shape(Shape::Split).start().await?;
    for (kind, file) in [("categories", "categories.json"), ("products", "products.csv")] {
        let file = format!("{}/../../services/meridian/sample/{file}", env!("CARGO_MANIFEST_DIR"));
        shop.run_command(&["import", kind, &file], None)?;
    }
    Browser::with(shop.base(), Window::DESKTOP, whole_way).await?;
    shop.finish().await
}

/// The pages beside the way, what forms say about mistakes, and the languages.
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_accessible() -> Result<()> {
    let shop = Shop::builder().with_sample().start().await?;
    for window in [Window::DESKTOP, Window::CHINESE_PHONE] {
        Browser::with(shop.base(), window, async |browser| {
            for path in ["/c", "/c/clothing", "/search?q=zzzz", "/cart", "/login", "/help", "/no-such-page"] {
                browser.open(path).await?;
                browser.see("h1").await?;
                inspect(browser).await?;
            }
            browser.open("/login").await?;
            browser.fill("#f-email", "nobody@example.com").await?;
            browser.fill("#f-password", "not the password").await?;
            browser.click("#login-form button").await?;
            browser.see("#issues").await?;
            until("what is wrong is read out first", async || {
                Ok(browser.run("return document.activeElement.id").await? == "issues")
            })
            .await?;
            inspect(browser).await?;

            for (language, title) in [("zh-CN", "帮助"), ("en", "Help")] {
                browser.open("/help").await?;
                if browser.count(&format!("html[lang='{language}']")).await? == 0 {
                    browser.click(&format!(".languages a[hreflang='{language}']")).await?;
                }
                browser.see(&format!("html[lang='{language}']")).await?;
                let heading = browser.text("h1").await?;
                ensure!(heading == title, "{heading}");
            }
            Ok(())
        })
        .await?;
    }
    shop.finish().await
}
